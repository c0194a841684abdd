/* SPDX-License-Identifier: Apache-2.0 */
/* A price list as text: what is refused says where, why and what to do; what is taken and
 * written again is the same price list */
#include "billing/tariff_load.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static void
same_again(const struct tariff_loaded *l)
{
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	must(tariff_text_of(&text, l, &e), "%s:\n%s", e.text, buf_text(&text));
	buf_done(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tariff_loaded l;
	struct tariff_fault f = { .reason = "" };

	/* Documents in JSON are another target's. */
	if (size > 0 && memchr(data, '{', size) != NULL)
		return 0;
	if (!tariff_load(&l, (const char *)data, size, &f)) {
		must(f.at.line > 0 && f.at.column > 0 && f.reason[0] != '\0' &&
			f.remedy[0] != '\0',
		    "a refusal says where, why and what to do");
		return 0;
	}
	same_again(&l);
	tariff_loaded_done(&l);
	return 0;
}
