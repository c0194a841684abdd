# SPDX-License-Identifier: Apache-2.0
# The settings section of jeoul.conf(5), in scdoc, from base/conf.def: awk -f settings.awk conf.def
# A setting is CONF_KEY(id, "key", type, "range", "default", secret, <newline> "help").
BEGIN {
	kind["CONF_TEXT"] = "text"
	kind["CONF_PATH"] = "an absolute path"
	kind["CONF_SPAN"] = "a span such as 250ms, 60s, 5min, 1h or 1d"
	kind["CONF_SIZE"] = "a size such as 512KiB or 10GiB"
	kind["CONF_NUMBER"] = "a whole number"
	kind["CONF_CHOICE"] = "one of"
	kind["CONF_ENDPOINT"] = "address:port, [address]:port or unix:/path"
	print "# SETTINGS\n"
}
function escaped(text) {
	gsub(/[\\_*<>`#\[\]]/, "\\\\&", text)
	return text
}
/^CONF_KEY\(/ {
	type = $0
	sub(/^[^,]*,[ ]*"[^"]*",[ ]*/, "", type)
	sub(/,.*/, "", type)
	split($0, quoted, "\"")
	key = quoted[2]
	range = quoted[4]
	standard = quoted[6]
	secret = $0 ~ /, true,$/
	if (!(type in kind)) {
		print "settings.awk: " key ": unknown type " type > "/dev/stderr"
		exit 1
	}
	next
}
key != "" && /^[ \t]+"/ {
	help = $0
	sub(/^[ \t]*"/, "", help)
	sub(/"\)[ \t]*$/, "", help)
	printf "*%s*\n\t%s.\n\n", escaped(key), escaped(help)
	printf "\tValue: %s%s", escaped(kind[type]), type == "CONF_CHOICE" ? " " escaped(range) : ""
	if (range != "" && type != "CONF_CHOICE") {
		split(range, bound, " ")
		printf ", from %s to %s", escaped(bound[1]), escaped(bound[2])
	}
	printf ". Default: %s.%s\n\n", standard == "" ? "empty" : escaped(standard),
		secret ? " Never shown." : ""
	key = ""
}
