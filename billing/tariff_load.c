/* SPDX-License-Identifier: Apache-2.0 */
/* tariff_load: a price list as it comes from outside, in either form, checked as a whole
 */
#include "billing/tariff_load.h"
#include "billing/json_place.h"
#include "billing/sku.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ZONES "/usr/share/zoneinfo/"

/* Where the places of a document are: in the text that made it, or in itself. */
struct source {
	const char *json; /* NULL: it was text */
	size_t length;
	const struct tariff_places *places;
};

static struct text_at
place_of(const struct source *s, const char *path)
{
	struct text_at at = s->json == NULL ? tariff_places_find(s->places, path)
					    : json_place_of(s->json, s->length, path);

	return at.line == 0 ? (struct text_at){ 1, 1 } : at;
}

/* Who wrote text knows lines, not "prices[2]". */
static void
reason_tell(struct tariff_fault *f, const struct source *s, const char *text,
    size_t length)
{
	struct buf b = BUF_INIT;
	const char *end = text + length;
	const char *path;

	while (
	    s->json == NULL && (path = strstr(text, "prices[")) != NULL && path < end) {
		size_t n = strcspn(path, "]") + 1;
		scoped_free char *place = mem_strndup(path, n);

		buf_add(&b, text, (size_t)(path - text));
		buf_printf(&b, "the price in line %zu", place_of(s, place).line);
		text = path + n;
	}
	buf_add(&b, text, (size_t)(end - text));
	(void)snprintf(f->reason, sizeof(f->reason), "%s", buf_text(&b));
	buf_done(&b);
}

/* "prices[1].per: reason; remedy", where the path may be "tariff.currency". */
static bool
fault_of(struct tariff_fault *f, const struct source *s, const char *text)
{
	size_t n = strcspn(text, ": ");
	char path[256];
	const char *cut = strstr(text, "; ");
	size_t length = cut == NULL ? strlen(text) : (size_t)(cut - text);

	(void)snprintf(path, sizeof(path), "%.*s", (int)(n < 255 ? n : 255), text);
	if (strncmp(path, "tariff", 6) == 0 && (path[6] == '.' || path[6] == '\0'))
		memmove(path, path + (path[6] == '.' ? 7 : 6), strlen(path) - 5);
	f->at = place_of(s, path);
	/* The place is told; its path helps only who wrote JSON. */
	if (s->json == NULL && n + 2 < length && strncmp(text + n, ": ", 2) == 0)
		reason_tell(f, s, text + n + 2, length - n - 2);
	else
		reason_tell(f, s, text, length);
	(void)snprintf(f->remedy, sizeof(f->remedy), "%s",
	    cut == NULL ? "see docs/tariffs.md for what may stand there" : cut + 2);
	return false;
}

/* "JSON: key "x" stands twice in one object": the key, or NULL. */
static char *
key_twice(const char *text)
{
	const char *key = strncmp(text, "JSON: key \"", 11) == 0 ? text + 11 : NULL;
	const char *end = key == NULL ? NULL : strstr(key, "\" stands twice");

	return end == NULL ? NULL : mem_strndup(key, (size_t)(end - key));
}

static bool
broken(struct tariff_fault *f, const char *text, size_t length, const struct err *e)
{
	scoped_free char *twice = key_twice(e->text);
	struct text_at at = json_place_broken(text, length, twice);
	const char *reason = strstr(e->text, ": ");
	const char *rest;

	/* Told by who parsed: it knows best. */
	if (!err_place(e->text, "JSON, ", &at.line, &at.column, &rest) && at.line == 0)
		at = (struct text_at){ 1, 1 };
	return tariff_fault_set(f, at, reason == NULL ? e->text : reason + 2,
	    "mend the JSON there, or write the list as text (docs/tariffs.md)");
}

/* ISO 4217 as of 2026, without funds, metals and tests: a slip here is an invoice. */
static const char currencies[] =
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD "
    "BTN BWP BYN BZD CAD CDF CHF CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN "
    "ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR "
    "ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL "
    "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN "
    "PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP "
    "STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYI UYU UYW UZS VED "
    "VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG";

static bool
currency_check(const char *path, const char *code, struct err *e)
{
	return strstr(currencies, code) != NULL ||
	    err_set(e, ERR_INPUT,
		"%s: \"%s\" is no currency; write the ISO 4217 code, as in USD or KRW",
		path, code);
}

/* Zones are PostgreSQL's, which has them from the same folder. */
static bool
zone_there(const char *zone)
{
	char path[512];

	if (strstr(zone, "..") != NULL || zone[0] == '/' || zone[0] == '\0')
		return false;
	(void)snprintf(path, sizeof(path), ZONES "%s", zone);
	return access(ZONES, X_OK) != 0 || access(path, R_OK) == 0;
}

/* Some usage may carry the tags of both: none says otherwise. */
static bool
may_meet(const struct price *a, const struct price *b)
{
	if (strcmp(a->sku, b->sku) != 0 || a->priority != b->priority ||
	    a->match.count != b->match.count)
		return false;
	for (size_t i = 0; i < a->match.count; i++) {
		const char *other = tags_get(&b->match, a->match.list[i].key);

		if (other != NULL && strcmp(other, a->match.list[i].value) != 0)
			return false;
	}
	return true;
}

static bool
ties_check(const struct tariff *t, struct err *e)
{
	for (size_t i = 1; i < t->price_count; i++)
		for (size_t k = 0; k < i; k++)
			if (may_meet(&t->prices[i], &t->prices[k]))
				return err_set(e, ERR_INPUT,
				    "prices[%zu]: usage of %s that has the tags of this "
				    "and of prices[%zu] would match both equally well; "
				    "give one of them a higher priority",
				    i, t->prices[i].sku, k);
	return true;
}

/* What lasts needs the unit of time that it is priced by, what is counted has none. */
static bool
metered_check(const struct tariff *t, struct err *e)
{
	for (size_t i = 0; i < t->price_count; i++) {
		const struct price *p = &t->prices[i];

		if (sku_own_unit(p->sku) == NULL ||
		    sku_own_amount(p->sku) == (p->per == PER_NONE))
			continue;
		if (p->per == PER_NONE)
			return err_set(e, ERR_INPUT,
			    "prices[%zu]: %s lasts for a time and its price does not say "
			    "per what; add per, as in \"per hour\"",
			    i, p->sku);
		return err_set(e, ERR_INPUT,
		    "prices[%zu].per: %s is counted, it does not last for a time; "
		    "remove per",
		    i, p->sku);
	}
	return true;
}

/* No line's end or the like in a name: it would break lists, bills and exports. */
static bool
name_check(const char *path, const char *name, struct err *e)
{
	for (const char *p = name; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(e, ERR_INPUT,
			    "%s: a name holds the end of a line or such a byte; write it "
			    "with letters and blanks",
			    path);
	return true;
}

static bool
bands_check(const char *path, const struct model *m, struct err *e)
{
	bool ok = m->default_name == NULL || name_check(path, m->default_name, e);

	for (size_t i = 0; ok && i < m->band_count; i++)
		ok = name_check(path, m->bands[i].name, e);
	return ok;
}

static bool
price_names_check(const struct price *p, size_t place, struct err *e)
{
	scoped_free char *path = mem_printf("prices[%zu]", place);
	bool ok = name_check(path, p->sku, e) && name_check(path, p->tax_class, e);

	for (size_t i = 0; ok && i < p->match.count; i++)
		ok = name_check(path, p->match.list[i].key, e) &&
		    name_check(path, p->match.list[i].value, e);
	for (size_t i = 0; ok && i < p->version_count; i++)
		ok = bands_check(path, &p->versions[i].model, e);
	return ok;
}

static bool
names_check(const struct tariff *t, struct err *e)
{
	bool ok = true;

	for (size_t i = 0; ok && i < t->tax_count; i++)
		ok = name_check("tax.classes", t->taxes[i].name, e);
	for (size_t i = 0; ok && i < t->price_count; i++)
		ok = price_names_check(&t->prices[i], i, e);
	return ok;
}

static bool
sense_check(const struct tariff *t, struct err *e)
{
	if (!currency_check("currency", t->currency, e) ||
	    !currency_check("fx.to", t->invoiced, e))
		return false;
	if (!zone_there(t->timezone))
		return err_set(e, ERR_INPUT,
		    "timezone: \"%.60s\" is no zone; write one of the IANA names, as in "
		    "Europe/Berlin or Asia/Seoul",
		    t->timezone);
	return names_check(t, e) && metered_check(t, e) && ties_check(t, e);
}

/* ---- what to look at although the list can be used */

enum { NAME_MOST = 40 };

/* How many letters must be changed, added or left out to make b of a. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[NAME_MOST + 1];
	size_t n = strlen(b);

	if (strlen(a) > NAME_MOST || n > NAME_MOST)
		return NAME_MOST;
	for (size_t k = 0; k <= n; k++)
		row[k] = k;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t corner = row[0]++;

		for (size_t k = 1; k <= n; k++) {
			size_t least = row[k] < row[k - 1] ? row[k] : row[k - 1];
			size_t change = corner + (a[i] == b[k - 1] ? 0 : 1);

			corner = row[k];
			row[k] = least + 1 < change ? least + 1 : change;
		}
	}
	return row[n];
}

/* The one of our skus that a name may be a slip of; NULL: none is like it. */
static const char *
sku_nearest(const char *name)
{
	const char *best = NULL;
	size_t least = 3;

	for (size_t i = 0; sku_own_at(i) != NULL; i++) {
		size_t d = distance(name, sku_own_at(i));

		if (d >= least)
			continue;
		least = d;
		best = sku_own_at(i);
	}
	return best;
}

static bool
priced(const struct tariff *t, const char *sku)
{
	for (size_t i = 0; i < t->price_count; i++)
		if (strcmp(t->prices[i].sku, sku) == 0)
			return true;
	return false;
}

static void
notes_make(struct tariff_loaded *l, const struct source *s)
{
	const struct tariff *t = l->tariff;
	size_t missing = 0;

	for (size_t i = 0; i < t->price_count; i++) {
		const char *sku = t->prices[i].sku;
		const char *near = sku_nearest(sku);
		scoped_free char *path = mem_printf("prices[%zu].sku", i);
		struct text_at at = place_of(s, path);

		if (sku_own_unit(sku) == NULL && near != NULL)
			buf_printf(&l->notes,
			    "%zu:%zu: nothing is metered as %s here; "
			    "is it %s?\n",
			    at.line, at.column, sku, near);
	}
	for (size_t i = 0; sku_own_at(i) != NULL; i++)
		if (!sku_optional(sku_own_at(i)) && !priced(t, sku_own_at(i)))
			buf_printf(&l->notes, "%s%s",
			    missing++ == 0 ? "no price for " : ", ", sku_own_at(i));
	if (missing > 0)
		buf_puts(&l->notes,
		    ": such usage will be listed as unrated; a price of 0 "
		    "says that it is free\n");
}

/* ---- loading */

static bool
document_load(struct tariff_loaded *l, const struct source *s, struct tariff_fault *f)
{
	struct err e = ERR_INIT;
	struct json *document = NULL;
	bool ok;

	if (!json_parse(&document, buf_text(&l->document), l->document.length, &e))
		return broken(f, buf_text(&l->document), l->document.length, &e);
	ok = tariff_read(&l->tariff, json_root(document), &e) &&
	    sense_check(l->tariff, &e);
	json_free(document);
	if (!ok)
		return fault_of(f, s, e.text);
	notes_make(l, s);
	return true;
}

static bool
text_load(struct tariff_loaded *l, const char *text, size_t length,
    struct tariff_fault *f)
{
	struct arena *a = arena_new();
	struct tariff_places places = { NULL, 0, 0 };
	struct source s = { NULL, 0, &places };
	bool ok = tariff_text_read(&l->document, &places, a, text, length, f) &&
	    document_load(l, &s, f);

	free(places.list);
	arena_free(a);
	return ok;
}

bool
tariff_load(struct tariff_loaded *out, const char *text, size_t length,
    struct tariff_fault *fault)
{
	size_t blanks = 0;
	struct source s = { text, length, NULL };
	bool ok;

	*out = (struct tariff_loaded){ .document = BUF_INIT, .notes = BUF_INIT };
	while (blanks < length && strchr(" \t\r\n", text[blanks]) != NULL)
		blanks++;
	if (blanks < length && text[blanks] == '{') {
		buf_add(&out->document, text, length);
		ok = document_load(out, &s, fault);
	} else {
		ok = text_load(out, text, length, fault);
	}
	if (!ok)
		tariff_loaded_done(out);
	return ok;
}

void
tariff_loaded_done(struct tariff_loaded *l)
{
	tariff_free(l->tariff);
	buf_done(&l->document);
	buf_done(&l->notes);
	*l = (struct tariff_loaded){ .document = BUF_INIT, .notes = BUF_INIT };
}

bool
tariff_load_err(struct tariff_loaded *out, const char *text, size_t length, struct err *e)
{
	struct tariff_fault f;

	if (tariff_load(out, text, length, &f))
		return true;
	return err_set(e, ERR_INPUT, "line %zu, column %zu: %s; %s", f.at.line,
	    f.at.column, f.reason, f.remedy);
}

static struct json *
document_of(const struct tariff_loaded *l)
{
	struct json *document = NULL;
	struct err e = ERR_INIT;

	/* It was read when it was loaded. */
	return json_parse(&document, buf_text(&l->document), l->document.length, &e)
	    ? document
	    : NULL;
}

static bool same(const struct jval *a, const struct jval *b);

/* null and {} say nothing more than leaving it out. */
static bool
empty(const struct jval *v)
{
	enum json_type type = json_type(v);

	return type == JSON_ABSENT || type == JSON_NULL ||
	    (type == JSON_OBJECT && json_count(v) == 0);
}

/* Each member of one is there in the other, in any order. */
static bool
same_members(const struct jval *a, const struct jval *b)
{
	for (const struct jval *v = json_first(a); v != NULL; v = json_next(v))
		if (!same(v, json_get(b, json_name(v))))
			return false;
	return true;
}

static bool
same_items(const struct jval *a, const struct jval *b)
{
	const struct jval *x = json_first(a);
	const struct jval *y = json_first(b);

	for (; x != NULL && y != NULL; x = json_next(x), y = json_next(y))
		if (!same(x, y))
			return false;
	return x == NULL && y == NULL;
}

/* 3 is as "3": both are read from their text. */
static bool
same(const struct jval *a, const struct jval *b)
{
	const char *s = json_text(a);
	const char *t = json_text(b);

	if (empty(a) || empty(b))
		return empty(a) && empty(b);
	if (s != NULL || t != NULL)
		return s != NULL && t != NULL && strcmp(s, t) == 0;
	if (json_type(a) != json_type(b))
		return false;
	return json_type(a) == JSON_OBJECT ? same_members(a, b) && same_members(b, a)
					   : same_items(a, b);
}

bool
tariff_text_of(struct buf *out, const struct tariff_loaded *l, struct err *e)
{
	struct tariff_fault f = { .reason = "" };
	struct tariff_loaded again;
	struct json *before = document_of(l);
	struct json *after = NULL;
	bool ok = false;

	tariff_text_write(out, json_root(before));
	if (tariff_load(&again, buf_text(out), out->length, &f)) {
		after = document_of(&again);
		ok = same(json_root(before), json_root(after));
		tariff_loaded_done(&again);
	}
	json_free(before);
	json_free(after);
	return ok ||
	    err_set(e, ERR_INTERNAL,
		"the list can't be written as text (%s); export it as JSON and report "
		"this",
		f.reason);
}
