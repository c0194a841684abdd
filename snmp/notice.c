/* SPDX-License-Identifier: Apache-2.0 */
/* notice: one transition of an alarm, and the letters that carry it to the receivers */
#include "snmp/notice.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char *const kind_words[] = { "raise", "change", "clear" };
static const char *const severity_words[] = { "", "cleared", "indeterminate", "critical",
	"major", "minor", "warning" };
/* Out is waiting to everybody else: whether it arrived is not known yet. */
static const char *const letter_words[] = { "waiting", "waiting", "told", "confirmed",
	"dropped" };

const char *
notice_word(enum notice_kind kind)
{
	return kind_words[kind];
}

const char *
severity_word(enum severity severity)
{
	return severity_words[severity];
}

const char *
letter_word(enum letter_state state)
{
	return letter_words[state];
}

static size_t
word_index(const char *const *words, size_t count, const char *word, size_t otherwise)
{
	for (size_t i = 0; word != NULL && i < count; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return otherwise;
}

enum severity
severity_named(const char *word)
{
	return (enum severity)word_index(severity_words, ARRAY_LEN(severity_words), word,
	    SEVERITY_INDETERMINATE);
}

enum severity
notice_severity(const struct notice *n)
{
	return n->kind == NOTICE_CLEAR ? SEVERITY_CLEARED : n->severity;
}

const char *
uuid_make(char out[UUID_ROOM])
{
	unsigned char b[16];
	int n = 0;

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		abort(); /* a kernel without random numbers runs nothing of ours */
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(b); i++)
		n += snprintf(out + n, (size_t)(UUID_ROOM - n), "%02x%s", b[i],
		    i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
	return out;
}

struct notice *
notice_new(enum notice_kind kind, struct instant at)
{
	struct notice *n = mem_alloc(sizeof(*n));

	(void)uuid_make(n->uuid);
	n->kind = kind;
	n->at = instant_floor(at, NS_PER_US);
	n->severity = SEVERITY_INDETERMINATE;
	n->revision = 1;
	notice_texts(n, "", "", "", "");
	return n;
}

void
notice_texts(struct notice *n, const char *rule, const char *object_kind,
    const char *object_name, const char *text)
{
	free(n->rule);
	free(n->object_kind);
	free(n->object_name);
	free(n->text);
	n->rule = mem_strdup(rule);
	n->object_kind = mem_strdup(object_kind);
	n->object_name = mem_strdup(object_name);
	n->text = mem_strdup(text);
}

void
notice_free(struct notice *n)
{
	if (n == NULL)
		return;
	for (size_t i = 0; i < n->letter_count; i++)
		free(n->letters[i].to);
	free(n->letters);
	free(n->rule);
	free(n->object_kind);
	free(n->object_name);
	free(n->text);
	free(n);
}

void
notice_address(struct notice *n, const char *const *names, size_t count)
{
	n->letters = mem_array(count, sizeof(*n->letters));
	n->letter_count = count;
	for (size_t i = 0; i < count; i++) {
		n->letters[i].notice = n;
		n->letters[i].to = mem_strdup(names[i]);
	}
}

bool
notice_same_object(const struct notice *a, const struct notice *b)
{
	return strcmp(a->object_name, b->object_name) == 0 &&
	    strcmp(a->rule, b->rule) == 0;
}

bool
letter_ended(const struct letter *l)
{
	return l->state >= LETTER_TOLD;
}

bool
notice_settled(const struct notice *n)
{
	for (size_t i = 0; i < n->letter_count; i++)
		if (!letter_ended(&n->letters[i]))
			return false;
	return true;
}

/* ---- on disk */

static void
letter_write(const struct letter *l, struct jout *j)
{
	char when[CLOCK_TEXT_MAX];

	jout_open(j, NULL, '{');
	jout_string(j, "to", l->to);
	jout_string(j, "state", letter_word(l->state));
	jout_number(j, "attempts", l->attempts);
	jout_bool(j, "copied", l->copied);
	if (letter_ended(l))
		jout_string(j, "ended", instant_text(l->ended, when));
	jout_string(j, "error", l->error);
	jout_close(j, '}');
}

void
notice_write(const struct notice *n, struct buf *out)
{
	struct jout j = JOUT_INIT(out);
	char when[CLOCK_TEXT_MAX];

	jout_open(&j, NULL, '{');
	jout_string(&j, "uuid", n->uuid);
	jout_number(&j, "seq", n->seq);
	jout_string(&j, "kind", notice_word(n->kind));
	jout_string(&j, "at", instant_text(n->at, when));
	jout_string(&j, "severity", severity_word(n->severity));
	jout_number(&j, "times", n->times);
	jout_string(&j, "alarm", n->alarm_uuid);
	jout_string(&j, "rule", n->rule);
	jout_string(&j, "object_kind", n->object_kind);
	jout_string(&j, "object_uuid", n->object_uuid);
	jout_string(&j, "object_name", n->object_name);
	jout_string(&j, "text", n->text);
	jout_number(&j, "revision", n->revision);
	jout_open(&j, "letters", '[');
	for (size_t i = 0; i < n->letter_count; i++)
		letter_write(&n->letters[i], &j);
	jout_close(&j, ']');
	jout_close(&j, '}');
}

static const char *
text_of(const struct jval *object, const char *key)
{
	const char *text = json_text(json_get(object, key));

	return text != NULL ? text : "";
}

static int
count_of(const struct jval *object, const char *key)
{
	struct err ignored = ERR_INIT;
	int64_t n = 0;

	if (!json_i64(&n, json_get(object, key), &ignored) || n < 0 || n > INT32_MAX)
		return 0;
	return (int)n;
}

static void
letter_read(struct letter *l, const struct jval *v)
{
	struct err ignored = ERR_INIT;

	l->to = mem_strdup(text_of(v, "to"));
	l->state = (enum letter_state)word_index(letter_words, ARRAY_LEN(letter_words),
	    text_of(v, "state"), LETTER_WAITING);
	l->attempts = count_of(v, "attempts");
	l->copied = json_bool(json_get(v, "copied"), false);
	if (!instant_parse(&l->ended, text_of(v, "ended"), &ignored))
		l->ended = (struct instant){ 0 };
	(void)snprintf(l->error, sizeof(l->error), "%.190s", text_of(v, "error"));
}

static void
letters_read(struct notice *n, const struct jval *list)
{
	size_t i = 0;

	n->letter_count = json_count(list);
	n->letters = mem_array(n->letter_count + 1, sizeof(*n->letters));
	for (const struct jval *v = json_first(list); v != NULL && i < n->letter_count;
	     v = json_next(v)) {
		n->letters[i].notice = n;
		letter_read(&n->letters[i++], v);
	}
}

static struct notice *
fields_read(const struct jval *v, struct instant at)
{
	size_t kind = word_index(kind_words, ARRAY_LEN(kind_words), text_of(v, "kind"),
	    NOTICE_CHANGE);
	struct notice *n = notice_new((enum notice_kind)kind, at);

	(void)snprintf(n->uuid, sizeof(n->uuid), "%.36s", text_of(v, "uuid"));
	(void)snprintf(n->alarm_uuid, sizeof(n->alarm_uuid), "%.36s",
	    text_of(v, "alarm"));
	(void)snprintf(n->object_uuid, sizeof(n->object_uuid), "%.36s",
	    text_of(v, "object_uuid"));
	n->severity = severity_named(text_of(v, "severity"));
	n->times = count_of(v, "times");
	n->revision = count_of(v, "revision");
	notice_texts(n, text_of(v, "rule"), text_of(v, "object_kind"),
	    text_of(v, "object_name"), text_of(v, "text"));
	letters_read(n, json_get(v, "letters"));
	return n;
}

bool
notice_read(struct notice **out, const char *text, struct err *e)
{
	struct json *doc = NULL;
	struct instant at;
	int64_t seq = 0;
	bool ok;

	if (!json_parse(&doc, text, strlen(text), e))
		return false;
	const struct jval *v = json_root(doc);
	ok = json_i64(&seq, json_get(v, "seq"), e) &&
	    instant_parse(&at, text_of(v, "at"), e);
	if (ok) {
		*out = fields_read(v, at);
		(*out)->seq = seq;
	}
	json_free(doc);
	return ok;
}
