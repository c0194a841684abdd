/* SPDX-License-Identifier: Apache-2.0 */
/* focus: statements as rows of FOCUS, the FinOps Open Cost and Usage Specification */
#include "billing/focus.h"
#include "base/mem.h"
#include "billing/exact.h"
#include "billing/focus_unit.h"
#include <stdlib.h>
#include <string.h>

#define PLACES 18 /* of quantities and unit prices that don't end earlier */
#define CLASSES_MOST 64

enum column {
#define COLUMN(name, type, since, length) FOCUS_##name,
#include "billing/focus_column.def"
#undef COLUMN
	FOCUS_COLUMNS
};
struct column_info {
	const char *name;
	const char *type;
	int since;
	int length;
};
static const struct column_info columns[] = {
#define COLUMN(name, type, since, length) { #name, #type, since, length },
#include "billing/focus_column.def"
#undef COLUMN
};

/* Sums of a tax class, for the same metrics of its tax. */
struct class_sum {
	mpq_t list;
	mpq_t contracted;
};

struct focus {
	enum focus_version version;
	struct arena *arena; /* of the present line */
	const struct jval *head;
	struct class_sum sums[CLASSES_MOST];
	const char *cells[FOCUS_COLUMNS]; /* of the present row; NULL: null */
};

/* A line while its rows are made. */
struct line_rows {
	struct focus *f;
	struct buf *out;
	const struct jval *line;
	const struct jval *tariff; /* of the head; NULL: none */
	const char *sku;
	const char *unit; /* as FOCUS writes it */
	mpq_t rate;       /* of exchange */
	mpq_t kept;       /* 1 less the discount */
	mpq_t billed;     /* of the rows so far */
	mpq_t limits;     /* minimum and maximum */
	const char *model;
};

bool
focus_version_parse(enum focus_version *out, const char *text, struct err *e)
{
	if (strcmp(text, "1.2") == 0)
		*out = FOCUS_1_2;
	else if (strcmp(text, "1.1") == 0)
		*out = FOCUS_1_1;
	else if (strcmp(text, "1.0") == 0)
		*out = FOCUS_1_0;
	else
		return err_set(e, ERR_INPUT,
		    "FOCUS %.20s is not written here: 1.0, 1.1 and 1.2 are", text);
	return true;
}

/* ---- columns */

void
focus_names(struct buf *out, enum focus_version version)
{
	bool first = true;

	for (size_t i = 0; i < FOCUS_COLUMNS; i++) {
		if (columns[i].since > (int)version)
			continue;
		buf_printf(out, "%s%s", first ? "" : ",", columns[i].name);
		first = false;
	}
	buf_puts(out, "\r\n");
}

static void
column_write(struct jout *j, const struct column_info *c)
{
	jout_open(j, NULL, '{');
	jout_string(j, "ColumnName", c->name);
	jout_string(j, "DataType", c->type);
	if (strcmp(c->type, "DECIMAL") == 0) {
		jout_number(j, "NumericPrecision", 76);
		jout_number(j, "NumberScale", 36);
	}
	if (c->length > 0) {
		jout_number(j, "StringMaxLength", c->length);
		jout_string(j, "StringEncoding", "UTF-8");
	}
	/* Tags are the tenants' own: there is no prefix of ours on any. */
	if (strcmp(c->name, "Tags") == 0) {
		jout_open(j, "ProviderTagPrefixes", '[');
		jout_close(j, ']');
	}
	jout_close(j, '}');
}

void
focus_metadata(struct buf *out, enum focus_version version, const char *created)
{
	struct jout j = JOUT_INIT(out);
	char number[4] = { '1', '.', (char)('0' + (int)version % 10), '\0' };
	scoped_free char *schema = mem_printf("jeoul-focus-%s-1", number);

	jout_open(&j, NULL, '{');
	jout_string(&j, "SchemaId", schema);
	jout_string(&j, "FocusVersion", number);
	jout_string(&j, "CreationDate", created);
	jout_string(&j, "DataGenerator", "Jeoul");
	jout_string(&j, "DataGeneratorVersion", JEOUL_VERSION);
	jout_open(&j, "ColumnDefinition", '[');
	for (size_t i = 0; i < FOCUS_COLUMNS; i++)
		if (columns[i].since <= (int)version)
			column_write(&j, &columns[i]);
	jout_close(&j, ']');
	jout_close(&j, '}');
}

/* ---- cells */

static void
set(struct focus *f, enum column c, const char *text)
{
	f->cells[c] = text == NULL || *text == '\0' ? NULL : text;
}

/* "12.5": as it is where it ends within PLACES, else cut there. */
static const char *
decimal(struct focus *f, const mpq_t q)
{
	scoped_free char *text = rat_text(q);
	const char *point = strchr(text, '.');

	if (strchr(text, '/') == NULL && (point == NULL || strlen(point + 1) <= PLACES))
		return arena_strdup(f->arena, text);
	scoped_free char *cut = rat_decimal(q, PLACES);

	return arena_strdup(f->arena, cut);
}

/* What stands in the file, as a number. */
static void
printed(mpq_t out, const char *text)
{
	struct err e = ERR_INIT;

	if (!rat_parse(out, text, &e)) /* decimal() wrote it */
		abort();
}

static void
amount_set(struct focus *f, enum column c, const mpq_t q)
{
	scoped_free char *text = rat_text(q);

	set(f, c, arena_strdup(f->arena, text));
}

static const char *
at(const struct jval *v, const char *key)
{
	return json_text(json_get(v, key));
}

static bool
number_at(mpq_t out, const struct jval *v, const char *key, struct err *e)
{
	const char *text = at(v, key);

	mpq_set_ui(out, 0, 1);
	return text == NULL || rat_parse(out, text, e);
}

/* ---- rows */

static void
row_write(struct focus *f, struct buf *out)
{
	size_t last = FOCUS_COLUMNS - 1; /* every version has it */

	for (size_t i = 0; i < FOCUS_COLUMNS; i++)
		if (columns[i].since <= (int)f->version)
			csv_field(out, f->cells[i], i == last);
}

/* What all rows of a document have. */
static void
row_begin(struct focus *f)
{
	const struct jval *customer = json_get(f->head, "customer");
	const struct jval *issuer = json_get(f->head, "issuer");
	const struct jval *period = json_get(json_get(f->head, "body"), "period");
	const char *legal = at(issuer, "legal_name");
	const char *kind = at(f->head, "kind");
	const char *who = legal == NULL || *legal == '\0' ? at(issuer, "name") : legal;
	bool invoice = kind != NULL && strcmp(kind, "showback") != 0;

	memset(f->cells, 0, sizeof(f->cells));
	set(f, FOCUS_BillingAccountId, at(customer, "account"));
	set(f, FOCUS_BillingAccountName, at(customer, "name"));
	set(f, FOCUS_BillingAccountType, "Account");
	set(f, FOCUS_BillingCurrency, at(json_get(f->head, "body"), "currency"));
	set(f, FOCUS_BillingPeriodStart, at(period, "start"));
	set(f, FOCUS_BillingPeriodEnd, at(period, "end"));
	set(f, FOCUS_ChargePeriodStart, at(period, "start"));
	set(f, FOCUS_ChargePeriodEnd, at(period, "end"));
	set(f, FOCUS_InvoiceIssuerName, who);
	set(f, FOCUS_ProviderName, who);
	set(f, FOCUS_PublisherName, who);
	set(f, FOCUS_InvoiceId, invoice ? at(f->head, "number") : NULL);
	set(f, FOCUS_x_Document, at(f->head, "number"));
	set(f, FOCUS_ServiceCategory, "Other");
	set(f, FOCUS_ServiceSubcategory, "Other (Other)");
}

static void
service_set(struct focus *f, const char *sku, const struct jval *resource)
{
	const struct focus_service *s = focus_service(sku);

	set(f, FOCUS_ServiceCategory, s->category);
	set(f, FOCUS_ServiceName, s->name);
	set(f, FOCUS_ServiceSubcategory, s->subcategory);
	if (json_type(resource) != JSON_OBJECT)
		return;
	set(f, FOCUS_ResourceId, at(resource, "id"));
	set(f, FOCUS_ResourceName, at(resource, "name"));
	set(f, FOCUS_ResourceType, s->resource);
}

static const char *
description(struct line_rows *r, const char *what)
{
	const char *name = at(json_get(r->line, "resource"), "name");
	const char *band = at(r->line, "band");

	return arena_printf(r->f->arena, "%s%s%s%s%s%s%s", r->sku,
	    name == NULL ? "" : " of ", name == NULL ? "" : name,
	    band == NULL ? "" : ", band ", band == NULL ? "" : band,
	    *what == '\0' ? "" : ", ", what);
}

/* What all rows of a line have. */
static void
line_row_begin(struct line_rows *r, const char *what)
{
	struct focus *f = r->f;
	const char *from = at(r->line, "from");
	const char *to = at(r->line, "to");
	scoped(buf_done) struct buf tags = BUF_INIT;

	row_begin(f);
	service_set(f, r->sku, json_get(r->line, "resource"));
	set(f, FOCUS_ChargeDescription, description(r, what));
	set(f, FOCUS_SkuId, r->sku);
	set(f, FOCUS_SkuMeter, r->sku);
	set(f, FOCUS_x_Band, at(r->line, "band"));
	set(f, FOCUS_x_Line, at(r->line, "n"));
	set(f, FOCUS_x_TariffId, at(r->tariff, "id"));
	set(f, FOCUS_x_TariffVersion, at(r->tariff, "version"));
	if (from != NULL)
		set(f, FOCUS_ChargePeriodStart, from);
	if (to != NULL)
		set(f, FOCUS_ChargePeriodEnd, to);
	if (json_count(json_get(r->line, "tags")) > 0) {
		focus_json(&tags, json_get(r->line, "tags"));
		set(f, FOCUS_Tags, arena_strdup(f->arena, buf_text(&tags)));
	}
}

/* Stable while the price list is: which price, version, band and part of it. */
static const char *
price_id(struct line_rows *r, const char *what, const char *tier)
{
	const char *band = at(r->line, "band");

	return arena_printf(r->f->arena, "%s/%s.%s.%s.%s%s%s/%s%s", r->sku,
	    at(r->tariff, "id"), at(r->tariff, "version"), at(r->line, "price"),
	    at(r->line, "version"), band == NULL ? "" : ".", band == NULL ? "" : band,
	    what, tier == NULL ? "" : tier);
}

static const char *
price_details(struct line_rows *r, const char *what, const char *tier)
{
	scoped(buf_done) struct buf b = BUF_INIT;
	struct jout j = JOUT_INIT(&b);

	jout_open(&j, NULL, '{');
	jout_string(&j, "x_Part", what);
	if (tier != NULL)
		jout_raw(&j, "x_Tier", tier);
	jout_string(&j, "x_Band", at(r->line, "band"));
	jout_close(&j, '}');
	return arena_strdup(r->f->arena, buf_text(&b));
}

/* The sums of the line's tax class grow. */
static void
class_add(struct line_rows *r, const mpq_t list, const mpq_t contracted)
{
	int64_t place = 0;
	struct err ignored = ERR_INIT;

	if (!json_i64(&place, json_get(r->line, "tax"), &ignored) || place < 0 ||
	    place >= CLASSES_MOST)
		return;
	exact_add(r->f->sums[place].list, list);
	exact_add(r->f->sums[place].contracted, contracted);
}

/* Billed, effective, list and contracted costs of the row, which is written. */
struct costs {
	mpq_t billed;
	mpq_t effective;
	mpq_t list;
	mpq_t contracted;
};

static void
costs_init(struct costs *c)
{
	mpq_inits(c->billed, c->effective, c->list, c->contracted, NULL);
}

static void
costs_done(struct costs *c)
{
	mpq_clears(c->billed, c->effective, c->list, c->contracted, NULL);
}
#define scoped_costs scoped(costs_done)

static void
costs_all(struct costs *c, const mpq_t amount)
{
	mpq_set(c->billed, amount);
	mpq_set(c->effective, amount);
	mpq_set(c->list, amount);
	mpq_set(c->contracted, amount);
}

static void
row_end(struct line_rows *r, const struct costs *c)
{
	struct focus *f = r->f;

	amount_set(f, FOCUS_BilledCost, c->billed);
	amount_set(f, FOCUS_EffectiveCost, c->effective);
	amount_set(f, FOCUS_ListCost, c->list);
	amount_set(f, FOCUS_ContractedCost, c->contracted);
	exact_add(r->billed, c->billed);
	class_add(r, c->list, c->contracted);
	row_write(f, r->out);
}

/* An amount without a quantity of its own. */
static void
adjustment_row(struct line_rows *r, const char *what, const mpq_t amount)
{
	struct costs c scoped_costs;

	costs_init(&c);
	if (mpq_sgn(amount) == 0)
		return;
	line_row_begin(r, what);
	set(r->f, FOCUS_ChargeCategory, "Adjustment");
	set(r->f, FOCUS_ChargeFrequency, "Recurring");
	set(r->f, FOCUS_SkuMeter, NULL);
	costs_all(&c, amount);
	row_end(r, &c);
}

/* Prices in the currency of the invoice and in that of the price list, and what they
 * make of the quantity that stands in the file. */
static void
prices_set(struct line_rows *r, struct costs *c, const mpq_t quantity, const mpq_t list,
    const mpq_t contracted)
{
	struct focus *f = r->f;
	scoped_exact mpq_t q;
	scoped_exact mpq_t p;
	const char *pricing = at(r->tariff, "currency");

	mpq_inits(q, p, NULL);
	set(f, FOCUS_PricingQuantity, decimal(f, quantity));
	printed(q, f->cells[FOCUS_PricingQuantity]);
	set(f, FOCUS_PricingCurrency, pricing);
	set(f, FOCUS_PricingCurrencyListUnitPrice, decimal(f, list));
	set(f, FOCUS_PricingCurrencyContractedUnitPrice, decimal(f, contracted));
	mpq_mul(p, list, r->rate);
	set(f, FOCUS_ListUnitPrice, decimal(f, p));
	printed(p, f->cells[FOCUS_ListUnitPrice]);
	mpq_mul(c->list, p, q);
	mpq_mul(p, contracted, r->rate);
	set(f, FOCUS_ContractedUnitPrice, decimal(f, p));
	printed(p, f->cells[FOCUS_ContractedUnitPrice]);
	mpq_mul(c->contracted, p, q);
	printed(p, f->cells[FOCUS_PricingCurrencyContractedUnitPrice]);
	mpq_mul(p, p, q);
	amount_set(f, FOCUS_PricingCurrencyEffectiveCost, p);
}

static void
consumed_set(struct line_rows *r, const mpq_t quantity)
{
	set(r->f, FOCUS_ConsumedQuantity, decimal(r->f, quantity));
	set(r->f, FOCUS_ConsumedUnit, r->unit);
}

/* What a part of a line is; quantities in units of the line, packages, or fees. */
struct part_row {
	const char *what;
	const char *tier;
	const char *category; /* Usage or Purchase */
	const char *unit;
	const char *pricing; /* Standard or Committed */
	mpq_srcptr quantity;
	mpq_srcptr list;     /* price in the price list's currency */
	mpq_srcptr consumed; /* NULL: nothing is */
};

static void
part_row_begin(struct line_rows *r, struct costs *c, const struct part_row *p)
{
	struct focus *f = r->f;
	scoped_exact mpq_t contracted;
	bool free_of_charge = strcmp(p->what, "free") == 0;

	mpq_init(contracted);
	line_row_begin(r,
	    p->tier == NULL ? p->what
			    : arena_printf(f->arena, "%s %s", p->what, p->tier));
	set(f, FOCUS_ChargeCategory, p->category);
	set(f, FOCUS_ChargeFrequency,
	    strcmp(p->category, "Usage") == 0 ? "Usage-Based" : "Recurring");
	set(f, FOCUS_PricingCategory, p->pricing);
	set(f, FOCUS_PricingUnit, p->unit);
	set(f, FOCUS_SkuPriceId, price_id(r, p->what, p->tier));
	set(f, FOCUS_SkuPriceDetails, price_details(r, p->what, p->tier));
	if (!free_of_charge)
		mpq_mul(contracted, p->list, r->kept);
	prices_set(r, c, p->quantity, p->list, contracted);
	if (p->consumed != NULL)
		consumed_set(r, p->consumed);
	mpq_set(c->billed, c->contracted);
	mpq_set(c->effective, c->contracted);
}

static void
part_row(struct line_rows *r, const struct part_row *p)
{
	struct costs c scoped_costs;

	costs_init(&c);
	part_row_begin(r, &c, p);
	row_end(r, &c);
}

/* ---- commitments: bought, then used or not (rule 14 of billing-rules 4.2) */

static void
commitment_set(struct line_rows *r, const char *status, const char *quantity)
{
	struct focus *f = r->f;
	const char *resource = at(json_get(r->line, "resource"), "id");

	set(f, FOCUS_CommitmentDiscountId,
	    arena_printf(f->arena, "%s/%s/%s.%s.%s%s%s",
		at(f->head, "number") == NULL ? "running" : at(f->head, "number"), r->sku,
		at(r->tariff, "id"), at(r->line, "price"), at(r->line, "version"),
		resource == NULL ? "" : "/", resource == NULL ? "" : resource));
	set(f, FOCUS_CommitmentDiscountName,
	    arena_printf(f->arena, "committed %s", r->sku));
	set(f, FOCUS_CommitmentDiscountCategory, "Usage");
	set(f, FOCUS_CommitmentDiscountType, "Committed Units");
	set(f, FOCUS_CommitmentDiscountStatus, status);
	set(f, FOCUS_CommitmentDiscountQuantity, quantity);
	set(f, FOCUS_CommitmentDiscountUnit, quantity == NULL ? NULL : r->unit);
}

/* Units of the commitment: they cost nothing once more, but have their share of it. */
static void
committed_row(struct line_rows *r, const char *status, const mpq_t units,
    const mpq_t price, const mpq_t list)
{
	bool used = strcmp(status, "Used") == 0;
	struct part_row p = { .what = "commit",
		.category = "Usage",
		.unit = r->unit,
		.pricing = "Committed",
		.quantity = units,
		.list = list,
		.consumed = used ? units : NULL };
	struct costs c scoped_costs;
	scoped_exact mpq_t q;
	scoped_exact mpq_t unit;

	costs_init(&c);
	mpq_inits(q, unit, NULL);
	if (mpq_sgn(units) <= 0)
		return;
	part_row_begin(r, &c, &p);
	commitment_set(r, status, r->f->cells[FOCUS_PricingQuantity]);
	set(r->f, FOCUS_SkuPriceId, price_id(r, "overage", NULL));
	mpq_set_ui(c.billed, 0, 1);
	printed(q, r->f->cells[FOCUS_PricingQuantity]);
	mpq_mul(unit, price, r->kept);
	mpq_mul(unit, unit, r->rate);
	printed(unit, decimal(r->f, unit)); /* as on the row of the purchase */
	mpq_mul(c.effective, unit, q);
	set(r->f, FOCUS_PricingCurrencyEffectiveCost, "0");
	row_end(r, &c);
}

static void
purchase_row(struct line_rows *r, const mpq_t units, const mpq_t price)
{
	struct part_row p = { .what = "commit",
		.category = "Purchase",
		.unit = r->unit,
		.pricing = "Committed",
		.quantity = units,
		.list = price };
	struct costs c scoped_costs;

	costs_init(&c);
	part_row_begin(r, &c, &p);
	commitment_set(r, NULL, r->f->cells[FOCUS_PricingQuantity]);
	mpq_set_ui(c.effective, 0, 1); /* it is that of the units */
	set(r->f, FOCUS_PricingCurrencyEffectiveCost, "0");
	row_end(r, &c);
}

/* ---- parts */

static const struct jval *
part_find(const struct jval *parts, const char *what)
{
	for (const struct jval *v = json_first(parts); v != NULL; v = json_next(v)) {
		const char *name = at(v, "what");

		if (name != NULL && strcmp(name, what) == 0)
			return v;
	}
	return NULL;
}

/* What of the line's units no part of a name holds. */
static bool
rest_of(mpq_t out, const struct line_rows *r, const char *const *names, size_t count,
    struct err *e)
{
	const struct jval *parts = json_get(r->line, "parts");
	scoped_exact mpq_t held;

	mpq_init(held);
	if (!number_at(out, r->line, "quantity", e))
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct jval *part = part_find(parts, names[i]);

		if (!number_at(held, part, "quantity", e))
			return false;
		mpq_sub(out, out, held);
	}
	return true;
}

static bool
commitment_rows(struct line_rows *r, const struct jval *part, struct err *e)
{
	static const char *const others[] = { "free", "overage" };
	const struct jval *over = part_find(json_get(r->line, "parts"), "overage");
	scoped_exact mpq_t units;
	scoped_exact mpq_t price;
	scoped_exact mpq_t list;
	scoped_exact mpq_t used;

	mpq_inits(units, price, list, used, NULL);
	if (!number_at(units, part, "quantity", e) ||
	    !number_at(price, part, "price", e) ||
	    !number_at(list, over == NULL ? part : over, "price", e) ||
	    !rest_of(used, r, others, ARRAY_LEN(others), e))
		return false;
	/* What stands in the file adds up: used and unused come to what was bought. */
	printed(units, decimal(r->f, units));
	printed(used, decimal(r->f, used));
	if (part != NULL)
		purchase_row(r, units, price);
	committed_row(r, "Used", used, price, list);
	mpq_sub(units, units, used);
	committed_row(r, "Unused", units, price, list);
	return true;
}

/* The price that free units would have had: of the first part that has one. */
static bool
first_price(mpq_t out, const struct jval *parts, struct err *e)
{
	mpq_set_ui(out, 0, 1);
	for (const struct jval *v = json_first(parts); v != NULL; v = json_next(v)) {
		const char *what = at(v, "what");

		if (what != NULL &&
		    (strcmp(what, "unit") == 0 || strcmp(what, "tier") == 0))
			return number_at(out, v, "price", e);
	}
	return true;
}

static bool
plain_part(struct line_rows *r, const struct jval *v, const char *what, struct err *e)
{
	static const char *const others[] = { "free" };
	bool package = strcmp(what, "package") == 0;
	bool flat = strcmp(what, "flat") == 0;
	scoped_exact mpq_t quantity;
	scoped_exact mpq_t price;
	scoped_exact mpq_t consumed;
	struct part_row p = { .what = what,
		.tier = at(v, "tier"),
		.category = flat ? "Purchase" : "Usage",
		.unit = package ? "Packages"
		    : flat      ? "Fees"
				: r->unit,
		.pricing = "Standard",
		.quantity = quantity,
		.list = price,
		.consumed = flat ? NULL
		    : package    ? consumed
				 : quantity };

	mpq_inits(quantity, price, consumed, NULL);
	if (!number_at(quantity, v, "quantity", e) || !number_at(price, v, "price", e) ||
	    (package && !rest_of(consumed, r, others, 1, e)) ||
	    (strcmp(what, "free") == 0 &&
		!first_price(price, json_get(r->line, "parts"), e)))
		return false;
	part_row(r, &p);
	return true;
}

static bool
part_rows(struct line_rows *r, const struct jval *v, struct err *e)
{
	const char *what = at(v, "what");
	scoped_exact mpq_t amount;

	mpq_init(amount);
	if (what == NULL || strcmp(what, "discount") == 0)
		return true; /* it is in the contracted prices */
	if (strcmp(what, "commit") == 0)
		return commitment_rows(r, v, e);
	if (strcmp(what, "minimum") != 0 && strcmp(what, "maximum") != 0)
		return plain_part(r, v, what, e);
	if (!number_at(amount, v, "amount", e))
		return false;
	mpq_mul(amount, amount, r->rate);
	scoped_free char *text = rat_decimal(amount, PLACES);

	printed(amount, text);
	adjustment_row(r, what, amount);
	return true;
}

/* ---- lines */

static bool
charge_rows(struct line_rows *r, struct err *e)
{
	const struct jval *parts = json_get(r->line, "parts");
	const struct jval *discount = part_find(parts, "discount");
	scoped_exact mpq_t amount;

	mpq_init(amount);
	if (discount != NULL) {
		if (!number_at(amount, discount, "percent", e))
			return false;
		exact_scale(amount, amount, 1, 100);
		mpq_sub(r->kept, r->kept, amount);
	}
	if (part_find(parts, "commit") == NULL && part_find(parts, "overage") != NULL &&
	    !commitment_rows(r, NULL, e))
		return false;
	for (const struct jval *v = json_first(parts); v != NULL; v = json_next(v))
		if (!part_rows(r, v, e))
			return false;
	if (!number_at(amount, r->line, "amount", e))
		return false;
	mpq_sub(amount, amount, r->billed);
	adjustment_row(r, "rounding", amount);
	return true;
}

/* What became known of a closed period, and what a credit note gives back. */
static bool
correction_row(struct line_rows *r, const char *what, struct err *e)
{
	const struct jval *original = json_get(r->line, "original");
	const struct jval *period = json_get(original, "period");
	struct costs c scoped_costs;
	scoped_exact mpq_t amount;
	const char *number = at(original, "statement");

	costs_init(&c);
	mpq_init(amount);
	if (!number_at(amount, r->line, "amount", e))
		return false;
	line_row_begin(r, what);
	set(r->f, FOCUS_ChargeCategory, "Usage");
	set(r->f, FOCUS_ChargeClass, "Correction");
	set(r->f, FOCUS_ChargeFrequency, "Usage-Based");
	if (period != NULL) {
		set(r->f, FOCUS_ChargePeriodStart, at(period, "start"));
		set(r->f, FOCUS_ChargePeriodEnd, at(period, "end"));
	}
	if (number == NULL)
		number = at(json_get(r->f->head, "original"), "number");
	set(r->f, FOCUS_x_OriginalInvoiceId, number);
	set(r->f, FOCUS_SkuMeter, NULL);
	costs_all(&c, amount);
	row_end(r, &c);
	return true;
}

static const struct jval *
tariff_of(const struct focus *f, const struct jval *line)
{
	int64_t place = 0;
	struct err ignored = ERR_INIT;

	if (!json_i64(&place, json_get(line, "tariff"), &ignored) || place < 0)
		return NULL;
	return json_at(json_get(json_get(f->head, "body"), "tariffs"), (size_t)place);
}

bool
focus_line(struct focus *f, struct buf *out, const struct jval *line, struct err *e)
{
	const char *kind = at(line, "kind");
	const char *unit = at(line, "unit");
	struct line_rows r = { .f = f, .out = out, .line = line, .sku = at(line, "sku") };
	bool ok;

	arena_reset(f->arena);
	r.tariff = tariff_of(f, line);
	r.unit = focus_unit(f->arena, unit == NULL ? "unit" : unit);
	mpq_inits(r.rate, r.kept, r.billed, r.limits, NULL);
	mpq_set_ui(r.kept, 1, 1);
	mpq_set_ui(r.rate, 1, 1);
	ok = at(r.tariff, "fx_rate") == NULL ||
	    rat_parse(r.rate, at(r.tariff, "fx_rate"), e);
	if (ok && r.sku == NULL)
		ok = err_set(e, ERR_INTERNAL, "a line without a sku");
	if (ok)
		ok = kind != NULL && strcmp(kind, "charge") == 0
		    ? charge_rows(&r, e)
		    : correction_row(&r,
			  kind != NULL && strcmp(kind, "credit") == 0 ? "credit note"
								      : "adjustment",
			  e);
	mpq_clears(r.rate, r.kept, r.billed, r.limits, NULL);
	return ok;
}

/* ---- what stands below the lines */

static void
below_row(struct focus *f, struct buf *out, const char *category, const char *text,
    const struct costs *c)
{
	row_begin(f);
	set(f, FOCUS_ChargeCategory, category);
	set(f, FOCUS_ChargeFrequency,
	    strcmp(category, "Credit") == 0 ? "One-Time" : "Recurring");
	set(f, FOCUS_ChargeDescription, text);
	set(f, FOCUS_ServiceName, category);
	if (strcmp(at(f->head, "kind") == NULL ? "" : at(f->head, "kind"),
		"credit_note") == 0) {
		set(f, FOCUS_ChargeClass, "Correction");
		set(f, FOCUS_x_OriginalInvoiceId,
		    at(json_get(f->head, "original"), "number"));
	}
	amount_set(f, FOCUS_BilledCost, c->billed);
	amount_set(f, FOCUS_EffectiveCost, c->effective);
	amount_set(f, FOCUS_ListCost, c->list);
	amount_set(f, FOCUS_ContractedCost, c->contracted);
	row_write(f, out);
}

/* amount x share, as it stands in the file. */
static void
share_of(mpq_t out, const mpq_t amount, const mpq_t share)
{
	mpq_mul(out, amount, share);
	scoped_free char *text = rat_decimal(out, 2 * PLACES);

	printed(out, text);
}

/*
 * One row a class; its other metrics are the same tax on those of its rows.  Where
 * prices hold the tax an adjustment takes it out of them again.
 */
static bool
tax_rows(struct focus *f, struct buf *out, const struct jval *tax, size_t place,
    struct err *e)
{
	const char *mode = at(tax, "mode");
	bool inclusive = mode != NULL && strcmp(mode, "inclusive") == 0;
	const char *name = at(tax, "class");
	struct costs c scoped_costs;
	scoped_exact mpq_t share;
	scoped_exact mpq_t gross;

	costs_init(&c);
	mpq_inits(share, gross, NULL);
	if (!number_at(share, tax, "rate", e) || !number_at(c.billed, tax, "tax", e))
		return false;
	if (mpq_sgn(share) == 0 && mpq_sgn(c.billed) == 0)
		return true;
	mpq_set(c.effective, c.billed);
	if (inclusive) {
		mpq_set_ui(gross, 1, 1);
		exact_add(gross, share);
		mpq_div(share, share, gross);
	}
	if (place < CLASSES_MOST) {
		share_of(c.list, f->sums[place].list, share);
		share_of(c.contracted, f->sums[place].contracted, share);
	}
	below_row(f, out, "Tax", arena_printf(f->arena, "tax, class %s", name), &c);
	if (inclusive) {
		mpq_neg(gross, c.billed);
		costs_all(&c, gross);
		below_row(f, out, "Adjustment",
		    arena_printf(f->arena, "tax that the prices hold, class %s", name),
		    &c);
	}
	return true;
}

static bool
credit_row(struct focus *f, struct buf *out, const struct jval *credit, struct err *e)
{
	const char *name = at(credit, "name");
	struct costs c scoped_costs;
	scoped_exact mpq_t used;

	costs_init(&c);
	mpq_init(used);
	if (!number_at(used, credit, "used", e))
		return false;
	mpq_neg(used, used);
	costs_all(&c, used);
	below_row(f, out, "Credit",
	    name == NULL || *name == '\0' ? at(credit, "id") : name, &c);
	return true;
}

bool
focus_end(struct focus *f, struct buf *out, const struct jval *head, struct err *e)
{
	const struct jval *taxes = json_get(json_get(head, "body"), "taxes");
	const struct jval *credits = json_get(head, "credits");
	size_t place = 0;

	f->head = head;
	arena_reset(f->arena);
	for (const struct jval *v = json_first(taxes); v != NULL; v = json_next(v))
		if (!tax_rows(f, out, v, place++, e))
			return false;
	for (const struct jval *v = json_first(credits); v != NULL; v = json_next(v))
		if (!credit_row(f, out, v, e))
			return false;
	return true;
}

/* ---- a document */

struct focus *
focus_new(enum focus_version version)
{
	struct focus *f = mem_alloc(sizeof(*f));

	f->version = version;
	f->arena = arena_new();
	for (size_t i = 0; i < CLASSES_MOST; i++)
		mpq_inits(f->sums[i].list, f->sums[i].contracted, NULL);
	return f;
}

void
focus_free(struct focus *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < CLASSES_MOST; i++)
		mpq_clears(f->sums[i].list, f->sums[i].contracted, NULL);
	arena_free(f->arena);
	free(f);
}

void
focus_begin(struct focus *f, const struct jval *head)
{
	f->head = head;
	for (size_t i = 0; i < CLASSES_MOST; i++) {
		mpq_set_ui(f->sums[i].list, 0, 1);
		mpq_set_ui(f->sums[i].contracted, 0, 1);
	}
}

static bool
lines_write(struct focus *f, struct issued *s, const struct text_out *out, struct buf *b,
    struct err *e)
{
	const struct jval *line = NULL;
	const char *text = NULL;

	for (;;) {
		if (!statement_line(s, &text, &line, e))
			return false;
		if (text == NULL)
			return true;
		if (!focus_line(f, b, line, e) || !text_flush(out, b, e))
			return false;
	}
}

bool
focus_statement(struct issued *s, enum focus_version version, const struct text_out *out,
    struct err *e)
{
	struct focus *f = focus_new(version);
	scoped(buf_done) struct buf b = BUF_INIT;
	bool ok;

	focus_begin(f, statement_head(s));
	ok = lines_write(f, s, out, &b, e) && focus_end(f, &b, statement_head(s), e) &&
	    text_flush(out, &b, e);
	focus_free(f);
	return ok;
}
