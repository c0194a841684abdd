/* SPDX-License-Identifier: Apache-2.0 */
/* place: which host a new VM goes to */
#include "provision/place.h"
#include "base/clock.h"
#include "base/mem.h"
#include "provision_stmt.gen.h"
#include <stdlib.h>
#include <string.h>

static bool
fits(const struct candidate *c, int64_t need)
{
	return c->memory_bytes - c->promised_bytes >= need;
}

static long
pick_simple(const struct candidate *list, size_t count, int64_t need,
    uint32_t unused_dice unused)
{
	long best = -1;

	for (size_t i = 0; i < count; i++)
		if (fits(&list[i], need) &&
		    (best < 0 || list[i].promised_bytes < list[best].promised_bytes))
			best = (long)i;
	return best;
}

static long
pick_chance(const struct candidate *list, size_t count, int64_t need, uint32_t dice)
{
	size_t room = 0;

	for (size_t i = 0; i < count; i++)
		room += fits(&list[i], need);
	if (room == 0)
		return -1;
	size_t wanted = dice % room;
	for (size_t i = 0; i < count; i++)
		if (fits(&list[i], need) && wanted-- == 0)
			return (long)i;
	return -1;
}

struct strategy {
	const char *name;
	long (*pick)(const struct candidate *list, size_t count, int64_t need,
	    uint32_t dice);
};

static const struct strategy strategies[] = { { "simple", pick_simple },
	{ "chance", pick_chance } };

long
place_pick(const char *strategy, const struct candidate *list, size_t count,
    int64_t need_bytes, uint32_t dice)
{
	for (size_t i = 0; strategy != NULL && i < ARRAY_LEN(strategies); i++)
		if (strcmp(strategies[i].name, strategy) == 0)
			return strategies[i].pick(list, count, need_bytes, dice);
	return pick_simple(list, count, need_bytes, dice);
}

bool
place_choose(struct db *db, const char *strategy, int64_t need_bytes, int64_t *host_id,
    struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	scoped_free struct candidate *list = NULL;
	size_t count;
	long at;

	if (!db_query(db, STMT_PLACE_CANDIDATES, DB_NONE, &r, e))
		return false;
	count = rows_count(r);
	list = mem_array(count, sizeof(*list));
	for (size_t i = 0; i < count; i++)
		list[i] = (struct candidate){ rows_i64(r, i, 0), rows_i64(r, i, 2),
			rows_i64(r, i, 3) };
	at = place_pick(strategy, list, count, need_bytes, (uint32_t)clock_mono().ns);
	if (at < 0)
		return err_set(e, ERR_LIMIT,
		    "no host has room: %zu hosts are up, none of them has %lld MiB of "
		    "memory that is not "
		    "promised yet: add a host, or stop or destroy machines",
		    count, (long long)(need_bytes >> 20));
	*host_id = list[at].id;
	return true;
}
