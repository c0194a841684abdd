/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures: the vectors that were checked against real clients' code. */
#include "web/sign.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char secret[] = "s3cr3t-Key_EXAMPLE";

struct sign_case {
	const char *why;
	const char *query;
	const char *safe;
	enum sign_order order;
	const char *text;
	const char *signature;
};

#define EXPIRING                                                                         \
	"command=listAccounts&apiKey=AbC123&response=json&keyword=k~%C3%B6%2F%2B&"       \
	"signatureVersion=3&expires=2030-01-02T03%3A04%3A05%2B0000"

static const struct sign_case cases[] = {
	{ "plain", "command=listUsers&apiKey=AbC123&response=json", "*", SIGN_BY_BYTES,
	    "apikey=abc123&command=listusers&response=json",
	    "7zLPZhowPpOkxvzchdNSRnI+cwM=" },
	{ "blank, star and a map",
	    "command=deployVirtualMachine&apiKey=AbC123&response=json&zoneid=1c5b&"
	    "displayname=web+server+*1&details%5B0%5D.cpuNumber=2",
	    "*", SIGN_BY_BYTES,
	    "apikey=abc123&command=deployvirtualmachine&details[0].cpunumber=2&"
	    "displayname="
	    "web%20server%20*1&response=json&zoneid=1c5b",
	    "nQtgtRPQMytc4S5Yjs1u0oAfLxw=" },
	{ "as CloudStack signs a tilde", EXPIRING, "*", SIGN_BY_BYTES,
	    "apikey=abc123&command=listaccounts&expires=2030-01-02t03%3a04%3a05%2b0000&"
	    "keyword=k%7e%c3%b6%2f%2b&response=json&signatureversion=3",
	    "vuBKPzFzC9yd9uWmSDTTHwrBLSo=" },
	{ "as Python and Go do", EXPIRING, "*~", SIGN_BY_BYTES,
	    "apikey=abc123&command=listaccounts&expires=2030-01-02t03%3a04%3a05%2b0000&"
	    "keyword=k~%c3%b6%2f%2b&response=json&signatureversion=3",
	    "p47bVZAbscHWO2pcJ0MRLxlU6Y0=" },
	{ "the signature itself stays out",
	    "command=listUsers&apiKey=AbC123&response=json&signature=whatever", "*",
	    SIGN_BY_BYTES, "apikey=abc123&command=listusers&response=json",
	    "7zLPZhowPpOkxvzchdNSRnI+cwM=" },
};

static struct param_list
params_of(struct arena *a, const char *query)
{
	struct param_list p = { .arena = a };
	struct err e = ERR_INIT;

	if (!params_query(&p, query, strlen(query), &e))
		fail_msg("%s", e.text);
	return p;
}

static void
signatures_are_those_of_real_clients(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena *a = arena_new();
		struct param_list p = params_of(a, cases[i].query);
		struct buf text = BUF_INIT;
		char got[29];
		sign_text(&text, &p, cases[i].safe, cases[i].order);
		if (strcmp(buf_text(&text), cases[i].text) != 0)
			fail_msg("%s: %s", cases[i].why, buf_text(&text));
		sign_hmac(got, secret, buf_text(&text));
		assert_string_equal(got, cases[i].signature);
		assert_true(sign_good(&p, secret, got));
		buf_done(&text);
		arena_free(a);
	}
}

static void
each_safe_set_and_order_is_accepted_and_nothing_else(void **state)
{
	struct arena *a = arena_new();
	/* Upper case sorts before lower case by bytes, and not by name. */
	struct param_list p = params_of(a,
	    "command=x&apiKey=k&zoneId=1&Zebra=2&name=a~b%5Bc%5D*");
	char got[29];

	(void)state;
	for (size_t i = 0; i < SIGN_SAFE_SETS; i++)
		for (int order = SIGN_BY_BYTES; order <= SIGN_BY_LOWER_CASE; order++) {
			struct buf text = BUF_INIT;
			sign_text(&text, &p, sign_safe_sets[i], (enum sign_order)order);
			sign_hmac(got, secret, buf_text(&text));
			assert_true(sign_good(&p, secret, got));
			assert_false(sign_good(&p, "another", got));
			got[3] = got[3] == 'A' ? 'B' : 'A';
			assert_false(sign_good(&p, secret, got));
			buf_done(&text);
		}
	assert_false(sign_good(&p, secret, ""));
	assert_false(sign_good(&p, secret, "AAAAAAAAAAAAAAAAAAAAAAAAAAA="));
	arena_free(a);
}

static void
changed_value_breaks_the_signature(void **state)
{
	struct arena *a = arena_new();
	struct param_list p = params_of(a,
	    "command=listUsers&apiKey=AbC123&response=xml");

	(void)state;
	assert_false(sign_good(&p, secret, "7zLPZhowPpOkxvzchdNSRnI+cwM="));
	arena_free(a);
}

static void
base64_comes_back_and_rubbish_does_not(void **state)
{
	char out[64];
	char small[4];

	(void)state;
	assert_true(base64_read(out, sizeof(out), "a2V5OnNlY3JldC8/Pg=="));
	assert_string_equal(out, "key:secret/?>");
	assert_true(base64_read(out, sizeof(out), "a2V5OnNlY3JldC8_Pg"));
	assert_string_equal(out, "key:secret/?>");
	assert_false(base64_read(out, sizeof(out), "a2V5 OnNl"));
	assert_false(base64_read(small, sizeof(small), "a2V5OnNlY3JldA=="));
}

static void
tokens_are_long_and_never_twice_the_same(void **state)
{
	char one[TOKEN_TEXT_MAX];
	char two[TOKEN_TEXT_MAX];
	char derived[TOKEN_TEXT_MAX];
	char digest[65];

	(void)state;
	token_make(one, 64);
	token_make(two, 64);
	assert_int_equal(strlen(one), 86);
	assert_int_equal(
	    strspn(one,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
	    86);
	assert_string_not_equal(one, two);
	token_derive(derived, one, "sessionkey");
	assert_int_equal(strlen(derived), 27);
	token_derive(two, one, "another");
	assert_string_not_equal(derived, two);
	digest_hex(digest, "abc");
	assert_string_equal(digest,
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures_are_those_of_real_clients),
		cmocka_unit_test(each_safe_set_and_order_is_accepted_and_nothing_else),
		cmocka_unit_test(changed_value_breaks_the_signature),
		cmocka_unit_test(base64_comes_back_and_rubbish_does_not),
		cmocka_unit_test(tokens_are_long_and_never_twice_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
