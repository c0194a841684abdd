/* SPDX-License-Identifier: Apache-2.0 */
/* wish: whoever waits for a sample is told when it is in the tables */
#include "base/mem.h"
#include "meter/line.h"
#include "meter/state.h"
#include <stdlib.h>

void
wishes_add(struct meter *m, struct store_job *job)
{
	for (struct wish *w = m->wishes; w != NULL; w = w->next) {
		struct buf b = BUF_INIT;
		if (!w->fulfilled)
			continue;
		line_text(&b, w->payload);
		store_job_add(job, STORE_SAMPLED, buf_take(&b));
		w->told = true;
	}
}

void
wishes_written(struct meter *m)
{
	for (struct wish **at = &m->wishes; *at != NULL;) {
		struct wish *w = *at;
		if (!w->told) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		free(w);
	}
}

static bool
wish_over(struct meter *m, const struct wish *w)
{
	const struct meter_vm *v = inventory_vm(&m->in, w->uuid);

	/* One that is not here may be another collector's, who tells of it. */
	if (v == NULL)
		return m->alive < 2 || m->now.mono.ns >= w->until.ns;
	return (w->fast && (w->guarded || v->volumes == NULL)) ||
	    m->now.mono.ns >= w->until.ns || v->run.ended.ns != 0;
}

void
wishes_look(struct meter *m)
{
	for (struct wish *w = m->wishes; w != NULL; w = w->next)
		if (!w->fulfilled && wish_over(m, w)) {
			w->fulfilled = true;
			m->urgent = true;
		}
}
