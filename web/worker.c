/* SPDX-License-Identifier: Apache-2.0 */
/* worker: what a thread keeps for itself: its connections to PostgreSQL */
#include "billing/preview.h"
#include "web/web.h"
#include "web_stmt.gen.h"
#include <pthread.h>
#include <stdlib.h>

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
worker_free(void *context)
{
	struct worker *w = context;

	db_close(w->db);
	db_close(w->bill);
	free(w);
}

static void
key_make(void)
{
	if (pthread_key_create(&key, worker_free) != 0)
		abort(); /* no key left: impossible */
}

struct worker *
worker_mine(struct web *web)
{
	struct worker *w;

	(void)pthread_once(&once, key_make);
	w = pthread_getspecific(key);
	if (w == NULL) {
		w = mem_alloc(sizeof(*w));
		w->web = web;
		if (pthread_setspecific(key, w) != 0)
			abort();
	}
	return w;
}

/* Once open, base/db.c connects again by itself. */
bool
worker_db(struct worker *w, struct db **out, struct err *e)
{
	if (w->db == NULL && !db_open(w->web->conf, "web", &web_statements, &w->db, e))
		return false;
	*out = w->db;
	return true;
}

bool
worker_bill_db(struct worker *w, struct db **out, struct err *e)
{
	if (w->bill == NULL && !preview_open(w->web->conf, "web", &w->bill, e))
		return false;
	*out = w->bill;
	return true;
}
