/* SPDX-License-Identifier: Apache-2.0 */
/* window: which usage window an instant belongs to (DESIGN 2) */
#include "meter/window.h"

static void
narrow(struct instant cut, struct instant t, struct instant *from, struct instant *to)
{
	if (cut.ns < t.ns && cut.ns > from->ns)
		*from = cut;
	if (cut.ns >= t.ns && cut.ns < to->ns)
		*to = cut;
}

/* Local hours begin every hour at the shift, as long as that shift holds. */
static void
narrow_by_shift(const struct window_shift *s, struct instant until, struct instant t,
    struct instant *from, struct instant *to)
{
	struct instant hour = instant_floor(*from, WINDOW_HOUR_NS);

	for (int i = 0; i < 2; i++, hour.ns += WINDOW_HOUR_NS) {
		struct instant cut = { hour.ns + s->shift_ns };
		if (s->shift_ns != 0 && cut.ns >= s->since.ns && cut.ns < until.ns)
			narrow(cut, t, from, to);
	}
}

void
window_of(struct instant t, const struct window_rule *rule, struct instant *from,
    struct instant *to)
{
	int64_t grain = rule != NULL && rule->grain_ns > 0 ? rule->grain_ns
							   : WINDOW_HOUR_NS;

	/* A reading at the very end of an hour still belongs to it. */
	*from = instant_floor((struct instant){ t.ns - 1 }, grain);
	to->ns = from->ns + grain;
	if (rule == NULL)
		return;
	for (size_t i = 0; i < rule->shift_count; i++) {
		struct instant until = { INT64_MAX };
		if (i + 1 < rule->shift_count)
			until = rule->shifts[i + 1].since;
		narrow_by_shift(&rule->shifts[i], until, t, from, to);
	}
	for (size_t i = 0; i < rule->cut_count; i++)
		narrow(rule->cuts[i], t, from, to);
}
