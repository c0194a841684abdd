/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions go in, notices come out: dedupe, flapping, repeats, reports, restarts. */
#include "base/log.h"
#include "snmp/book.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct book book;
static char heard[2048]; /* "raise clear ..." */
static char last_text[1024];
static char last_alarm[UUID_ROOM];
static int last_times;

static void
hear(void *unused_context unused, struct notice *n)
{
	size_t used = strlen(heard);

	(void)snprintf(heard + used, sizeof(heard) - used, "%s%s", used != 0 ? " " : "",
	    notice_word(n->kind));
	(void)snprintf(last_text, sizeof(last_text), "%.1000s", n->text);
	memcpy(last_alarm, n->alarm_uuid, sizeof(last_alarm));
	last_times = n->times;
	notice_free(n);
}

static void
start(int64_t repeat_s, int flap_raises)
{
	const struct book_settings settings = { .repeat_ns = repeat_s * NS_PER_S,
		.flap_raises = flap_raises,
		.flap_window_ns = 600 * NS_PER_S,
		.report_ns = 60 * NS_PER_S };

	heard[0] = '\0';
	book_init(&book, &settings, hear, NULL);
}

static int
end(void **unused_state unused)
{
	while (!TAILQ_EMPTY(&book.list))
		book_forget(&book, TAILQ_FIRST(&book.list));
	return 0;
}

/* Seconds after an instant of our own. */
static struct moment
second(int64_t s)
{
	return (struct moment){ .at = { (1700000000 + s) * NS_PER_S },
		.ns = (1000 + s) * NS_PER_S };
}

static struct condition
about(enum rule_id rule, const char *object)
{
	return (struct condition){ .rule = rule_of(rule),
		.name = rule_of(rule)->name,
		.object_name = object,
		.text = "it is wrong" };
}

static void
wrong(int64_t s)
{
	struct condition c = about(RULE_HOST_UNREACHABLE, "kvm07");

	book_wrong(&book, &c, second(s));
}

static void
right(int64_t s)
{
	book_right(&book, "host.unreachable", "kvm07", NULL, second(s));
}

static void
one_trouble_is_told_once(void **unused_state unused)
{
	start(0, 4);
	right(0); /* nobody said that it was wrong */
	for (int i = 1; i < 100; i++)
		wrong(i);
	assert_string_equal(heard, "raise");
	assert_int_equal(book_active(&book), 1);
	right(100);
	right(101);
	assert_string_equal(heard, "raise clear");
	assert_string_equal(last_text, "host kvm07 answers again");
	assert_int_equal(book_active(&book), 0);
}

static void
a_second_time_is_another_alarm(void **unused_state unused)
{
	char first[UUID_ROOM];

	start(0, 4);
	wrong(0);
	memcpy(first, last_alarm, sizeof(first));
	right(1);
	assert_string_equal(last_alarm, first);
	wrong(2);
	assert_string_not_equal(last_alarm, first);
	assert_string_equal(heard, "raise clear raise");
}

static void
another_severity_is_a_change_of_the_same_alarm(void **unused_state unused)
{
	struct condition c = about(RULE_DISK_FULL, "/x");

	start(0, 4);
	book_wrong(&book, &c, second(0));
	c.severity = SEVERITY_CRITICAL;
	c.text = "worse";
	book_wrong(&book, &c, second(1));
	book_wrong(&book, &c, second(2));
	assert_string_equal(heard, "raise change");
	assert_string_equal(last_text, "worse");
	assert_int_equal(book_find(&book, "disk.full", "/x")->severity,
	    SEVERITY_CRITICAL);
}

static void
what_flaps_is_told_as_that_and_then_kept_quiet(void **unused_state unused)
{
	int64_t t = 0;

	start(0, 4);
	for (int i = 0; i < 10; i++) {
		wrong(t++);
		right(t++);
		book_tick(&book, second(t));
	}
	assert_string_equal(heard, "raise clear raise clear raise clear raise");
	assert_non_null(strstr(last_text, "flapping: went wrong 4 times"));
	assert_int_equal(book_active(&book), 1);
	book_tick(&book, second(t + 200));
	assert_int_equal(book_active(&book), 1);
	book_tick(&book, second(t + 300)); /* half the window without a change */
	assert_string_equal(heard, "raise clear raise clear raise clear raise clear");
	assert_int_equal(book_active(&book), 0);
}

static void
flapping_that_ends_wrong_stays_an_alarm(void **unused_state unused)
{
	start(0, 2);
	wrong(0);
	right(1);
	wrong(2);
	right(3);
	wrong(4);
	book_tick(&book, second(5));
	book_tick(&book, second(304));
	assert_string_equal(heard, "raise clear raise change");
	assert_non_null(strstr(last_text, "flaps no longer"));
	right(305);
	assert_string_equal(heard, "raise clear raise change clear");
}

static void
rare_troubles_do_not_flap(void **unused_state unused)
{
	start(0, 2);
	for (int i = 0; i < 4; i++) {
		wrong(i * 700);
		right(i * 700 + 1);
	}
	assert_string_equal(heard, "raise clear raise clear raise clear raise clear");
}

static void
an_alarm_is_repeated_until_somebody_acknowledges(void **unused_state unused)
{
	start(60, 4);
	wrong(0);
	book_tick(&book, second(59));
	assert_string_equal(heard, "raise");
	book_tick(&book, second(60));
	assert_string_equal(heard, "raise raise");
	assert_int_equal(last_times, 2);
	book_acknowledge(&book, last_alarm, true);
	book_tick(&book, second(600));
	assert_string_equal(heard, "raise raise");
	book_acknowledge(&book, last_alarm, false);
	book_tick(&book, second(601));
	assert_string_equal(heard, "raise raise raise");
	right(602);
	book_tick(&book, second(900));
	assert_string_equal(heard, "raise raise raise clear");
}

static void
a_report_that_nobody_renews_ends(void **unused_state unused)
{
	struct condition c = about(RULE_ROLE_DOWN, "meter");

	start(0, 4);
	for (int s = 0; s <= 120; s++) {
		if (s <= 50 && s % 10 == 0)
			book_wrong(&book, &c, second(s));
		book_tick(&book, second(s));
		assert_string_equal(heard, s < 109 ? "raise" : "raise clear");
	}
}

static void
time_in_which_we_stood_still_is_no_silence_of_others(void **unused_state unused)
{
	struct condition c = about(RULE_ROLE_DOWN, "meter");

	start(0, 4);
	book_wrong(&book, &c, second(0));
	book_tick(&book, second(1));
	book_tick(&book, second(4000));
	assert_string_equal(heard, "raise");
}

static void
what_a_round_does_not_name_is_over(void **unused_state unused)
{
	struct condition both[] = { about(RULE_HOST_UNREACHABLE, "a"),
		about(RULE_HOST_UNREACHABLE, "b") };
	struct condition other = about(RULE_DISK_FULL, "a");

	start(0, 4);
	book_wrong(&book, &other, second(0));
	book_observe(&book, RULE_HOST_UNREACHABLE, both, 2, second(1));
	book_observe(&book, RULE_HOST_UNREACHABLE, both + 1, 1, second(2));
	assert_string_equal(heard, "raise raise raise clear");
	assert_string_equal(last_text, "host a answers again");
	assert_int_equal(book_active(&book), 2);
}

static void
an_alarm_survives_the_journal(void **unused_state unused)
{
	struct buf text = BUF_INIT;
	struct alarm *a = NULL;
	struct err e = ERR_INIT;

	start(0, 4);
	wrong(0);
	alarm_write(TAILQ_FIRST(&book.list), &text);
	(void)end(NULL);
	start(0, 4);
	assert_true(alarm_read(&a, buf_text(&text), &e));
	book_adopt(&book, a, second(5));
	wrong(6);
	assert_string_equal(heard, "");
	right(7);
	assert_string_equal(heard, "clear");
	buf_done(&text);
	assert_false(alarm_read(&a, "{\"raised\":\"never\"}", &e));
}

static void
an_alarm_known_under_another_id_is_ended(void **unused_state unused)
{
	struct alarm *theirs = alarm_new("host.unreachable", "host", "kvm07", "x");
	char uuid[UUID_ROOM];

	start(0, 4);
	wrong(0);
	memcpy(uuid, theirs->uuid, sizeof(uuid));
	book_adopt(&book, theirs, second(1));
	assert_string_equal(heard, "raise clear");
	assert_string_equal(last_alarm, uuid);
	wrong(2);
	assert_string_equal(heard, "raise clear");
	assert_int_equal(book_active(&book), 1);
}

static void
rules_can_be_set(void **unused_state unused)
{
	struct err e = ERR_INIT;

	assert_false(rules_read("meter.gapp=off", &e));
	assert_non_null(strstr(e.text, "meter.gapp"));
	assert_false(rules_read("meter.gap=bad", &e));
	assert_false(rules_read("meter.gap=cleared", &e));
	assert_true(rules_read("meter.gap=off host.unreachable=critical", &e));
	start(0, 4);
	wrong(0);
	assert_int_equal(TAILQ_FIRST(&book.list)->severity, SEVERITY_CRITICAL);
	struct condition c = about(RULE_METER_GAP, "acme");
	book_wrong(&book, &c, second(1));
	assert_string_equal(heard, "raise");
	assert_true(rules_read("meter.gap=minor host.unreachable=major", &e));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, end)
	const struct CMUnitTest tests[] = {
		TEST(one_trouble_is_told_once),
		TEST(a_second_time_is_another_alarm),
		TEST(another_severity_is_a_change_of_the_same_alarm),
		TEST(what_flaps_is_told_as_that_and_then_kept_quiet),
		TEST(flapping_that_ends_wrong_stays_an_alarm),
		TEST(rare_troubles_do_not_flap),
		TEST(an_alarm_is_repeated_until_somebody_acknowledges),
		TEST(a_report_that_nobody_renews_ends),
		TEST(time_in_which_we_stood_still_is_no_silence_of_others),
		TEST(what_a_round_does_not_name_is_over),
		TEST(an_alarm_survives_the_journal),
		TEST(an_alarm_known_under_another_id_is_ended),
		TEST(rules_can_be_set),
	};

	log_open("test", LOG_TO_STDERR, LOG_LVL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
