/* SPDX-License-Identifier: Apache-2.0 */
/* Graph files: the first batch, restarts, damage, what is no more, pictures. */
#include "base/log.h"
#include "base/mem.h"
#include "meter/graph.h"
#include "meter/rrd.h"
#include "meter/rrd_kinds.h"
#include <rrd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

#define UUID "3f1f0c1e-0000-4000-8000-00000000000"
#define BEGIN INT64_C(1700000000)

static char folder[64];

static struct rrd_store *
store_new(void)
{
	const struct rrd_settings settings = { folder, 10 * NS_PER_S, 60 * NS_PER_S,
		24 * 3600 * NS_PER_S, "" };

	return rrd_store_new(&settings);
}

static void
add(struct rrd_store *r, const char *uuid, int64_t second, uint64_t cpu)
{
	const struct rrd_value values[] = { { 1, true }, { cpu, true }, { 1 << 20, true },
		{ 0, false }, { 0, false }, { 2, true } };

	rrd_add(r, RRD_VM, uuid, (struct instant){ second * NS_PER_S }, values, 6);
}

static time_t
last(const char *uuid)
{
	char path[RRD_PATH_MAX];

	rrd_path(path, folder, RRD_VM, uuid);
	return rrd_last_r(path);
}

/* The average of a source in (from, to], or -1 where there is none. */
static double
average(const char *uuid, const char *source, time_t from, time_t to)
{
	char path[RRD_PATH_MAX];
	unsigned long step = 1;
	unsigned long sources = 0;
	char **names = NULL;
	rrd_value_t *data = NULL;
	double found = -1;

	rrd_path(path, folder, RRD_VM, uuid);
	assert_int_equal(rrd_fetch_r(path, "AVERAGE", &from, &to, &step, &sources, &names,
			     &data),
	    0);
	for (unsigned long i = 0; i < sources; i++) {
		if (strcmp(names[i], source) == 0)
			found = data[i];
		free(names[i]);
	}
	free(names);
	free(data);
	return found;
}

static int
folder_make(void **unused_state unused)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/jeoul-unit-rrd-XXXXXX");
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int
folder_remove(void **unused_state unused)
{
	scoped_free char *command = mem_printf("rm -r %s", folder);

	return system(command); /* NOLINT(cert-env33-c): a path of our own */
}

static void
the_first_batch_of_a_new_file_is_taken_whole(void **unused_state unused)
{
	struct rrd_store *r = store_new();

	for (int64_t t = BEGIN; t <= BEGIN + 60; t += 10)
		add(r, UUID "1", t, (uint64_t)(t - BEGIN) * 1000);
	rrd_flush(r);
	assert_int_equal(last(UUID "1"), BEGIN + 60);
	assert_true(average(UUID "1", "cpu_ns", BEGIN + 10, BEGIN + 20) > 999);
	assert_true(average(UUID "1", "cpu_ns", BEGIN + 50, BEGIN + 60) > 999);
	/* What nobody answered is unknown. */
	assert_false(average(UUID "1", "rx", BEGIN + 50, BEGIN + 60) >= 0);
	rrd_store_free(r);
}

static void
a_restart_within_a_second_of_the_last_value_loses_no_later_one(void **unused_state unused)
{
	struct rrd_store *r = store_new();

	add(r, UUID "1", BEGIN + 60, 60000);
	add(r, UUID "1", BEGIN + 70, 70000);
	add(r, UUID "1", BEGIN + 80, 80000);
	rrd_store_free(r);
	assert_int_equal(last(UUID "1"), BEGIN + 80);
}

/* A child gathers and is killed; the next collector finds it in the journal. */
static void
what_a_killed_collector_had_gathered_is_drawn(void **unused_state unused)
{
	char path[RRD_PATH_MAX];
	struct rrd_store *killed = store_new();
	struct rrd_store *r;
	FILE *f;

	for (int64_t t = BEGIN; t <= BEGIN + 30; t += 10)
		add(killed, UUID "2", t, (uint64_t)(t - BEGIN) * 500);
	rrd_tick(killed, (struct mono){ 5 * NS_PER_S });
	for (int64_t t = BEGIN + 40; t <= BEGIN + 60; t += 10)
		add(killed, UUID "2", t, (uint64_t)(t - BEGIN) * 500);
	rrd_tick(killed, (struct mono){ 7 * NS_PER_S });
	(void)snprintf(path, sizeof(path), "%s/journal/%lld", folder,
	    (long long)(BEGIN / 120));
	f = fopen(path, "ae");
	assert_non_null(f);
	assert_true(fputs("0 " UUID "2 17000000", f) >= 0); /* torn in the middle */
	assert_int_equal(fclose(f), 0);
	r = store_new(); /* the other is never heard of again, but by the sanitizer */
	rrd_flush(r);
	assert_int_equal(last(UUID "2"), BEGIN + 60);
	assert_true(average(UUID "2", "cpu_ns", BEGIN + 40, BEGIN + 50) > 499);
	rrd_store_free(r);
	rrd_store_free(killed);
	assert_int_equal(last(UUID "2"), BEGIN + 60);
}

static void
a_damaged_file_is_set_aside_and_made_anew(void **unused_state unused)
{
	struct rrd_store *r = store_new();
	char path[RRD_PATH_MAX];
	FILE *f;

	add(r, UUID "3", BEGIN, 1);
	rrd_flush(r);
	rrd_path(path, folder, RRD_VM, UUID "3");
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs("this was a graph once", f) >= 0);
	assert_int_equal(fclose(f), 0);
	add(r, UUID "3", BEGIN + 10, 2);
	rrd_flush(r);
	assert_int_equal(last(UUID "3"), BEGIN + 10);
	rrd_store_free(r);
}

static void
files_of_what_is_no_more_go_and_the_others_stay(void **unused_state unused)
{
	struct rrd_store *r = store_new();
	const struct utimbuf old = { BEGIN, BEGIN };
	char gone[RRD_PATH_MAX];
	char stays[RRD_PATH_MAX];

	add(r, UUID "4", BEGIN, 1);
	add(r, UUID "5", clock_now().ns / NS_PER_S, 1);
	rrd_flush(r);
	rrd_path(gone, folder, RRD_VM, UUID "4");
	rrd_path(stays, folder, RRD_VM, UUID "5");
	/* Its values are of now, whatever the file system says of its time. */
	assert_int_equal(utime(gone, &old) + utime(stays, &old), 0);
	rrd_tick(r, (struct mono){ 2 * NS_PER_S });
	rrd_tick(r, (struct mono){ 700 * NS_PER_S });
	rrd_flush(r);
	assert_int_not_equal(access(gone, F_OK), 0);
	assert_int_equal(access(stays, F_OK), 0);
	rrd_store_free(r);
}

/* In a child, since the libraries that draw fonts never give their memory back. */
static bool
picture_begins(struct graph_query q, const char *format, const char *begin)
{
	struct err e = ERR_INIT;
	struct buf out = BUF_INIT;
	int status = 1;
	pid_t child = fork();

	q.format = format;
	if (child == 0) {
		if (!graph_run(&q, &out, &e))
			_exit(2);
		_exit(memcmp(out.data, begin, strlen(begin)) == 0 ? 0 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status == 0;
}

static void
columns_and_pictures_come_from_one_question(void **unused_state unused)
{
	struct graph_query q = { .folder = folder,
		.object = "vm",
		.uuid = UUID "1",
		.from = BEGIN,
		.to = BEGIN + 80,
		.format = "json",
		.topic = "cpu",
		.width = 300,
		.height = 100,
		.title = "web1: 100 %" };
	struct err e = ERR_INIT;
	struct buf out = BUF_INIT;

	assert_true(graph_run(&q, &out, &e));
	assert_non_null(strstr(out.data, "\"step\":10,\"series\":{\"up\":["));
	assert_non_null(strstr(out.data, "\"cpu\":["));
	assert_non_null(strstr(out.data, "\"rx\":[null,null"));
	buf_done(&out);
	assert_true(picture_begins(q, "png", "\x89PNG\r\n"));
	assert_true(picture_begins(q, "svg", "<?xml"));
	q.format = "png";
	q.topic = "money";
	assert_false(graph_run(&q, &out, &e));
	assert_int_equal(e.kind, ERR_INPUT);
	q.topic = "cpu";
	q.uuid = "../../../etc/passwd";
	assert_false(graph_run(&q, &out, &e));
	assert_int_equal(e.kind, ERR_INPUT);
	q.uuid = "3f1f0c1e-0000-4000-8000-00000000ffff";
	assert_false(graph_run(&q, &out, &e));
	assert_int_equal(e.kind, ERR_NOT_FOUND);
}

/* Days of five minutes in a file as the store lays it out; CPU rises and falls. */
static void
days_make(const char *uuid, int days)
{
	static const char *const layout[] = { "DS:cpu_ns:DERIVE:900:0:U",
		"RRA:AVERAGE:0.5:1:2016", "RRA:AVERAGE:0.5:12:2208" };
	const time_t begin = BEGIN - BEGIN % 86400;
	char path[RRD_PATH_MAX];
	uint64_t cpu = 0;

	rrd_path(path, folder, RRD_VM, uuid);
	assert_int_equal(rrd_create_r(path, 300, begin - 1, ARRAY_LEN(layout),
			     (const char **)(uintptr_t)layout),
	    0);
	for (int i = 0; i <= days * 288; i++) {
		char text[64];
		const char *one = text;
		int64_t time = i % 288;
		cpu += UINT64_C(3000000000) *
		    (uint64_t)(10 + (time < 144 ? time : 288 - time));
		(void)snprintf(text, sizeof(text), "%lld:%llu",
		    (long long)begin + (long long)i * 300, (unsigned long long)cpu);
		assert_int_equal(rrd_update_r(path, NULL, 1, &one), 0);
	}
}

/* A number of a list in the text, in whole units; -1: null. */
static int64_t
number_at(const char *text, const char *list, int index)
{
	const char *p = strstr(text, list);

	p = p != NULL ? strchr(p, '[') : NULL;
	for (int i = 0; i < index && p != NULL; i++)
		p = strchr(p + 1, ',');
	if (p == NULL)
		fail_msg("no %s[%d] in %.200s", list, index, text);
	return p == NULL || p[1] == 'n' ? -1 : strtoll(p + 1, NULL, 10);
}

static void
a_forecast_comes_from_enough_history_only(void **unused_state unused)
{
	const int64_t begin = BEGIN - BEGIN % 86400;
	struct graph_query q = { .folder = folder,
		.object = "vm",
		.uuid = UUID "8",
		.from = begin + 4 * 86400 - 43200,
		.to = begin + 4 * 86400 + 43200,
		.step = 300,
		.format = "json",
		.topic = "cpu",
		.width = 300,
		.height = 100,
		.forecast = true };
	struct err e = ERR_INIT;
	struct buf out = BUF_INIT;

	days_make(UUID "8", 4);
	assert_true(graph_run(&q, &out, &e));
	assert_non_null(strstr(out.data, "\"forecast\":{\"season\":86400,"));
	/* Half a day back it was at its highest, half a day ahead it will be. */
	assert_true(labs(number_at(out.data, "\"expected\"", 2) - 152) < 12);
	assert_true(labs(number_at(out.data, "\"expected\"", 286) - 152) < 12);
	assert_true(labs(number_at(out.data, "\"expected\"", 144) - 10) < 12);
	assert_int_equal(number_at(out.data, "\"cpu\"", 286), -1);
	assert_true(
	    number_at(out.data, "\"low\"", 286) <= number_at(out.data, "\"high\"", 286));
	buf_done(&out);
	assert_true(picture_begins(q, "png", "\x89PNG\r\n"));
	/* Four weeks of hours are needed for a week, and three days for a day. */
	q.from = begin + 86400;
	assert_true(graph_run(&q, &out, &e));
	assert_non_null(strstr(out.data, "\"forecast\":{\"season\":86400,"));
	buf_done(&out);
	days_make(UUID "9", 2);
	q.uuid = UUID "9";
	q.from = begin + 86400;
	q.to = begin + 2 * 86400 + 3600;
	assert_true(graph_run(&q, &out, &e));
	assert_non_null(strstr(out.data,
	    "\"forecast\":{\"why\":\"no forecast: 2.0 days are known, 3 without"));
	buf_done(&out);
	assert_true(picture_begins(q, "svg", "<?xml"));
}

static void
weeks_repeat_themselves_where_four_are_known(void **unused_state unused)
{
	const int64_t begin = BEGIN - BEGIN % 86400;
	struct graph_query q = { .folder = folder,
		.object = "vm",
		.uuid = UUID "a",
		.from = begin + 27 * 86400,
		.to = begin + 31 * 86400,
		.step = 3600,
		.format = "json",
		.forecast = true };
	struct err e = ERR_INIT;
	struct buf out = BUF_INIT;

	days_make(UUID "a", 29);
	assert_true(graph_run(&q, &out, &e));
	assert_non_null(strstr(out.data, "\"forecast\":{\"season\":604800,"));
	assert_true(labs(number_at(out.data, "\"expected\"", 84) - 152) < 20);
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_batch_of_a_new_file_is_taken_whole),
		cmocka_unit_test(
		    a_restart_within_a_second_of_the_last_value_loses_no_later_one),
		cmocka_unit_test(what_a_killed_collector_had_gathered_is_drawn),
		cmocka_unit_test(a_damaged_file_is_set_aside_and_made_anew),
		cmocka_unit_test(files_of_what_is_no_more_go_and_the_others_stay),
		cmocka_unit_test(columns_and_pictures_come_from_one_question),
		cmocka_unit_test(a_forecast_comes_from_enough_history_only),
		cmocka_unit_test(weeks_repeat_themselves_where_four_are_known),
	};

	log_open("meter_rrd", LOG_TO_STDERR, LOG_LVL_WARNING);
	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
