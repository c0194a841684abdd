/* SPDX-License-Identifier: Apache-2.0 */
/* book: what is wrong now; makes of conditions the notices that people should get */
#include "snmp/book.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_ROOM = 1024 };

/* One round that comes late (a stopped program) is no time without reports. */
#define TICK_MOST_NS (2 * NS_PER_S)

void
book_init(struct book *b, const struct book_settings *settings,
    void (*emit)(void *context, struct notice *n), void *context)
{
	*b = (struct book){ .settings = *settings, .emit = emit, .context = context };
	TAILQ_INIT(&b->list);
}

/* ---- alarms */

/* FNV-1a: spares most comparisons of names. */
static uint32_t
key_of(const char *rule, const char *object_name)
{
	uint32_t h = 2166136261U;

	for (const char *p = rule; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 16777619U;
	for (const char *p = object_name; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 16777619U;
	return h;
}

struct alarm *
alarm_new(const char *rule, const char *object_kind, const char *object_name,
    const char *text)
{
	struct alarm *a = mem_alloc(sizeof(*a));

	(void)uuid_make(a->uuid);
	a->rule = mem_strdup(rule);
	a->object_kind = mem_strdup(object_kind);
	a->object_name = mem_strdup(object_name);
	a->text = mem_strdup(text);
	a->severity = SEVERITY_INDETERMINATE;
	a->key = key_of(rule, object_name);
	a->revision = 1;
	return a;
}

void
alarm_free(struct alarm *a)
{
	if (a == NULL)
		return;
	free(a->rule);
	free(a->object_kind);
	free(a->object_name);
	free(a->text);
	free(a);
}

bool
alarm_active(const struct alarm *a)
{
	return a->cleared_at.ns == 0;
}

static bool
is_about(const struct alarm *a, uint32_t key, const char *rule, const char *object_name)
{
	return a->key == key && strcmp(a->rule, rule) == 0 &&
	    strcmp(a->object_name, object_name) == 0;
}

static void
insert(struct book *b, struct alarm *a)
{
	TAILQ_INSERT_TAIL(&b->list, a, all);
	LIST_INSERT_HEAD(&b->buckets[a->key % BOOK_BUCKETS], a, bucket);
}

/* The latest about this object, over or not. */
static struct alarm *
latest(const struct book *b, const char *rule, const char *object_name)
{
	uint32_t key = key_of(rule, object_name);
	struct alarm *a;

	LIST_FOREACH (a, &b->buckets[key % BOOK_BUCKETS], bucket)
		if (is_about(a, key, rule, object_name))
			return a;
	return NULL;
}

struct alarm *
book_find(const struct book *b, const char *rule, const char *object_name)
{
	struct alarm *a = latest(b, rule, object_name);

	return a != NULL && alarm_active(a) ? a : NULL;
}

size_t
book_active(const struct book *b)
{
	const struct alarm *a;
	size_t n = 0;

	TAILQ_FOREACH (a, &b->list, all)
		n += alarm_active(a);
	return n;
}

void
book_forget(struct book *b, struct alarm *a)
{
	TAILQ_REMOVE(&b->list, a, all);
	LIST_REMOVE(a, bucket);
	alarm_free(a);
}

/* ---- telling */

static void
tell(struct book *b, struct alarm *a, enum notice_kind kind, const char *text,
    struct moment now)
{
	struct notice *n = notice_new(kind, now.at);

	a->revision++;
	a->told_ns = now.ns;
	if (kind != NOTICE_CLEAR)
		a->times++;
	n->severity = a->severity;
	n->times = a->times;
	memcpy(n->alarm_uuid, a->uuid, sizeof(n->alarm_uuid));
	memcpy(n->object_uuid, a->object_uuid, sizeof(n->object_uuid));
	notice_texts(n, a->rule, a->object_kind, a->object_name, text);
	if (kind == NOTICE_CLEAR)
		log_info("alarm %s %s: %s: %s", a->rule, a->object_name,
		    notice_word(kind), text);
	else
		log_warning("alarm %s %s: %s: %s", a->rule, a->object_name,
		    notice_word(kind), text);
	b->emit(b->context, n);
}

static void
cleared_text(const struct alarm *a, const char *text, char out[TEXT_ROOM])
{
	const char *format = rule_named(a->rule)->cleared;
	const char *mark = strstr(format, "%s");

	if (text != NULL && text[0] != '\0')
		(void)snprintf(out, TEXT_ROOM, "%s", text);
	else if (mark != NULL)
		(void)snprintf(out, TEXT_ROOM, "%.*s%.300s%s", (int)(mark - format),
		    format, a->object_name, mark + 2);
}

static void
over(struct book *b, struct alarm *a, const char *text, struct moment now)
{
	char words[TEXT_ROOM] = "";

	cleared_text(a, text, words);
	a->cleared_at = instant_floor(now.at, NS_PER_US);
	if (a->cleared_at.ns < a->raised_at.ns)
		a->cleared_at = a->raised_at; /* the clock was set back */
	a->changed_at = a->cleared_at;
	a->flapping = false;
	tell(b, a, NOTICE_CLEAR, words, now);
}

/* ---- flapping */

static void
raise_remember(struct alarm *a, int64_t now_ns)
{
	if (a->raises == ALARM_RAISES_KEPT) {
		memmove(a->raises_ns, a->raises_ns + 1,
		    sizeof(a->raises_ns) - sizeof(a->raises_ns[0]));
		a->raises--;
	}
	a->raises_ns[a->raises++] = now_ns;
}

static int
raises_within(const struct alarm *a, int64_t now_ns, int64_t window_ns)
{
	int n = 0;

	for (size_t i = 0; i < a->raises; i++)
		n += now_ns - a->raises_ns[i] <= window_ns;
	return n;
}

static bool
flaps(const struct book *b, const struct alarm *a, int64_t now_ns)
{
	return b->settings.flap_raises > 0 &&
	    raises_within(a, now_ns, b->settings.flap_window_ns) >=
	    b->settings.flap_raises;
}

static int64_t
calm_ns(const struct book *b)
{
	return b->settings.flap_window_ns / 2;
}

static void
flapping_tell(struct book *b, struct alarm *a, struct moment now)
{
	char text[TEXT_ROOM];

	a->flapping = true;
	(void)snprintf(text, sizeof(text),
	    "flapping: went wrong %d times within %lld s; told again when it keeps one "
	    "state for %lld s: %.700s",
	    raises_within(a, now.ns, b->settings.flap_window_ns),
	    (long long)(b->settings.flap_window_ns / NS_PER_S),
	    (long long)(calm_ns(b) / NS_PER_S), a->text);
	tell(b, a, NOTICE_RAISE, text, now);
}

static void
calm_check(struct book *b, struct alarm *a, struct moment now)
{
	char text[TEXT_ROOM];

	if (!a->flapping || now.ns - a->turned_ns < calm_ns(b))
		return;
	if (!a->wrong) {
		over(b, a, NULL, now);
		return;
	}
	a->flapping = false;
	(void)snprintf(text, sizeof(text),
	    "flaps no longer, it is wrong for good: %.900s", a->text);
	tell(b, a, NOTICE_CHANGE, text, now);
}

/* ---- conditions */

static struct alarm *
alarm_begin(struct book *b, const struct condition *c, const struct alarm *earlier,
    struct moment now)
{
	struct alarm *a = alarm_new(c->name, c->rule->object_kind, c->object_name,
	    c->text);

	if (c->object_uuid != NULL)
		(void)snprintf(a->object_uuid, sizeof(a->object_uuid), "%.36s",
		    c->object_uuid);
	a->severity = c->severity != 0 ? c->severity : c->rule->severity;
	a->raised_at = instant_floor(now.at, NS_PER_US);
	a->changed_at = a->raised_at;
	a->round = b->round;
	if (earlier != NULL) {
		memcpy(a->raises_ns, earlier->raises_ns, sizeof(a->raises_ns));
		a->raises = earlier->raises;
	}
	insert(b, a);
	return a;
}

static void
text_change(struct alarm *a, const char *text)
{
	char *fresh = mem_strdup(text);

	free(a->text);
	a->text = fresh;
}

static void
severity_check(struct book *b, struct alarm *a, const struct condition *c,
    struct moment now)
{
	enum severity severity = c->severity != 0 ? c->severity : c->rule->severity;

	if (a->severity == severity)
		return;
	a->severity = severity;
	a->changed_at = instant_floor(now.at, NS_PER_US);
	text_change(a, c->text);
	if (!a->flapping)
		tell(b, a, NOTICE_CHANGE, c->text, now);
}

static void
turned_wrong(struct alarm *a, struct moment now)
{
	a->wrong = true;
	a->turned_ns = now.ns;
	a->count++;
	a->revision++;
	raise_remember(a, now.ns);
}

void
book_wrong(struct book *b, const struct condition *c, struct moment now)
{
	struct alarm *known = latest(b, c->name, c->object_name);
	struct alarm *a = known != NULL && alarm_active(known) ? known : NULL;

	if (c->rule->off)
		return;
	if (a != NULL) {
		a->round = b->round;
		a->unreported_ns = 0;
		if (!a->wrong)
			turned_wrong(a, now);
		severity_check(b, a, c, now);
		return;
	}
	a = alarm_begin(b, c, known, now);
	turned_wrong(a, now);
	if (flaps(b, a, now.ns))
		flapping_tell(b, a, now);
	else
		tell(b, a, NOTICE_RAISE, a->text, now);
}

static void
turned_right(struct book *b, struct alarm *a, const char *text, struct moment now)
{
	if (!a->flapping) {
		a->wrong = false;
		a->turned_ns = now.ns;
		over(b, a, text, now);
	} else if (a->wrong) {
		a->wrong = false;
		a->turned_ns = now.ns;
		a->revision++;
	}
}

void
book_right(struct book *b, const char *rule, const char *object_name, const char *text,
    struct moment now)
{
	struct alarm *a = book_find(b, rule, object_name);

	if (a != NULL)
		turned_right(b, a, text, now);
}

void
book_observe(struct book *b, enum rule_id rule, const struct condition *list,
    size_t count, struct moment now)
{
	struct alarm *a;

	b->round++;
	for (size_t i = 0; i < count; i++)
		book_wrong(b, &list[i], now);
	TAILQ_FOREACH (a, &b->list, all)
		if (alarm_active(a) && a->round != b->round &&
		    strcmp(a->rule, rule_of(rule)->name) == 0)
			turned_right(b, a, NULL, now);
}

/* ---- time */

static void
repeat_check(struct book *b, struct alarm *a, struct moment now)
{
	if (b->settings.repeat_ns > 0 && a->wrong && !a->acknowledged && !a->flapping &&
	    now.ns - a->told_ns >= b->settings.repeat_ns)
		tell(b, a, NOTICE_RAISE, a->text, now);
}

static void
report_check(struct book *b, struct alarm *a, int64_t passed_ns, struct moment now)
{
	if (rule_named(a->rule)->source != RULE_BY_PROGRAMS || !a->wrong)
		return;
	a->unreported_ns += passed_ns;
	if (a->unreported_ns >= b->settings.report_ns)
		turned_right(b, a, "the program that reported it does so no longer", now);
}

void
book_tick(struct book *b, struct moment now)
{
	int64_t passed_ns = b->ticked_ns != 0 ? now.ns - b->ticked_ns : 0;
	struct alarm *a;

	b->ticked_ns = now.ns;
	if (passed_ns > TICK_MOST_NS)
		passed_ns = TICK_MOST_NS;
	TAILQ_FOREACH (a, &b->list, all) {
		if (alarm_active(a))
			report_check(b, a, passed_ns, now);
		if (alarm_active(a))
			calm_check(b, a, now);
		if (alarm_active(a))
			repeat_check(b, a, now);
	}
}

void
book_acknowledge(struct book *b, const char *uuid, bool acknowledged)
{
	struct alarm *a;

	TAILQ_FOREACH (a, &b->list, all)
		if (alarm_active(a) && strcmp(a->uuid, uuid) == 0)
			a->acknowledged = acknowledged;
}

void
book_adopt(struct book *b, struct alarm *a, struct moment now)
{
	struct alarm *mine = latest(b, a->rule, a->object_name);

	/* What flapped before the restart is given its time again. */
	a->told_ns = a->turned_ns = now.ns;
	if (mine != NULL && strcmp(mine->uuid, a->uuid) == 0) {
		alarm_free(a);
		return;
	}
	insert(b, a);
	if (mine == NULL || !alarm_active(mine))
		return;
	/* The active one must stay the latest. */
	LIST_REMOVE(mine, bucket);
	LIST_INSERT_HEAD(&b->buckets[mine->key % BOOK_BUCKETS], mine, bucket);
	if (alarm_active(a))
		over(b, a, "told again under another id, since the journal was lost",
		    now);
}

/* ---- on disk */

void
alarm_write(const struct alarm *a, struct buf *out)
{
	struct jout j = JOUT_INIT(out);
	char when[CLOCK_TEXT_MAX];

	jout_open(&j, NULL, '{');
	jout_string(&j, "uuid", a->uuid);
	jout_string(&j, "rule", a->rule);
	jout_string(&j, "object_kind", a->object_kind);
	jout_string(&j, "object_uuid", a->object_uuid);
	jout_string(&j, "object_name", a->object_name);
	jout_string(&j, "severity", severity_word(a->severity));
	jout_string(&j, "text", a->text);
	jout_string(&j, "raised", instant_text(a->raised_at, when));
	jout_string(&j, "changed", instant_text(a->changed_at, when));
	if (!alarm_active(a))
		jout_string(&j, "cleared", instant_text(a->cleared_at, when));
	jout_number(&j, "count", a->count);
	jout_number(&j, "times", a->times);
	jout_bool(&j, "wrong", a->wrong);
	jout_bool(&j, "flapping", a->flapping);
	jout_number(&j, "revision", a->revision);
	jout_close(&j, '}');
}

static const char *
text_of(const struct jval *v, const char *key)
{
	const char *text = json_text(json_get(v, key));

	return text != NULL ? text : "";
}

static int
count_of(const struct jval *v, const char *key)
{
	struct err ignored = ERR_INIT;
	int64_t n = 0;

	return json_i64(&n, json_get(v, key), &ignored) && n > 0 && n < INT32_MAX ? (int)n
										  : 0;
}

static bool
alarm_fields(struct alarm *a, const struct jval *v, struct err *e)
{
	const char *cleared = json_text(json_get(v, "cleared"));

	(void)snprintf(a->uuid, sizeof(a->uuid), "%.36s", text_of(v, "uuid"));
	(void)snprintf(a->object_uuid, sizeof(a->object_uuid), "%.36s",
	    text_of(v, "object_uuid"));
	a->severity = severity_named(text_of(v, "severity"));
	a->count = count_of(v, "count");
	a->times = count_of(v, "times");
	a->revision = count_of(v, "revision");
	a->wrong = json_bool(json_get(v, "wrong"), true);
	a->flapping = json_bool(json_get(v, "flapping"), false);
	return instant_parse(&a->raised_at, text_of(v, "raised"), e) &&
	    instant_parse(&a->changed_at, text_of(v, "changed"), e) &&
	    (cleared == NULL || instant_parse(&a->cleared_at, cleared, e));
}

bool
alarm_read(struct alarm **out, const char *text, struct err *e)
{
	struct json *doc = NULL;
	struct alarm *a;

	if (!json_parse(&doc, text, strlen(text), e))
		return false;
	const struct jval *v = json_root(doc);
	a = alarm_new(text_of(v, "rule"), text_of(v, "object_kind"),
	    text_of(v, "object_name"), text_of(v, "text"));
	if (!alarm_fields(a, v, e)) {
		json_free(doc);
		alarm_free(a);
		return false;
	}
	json_free(doc);
	*out = a;
	return true;
}
