/* SPDX-License-Identifier: Apache-2.0 */
/* Times from outside: read, printed and read again, against days counted by hand */
#include "base/clock.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Days since 1970 of a proleptic Gregorian date, by the years before it. */
static int64_t
days_of(int64_t y, int m, int d)
{
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304,
		334 };
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	int64_t past = y - 1;

	return past * 365 + past / 4 - past / 100 + past / 400 - 719162 + before[m - 1] +
	    (leap && m > 2) + d - 1;
}

/* "2024-03-01T04:05:06.789Z" as instant_text writes it. */
static int64_t
seconds_of(const char *text)
{
	int64_t n[6];
	char *at = NULL;

	n[0] = strtoll(text, &at, 10);
	for (int i = 1; i < 6; i++)
		n[i] = strtoll(at + 1, &at, 10);
	return days_of(n[0], (int)n[1], (int)n[2]) * 86400 + n[3] * 3600 + n[4] * 60 +
	    n[5];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	scoped_free char *text = fuzz_text(data, size);
	struct instant t = { 77 };
	struct instant back = { 0 };
	char printed[CLOCK_TEXT_MAX];

	if (!instant_parse(&t, text, &e)) {
		must(t.ns == 77 && e.kind == ERR_INPUT, "a refusal changes nothing");
		must(e.text[0] != '\0', "a refusal says why");
		return 0;
	}
	must(fuzz_printable(text), "a control character was taken");
	(void)instant_text(t, printed);
	must(strlen(printed) >= 20, "%s", printed);
	must(instant_parse(&back, printed, &e), "%s: %s", printed, e.text);
	must(back.ns / NS_PER_US == t.ns / NS_PER_US, "%s became %s", text, printed);
	must(seconds_of(printed) == back.ns / NS_PER_S - (back.ns % NS_PER_S < 0),
	    "%s is %lld ns", printed, (long long)back.ns);
	for (int64_t step = NS_PER_S; step <= 86400 * NS_PER_S; step *= 60) {
		struct instant f = instant_floor(t, step);
		must(f.ns <= t.ns && t.ns - f.ns < step && f.ns % step == 0,
		    "floor of %lld", (long long)t.ns);
	}
	return 0;
}
