/* SPDX-License-Identifier: Apache-2.0 */
/* vector: one test vector of the form rating-vectors/1, run through the real rating */
#include "billing/vector.h"
#include "billing/expect.h"
#include "billing/form.h"
#include <string.h>

static const char *const vector_keys[] = { "name", "why", "tariff", "usage", "period",
	"account", "credit_notes", "allocate", "expect", NULL };

/* Everything that one vector holds while it runs. */
struct run {
	struct arena *arena;
	struct tariff *tariff;
	struct usage_list usage;
	struct terms terms;
	struct period period;
	struct invoice invoice;
};

static bool
run_read(struct run *r, const struct jval *v, const struct calendar *calendar,
    struct err *e)
{
	struct form f;

	return form_open(&f, v, "vector", vector_keys, e) &&
	    tariff_read(&r->tariff, json_get(v, "tariff"), e) &&
	    usage_read(&r->usage, json_get(v, "usage"), e) &&
	    terms_read(&r->terms, json_get(v, "account"), json_get(v, "credit_notes"),
		json_get(v, "allocate"), e) &&
	    period_read(&r->period, r->arena, json_get(v, "period"),
		&(struct local){ calendar, r->tariff->timezone }, e);
}

static bool
run_rate(struct run *r, const struct calendar *calendar, struct err *e)
{
	struct invoice_job job = { r->tariff, &r->usage, calendar, &r->period,
		&r->terms };

	return invoice_make(&r->invoice, &job, e);
}

/* Whether the vector is about a tariff or usage that must be refused. */
static bool
refusal_expected(const struct jval *expect)
{
	for (const struct jval *v = json_first(expect); v != NULL; v = json_next(v))
		if (strstr(json_name(v), "error") != NULL)
			return true;
	return false;
}

/* What is refused: expected to be, not known here, or a failure. */
static bool
refused(enum verdict *verdict, struct buf *why, const struct jval *expect,
    const struct err *refusal, struct err *e)
{
	if (refusal->kind != ERR_INPUT && refusal->kind != ERR_NOT_FOUND) {
		*e = *refusal;
		return false;
	}
	*verdict = VECTOR_FAILED;
	if (refusal_expected(expect))
		*verdict = VECTOR_PASSED;
	else if (refusal->kind == ERR_NOT_FOUND)
		*verdict = VECTOR_SKIPPED;
	buf_puts(why, refusal->text);
	return true;
}

static bool
run_judge(struct run *r, enum verdict *verdict, struct buf *why, const struct jval *v,
    const struct calendar *calendar, struct err *e)
{
	const struct jval *expect = json_get(v, "expect");
	struct err refusal = ERR_INIT;

	if (!run_read(r, v, calendar, &refusal) || !run_rate(r, calendar, &refusal))
		return refused(verdict, why, expect, &refusal, e);
	*verdict = VECTOR_FAILED;
	if (refusal_expected(expect))
		buf_puts(why, "expected a refusal, got an invoice");
	else
		*verdict = expect_check(why, expect, r->tariff, &r->usage, &r->period,
		    &r->invoice);
	invoice_done(&r->invoice);
	return true;
}

bool
vector_run(enum verdict *verdict, struct buf *why, const struct jval *vector,
    const struct calendar *calendar, struct err *e)
{
	struct run r = { .arena = arena_new() };
	bool ok;

	usage_list_init(&r.usage);
	terms_init(&r.terms);
	ok = run_judge(&r, verdict, why, vector, calendar, e);
	terms_done(&r.terms);
	usage_list_done(&r.usage);
	tariff_free(r.tariff);
	arena_free(r.arena);
	return ok;
}
