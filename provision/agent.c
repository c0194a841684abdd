/* SPDX-License-Identifier: Apache-2.0 */
/* agent: asks the agents in guests what only they know, beside all other work */
#include "provision/agent.h"
#include "base/log.h"
#include "base/mem.h"
#include "provision/guest.h"
#include "provision/link.h"
#include "provision_stmt.gen.h"
#include <string.h>

/* So long may one answer take: an agent has nothing to compute. */
enum { WAIT_S = 2 };
#define PAUSE_MOST_NS (15 * NS_PER_S)

/* Columns of guest_due. */
enum { DUE_ACCOUNT, DUE_VM, DUE_UUID, DUE_URI };

/* One guest of a round. */
struct asked {
	struct db *db;
	const struct rows *due;
	size_t row;
	struct guest_facts *facts;
};

static bool
told_put(const struct asked *a, struct err *e)
{
	scoped(buf_done) struct buf text = BUF_INIT;
	struct jout j = JOUT_INIT(&text);

	guest_facts_write(&j, a->facts);
	return db_run(a->db, STMT_GUEST_TOLD,
	    DB_ARGS(rows_text(a->due, a->row, DUE_ACCOUNT),
		rows_text(a->due, a->row, DUE_VM), buf_text(&text)),
	    NULL, e);
}

/* why NULL: there is no agent to ask. */
static bool
silent_put(const struct asked *a, const char *why, struct err *e)
{
	return db_run(a->db, STMT_GUEST_SILENT,
	    DB_ARGS(rows_text(a->due, a->row, DUE_ACCOUNT),
		rows_text(a->due, a->row, DUE_VM), why),
	    NULL, e);
}

/* *host false: its connection is no more, and its other guests wait for the next round.
 */
static bool
guest_ask(const struct asked *a, bool *host, struct err *e)
{
	const char *uri = rows_text(a->due, a->row, DUE_URI);
	struct err why = ERR_INIT;
	struct hv *hv = NULL;
	bool there = false;
	bool told;

	memset(a->facts, 0, sizeof(*a->facts));
	*host = link_take(&hv, uri, &why);
	told = *host &&
	    hv_agent_ask(hv, rows_text(a->due, a->row, DUE_UUID), WAIT_S, &there,
		a->facts, &why);
	*host = *host && hv_alive(hv);
	link_give(hv);
	if (!*host) {
		log_info("agents of guests: %s", why.text);
		return true;
	}
	if (told && there)
		return told_put(a, e);
	return silent_put(a, told ? NULL : why.text, e);
}

bool
agents_round(struct db *db, const struct conf *conf, int me, struct err *e)
{
	int64_t every = conf_span_ns(conf, CONF_PROVISION_AGENT_EVERY) / NS_PER_US;
	scoped(rows_clear) struct rows *due = NULL;
	scoped_free struct guest_facts *facts = mem_alloc(sizeof(*facts));
	const char *gone = ""; /* the host that does not answer */

	if (every == 0)
		return true;
	if (!db_query(db, STMT_GUEST_DUE,
		DB_ARGS(DB_NUMBER(me), DB_NUMBER(AGENT_WORKERS), DB_NUMBER(every)), &due,
		e))
		return false;
	for (size_t i = 0; i < rows_count(due); i++) {
		const struct asked a = { db, due, i, facts };
		bool host = true;

		if (strcmp(rows_text(due, i, DUE_URI), gone) == 0)
			continue;
		if (!guest_ask(&a, &host, e))
			return false;
		if (!host)
			gone = rows_text(due, i, DUE_URI);
	}
	return true;
}

int64_t
agents_pause_ns(const struct conf *conf)
{
	int64_t part = conf_span_ns(conf, CONF_PROVISION_AGENT_EVERY) / 4;

	if (part < NS_PER_S)
		return NS_PER_S;
	return part < PAUSE_MOST_NS ? part : PAUSE_MOST_NS;
}
