/* SPDX-License-Identifier: Apache-2.0 */
/* What a receiver is owed: order, probes, copies, limits. */
#include "snmp/outbox.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 64 };

static struct notice *notices[MOST];
static size_t count;
static const struct instant at = { INT64_C(1700000000000000000) };

static int
forget(void **unused_state unused)
{
	while (count > 0)
		notice_free(notices[--count]);
	return 0;
}

/* A letter of an alarm, "a" or "b"; numbers grow. */
static struct letter *
letter(struct outbox *o, const char *alarm)
{
	const char *name = "x";
	struct notice *n = notice_new(NOTICE_RAISE, at);

	n->seq = (int64_t)count + 1;
	(void)snprintf(n->alarm_uuid, sizeof(n->alarm_uuid), "%s", alarm);
	notice_texts(n, "host.unreachable", "host", alarm, "x");
	notice_address(n, &name, 1);
	notices[count++] = n;
	outbox_put(o, &n->letters[0]);
	return &n->letters[0];
}

static struct letter *
send_next(struct outbox *o, int64_t now_s)
{
	struct letter *l = outbox_next(o, now_s * NS_PER_S);

	if (l != NULL)
		outbox_went(o, l, now_s * NS_PER_S);
	return l;
}

static struct outbox *
informs(void)
{
	static struct outbox o; /* a queue stays where it was made */

	outbox_init(&o,
	    &(struct outbox_rules){ .answered = true,
		.settle_ns = 4 * NS_PER_S,
		.window = 32 });
	return &o;
}

static struct outbox *
datagrams(void)
{
	static struct outbox o; /* a queue stays where it was made */

	outbox_init(&o,
	    &(struct outbox_rules){ .settle_ns = 4 * NS_PER_S, .window = 1000 });
	return &o;
}

static void
letters_of_one_alarm_wait_for_each_others_answer(void **unused_state unused)
{
	struct outbox *o = informs();
	struct letter *raise = letter(o, "a");
	struct letter *other = letter(o, "b");
	struct letter *clear = letter(o, "a");

	assert_ptr_equal(send_next(o, 0), raise);
	assert_ptr_equal(send_next(o, 0), other);
	assert_null(send_next(o, 0));
	outbox_confirmed(o, raise, at);
	assert_ptr_equal(send_next(o, 0), clear);
	outbox_confirmed(o, other, at);
	outbox_confirmed(o, clear, at);
	assert_int_equal(o->count + o->out, 0);
	assert_int_equal(clear->state, LETTER_CONFIRMED);
}

static void
a_refused_datagram_comes_back_and_goes_first(void **unused_state unused)
{
	struct outbox *o = datagrams();
	struct letter *raise = letter(o, "a");
	struct letter *clear = letter(o, "a");

	assert_ptr_equal(send_next(o, 0), raise);
	assert_ptr_equal(send_next(o, 0), clear);
	outbox_refused(o, 0, "nobody");
	assert_string_equal(raise->error, "nobody");
	assert_null(send_next(o, 0));
	assert_ptr_equal(send_next(o, 1), raise);
	assert_null(send_next(o, 2)); /* the probe goes alone ... */
	assert_int_equal(outbox_settle(o, 4 * NS_PER_S, at), 0);
	assert_int_equal(outbox_settle(o, 5 * NS_PER_S, at), 1);
	assert_ptr_equal(send_next(o, 5), clear); /* ... until nobody complained */
	assert_int_equal(raise->state, LETTER_TOLD);
	assert_string_equal(raise->error, "");
}

static void
waits_grow_to_half_a_minute(void **unused_state unused)
{
	static const int64_t waits[] = { 1, 2, 4, 8, 16, 30, 30 };
	struct outbox *o = datagrams();
	int64_t now = 100;

	(void)letter(o, "a");
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		assert_non_null(send_next(o, now));
		outbox_refused(o, now * NS_PER_S, "nobody");
		assert_null(outbox_next(o, (now + waits[i]) * NS_PER_S - 1));
		now += waits[i];
	}
}

static void
many_refusals_of_one_burst_count_once(void **unused_state unused)
{
	struct outbox *o = datagrams();

	(void)letter(o, "a");
	(void)letter(o, "b");
	(void)send_next(o, 0);
	(void)send_next(o, 0);
	for (int i = 0; i < 10; i++)
		outbox_refused(o, 0, "nobody");
	assert_int_equal(o->failures, 1);
}

static void
nobody_misses_a_receiver_that_is_owed_nothing(void **unused_state unused)
{
	struct outbox *o = datagrams();

	outbox_refused(o, 0, "closed");
	assert_int_equal(o->failures, 0);
}

static void
silence_asks_for_a_copy_of_each_letter_once(void **unused_state unused)
{
	struct outbox *o = informs();
	struct letter *raise = letter(o, "a");
	struct letter *clear;

	assert_null(outbox_next_copy(o));
	(void)send_next(o, 0);
	assert_null(outbox_next_copy(o));
	outbox_silent(o, raise, 3 * NS_PER_S, "no answer");
	assert_ptr_equal(outbox_next_copy(o), raise);
	outbox_copied(raise, 3 * NS_PER_S);
	assert_null(outbox_next_copy(o));
	clear = letter(o, "a"); /* comes while it is silent */
	assert_ptr_equal(outbox_next_copy(o), clear);
	outbox_copied(clear, 3 * NS_PER_S);
	assert_ptr_equal(send_next(o, 4), raise);
	outbox_confirmed(o, raise, at);
	assert_ptr_equal(send_next(o, 4), clear); /* what it may have missed, in order */
}

static void
a_copy_to_nobody_is_none(void **unused_state unused)
{
	struct outbox *o = informs();
	struct letter *raise = letter(o, "a");

	(void)send_next(o, 0);
	outbox_silent(o, raise, 3 * NS_PER_S, "no answer");
	outbox_copied(raise, 3 * NS_PER_S);
	outbox_refused(o, 6 * NS_PER_S, "no route to host");
	assert_false(raise->copied);
	assert_null(outbox_next_copy(o)); /* not into the void */
}

static void
a_late_answer_counts(void **unused_state unused)
{
	struct outbox *o = informs();
	struct letter *raise = letter(o, "a");

	(void)send_next(o, 0);
	outbox_silent(o, raise, 3 * NS_PER_S, "no answer");
	outbox_confirmed(o, raise, at);
	assert_int_equal(o->count, 0);
	assert_int_equal(o->failures, 0);
	assert_int_equal(raise->state, LETTER_CONFIRMED);
}

static void
a_stream_resends_what_broke_with_it(void **unused_state unused)
{
	struct outbox o;
	struct letter *raise;

	outbox_init(&o,
	    &(struct outbox_rules){ .stream = true,
		.settle_ns = 5 * NS_PER_S,
		.window = 512 });
	raise = letter(&o, "a");
	(void)letter(&o, "a");
	(void)send_next(&o, 0);
	(void)send_next(&o, 0);
	outbox_refused(&o, 3 * NS_PER_S, "closed");
	assert_ptr_equal(send_next(&o, 4), raise);
	assert_non_null(send_next(&o, 4)); /* a connection needs no probe */
	assert_int_equal(outbox_settle(&o, 9 * NS_PER_S, at), 2);
}

static void
too_many_leave_the_latest_of_each_alarm(void **unused_state unused)
{
	struct outbox *o = datagrams();
	struct letter *old = letter(o, "a");
	struct letter *latest_b = letter(o, "b");
	struct letter *latest_a = letter(o, "a");

	assert_int_equal(outbox_shrink(o, 2, at), 1);
	assert_int_equal(old->state, LETTER_DROPPED);
	assert_ptr_equal(TAILQ_FIRST(&o->queue), latest_b);
	assert_int_equal(outbox_shrink(o, 1, at), 1);
	assert_ptr_equal(TAILQ_FIRST(&o->queue), latest_a);
	assert_int_equal(o->dropped, 2);
}

static void
letters_stand_by_number_whenever_they_come(void **unused_state unused)
{
	struct outbox *o = datagrams();
	struct outbox *late = informs(); /* any other */
	struct letter *first = letter(late, "a");
	struct letter *second = letter(o, "a");

	TAILQ_REMOVE(&late->queue, first, queue);
	outbox_put(o, first);
	assert_ptr_equal(TAILQ_FIRST(&o->queue), first);
	assert_ptr_equal(TAILQ_NEXT(first, queue), second);
}

static void
what_is_done_raises_the_revision_and_a_try_does_not(void **unused_state unused)
{
	struct outbox *o = informs();
	struct letter *l = letter(o, "a");
	int64_t before = l->notice->revision;

	(void)send_next(o, 0);
	assert_int_equal(l->notice->revision, before);
	outbox_silent(o, l, 3 * NS_PER_S, "no answer");
	(void)send_next(o, 4);
	outbox_silent(o, l, 7 * NS_PER_S, "no answer");
	assert_int_equal(l->notice->revision, before + 1); /* the reason, once */
	(void)send_next(o, 60);
	outbox_confirmed(o, l, at);
	assert_int_equal(l->notice->revision, before + 2);
}

static void
a_notice_is_read_as_it_was_written(void **unused_state unused)
{
	struct outbox *o = informs();
	struct letter *l = letter(o, "alarm");
	struct buf text = BUF_INIT;
	struct buf again = BUF_INIT;
	struct notice *n = NULL;
	struct err e = ERR_INIT;

	notice_texts(l->notice, "host.unreachable", "host", "kvm \"07\"", "x\ty");
	l->notice->severity = SEVERITY_MINOR;
	l->copied = true;
	(void)send_next(o, 0);
	outbox_silent(o, l, 0, "no answer");
	notice_write(l->notice, &text);
	assert_true(notice_read(&n, buf_text(&text), &e));
	notice_write(n, &again);
	assert_string_equal(buf_text(&again), buf_text(&text));
	assert_int_equal(n->letters[0].attempts, 1);
	notice_free(n);
	buf_done(&text);
	buf_done(&again);
	assert_false(notice_read(&n, "{\"seq\":\"x\"}", &e));
	assert_false(notice_read(&n, "[", &e));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, forget)
	const struct CMUnitTest tests[] = {
		TEST(letters_of_one_alarm_wait_for_each_others_answer),
		TEST(a_refused_datagram_comes_back_and_goes_first),
		TEST(waits_grow_to_half_a_minute),
		TEST(many_refusals_of_one_burst_count_once),
		TEST(nobody_misses_a_receiver_that_is_owed_nothing),
		TEST(silence_asks_for_a_copy_of_each_letter_once),
		TEST(a_copy_to_nobody_is_none),
		TEST(a_late_answer_counts),
		TEST(a_stream_resends_what_broke_with_it),
		TEST(too_many_leave_the_latest_of_each_alarm),
		TEST(letters_stand_by_number_whenever_they_come),
		TEST(what_is_done_raises_the_revision_and_a_try_does_not),
		TEST(a_notice_is_read_as_it_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
