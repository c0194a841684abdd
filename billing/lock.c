/* SPDX-License-Identifier: Apache-2.0 */
/* lock: when prepaid funds are used up */
#include "billing/invoice.h"

/* Whether the exact charge of the first so many seconds reaches the funds. */
static bool
reached(bool *out, const struct invoice_job *job, int64_t seconds, struct err *e)
{
	struct rate_job running = { .tariff = job->tariff,
		.usage = job->usage,
		.calendar = job->calendar,
		.window = job->period->span,
		.known = job->period->as_of,
		.events_at_end = true };
	scoped_exact mpq_t charged;
	struct rating r;

	mpq_init(charged);
	running.window.to.ns = running.window.from.ns + seconds * NS_PER_S;
	if (seconds > 0) {
		if (!rate(&r, &running, e))
			return false;
		rating_exact(charged, &r);
		rating_done(&r);
	}
	*out = mpq_cmp(charged, job->terms->funds) >= 0;
	return true;
}

/*
 * The first whole second at which the running charge reaches balance and limit.
 * Halving is right because more usage never costs less (volume tiers apart, where the
 * first crossing found is taken).
 */
bool
invoice_lock(struct invoice *i, const struct invoice_job *job, struct err *e)
{
	const struct span *span = &job->period->span;
	int64_t low = 0;
	int64_t high = (span->to.ns - span->from.ns) / NS_PER_S;
	bool there;

	if (!job->terms->prepaid)
		return true;
	if (!reached(&there, job, high, e))
		return false;
	if (!there)
		return true;
	while (low < high) {
		int64_t middle = low + (high - low) / 2;

		if (!reached(&there, job, middle, e))
			return false;
		if (there)
			high = middle;
		else
			low = middle + 1;
	}
	i->locks = true;
	i->lock_at.ns = span->from.ns + low * NS_PER_S;
	return true;
}
