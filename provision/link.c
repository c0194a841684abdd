/* SPDX-License-Identifier: Apache-2.0 */
/* link: connections to hosts that jobs borrow, kept open for a while */
#include "provision/link.h"
#include <pthread.h>

enum { KEPT_MOST = 16 };
#define KEEP_NS (30 * NS_PER_S)

struct kept {
	struct hv *hv; /* NULL: the place is free */
	int64_t host_id;
	struct mono since;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept kept[KEPT_MOST];

/* Takes out one that is of the host, or with host_id 0 one that is too old. */
static struct hv *
take_out(int64_t host_id, struct mono now)
{
	struct hv *hv = NULL;

	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < KEPT_MOST && hv == NULL; i++) {
		bool old = now.ns - kept[i].since.ns > KEEP_NS;
		if (kept[i].hv == NULL || (host_id != 0 && kept[i].host_id != host_id) ||
		    old != (host_id == 0))
			continue;
		hv = kept[i].hv;
		kept[i].hv = NULL;
	}
	(void)pthread_mutex_unlock(&lock);
	return hv;
}

bool
link_take(struct hv **out, int64_t host_id, const char *uri, struct err *e)
{
	struct mono now = clock_mono();
	struct hv *old;

	while ((old = take_out(0, now)) != NULL)
		hv_close(old);
	while ((old = take_out(host_id, now)) != NULL) {
		if (hv_alive(old)) {
			*out = old;
			return true;
		}
		hv_close(old);
	}
	return hv_open(out, uri, NULL, NULL, e);
}

void
link_give(int64_t host_id, struct hv *hv)
{
	if (hv == NULL)
		return;
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < KEPT_MOST && hv != NULL; i++)
		if (kept[i].hv == NULL) {
			kept[i] = (struct kept){ hv, host_id, clock_mono() };
			hv = NULL;
		}
	(void)pthread_mutex_unlock(&lock);
	hv_close(hv);
}
