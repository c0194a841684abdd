/* SPDX-License-Identifier: Apache-2.0 */
/* floor_copy CONNINFO VMHOURS: binary COPY of all usage out and back with a
 * multiplication */
#include "tests/bench/bench.h"
#include <endian.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ten columns of eight bytes: account, resource, window, and seven counters. */
#define COLUMNS                                                                          \
	"account_id, resource_id, window_from, vcpu_ns, disk_read_bytes, "               \
	"disk_write_bytes, disk_read_requests, disk_write_requests, net_rx_bytes, "      \
	"net_tx_bytes"
enum { FIELDS = 10, KEYS = 3, HEADER = 19, PRICE = 7 };
#define FIELD_SIZE ((size_t)12)

struct work {
	PGconn *from, *to;
	uint64_t vm_hours;
};

static int
told(PGconn *link)
{
	(void)fprintf(stderr, "%s", PQerrorMessage(link));
	return 0;
}

static int
command(PGconn *link, const char *sql, ExecStatusType wanted)
{
	PGresult *r = PQexec(link, sql);
	int ok = PQresultStatus(r) == wanted;

	PQclear(r);
	return ok || told(link);
}

static void
row_multiply(char *row, size_t size)
{
	if (size >= HEADER && memcmp(row, "PGCOPY\n", 7) == 0)
		row += HEADER; /* before the first row */
	for (size_t k = KEYS; size > FIELDS * FIELD_SIZE && k < FIELDS; k++) {
		char *value = row + 2 + k * FIELD_SIZE + 4;
		uint64_t n;
		memcpy(&n, value, sizeof(n));
		n = htobe64(be64toh(n) * PRICE);
		memcpy(value, &n, sizeof(n));
	}
}

static int
rows_pass(struct work *w)
{
	char *row = NULL;
	int size;

	while ((size = PQgetCopyData(w->from, &row, 0)) > 0) {
		int ok;
		row_multiply(row, (size_t)size);
		ok = PQputCopyData(w->to, row, size);
		PQfreemem(row);
		if (ok != 1)
			return told(w->to);
	}
	return size == -1 || told(w->from);
}

static int
copy_finish(PGconn *link)
{
	PGresult *r;
	int ok = 1;

	while ((r = PQgetResult(link)) != NULL) {
		ok = ok && PQresultStatus(r) == PGRES_COMMAND_OK;
		PQclear(r);
	}
	return ok || told(link);
}

static uint64_t
copy_round(void *context)
{
	struct work *w = context;

	if (!command(w->to, "truncate bench_floor", PGRES_COMMAND_OK) ||
	    !command(w->from,
		"copy (select " COLUMNS " from usage_window) to stdout binary",
		PGRES_COPY_OUT) ||
	    !command(w->to, "copy bench_floor from stdin binary", PGRES_COPY_IN) ||
	    !rows_pass(w))
		return 0;
	if (PQputCopyEnd(w->to, NULL) != 1)
		return (uint64_t)told(w->to);
	return copy_finish(w->from) && copy_finish(w->to) ? w->vm_hours : 0;
}

int
main(int argc, char **argv)
{
	struct work w = { NULL, NULL, 0 };
	int status;

	if (argc != 3) {
		(void)fprintf(stderr, "usage: floor_copy CONNINFO VMHOURS\n");
		return 2;
	}
	w.from = PQconnectdb(argv[1]);
	w.to = PQconnectdb(argv[1]);
	w.vm_hours = strtoull(argv[2], NULL, 10);
	if (PQstatus(w.from) != CONNECTION_OK || PQstatus(w.to) != CONNECTION_OK) {
		(void)told(w.from);
		return 1;
	}
	status = bench_serve(copy_round, &w, 0);
	PQfinish(w.from);
	PQfinish(w.to);
	return status;
}
