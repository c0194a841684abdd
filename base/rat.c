/* SPDX-License-Identifier: Apache-2.0 */
/* rat: exact rationals for money and quantities (GMP), decimal text at the borders */
#include "base/rat.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

enum { PLACES_EXACT_MAX = 60 };

static bool
all_digits(const char *p, size_t n)
{
	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	return true;
}

static bool
well_formed(const char *text)
{
	size_t whole;

	if (*text == '-')
		text++;
	whole = strspn(text, "0123456789");
	if (whole == 0)
		return false;
	if (text[whole] == '\0')
		return true;
	if (text[whole] != '.' && text[whole] != '/')
		return false;
	return all_digits(text + whole + 1, strlen(text + whole + 1));
}

/* "12.50" becomes 1250/100, "10/3" stays as it is. */
static void
read_ratio(mpq_t q, const char *text)
{
	char digits[RAT_DIGITS_MAX + 2];
	const char *point = strchr(text, '.');
	size_t whole = point != NULL ? (size_t)(point - text) : strlen(text);

	if (point == NULL) {
		mpq_set_str(q, text, 10);
		return;
	}
	memcpy(digits, text, whole);
	memcpy(digits + whole, point + 1, strlen(point + 1) + 1);
	mpz_set_str(mpq_numref(q), digits, 10);
	mpz_ui_pow_ui(mpq_denref(q), 10, strlen(point + 1));
}

bool
rat_parse(mpq_t q, const char *text, struct err *e)
{
	mpq_t read;

	if (strnlen(text, RAT_DIGITS_MAX + 1) > RAT_DIGITS_MAX)
		return err_set(e, ERR_INPUT, "number of more than %d digits; write fewer",
		    RAT_DIGITS_MAX);
	if (!well_formed(text))
		return err_set(e, ERR_INPUT,
		    "\"%.60s\" is no decimal number; write it as 12.50", text);
	mpq_init(read);
	read_ratio(read, text);
	if (mpz_sgn(mpq_denref(read)) == 0) {
		mpq_clear(read);
		return err_set(e, ERR_INPUT,
		    "\"%.60s\" divides by zero; write another number below the line",
		    text);
	}
	mpq_canonicalize(read);
	mpq_swap(q, read);
	mpq_clear(read);
	return true;
}

/* How many places the decimal form has; more than the limit: it does not end. */
static unsigned
places_of(const mpq_t q)
{
	unsigned twos;
	unsigned fives;
	mpz_t rest;
	mpz_t five;

	mpz_init(rest);
	mpz_init_set_ui(five, 5);
	twos = (unsigned)mpz_scan1(mpq_denref(q), 0);
	mpz_tdiv_q_2exp(rest, mpq_denref(q), twos);
	fives = (unsigned)mpz_remove(rest, rest, five);
	if (mpz_cmp_ui(rest, 1) != 0)
		twos = PLACES_EXACT_MAX + 1;
	mpz_clears(rest, five, NULL);
	return twos > fives ? twos : fives;
}

static char *
magnitude_text(const mpz_t value)
{
	mpz_t magnitude;
	char *text;

	mpz_init(magnitude);
	mpz_abs(magnitude, value);
	text = mem_alloc(mpz_sizeinbase(magnitude, 10) + 2);
	mpz_get_str(text, 10, magnitude);
	mpz_clear(magnitude);
	return text;
}

/* value / 10^places as text, with just so many places. */
static char *
scaled_text(const mpz_t value, unsigned places)
{
	scoped_free char *digits = magnitude_text(value);
	size_t length = strlen(digits);
	const char *sign = mpz_sgn(value) < 0 ? "-" : "";
	size_t zeros = length <= places ? places + 1 - length : 0;
	size_t whole = length + zeros - places;
	scoped_free char *padded = mem_alloc(length + zeros + 1);

	memset(padded, '0', zeros);
	memcpy(padded + zeros, digits, length);
	if (places == 0)
		return mem_printf("%s%s", sign, padded);
	return mem_printf("%s%.*s.%s", sign, (int)whole, padded, padded + whole);
}

char *
rat_decimal(const mpq_t q, unsigned places)
{
	mpz_t scaled;
	char *text;

	mpz_init(scaled);
	mpz_ui_pow_ui(scaled, 10, places);
	mpz_mul(scaled, scaled, mpq_numref(q));
	mpz_tdiv_q(scaled, scaled, mpq_denref(q));
	text = scaled_text(scaled, places);
	mpz_clear(scaled);
	return text;
}

char *
rat_text(const mpq_t q)
{
	unsigned places = places_of(q);
	char *text;

	if (places <= PLACES_EXACT_MAX)
		return rat_decimal(q, places);
	text = mem_alloc(
	    mpz_sizeinbase(mpq_numref(q), 10) + mpz_sizeinbase(mpq_denref(q), 10) + 3);
	return mpq_get_str(text, 10, q);
}

/* Whether the part cut off lifts the last digit, by mode and parity. */
static bool
lifts(int against_half, bool any_rest, bool odd, enum rounding mode)
{
	switch (mode) {
	case ROUND_HALF_EVEN:
		return against_half > 0 || (against_half == 0 && odd);
	case ROUND_HALF_UP:
		return against_half >= 0;
	case ROUND_UP:
		return any_rest;
	case ROUND_DOWN:
	default:
		return false;
	}
}

void
rat_round(mpq_t out, const mpq_t q, const mpq_t step, enum rounding mode)
{
	int sign = mpq_sgn(q);
	mpq_t steps;
	mpz_t whole;
	mpz_t rest;

	mpq_init(steps);
	mpz_inits(whole, rest, NULL);
	mpq_div(steps, q, step);
	mpq_abs(steps, steps);
	mpz_tdiv_qr(whole, rest, mpq_numref(steps), mpq_denref(steps));
	bool any_rest = mpz_sgn(rest) != 0;
	mpz_mul_2exp(rest, rest, 1);
	if (lifts(mpz_cmp(rest, mpq_denref(steps)), any_rest, mpz_odd_p(whole) != 0,
		mode))
		mpz_add_ui(whole, whole, 1);
	mpq_set_z(steps, whole);
	mpq_mul(out, steps, step);
	if (sign < 0)
		mpq_neg(out, out);
	mpz_clears(whole, rest, NULL);
	mpq_clear(steps);
}

void
rat_set_u64(mpq_t q, uint64_t value)
{
	mpz_import(mpq_numref(q), 1, -1, sizeof(value), 0, 0, &value);
	mpz_set_ui(mpq_denref(q), 1);
}

void
rat_set_i64(mpq_t q, int64_t numerator, int64_t denominator)
{
	uint64_t magnitude = numerator < 0 ? (uint64_t)0 - (uint64_t)numerator
					   : (uint64_t)numerator;
	uint64_t under = (uint64_t)denominator;

	mpz_import(mpq_numref(q), 1, -1, sizeof(magnitude), 0, 0, &magnitude);
	mpz_import(mpq_denref(q), 1, -1, sizeof(under), 0, 0, &under);
	if (numerator < 0)
		mpz_neg(mpq_numref(q), mpq_numref(q));
	mpq_canonicalize(q);
}

static const char *const rounding_names[] = { "half_even", "half_up", "down", "up" };

bool
rounding_parse(enum rounding *mode, const char *word, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(rounding_names); i++) {
		if (strcmp(word, rounding_names[i]) == 0) {
			*mode = (enum rounding)i;
			return true;
		}
	}
	return err_set(e, ERR_INPUT,
	    "rounding \"%.40s\" is unknown; use half_even, half_up, down or up", word);
}

const char *
rounding_name(enum rounding mode)
{
	return rounding_names[mode];
}

/* Whether a space-separated list of three-letter codes holds this one. */
static bool
listed(const char *list, const char *code)
{
	for (const char *p = list; *p != '\0'; p += 4)
		if (strncmp(p, code, 3) == 0)
			return true;
	return false;
}

bool
currency_places(unsigned *places, const char *currency, struct err *e)
{
	if (strlen(currency) != 3 || strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
		return err_set(e, ERR_INPUT,
		    "\"%.20s\" is no currency; write the ISO 4217 code, as in USD or KRW",
		    currency);
	*places = 2;
	if (listed("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF ",
		currency))
		*places = 0;
	if (listed("BHD IQD JOD KWD LYD OMR TND ", currency))
		*places = 3;
	if (listed("CLF UYW ", currency))
		*places = 4;
	return true;
}
