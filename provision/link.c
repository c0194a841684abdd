/* SPDX-License-Identifier: Apache-2.0 */
/* link: connections to hosts that jobs borrow, kept open for a while */
#include "provision/link.h"
#include <pthread.h>
#include <string.h>

enum { KEPT_MOST = 16 };
#define KEEP_NS (30 * NS_PER_S)

struct kept {
	struct hv *hv; /* NULL: the place is free */
	struct mono since;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept kept[KEPT_MOST];

/* Takes out one to that URI, or with NULL one that is too old. */
static struct hv *
take_out(const char *uri, struct mono now)
{
	struct hv *hv = NULL;

	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < KEPT_MOST && hv == NULL; i++) {
		bool old = now.ns - kept[i].since.ns > KEEP_NS;
		if (kept[i].hv == NULL || old != (uri == NULL) ||
		    (uri != NULL && strcmp(hv_uri(kept[i].hv), uri) != 0))
			continue;
		hv = kept[i].hv;
		kept[i].hv = NULL;
	}
	(void)pthread_mutex_unlock(&lock);
	return hv;
}

bool
link_take(struct hv **out, const char *uri, struct err *e)
{
	struct mono now = clock_mono();
	struct hv *old;

	while ((old = take_out(NULL, now)) != NULL)
		hv_close(old);
	while ((old = take_out(uri, now)) != NULL) {
		if (hv_alive(old)) {
			*out = old;
			return true;
		}
		hv_close(old);
	}
	return hv_open(out, uri, NULL, NULL, e);
}

void
link_give(struct hv *hv)
{
	if (hv == NULL)
		return;
	if (!hv_alive(hv)) {
		hv_close(hv);
		return;
	}
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < KEPT_MOST && hv != NULL; i++)
		if (kept[i].hv == NULL) {
			kept[i] = (struct kept){ hv, clock_mono() };
			hv = NULL;
		}
	(void)pthread_mutex_unlock(&lock);
	hv_close(hv);
}
