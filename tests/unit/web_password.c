/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords: hashed with salt, checked, and made readable aloud. */
#include "web/password.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
password_fits_its_hash_only(void **state)
{
	struct err e = ERR_INIT;
	char one[PASSWORD_HASH_MAX];
	char two[PASSWORD_HASH_MAX];

	(void)state;
	assert_true(password_hash(one, "correct horse", &e));
	assert_true(password_hash(two, "correct horse", &e));
	assert_int_equal(strncmp(one, "$y$", 3), 0);
	assert_string_not_equal(one, two);
	assert_true(password_good("correct horse", one));
	assert_false(password_good("correct horsf", one));
	assert_false(password_good("", one));
	assert_false(password_good("correct horse", NULL));
	assert_false(password_good("x", "no hash at all"));
}

static void
one_time_password_has_four_groups_of_four(void **state)
{
	char one[20];
	char two[20];

	(void)state;
	password_make(one);
	password_make(two);
	assert_int_equal(strlen(one), 19);
	assert_int_equal(strspn(one, "23456789abcdefghijkmnpqrstuvwxyz-"), 19);
	assert_true(one[4] == '-' && one[9] == '-' && one[14] == '-');
	assert_string_not_equal(one, two);
}

static void
short_passwords_are_refused(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_true(password_fit("12345678", &e));
	assert_false(password_fit("1234567", &e));
	assert_int_equal(e.kind, ERR_INPUT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(password_fits_its_hash_only),
		cmocka_unit_test(one_time_password_has_four_groups_of_four),
		cmocka_unit_test(short_passwords_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
