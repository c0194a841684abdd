/* SPDX-License-Identifier: Apache-2.0 */
/* conf: one file of settings; every key is declared once, in conf.def */
#include "base/conf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_STANDARD "/etc/jeoul/jeoul.conf"
#define ENVIRONMENT_PREFIX "JEOUL_"

enum { VALUE_MAX = 4096, KEY_MAX = 64 };

struct key {
	const char *name;
	enum conf_type type;
	const char *range;
	const char *standard;
	bool secret;
	const char *help;
};

#define CONF_KEY(id, key, type, range, standard, secret, help)                           \
	{ key, type, range, standard, secret, help },
static const struct key keys[CONF_COUNT] = {
#include "base/conf.def"
};
#undef CONF_KEY

struct setting {
	char *text;     /* as written */
	int64_t number; /* of spans, sizes and numbers */
	char *origin;
	enum conf_source source;
};

struct conf {
	struct setting list[CONF_COUNT];
};

struct unit {
	const char *word;
	int64_t factor;
};

static const struct unit span_units[] = { { "ns", 1 }, { "us", NS_PER_US },
	{ "ms", NS_PER_MS }, { "s", NS_PER_S }, { "min", 60 * NS_PER_S },
	{ "h", 3600 * NS_PER_S }, { "d", 86400 * NS_PER_S }, { NULL, 0 } };
static const struct unit size_units[] = { { "B", 1 }, { "KiB", INT64_C(1) << 10 },
	{ "MiB", INT64_C(1) << 20 }, { "GiB", INT64_C(1) << 30 },
	{ "TiB", INT64_C(1) << 40 }, { NULL, 0 } };

/* "60s" by a table of units; a bare number is refused, since 60 what? */
static bool
measure_parse(int64_t *out, const char *text, const struct unit *units)
{
	char *end = NULL;
	long long n;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0)
		return false;
	while (*end == ' ')
		end++;
	for (const struct unit *u = units; u->word != NULL; u++)
		if (strcmp(end, u->word) == 0)
			return !__builtin_mul_overflow((int64_t)n, u->factor, out);
	return false;
}

static bool
number_parse(int64_t *out, const char *text)
{
	char *end = NULL;

	errno = 0;
	*out = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == '\0';
}

static bool
type_parse(int64_t *out, enum conf_type type, const char *text)
{
	switch (type) {
	case CONF_SPAN:
		return measure_parse(out, text, span_units);
	case CONF_SIZE:
		return measure_parse(out, text, size_units);
	case CONF_NUMBER:
		return number_parse(out, text);
	case CONF_TEXT:
	case CONF_PATH:
	case CONF_CHOICE:
	case CONF_ENDPOINT:
	default:
		return true;
	}
}

static bool
listed(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *p = words; *p != '\0';) {
		size_t n = strcspn(p, " ");
		if (n == length && memcmp(p, word, n) == 0)
			return true;
		p += n + strspn(p + n, " ");
	}
	return false;
}

/* "min max" of the range column; an empty range allows all. */
static bool
within(const struct key *k, int64_t value)
{
	char low[KEY_MAX];
	char high[KEY_MAX];
	int64_t least = 0;
	int64_t most = 0;

	if (k->range[0] == '\0')
		return true;
	if (sscanf(k->range, "%63s %63s", low, high) != 2)
		return true;
	return type_parse(&least, k->type, low) && type_parse(&most, k->type, high) &&
	    value >= least && value <= most;
}

static bool
endpoint_ok(const char *text)
{
	const char *colon = strrchr(text, ':');
	int64_t port = 0;

	if (strncmp(text, "unix:/", 6) == 0)
		return text[6] != '\0';
	if (colon == NULL || colon == text || !number_parse(&port, colon + 1))
		return false;
	if (text[0] == '[' && colon[-1] != ']')
		return false;
	return port >= 1 && port <= 65535;
}

/* What to write instead, for the message. */
static const char *
example(const struct key *k)
{
	switch (k->type) {
	case CONF_SPAN:
		return "a time with its unit, as in 500ms, 60s or 5min";
	case CONF_SIZE:
		return "a size with its unit, as in 512KiB or 10GiB";
	case CONF_NUMBER:
		return "a whole number";
	case CONF_PATH:
		return "an absolute path";
	case CONF_ENDPOINT:
		return "address:port, [address]:port or unix:/path";
	case CONF_CHOICE:
		return k->range;
	case CONF_TEXT:
	default:
		return "text without control characters";
	}
}

static bool
value_ok(const struct key *k, const char *text, int64_t *number)
{
	if (strlen(text) >= VALUE_MAX)
		return false;
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	if (k->type == CONF_PATH)
		return text[0] == '/';
	if (k->type == CONF_CHOICE)
		return listed(k->range, text);
	if (k->type == CONF_ENDPOINT)
		return endpoint_ok(text);
	return type_parse(number, k->type, text) && within(k, *number);
}

/* Sets one key; where: "file:12", "environment", "flag", for message and origin. */
static bool
setting_put(struct conf *c, enum conf_id id, const char *text, enum conf_source source,
    const char *where, struct err *e)
{
	const struct key *k = &keys[id];
	struct setting *s = &c->list[id];
	int64_t number = 0;
	bool ranged = k->range[0] != '\0' && k->type != CONF_CHOICE;

	if (!value_ok(k, text, &number))
		return err_set(e, ERR_INPUT,
		    "%s: %s = \"%.80s\" is not valid: write %s%s%s%s", where, k->name,
		    k->secret ? "(secret)" : text,
		    k->type == CONF_CHOICE ? "one of: " : "", example(k),
		    ranged ? ", between (least most) " : "", ranged ? k->range : "");
	if (source < s->source)
		return true;
	free(s->text);
	free(s->origin);
	s->text = mem_strdup(text);
	s->origin = mem_strdup(where);
	s->number = number;
	s->source = source;
	return true;
}

struct conf *
conf_new(void)
{
	struct conf *c = mem_alloc(sizeof(*c));
	struct err e = ERR_INIT;

	for (int i = 0; i < CONF_COUNT; i++) {
		if (!setting_put(c, (enum conf_id)i, keys[i].standard, CONF_DEFAULT,
			"default", &e)) {
			log_error("%s", e.text);
			abort(); /* conf.def itself is wrong */
		}
	}
	return c;
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	for (int i = 0; i < CONF_COUNT; i++) {
		free(c->list[i].text);
		free(c->list[i].origin);
	}
	free(c);
}

static size_t
least_of(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Levenshtein's distance, for "did you mean". */
static size_t
distance(const char *a, const char *b)
{
	size_t row[KEY_MAX + 1];
	size_t n = strnlen(b, KEY_MAX);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t above = row[j];
			row[j] = least_of(above + 1, row[j - 1] + 1,
			    diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

/* The last part alone is what people get wrong: "listen" for "web.listen". */
static const char *
nearest(const char *name)
{
	const char *best = keys[0].name;
	size_t least = SIZE_MAX;

	for (int i = 0; i < CONF_COUNT; i++) {
		const char *tail = strchr(keys[i].name, '.');
		size_t d = distance(name, keys[i].name);
		size_t t = tail != NULL ? distance(name, tail + 1) + 1 : d;
		if (t < d)
			d = t;
		if (d < least) {
			least = d;
			best = keys[i].name;
		}
	}
	return best;
}

bool
conf_find(enum conf_id *id, const char *key, struct err *e)
{
	for (int i = 0; i < CONF_COUNT; i++) {
		if (strcmp(keys[i].name, key) == 0) {
			*id = (enum conf_id)i;
			return true;
		}
	}
	return err_set(e, ERR_INPUT,
	    "unknown setting \"%.60s\": did you mean \"%s\"? "
	    "(all settings: jeoul config show)",
	    key, nearest(key));
}

struct reader {
	struct conf *conf;
	const char *file;
	struct err *err;
	FILE *stream;
	int line;
	bool failed;
};

static char *
read_line(char *line, int room, void *context)
{
	struct reader *r = context;
	char *got = fgets(line, room, r->stream);

	if (got == NULL)
		return NULL;
	r->line++;
	if (strchr(line, '\n') == NULL && !feof(r->stream)) {
		r->failed = true;
		(void)err_set(r->err, ERR_INPUT, "%s:%d: line of more than %d bytes",
		    r->file, r->line, room - 2);
		return NULL;
	}
	return got;
}

static int
take_pair(void *context, const char *section, const char *name, const char *value)
{
	struct reader *r = context;
	char key[2 * KEY_MAX];
	char where[VALUE_MAX];
	enum conf_id id = CONF_STATE;

	if (r->failed)
		return 0;
	(void)snprintf(where, sizeof(where), "%s:%d", r->file, r->line);
	(void)snprintf(key, sizeof(key), "%.60s%s%.60s", section,
	    section[0] != '\0' ? "." : "", name);
	if (!conf_find(&id, key, r->err))
		r->failed = !err_wrap(r->err, "%s", where);
	else if (!setting_put(r->conf, id, value, CONF_FILE, where, r->err))
		r->failed = true;
	return r->failed ? 0 : 1;
}

static void
secrets_warn(const struct conf *c, const char *file, FILE *stream)
{
	struct stat st;

	if (fstat(fileno(stream), &st) != 0 || (st.st_mode & S_IROTH) == 0)
		return;
	for (int i = 0; i < CONF_COUNT; i++)
		if (keys[i].secret && c->list[i].source == CONF_FILE)
			log_warning("%s: holds the secret %s and everybody may read it: "
				    "chmod 640 %s",
			    file, keys[i].name, file);
}

static bool
file_load(struct conf *c, const char *file, bool named, struct err *e)
{
	struct reader r = { .conf = c,
		.file = file,
		.err = e,
		.line = 0,
		.failed = false };
	int bad;

	r.stream = fopen(file, "re");
	if (r.stream == NULL && errno == ENOENT && !named)
		return true;
	if (r.stream == NULL)
		return err_errno(e, ERR_INPUT, errno, "configuration %s", file);
	bad = ini_parse_stream(read_line, &r, take_pair, &r);
	if (bad == 0 && !r.failed)
		secrets_warn(c, file, r.stream);
	(void)fclose(r.stream); /* was only read */
	if (r.failed)
		return false;
	if (bad != 0)
		return err_set(e, ERR_INPUT,
		    "%s:%d: no \"key = value\" and no \"[section]\"", file, bad);
	return true;
}

/* JEOUL_WEB_LISTEN -> web.listen: the first underscore that gives a known key. */
static bool
environment_key(const char *name, size_t length, enum conf_id *id)
{
	for (int i = 0; i < CONF_COUNT; i++) {
		const char *k = keys[i].name;
		size_t n = 0;
		for (; n < length && k[n] != '\0'; n++)
			if (name[n] !=
			    (k[n] == '.' ? '_' : (char)toupper((unsigned char)k[n])))
				break;
		if (n == length && k[n] == '\0') {
			*id = (enum conf_id)i;
			return true;
		}
	}
	return false;
}

/* Names that belong to our programs, not to the configuration. */
static bool
environment_reserved(const char *name, size_t length)
{
	static const char *const reserved[] = { "CONF_FD", "API_KEY", "SECRET_KEY", "URL",
		"VECTORS", "GUARD", "CONFIG" };

	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (strlen(reserved[i]) == length &&
		    memcmp(reserved[i], name, length) == 0)
			return true;
	return strncmp(name, "TEST_", 5) == 0;
}

static bool
environment_load(struct conf *c, struct err *e)
{
	size_t prefix = strlen(ENVIRONMENT_PREFIX);

	for (char **p = environ; *p != NULL; p++) {
		const char *name = *p + prefix;
		const char *equals = strchr(*p, '=');
		enum conf_id id = CONF_STATE;
		char where[128];
		if (equals == NULL || strncmp(*p, ENVIRONMENT_PREFIX, prefix) != 0)
			continue;
		size_t length = (size_t)(equals - name);
		if (environment_reserved(name, length))
			continue;
		(void)snprintf(where, sizeof(where), "environment %.*s",
		    (int)(equals - *p), *p);
		if (!environment_key(name, length, &id)) {
			char key[KEY_MAX + 1] = "";
			for (size_t i = 0; i < length && i < KEY_MAX; i++)
				key[i] = name[i] == '_'
				    ? '.'
				    : (char)tolower((unsigned char)name[i]);
			return err_set(e, ERR_INPUT,
			    "%s: unknown setting: did you mean \"%s\"?", where,
			    nearest(key));
		}
		if (!setting_put(c, id, equals + 1, CONF_ENVIRONMENT, where, e))
			return false;
	}
	return true;
}

static bool
flag_load(struct conf *c, const char *flag, struct err *e)
{
	const char *equals = strchr(flag, '=');
	char key[KEY_MAX + 1];
	enum conf_id id = CONF_STATE;

	if (equals == NULL || (size_t)(equals - flag) > KEY_MAX)
		return err_set(e, ERR_INPUT, "flag \"%.60s\": write key=value", flag);
	(void)snprintf(key, sizeof(key), "%.*s", (int)(equals - flag), flag);
	if (!conf_find(&id, key, e))
		return err_wrap(e, "flag");
	return setting_put(c, id, equals + 1, CONF_FLAG, "flag", e);
}

bool
conf_load(struct conf *c, const char *file, const char *const *flags, size_t flag_count,
    struct err *e)
{
	struct conf *fresh = conf_new();
	bool ok = file_load(fresh, file != NULL ? file : FILE_STANDARD, file != NULL,
		      e) &&
	    environment_load(fresh, e);

	for (size_t i = 0; ok && i < flag_count; i++)
		ok = flag_load(fresh, flags[i], e);
	if (ok) {
		struct conf old = *c;
		*c = *fresh;
		*fresh = old;
	}
	conf_free(fresh);
	return ok;
}

void
conf_dump(const struct conf *c, struct buf *out)
{
	for (int i = 0; i < CONF_COUNT; i++)
		buf_printf(out, "%s=%s\n", keys[i].name, c->list[i].text);
}

bool
conf_undump(struct conf *c, const char *text, struct err *e)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		scoped_free char *line = mem_strndup(text, n);
		if (!flag_load(c, line, e))
			return false;
		text += n + (text[n] == '\n');
	}
	return true;
}

const char *
conf_text(const struct conf *c, enum conf_id id)
{
	return c->list[id].text;
}

int64_t
conf_span_ns(const struct conf *c, enum conf_id id)
{
	return c->list[id].number;
}

uint64_t
conf_size(const struct conf *c, enum conf_id id)
{
	return (uint64_t)c->list[id].number;
}

int64_t
conf_number(const struct conf *c, enum conf_id id)
{
	return c->list[id].number;
}

const char *
conf_key(enum conf_id id)
{
	return keys[id].name;
}

const char *
conf_help(enum conf_id id)
{
	return keys[id].help;
}

const char *
conf_default(enum conf_id id)
{
	return keys[id].standard;
}

const char *
conf_shown(const struct conf *c, enum conf_id id)
{
	return keys[id].secret && c->list[id].text[0] != '\0' ? "(secret)"
							      : c->list[id].text;
}

const char *
conf_origin(const struct conf *c, enum conf_id id)
{
	return c->list[id].origin;
}
