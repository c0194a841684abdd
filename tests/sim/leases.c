/* SPDX-License-Identifier: Apache-2.0 */
/* leases: the tables collector and host_lease, by the rules of sql/070-collectors.sql */
#include "base/mem.h"
#include "tests/sim/sim.h"
#include <stdlib.h>
#include <string.h>

enum { COLLECTORS_MOST = 16, HOSTS_MOST = 64 };

struct collector {
	char name[SIM_NAME], session[SIM_NAME];
	int64_t turn, expires, clean; /* us */
	bool lost;
};

struct sim_leases {
	struct collector collectors[COLLECTORS_MOST];
	size_t count;
	int64_t turns;
	struct {
		int64_t host, turn;
	} hosts[HOSTS_MOST];
	size_t host_count;
};

struct sim_leases *
sim_leases_new(const struct scenario *s)
{
	struct sim_leases *l = mem_alloc(sizeof(*l));

	for (; l->host_count < s->host_count && l->host_count < HOSTS_MOST;
	     l->host_count++)
		l->hosts[l->host_count].host = s->hosts[l->host_count].id;
	return l;
}

static struct collector *
of_turn(struct sim_leases *l, int64_t turn)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->collectors[i].turn == turn && !l->collectors[i].lost)
			return &l->collectors[i];
	return NULL;
}

bool
sim_lease_live(struct sim_leases *l, int64_t turn)
{
	return of_turn(l, turn) != NULL;
}

bool
sim_lease_holds(const struct sim_leases *l, int64_t turn, int64_t host)
{
	for (size_t i = 0; i < l->host_count; i++)
		if (l->hosts[i].host == host)
			return l->hosts[i].turn == turn;
	return false;
}

static size_t
held_by(const struct sim_leases *l, int64_t turn)
{
	size_t n = 0;

	for (size_t i = 0; i < l->host_count; i++)
		n += l->hosts[i].turn == turn;
	return n;
}

bool
sim_leases_clean(const struct sim_leases *l, int64_t since, int64_t now)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct collector *c = &l->collectors[i];
		if (!c->lost && c->clean < since &&
		    (c->expires > now || held_by(l, c->turn) > 0))
			return false;
	}
	return true;
}

bool
sim_lease_fence(struct sim_leases *l, int64_t turn, const char *session, struct err *e)
{
	const struct collector *c = of_turn(l, turn);

	return (c != NULL && strcmp(c->session, session) == 0) ||
	    err_set(e, ERR_CONFLICT, "the turn is over");
}

static struct collector *
named(struct sim_leases *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->collectors[i].name, name) == 0)
			return &l->collectors[i];
	return NULL;
}

bool
sim_lease_beat(struct sim_leases *l, const char *const *v, int64_t now, int64_t out[6],
    struct err *e)
{
	struct collector *c = named(l, v[0]);
	bool first = v[2][0] == 't';

	if (c == NULL) {
		c = &l->collectors[l->count++];
		*c = (struct collector){ .turn = ++l->turns };
		(void)snprintf(c->name, sizeof(c->name), "%s", v[0]);
	} else if (!first && strcmp(c->session, v[1]) != 0)
		return err_set(e, ERR_CONFLICT, "another collector is called so");
	if (c->lost)
		c->turn = ++l->turns;
	c->lost = false;
	(void)snprintf(c->session, sizeof(c->session), "%s", v[1]);
	c->clean = now - strtoll(v[6], NULL, 10) * INT64_C(1000);
	c->expires = now + strtoll(v[3], NULL, 10) * INT64_C(1000000);
	memset(out, 0, 6 * sizeof(*out));
	out[0] = c->turn;
	out[1] = (int64_t)l->count;
	for (size_t i = 0; i < l->count; i++) {
		const struct collector *o = &l->collectors[i];
		bool alive = !o->lost && o->expires > now;
		out[2] += alive;
		out[3] += alive && strcmp(o->name, v[0]) < 0;
	}
	out[4] = (int64_t)l->host_count;
	out[5] = (int64_t)held_by(l, c->turn);
	return true;
}

bool
sim_lease_take(struct sim_leases *l, const char *const *v, int64_t now, int64_t *got,
    struct err *e)
{
	int64_t turn = strtoll(v[0], NULL, 10);
	int64_t wanted = strtoll(v[2], NULL, 10);

	if (!sim_lease_fence(l, turn, v[1], e))
		return false;
	for (size_t i = 0; v[3][0] == 't' && i < l->count; i++) {
		struct collector *c = &l->collectors[i];
		c->lost = c->lost || (c->expires < now && held_by(l, c->turn) > 0);
	}
	*got = 0;
	for (size_t i = 0; i < l->host_count && *got < wanted; i++)
		if (of_turn(l, l->hosts[i].turn) == NULL) {
			l->hosts[i].turn = turn;
			++*got;
		}
	return true;
}

void
sim_lease_give(struct sim_leases *l, int64_t turn, const char *ids)
{
	for (; ids != NULL && *ids != '\0'; ids += *ids == ',') {
		int64_t id = strtoll(ids, NULL, 10);
		for (size_t i = 0; i < l->host_count; i++)
			if (l->hosts[i].host == id && l->hosts[i].turn == turn)
				l->hosts[i].turn = 0;
		ids += strcspn(ids, ",");
	}
}
