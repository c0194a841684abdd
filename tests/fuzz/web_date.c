/* SPDX-License-Identifier: Apache-2.0 */
/* Dates of calls, in the forms that CloudStack's clients write: the same instant in all
 */
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include "web/params.h"
#include <stdlib.h>
#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *text = fuzz_text(data, size);
	struct instant begin = { 77 };
	struct instant end = { 77 };
	struct instant back = { 0 };
	struct err e = ERR_INIT;
	char printed[CLOCK_TEXT_MAX];
	bool ok = date_read(&begin, text, false, &e);

	must(ok == date_read(&end, text, true, &e), "%s", text);
	if (!ok) {
		must(begin.ns == 77 && e.kind == ERR_INPUT && e.text[0] != '\0',
		    "a refusal changes nothing and says why");
		return 0;
	}
	must(end.ns - begin.ns == (strlen(text) == 10 ? 86400 * NS_PER_S : 0), "%s",
	    text);
	must(date_read(&back, instant_text(begin, printed), false, &e), "%s", printed);
	must(back.ns / NS_PER_US == begin.ns / NS_PER_US, "%s became %s", text, printed);
	return 0;
}
