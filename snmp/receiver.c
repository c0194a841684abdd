/* SPDX-License-Identifier: Apache-2.0 */
/* receiver: a NOC's address with its outbox and the way to it */
#include "snmp/receiver.h"
#include "base/log.h"
#include "base/mem.h"
#include "snmp/link.h"
#include "snmp/syslog.h"
#include "snmp/tls.h"
#include "snmp/trap.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PER_TICK_MOST = 250, /* a thousand a second: more would be lost on the way */
	INFORMS_OUT_MOST = 32,
	STREAM_OUT_MOST = 512,
	WORD_MOST = 255,
};

/* ARP gives up after three seconds; only then the kernel says "no route to host". */
#define DATAGRAM_SETTLE_NS (4 * NS_PER_S)
/* A receiver that is killed takes what it had not written down with it. */
#define STREAM_SETTLE_NS (5 * NS_PER_S)

struct receiver {
	char *name;
	struct outbox outbox;
	enum trap_mode mode;
	struct trap_link *trap; /* either this */
	struct link *link;      /* or that */
	const struct sender *sender;
	struct event *kick; /* drives soon, never from within a callback of a library */
	int budget;
	bool told; /* the log knows that it is away */
};

const char *
receiver_name(const struct receiver *r)
{
	return r->name;
}

const struct outbox *
receiver_outbox(const struct receiver *r)
{
	return &r->outbox;
}

/* ---- what comes back */

static void
away(struct receiver *r, const char *why)
{
	if (!r->told)
		log_warning("receiver %s: %s: %zu wait, tried again until it is back",
		    r->name, why, r->outbox.count);
	r->told = true;
}

static void
back(struct receiver *r)
{
	if (r->told)
		log_info("receiver %s: is back, %zu wait", r->name, r->outbox.count);
	r->told = false;
}

static void
refused(void *context, const char *why)
{
	struct receiver *r = context;

	if (r->outbox.count != 0)
		away(r, why);
	outbox_refused(&r->outbox, clock_mono().ns, why);
	if (r->trap != NULL)
		trap_reset(r->trap);
}

static struct letter *
letter_of(const struct receiver *r, int64_t seq)
{
	struct letter *l;

	TAILQ_FOREACH (l, &r->outbox.queue, queue)
		if (l->notice->seq == seq)
			return l;
	return NULL;
}

static void
answered(void *context, int64_t seq)
{
	struct receiver *r = context;
	struct letter *l = letter_of(r, seq);

	back(r);
	if (l != NULL)
		outbox_confirmed(&r->outbox, l, clock_now());
	event_active(r->kick, 0, 0);
}

static void
silent(void *context, int64_t seq, const char *why)
{
	struct receiver *r = context;
	struct letter *l = letter_of(r, seq);

	if (l == NULL || l->state != LETTER_OUT)
		return;
	away(r, why);
	outbox_silent(&r->outbox, l, clock_mono().ns, why);
	event_active(r->kick, 0, 0);
}

static void
forgotten(void *context, const char *why)
{
	struct receiver *r = context;

	outbox_silent_all(&r->outbox, clock_mono().ns, why);
}

static void
ready(void *context)
{
	struct receiver *r = context;

	event_active(r->kick, 0, 0);
}

/* ---- what goes */

static bool
way_ready(const struct receiver *r)
{
	return r->trap != NULL ? trap_ready(r->trap) : link_ready(r->link);
}

static bool
letter_send(struct receiver *r, const struct letter *l, struct err *e)
{
	scoped(buf_done) struct buf line = BUF_INIT;

	if (r->trap != NULL)
		return trap_send(r->trap, l->notice, r->outbox.rules.answered, e);
	syslog_format(&line, l->notice, r->sender->hostname, r->sender->enterprise);
	return link_send(r->link, line.data, line.length, e);
}

static void
letters_drive(struct receiver *r, int64_t now_ns)
{
	struct letter *l;

	while (r->budget > 0 && (l = outbox_next(&r->outbox, now_ns)) != NULL &&
	    way_ready(r)) {
		struct err e = ERR_INIT;
		r->budget--;
		/* First, since a connection that breaks now takes all back that went. */
		outbox_went(&r->outbox, l, now_ns);
		if (!letter_send(r, l, &e)) {
			refused(r, e.text);
			return;
		}
	}
}

/* A NOC that knows no informs sees each notification once, as a trap. */
static void
copies_drive(struct receiver *r, int64_t now_ns)
{
	struct letter *l;

	while (r->mode == TRAP_AUTO && r->budget > 0 &&
	    (l = outbox_next_copy(&r->outbox)) != NULL) {
		struct err e = ERR_INIT;
		r->budget--;
		outbox_copied(l, now_ns);
		if (!trap_send(r->trap, l->notice, false, &e)) {
			refused(r, e.text);
			return;
		}
	}
}

static void
drive(struct receiver *r)
{
	int64_t now_ns = clock_mono().ns;

	letters_drive(r, now_ns);
	copies_drive(r, now_ns);
}

static void
kicked(evutil_socket_t unused_fd unused, short unused_what unused, void *context)
{
	drive(context);
}

static void
tick(struct receiver *r)
{
	r->budget = PER_TICK_MOST;
	if (r->trap != NULL)
		trap_tick(r->trap);
	if (r->link == NULL || link_quiet(r->link))
		if (outbox_settle(&r->outbox, clock_mono().ns, clock_now()) != 0)
			back(r);
	if (r->outbox.count > OUTBOX_LETTERS_MOST)
		log_warning("receiver %s: too many wait: %zu are dropped, the latest "
			    "about each object is kept",
		    r->name,
		    outbox_shrink(&r->outbox, (size_t)OUTBOX_LETTERS_MOST / 8 * 7,
			clock_now()));
	drive(r);
}

void
receivers_drive(struct receivers *r)
{
	for (size_t i = 0; i < r->count; i++)
		drive(r->list[i]);
}

void
receivers_tick(struct receivers *r)
{
	for (size_t i = 0; i < r->count; i++)
		tick(r->list[i]);
}

static struct receiver *
receiver_named(const struct receivers *r, const char *name)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->names[i], name) == 0)
			return r->list[i];
	return NULL;
}

void
receivers_take(struct receivers *r, struct notice *n)
{
	for (size_t i = 0; i < n->letter_count; i++) {
		struct letter *l = &n->letters[i];
		struct receiver *to = receiver_named(r, l->to);
		if (letter_ended(l))
			continue;
		if (to != NULL) {
			outbox_put(&to->outbox, l);
			continue;
		}
		l->state = LETTER_DROPPED;
		l->ended = clock_now();
		(void)snprintf(l->error, sizeof(l->error),
		    "no longer a receiver of the settings");
		n->revision++;
	}
}

/* ---- settings */

static struct receiver *
receiver_add(struct receivers *r, struct event_base *base, const char *kind,
    const char *word, struct err *e)
{
	struct receiver *one = mem_alloc(sizeof(*one));

	one->name = mem_printf("%s:%.*s", kind, (int)strcspn(word, ","), word);
	if (receiver_named(r, one->name) != NULL) {
		(void)err_set(e, ERR_INPUT, "receiver %s stands there twice", one->name);
		free(one->name);
		free(one);
		return NULL;
	}
	one->sender = &r->sender;
	one->budget = PER_TICK_MOST;
	one->kick = event_new(base, -1, 0, kicked, one);
	if (one->kick == NULL)
		abort();
	r->list = mem_resize(r->list, r->count + 1, sizeof(struct receiver *));
	r->names = mem_resize(r->names, r->count + 1, sizeof(char *));
	r->names[r->count] = one->name;
	r->list[r->count++] = one;
	return one;
}

static bool
trap_option(struct receiver *one, const char *option, const char **user, struct err *e)
{
	static const char *const modes
	    [] = { [TRAP_AUTO] = "auto", [TRAP_TRAP] = "trap", [TRAP_INFORM] = "inform" };

	if (strncmp(option, "user=", 5) == 0) {
		*user = option + 5;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (strcmp(option, modes[i]) == 0) {
			one->mode = (enum trap_mode)i;
			return true;
		}
	}
	return err_set(e, ERR_INPUT,
	    "%s: \"%.40s\" is not possible: write trap, inform, auto or user=NAME after "
	    "the address",
	    one->name, option);
}

/* "192.0.2.7:162,inform,user=noc" */
static bool
trap_add(struct receivers *r, struct event_base *base, const struct conf *conf,
    const char *word, struct err *e)
{
	struct receiver *one = receiver_add(r, base, "trap", word, e);
	scoped_free char *text = mem_strdup(word);
	char *rest = text;
	const char *address = strsep(&rest, ",");
	const char *user = NULL;
	struct trap_events events = { answered, silent, forgotten, refused, ready, one };

	if (one == NULL)
		return false;
	while (rest != NULL)
		if (!trap_option(one, strsep(&rest, ","), &user, e))
			return false;
	outbox_init(&one->outbox,
	    &(struct outbox_rules){ .answered = one->mode != TRAP_TRAP,
		.settle_ns = DATAGRAM_SETTLE_NS,
		.window = one->mode != TRAP_TRAP ? INFORMS_OUT_MOST
						 : OUTBOX_LETTERS_MOST });
	return trap_open(&one->trap, base, address, conf_text(conf, CONF_SNMP_COMMUNITY),
	    user, &events, e);
}

/* Read at the first receiver that wants it. */
static bool
trust_wanted(struct receivers *r, const struct conf *conf, const char *word,
    struct err *e)
{
	const struct tls_setup setup = { .ca = conf_text(conf, CONF_SYSLOG_TLS_CA),
		.cert = conf_text(conf, CONF_SYSLOG_TLS_CERT),
		.key = conf_text(conf, CONF_SYSLOG_TLS_KEY) };

	return strncmp(word, "tls:", 4) != 0 || r->trust != NULL ||
	    tls_trust_read(&r->trust, &setup, e);
}

static bool
syslog_add(struct receivers *r, struct event_base *base, const struct conf *conf,
    const char *word, struct err *e)
{
	struct receiver *one = receiver_add(r, base, "syslog", word, e);
	struct link_events events = { ready, refused, one };

	if (one == NULL || !trust_wanted(r, conf, word, e) ||
	    !link_open(&one->link, base, word, r->trust, &events, e))
		return false;
	bool stream = link_is_stream(one->link);
	outbox_init(&one->outbox,
	    &(struct outbox_rules){ .stream = stream,
		.settle_ns = stream ? STREAM_SETTLE_NS : DATAGRAM_SETTLE_NS,
		.window = stream ? STREAM_OUT_MOST : OUTBOX_LETTERS_MOST });
	return true;
}

typedef bool (*receiver_reader)(struct receivers *r, struct event_base *base,
    const struct conf *conf, const char *word, struct err *e);

static bool
words_each(struct receivers *r, struct event_base *base, const struct conf *conf,
    enum conf_id id, receiver_reader add, struct err *e)
{
	for (const char *p = conf_text(conf, id); *p != '\0';) {
		size_t n = strcspn(p, " ");
		scoped_free char *word = mem_strndup(p, n > WORD_MOST ? WORD_MOST : n);
		if (n != 0 && !add(r, base, conf, word, e))
			return false;
		p += n + strspn(p + n, " ");
	}
	return true;
}

/* The enterprise number in snmp.root, for the SD-ID; else the documentation's own. */
static void
sender_read(struct sender *s, const char *root)
{
	const char *prefix = "1.3.6.1.4.1.";

	(void)snprintf(s->enterprise, sizeof(s->enterprise), "32473");
	if (strncmp(root, prefix, strlen(prefix)) == 0)
		(void)snprintf(s->enterprise, sizeof(s->enterprise), "%.*s",
		    (int)strcspn(root + strlen(prefix), "."), root + strlen(prefix));
	if (gethostname(s->hostname, sizeof(s->hostname) - 1) != 0)
		s->hostname[0] = '\0';
}

bool
receivers_open(struct receivers *r, struct event_base *base, const struct conf *conf,
    struct err *e)
{
	*r = (struct receivers){ .count = 0 };
	sender_read(&r->sender, conf_text(conf, CONF_SNMP_ROOT));
	return words_each(r, base, conf, CONF_SNMP_TRAP, trap_add, e) &&
	    words_each(r, base, conf, CONF_SYSLOG_TARGET, syslog_add, e);
}
