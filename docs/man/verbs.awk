# SPDX-License-Identifier: Apache-2.0
# The verbs section of jeoul(1), in scdoc: awk -f verbs.awk web/operations*.def cli/verb.def
function escaped(text) {
	gsub(/[\\_*<>`#\[\]]/, "\\\\&", text)
	return text
}
# OP(listZones, "GET", ..., <newline> "Lists zones")
FILENAME ~ /operations[a-z_]*\.def$/ && /^OP\(/ {
	name = $0
	sub(/^OP\(/, "", name)
	sub(/,.*/, "", name)
	next
}
FILENAME ~ /operations[a-z_]*\.def$/ && name != "" && /^[ \t]+"/ {
	text = $0
	sub(/^[ \t]*"/, "", text)
	sub(/"\)?[ \t]*$/, "", text)
	told[name] = text
	name = ""
	next
}
# VERB("host", "add", addHost, "url", "columns")
FILENAME ~ /verb\.def$/ && /^VERB\(/ {
	split($0, quoted, "\"")
	operation = quoted[5]
	gsub(/[ ,]/, "", operation)
	first = quoted[6] == "document" ? "FILE" : toupper(quoted[6])
	if (!(operation in told)) {
		print "verbs.awk: " operation " is no operation" > "/dev/stderr"
		exit 1
	}
	if (!begun++)
		print "# VERBS\n"
	printf "*jeoul %s %s*%s\n\t%s.\n\n", quoted[2], quoted[4],
		first != "" ? " _" escaped(first) "_" : "", escaped(told[operation])
}
