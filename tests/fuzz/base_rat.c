/* SPDX-License-Identifier: Apache-2.0 */
/* Decimals from outside: read, rounded and printed exactly, against plain integer
 * arithmetic */
#include "base/mem.h"
#include "base/rat.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

/* Rounding by division with remainder, apart from base/rat.c: q/step in whole steps. */
static void
round_plainly(mpq_t out, const mpq_t q, const mpq_t step, enum rounding mode)
{
	mpq_t ratio;
	mpz_t n;
	mpz_t whole;
	mpz_t twice;
	bool up = false;
	int half;

	mpq_init(ratio);
	mpz_inits(n, whole, twice, NULL);
	mpq_div(ratio, q, step);
	mpz_abs(n, mpq_numref(ratio));
	mpz_tdiv_qr(whole, n, n, mpq_denref(ratio));
	mpz_mul_ui(twice, n, 2);
	half = mpz_cmp(twice, mpq_denref(ratio));
	if (mode == ROUND_UP)
		up = mpz_sgn(n) != 0;
	else if (mode == ROUND_HALF_UP)
		up = half >= 0;
	else if (mode == ROUND_HALF_EVEN)
		up = half > 0 || (half == 0 && mpz_odd_p(whole));
	if (up)
		mpz_add_ui(whole, whole, 1);
	if (mpq_sgn(ratio) < 0)
		mpz_neg(whole, whole);
	mpq_set_z(out, whole);
	mpq_mul(out, out, step);
	mpq_clear(ratio);
	mpz_clears(n, whole, twice, NULL);
}

/* What we print may be longer than what we take from others. */
static bool
read_back(mpq_t out, const char *text)
{
	struct err e = ERR_INIT;
	size_t whole = strcspn(text, ".");
	scoped_free char *digits = NULL;

	if (strlen(text) <= RAT_DIGITS_MAX)
		return rat_parse(out, text, &e);
	if (text[whole] == '\0')
		return mpq_set_str(out, text, 10) == 0;
	digits = mem_printf("%.*s%s", (int)whole, text, text + whole + 1);
	if (mpq_set_str(out, digits, 10) != 0)
		return false;
	mpz_ui_pow_ui(mpq_denref(out), 10, strlen(text + whole + 1));
	mpq_canonicalize(out);
	return true;
}

static void
rounding_check(const mpq_t q, const char *step_text)
{
	struct err e = ERR_INIT;
	mpq_t step;
	mpq_t rounded;
	mpq_t plain;
	mpq_t again;

	mpq_inits(step, rounded, plain, again, NULL);
	must(rat_parse(step, step_text, &e), "%s", e.text);
	for (enum rounding mode = ROUND_HALF_EVEN; mode <= ROUND_UP; mode++) {
		enum rounding named = ROUND_DOWN;
		rat_round(rounded, q, step, mode);
		round_plainly(plain, q, step, mode);
		must(mpq_equal(rounded, plain), "%s to %s", rounding_name(mode),
		    step_text);
		rat_round(again, rounded, step, mode);
		must(mpq_equal(again, rounded), "rounded again it changes");
		mpq_neg(again, q);
		rat_round(again, again, step, mode);
		mpq_neg(again, again);
		must(mpq_equal(again, rounded), "not symmetric about zero");
		must(rounding_parse(&named, rounding_name(mode), &e) && named == mode,
		    "%s", rounding_name(mode));
	}
	mpq_clears(step, rounded, plain, again, NULL);
}

static void
decimal_check(const mpq_t q, unsigned places)
{
	scoped_free char *text = rat_decimal(q, places);
	const char *point = strchr(text, '.');
	mpq_t back;
	mpq_t apart;

	mpq_inits(back, apart, NULL);
	must(read_back(back, text), "%s", text);
	must((point == NULL ? 0 : strlen(point + 1)) == places, "%s", text);
	mpq_sub(apart, q, back);
	must(mpq_sgn(back) * mpq_sgn(q) >= 0, "the sign of %s", text);
	must(mpq_sgn(apart) * mpq_sgn(q) >= 0, "%s is not cut toward zero", text);
	mpq_clears(back, apart, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	scoped_free char *text = fuzz_text(data, size);
	mpq_t q;
	mpq_t back;

	mpq_inits(q, back, NULL);
	if (rat_parse(q, text, &e)) {
		scoped_free char *exact = rat_text(q);
		must(strlen(text) <= RAT_DIGITS_MAX + 8, "a text that long was taken");
		must(strspn(text, "0123456789.-/") == strlen(text), "%s was taken", text);
		must(read_back(back, exact), "%s", exact);
		must(mpq_equal(back, q), "%s became %s", text, exact);
		rounding_check(q, "0.01");
		rounding_check(q, "0.05");
		rounding_check(q, "1");
		decimal_check(q, 0);
		decimal_check(q, 3);
	} else {
		must(e.kind == ERR_INPUT && e.text[0] != '\0', "a refusal says why");
		must(mpq_sgn(q) == 0, "untouched on failure");
	}
	mpq_clears(q, back, NULL);
	return 0;
}
