/* SPDX-License-Identifier: Apache-2.0 */
/* late: what a row that comes late adds, by the rules of usage_window_late() in
 * sql/070-collectors.sql */
#include "base/mem.h"
#include "tests/sim/sim.h"
#include <stdlib.h>
#include <string.h>

enum { AT_EPOCH = 7, AT_SUMS = 8, AT_RESETS = 25 };

/* Where the counter of each sum stands; 17 is a list. */
static const size_t at_shown[SIM_FIELDS] = { 16, 17, 18, 19, 20, 21, 22, 23 };

static bool
shown_of(const char *const *v, size_t field, int64_t *out)
{
	const char *text = v[at_shown[field]];

	*out = 0;
	if (text == NULL)
		return false;
	for (; *text != '\0'; text += *text == ',') {
		*out += strtoll(text, NULL, 10);
		text += strcspn(text, ",");
	}
	return true;
}

static int64_t
counted_of(const char *const *v, size_t field)
{
	return strtoll(v[AT_SUMS + field], NULL, 10);
}

void
sim_late_adds(const char *const *v, const char *const *const *others, size_t count,
    int64_t adds[SIM_FIELDS])
{
	bool reset = strtoll(v[AT_RESETS], NULL, 10) > 0;

	for (size_t f = 0; f < SIM_FIELDS; f++) {
		int64_t end;
		int64_t begin;
		adds[f] = counted_of(v, f);
		if (!shown_of(v, f, &end) || reset)
			continue;
		begin = end - adds[f];
		for (size_t i = 0; i < count; i++) {
			int64_t its;
			if (strcmp(others[i][AT_EPOCH], v[AT_EPOCH]) != 0 ||
			    strtoll(others[i][AT_RESETS], NULL, 10) > 0 ||
			    !shown_of(others[i], f, &its) ||
			    its - counted_of(others[i], f) >= end)
				continue;
			its = its < end ? its : end;
			begin = its > begin ? its : begin;
		}
		adds[f] = end - begin;
	}
}
