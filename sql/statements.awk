# Makes <program>_stmt.gen.h and .c out of sql/query/<program>.sql: each statement starts
# with "-- name: foo_bar" and becomes STMT_FOO_BAR; other comments stay out.
function escape(text) {
	gsub(/\\/, "\\\\", text)
	gsub(/"/, "\\\"", text)
	return text
}
BEGIN {
	header = out "/" program "_stmt.gen.h"
	source = out "/" program "_stmt.gen.c"
	print "/* made from sql/query/" program ".sql */\n#pragma once\n#include \"base/db.h\"\nenum {" > header
	print "/* made from sql/query/" program ".sql */\n#include \"" program "_stmt.gen.h\"" > source
	print "static const struct statement list[] = {" > source
	count = 0
}
/^-- name: / {
	if (count++)
		print "\t}," > source
	if (seen[$3]++) {
		print FILENAME ":" FNR ": statement " $3 " stands there twice" > "/dev/stderr"
		failed = 1
		exit 1
	}
	print "\tSTMT_" toupper($3) "," > header
	print "\t{ \"" $3 "\"," > source
	next
}
/^[ \t]*--/ || /^[ \t]*$/ { next }
count { sub(/;[ \t]*$/, ""); print "\t    \"" escape($0) "\\n\"" > source }
END {
	if (failed)
		exit 1
	if (count)
		print "\t}," > source
	print "};\nconst struct statement_set " program "_statements = { list, sizeof(list) / sizeof(list[0]) };" > source
	print "};\nextern const struct statement_set " program "_statements;" > header
}
