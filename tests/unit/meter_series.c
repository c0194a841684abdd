/* SPDX-License-Identifier: Apache-2.0 */
/* A resource's counters and its open window. */
#include "meter/series.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOUR (3600 * NS_PER_S)

static void
read_at(struct series *s, int64_t t, const char *epoch, uint64_t cpu,
    const uint64_t *vcpus, size_t n)
{
	struct series_reading r = { .at = { t },
		.epoch = epoch,
		.vcpu_count = n,
		.vcpu_ns = vcpus };

	r.value[FIELD_CPU] = cpu;
	r.has[FIELD_CPU] = true;
	series_take(s, &r);
}

static void
what_was_created_here_counts_from_zero_what_was_adopted_does_not(
    void **unused_state unused)
{
	struct series made = { .fresh = true };
	struct series adopted = { .fresh = false };

	read_at(&made, HOUR + 1, "h/1", 700, NULL, 0);
	read_at(&adopted, HOUR + 1, "h/1", 700, NULL, 0);
	assert_true(made.counter[0].sum == 700 && adopted.counter[0].sum == 0);
	read_at(&adopted, HOUR + 2, "h/1", 900, NULL, 0);
	assert_true(adopted.counter[0].sum == 200);
	series_done(&made);
	series_done(&adopted);
}

static void
new_run_reset_and_late_reading(void **unused_state unused)
{
	struct series s = { .fresh = true };

	read_at(&s, HOUR + 10, "h/1", 1000, NULL, 0);
	read_at(&s, HOUR + 5, "h/1", 400, NULL, 0); /* late: changes nothing */
	assert_true(s.counter[0].sum == 1000 && s.counter[0].raw == 1000);
	read_at(&s, HOUR + 20, "h/2", 300, NULL, 0); /* another run: another row */
	assert_true(s.counter[0].sum == 300 && s.resets == 0);
	read_at(&s, HOUR + 30, "h/2", 100, NULL, 0); /* went down within its run */
	assert_true(s.counter[0].sum == 400 && s.resets == 1);
	series_done(&s);
}

static void
vcpus_come_and_go_without_doubling(void **unused_state unused)
{
	const uint64_t two[] = { 100, 50 };
	const uint64_t one[] = { 130 };
	const uint64_t again[] = { 140, 7 };
	struct series s = { .fresh = true };

	read_at(&s, HOUR + 1, "h/1", 0, two, 2);
	assert_true(s.vcpu_sum == 150);
	read_at(&s, HOUR + 2, "h/1", 0, one, 1);
	assert_true(s.vcpu_sum == 180);
	read_at(&s, HOUR + 3, "h/1", 0, again, 2);
	assert_true(s.vcpu_sum == 197);
	series_done(&s);
}

static void
windows_telescope_over_hours(void **unused_state unused)
{
	struct series s = { .fresh = true };
	uint64_t total = 0;

	for (int64_t i = 1; i <= 50; i++) {
		int64_t t = i * (HOUR / 7);
		struct series_reading r = { .at = { t }, .epoch = "h/1" };
		if (series_full(&s, &r))
			total += s.counter[0].sum;
		read_at(&s, t, "h/1", (uint64_t)(i * i), NULL, 0);
	}
	assert_true(total + s.counter[0].sum == 2500);
	series_done(&s);
}

static void
a_new_owner_goes_on_from_the_same_counter(void **unused_state unused)
{
	struct series s = { .fresh = true, .account_id = 1 };

	read_at(&s, HOUR + 1, "h/1", 1000, NULL, 0);
	series_move(&s, 2);
	assert_true(s.counter[0].sum == 0 && s.account_id == 2);
	read_at(&s, HOUR + 2, "h/1", 1100, NULL, 0);
	assert_true(s.counter[0].sum == 100);
	series_done(&s);
}

static void
a_disk_has_its_counters_and_the_text_of_its_guests_run(void **unused_state unused)
{
	struct series vm = { .kind = SERIES_VM };
	struct series disk = { .kind = SERIES_VOLUME };
	struct series_reading r = { .at = { HOUR + 1 }, .epoch = "h/1/5" };

	series_take(&vm, &r);
	r.like = vm.epoch;
	for (int f = 0; f < FIELD_COUNT; f++) {
		r.value[f] = 100 + (uint64_t)f;
		r.has[f] = true;
	}
	series_take(&disk, &r);
	assert_ptr_equal(disk.epoch, vm.epoch);
	assert_int_equal(series_counter(&disk, FIELD_DISK_WRITE_REQ)->raw,
	    100 + FIELD_DISK_WRITE_REQ);
	assert_null(series_counter(&disk, FIELD_CPU));
	assert_null(series_gauge(&disk, GAUGE_MEMORY));
	series_done(&vm);
	r.at.ns++;
	r.like = NULL;
	series_take(&disk, &r); /* goes on when the guest's own series is gone */
	assert_string_equal(series_epoch_text(&disk), "h/1/5");
	series_done(&disk);
}

static void
vcpus_that_answer_late_are_no_history_of_ours(void **state)
{
	struct series s = { .kind = SERIES_VM };
	uint64_t one[] = { 9000 };
	uint64_t two[] = { 9010, 4 };
	struct series_reading r = { .at = { NS_PER_S }, .epoch = "h/1" };

	(void)state;
	r.value[FIELD_CPU] = 500;
	r.has[FIELD_CPU] = true;
	series_take(&s, &r); /* its vCPUs did not answer this time */
	r.at.ns += NS_PER_S;
	r.vcpu_count = 1;
	r.vcpu_ns = one;
	series_take(&s, &r);
	assert_int_equal(s.vcpu_sum, 0);
	r.at.ns += NS_PER_S;
	r.vcpu_count = 2; /* the second was plugged in while we watched */
	r.vcpu_ns = two;
	series_take(&s, &r);
	assert_int_equal(s.vcpu_sum, 14);
	series_done(&s);
}

static void
a_row_is_of_one_run(void **unused_state unused)
{
	struct series s = { .fresh = true };
	struct series_reading r = { .at = { HOUR + 20 * NS_PER_S }, .epoch = "h/2" };

	read_at(&s, HOUR + 10 * NS_PER_S, "h/1", 1000, NULL, 0);
	assert_true(series_full(&s, &r));
	series_end(&s, &r);
	assert_true(s.to.ns == r.at.ns - NS_PER_US && s.counter[0].sum == 1000);
	read_at(&s, r.at.ns, "h/2", 300, NULL, 0);
	assert_true(s.from.ns == r.at.ns - NS_PER_US && s.to.ns == 2 * HOUR);
	assert_true(s.counter[0].sum == 300);
	series_done(&s);
}

static void
nothing_is_added_to_a_row_of_another_turn(void **unused_state unused)
{
	struct series s = { .fresh = true };
	struct series_reading r = { .at = { HOUR + 20 * NS_PER_S }, .epoch = "h/1" };

	read_at(&s, HOUR + 10 * NS_PER_S, "h/1", 1000, NULL, 0);
	assert_false(series_full(&s, &r));
	s.foreign = true;
	assert_true(series_full(&s, &r));
	series_end(&s, &r);
	assert_true(s.to.ns == r.at.ns - NS_PER_US && s.counter[0].sum == 1000);
	read_at(&s, r.at.ns, "h/1", 1300, NULL, 0);
	assert_true(s.from.ns == r.at.ns - NS_PER_US && s.counter[0].sum == 300);
	assert_false(s.foreign);
	series_done(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vcpus_that_answer_late_are_no_history_of_ours),
		cmocka_unit_test(
		    what_was_created_here_counts_from_zero_what_was_adopted_does_not),
		cmocka_unit_test(new_run_reset_and_late_reading),
		cmocka_unit_test(vcpus_come_and_go_without_doubling),
		cmocka_unit_test(windows_telescope_over_hours),
		cmocka_unit_test(a_row_is_of_one_run),
		cmocka_unit_test(nothing_is_added_to_a_row_of_another_turn),
		cmocka_unit_test(a_new_owner_goes_on_from_the_same_counter),
		cmocka_unit_test(a_disk_has_its_counters_and_the_text_of_its_guests_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
