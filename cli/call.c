/* SPDX-License-Identifier: Apache-2.0 */
/* call: nouns and verbs as operations of the API */
#include "base/mem.h"
#include "base/proc.h"
#include "cli/cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { JOB_WAIT_S = 120, FILE_MOST = 1 << 20, RECORDS_MOST = 1 << 26 };

#define VERB(noun, verb, op, first, columns) { noun, verb, OP_##op, first, columns },
const struct verb verbs[] = {
#include "cli/verb.def"
};
#undef VERB
const size_t verbs_count = ARRAY_LEN(verbs);

/* Parameters that are ids: by which list a name is looked up. */
static const struct lookup lookups[] = { { "serviceofferingid", "listServiceOfferings",
					     "name" },
	{ "templateid", "listTemplates", "name" }, { "tariffid", "listTariffs", "name" },
	{ "zoneid", "listZones", "name" }, { "hostid", "listHosts", "name" },
	{ "accountid", "listAccounts", "name" },
	{ "virtualmachineid", "listVirtualMachines", "name" },
	{ "volumeid", "listVolumes", "name" }, { "snapshotid", "listSnapshots", "name" },
	{ "vmsnapshotid", "listVMSnapshot", "name" }, { "isoid", "listIsos", "name" },
	{ "networkid", "listNetworks", "name" },
	{ "diskofferingid", "listDiskOfferings", "name" },
	{ "clusterid", "listClusters", "name" }, { "podid", "listPods", "name" },
	{ "domainid", "listDomains", "name" },
	{ "parentdomainid", "listDomains", "name" },
	{ "projectid", "listProjects", "name" },
	{ "dedicatedhostid", "listHosts", "name" } };
static const struct lookup id_lookups[] = { { "vm", "listVirtualMachines", "name" },
	{ "host", "listHosts", "name" }, { "user", "listUsers", "username" },
	{ "volume", "listVolumes", "name" }, { "snapshot", "listSnapshots", "name" },
	{ "iso", "listIsos", "name" }, { "template", "listTemplates", "name" },
	{ "disk-offering", "listDiskOfferings", "name" },
	{ "cluster", "listClusters", "name" }, { "pod", "listPods", "name" },
	{ "affinity", "listAffinityGroups", "name" },
	{ "account", "listAccounts", "name" }, { "domain", "listDomains", "name" },
	{ "project", "listProjects", "name" }, { "tariff", "listTariffs", "name" },
	{ "statement", "listStatements", "number" },
	{ "budget", "listBudgets", "name" } };
/* Short flags for people: --offering small. */
static const char *const aliases[][2] = { { "offering", "serviceofferingid" },
	{ "template", "templateid" }, { "tariff", "tariffid" }, { "zone", "zoneid" },
	{ "host", "hostid" }, { "vcpus", "cpunumber" }, { "user", "username" },
	/* --url is the command's own. */
	{ "from", "url" }, { "vm", "virtualmachineid" }, { "volume", "volumeid" },
	{ "snapshot", "snapshotid" }, { "iso", "isoid" }, { "network", "networkid" },
	{ "disk-offering", "diskofferingid" }, { "cluster", "clusterid" },
	{ "pod", "podid" }, { "domain", "domainid" }, { "parent", "parentdomainid" },
	{ "project", "projectid" } };

bool
noun_known(const char *noun)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].noun, noun) == 0)
			return true;
	return false;
}

static bool
is_uuid(const char *text)
{
	return strlen(text) == 36 && strspn(text, "0123456789abcdefABCDEF-") == 36;
}

/* How many letters two words share in order: enough to tell a slip of the finger. */
static size_t
likeness(const char *a, const char *b)
{
	size_t n = 0;

	for (const char *p = b; *a != '\0' && *p != '\0'; a++) {
		const char *hit = strchr(p, *a);
		if (hit != NULL) {
			n++;
			p = hit + 1;
		}
	}
	return n;
}

const char *
noun_nearest(const char *noun)
{
	static const char *const others[] = { "status", "doctor", "config", "help" };
	const char *best = "help";
	size_t most = 1;

	for (size_t i = 0; i < ARRAY_LEN(verbs) + ARRAY_LEN(others); i++) {
		const char *name = i < ARRAY_LEN(verbs) ? verbs[i].noun
							: others[i - ARRAY_LEN(verbs)];
		size_t n = likeness(noun, name) * 2;
		size_t lengths = strlen(noun) + strlen(name);
		if (n * 100 / (lengths + 1) > most) {
			most = n * 100 / (lengths + 1);
			best = name;
		}
	}
	return best;
}

static void
verb_help(const struct verb *v)
{
	const struct operation *op = &operations[v->op];

	(void)printf("  jeoul %s %s", v->noun, v->verb);
	if (v->first[0] != '\0')
		(void)printf(" %s",
		    strcmp(v->first, "document") == 0 || strcmp(v->first, "records") == 0
			? "FILE"
			: v->first);
	for (size_t i = 0; i < op->param_count; i++)
		if ((op->params[i].flags & REQUIRED) != 0 &&
		    strcmp(op->params[i].name, v->first) != 0)
			(void)printf(" --%s %s", op->params[i].name, "VALUE");
	(void)printf("\n      %s\n", op->description);
}

void
help_print(const char *noun)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (noun == NULL || strcmp(verbs[i].noun, noun) == 0)
			verb_help(&verbs[i]);
	if (noun == NULL || strcmp(noun, "tariff") == 0)
		tariff_help();
}

static const struct verb *
verb_find(const char *noun, const char *verb)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].noun, noun) == 0 && strcmp(verbs[i].verb, verb) == 0)
			return &verbs[i];
	return NULL;
}

bool
verb_takes(const char *noun, const char *verb, const char *flag)
{
	const struct verb *v = verb_find(noun, verb);

	return v != NULL && operation_param(&operations[v->op], flag) != NULL;
}

const struct lookup *
lookup_of(const struct verb *v, const char *param)
{
	for (size_t k = 0; k < ARRAY_LEN(lookups); k++)
		if (strcmp(param, lookups[k].param) == 0)
			return &lookups[k];
	for (size_t k = 0; k < ARRAY_LEN(id_lookups); k++)
		if (strcmp(param, "id") == 0 && strcmp(v->noun, id_lookups[k].param) == 0)
			return &id_lookups[k];
	return NULL;
}

/* A name where an id is wanted: asked for, and it must be the only one. */
bool
name_resolve(const struct cli *c, const char *list, const char *field, const char **value,
    struct err *e)
{
	struct cli_param p[] = { { field, *value }, { "listall", "true" },
		{ "templatefilter", "all" } };
	struct json *doc = NULL;
	const struct jval *rows = NULL;
	size_t found = 0;

	if (is_uuid(*value))
		return true;
	if (!client_call(c, list, p, ARRAY_LEN(p), &doc, e))
		return false;
	for (const struct jval *m = json_first(client_body(doc)); m != NULL;
	     m = json_next(m))
		if (json_type(m) == JSON_ARRAY)
			rows = m;
	for (const struct jval *r = json_first(rows); r != NULL; r = json_next(r)) {
		const char *name = json_text(json_get(r, field));
		if (name != NULL && strcmp(name, *value) == 0 && found++ == 0)
			*value = mem_strdup(
			    json_text(json_get(r, "id"))); /* as long as the command */
	}
	json_free(doc);
	if (found == 1)
		return true;
	return err_set(e, found == 0 ? ERR_NOT_FOUND : ERR_CONFLICT,
	    found == 0 ? "nothing is called \"%.80s\": see the list"
		       : "several are called \"%.80s\": use the id",
	    *value);
}

static bool
resolve_all(const struct cli *c, const struct verb *v, struct cli_param *params,
    size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		const struct lookup *l = lookup_of(v, params[i].name);
		if (l != NULL &&
		    !name_resolve(c, l->list, l->name_field, &params[i].value, e))
			return false;
	}
	return true;
}

static bool
file_read(const char *path, size_t most, const char **text, struct err *e)
{
	struct buf b = BUF_INIT;
	char piece[4096];
	size_t n;
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

	b.limit = most;
	if (f == NULL)
		return err_set(e, ERR_INPUT, "%s can't be read: is that the right path?",
		    path);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_add(&b, piece, n);
	if (f != stdin)
		(void)fclose(f);
	if (!buf_ok(&b))
		return err_set(e, ERR_INPUT, "%s is larger than %zu MiB", path,
		    most >> 20);
	if (b.length > 0 && memchr(b.data, '\0', b.length) != NULL)
		return err_set(e, ERR_INPUT,
		    "%s holds a byte 0: it is no text, or not saved as UTF-8", path);
	*text = buf_take(&b); /* as long as the command */
	return true;
}

const char *
flag_of(const char *param)
{
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (strcmp(param, aliases[i][1]) == 0)
			return aliases[i][0];
	return param;
}

const char *
param_name(const struct operation *op, const char *flag)
{
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (strcmp(flag, aliases[i][0]) == 0 &&
		    operation_param(op, aliases[i][1]) != NULL)
			return aliases[i][1];
	return flag;
}

/* What is true or false is true where nothing is said: gap list --open. */
static bool
true_alone(const struct operation *op, const char *flag, const char *next)
{
	const struct op_param *p = operation_param(op, param_name(op, flag));

	return p != NULL && p->type == TYPE_BOOLEAN &&
	    (next == NULL ||
		(strcasecmp(next, "true") != 0 && strcasecmp(next, "false") != 0));
}

/* --name value, --name=value, and one word that needs no flag. */
static bool
arguments_read(struct cli *c, const struct verb *v, int argc, char **argv,
    struct cli_param *params, size_t *count, struct err *e)
{
	const struct operation *op = &operations[v->op];
	bool first_taken = false;

	for (int i = 0; i < argc && *count < CLI_PARAMS_MOST; i++) {
		struct cli_param *p = &params[*count];
		if (strncmp(argv[i], "--", 2) != 0) {
			if (v->first[0] == '\0' || first_taken)
				return err_set(e, ERR_INPUT,
				    "\"%.60s\" is one word too many", argv[i]);
			first_taken = true;
			*p = (struct cli_param){ v->first, argv[i] };
		} else {
			char *equals = strchr(argv[i], '=');
			const char *next = i + 1 < argc ? argv[i + 1] : NULL;
			bool alone = equals == NULL && true_alone(op, argv[i] + 2, next);
			if (equals != NULL)
				*equals = '\0';
			else if (next == NULL && !alone)
				return err_set(e, ERR_INPUT, "%s needs a value", argv[i]);
			p->name = param_name(op, argv[i] + 2);
			p->value = equals != NULL ? equals + 1
			    : alone               ? "true"
						  : argv[++i];
			if (operation_param(op, p->name) == NULL &&
			    strncmp(p->name, "details[", 8) != 0 &&
			    strncmp(p->name, "tags[", 5) != 0)
				return err_set(e, ERR_INPUT,
				    "--%.60s is no flag of %s %s", p->name, v->noun,
				    v->verb);
		}
		if (strcmp(p->name, "document") == 0)
			c->file = p->value;
		if (strcmp(p->name, "document") == 0 &&
		    !file_read(p->value, FILE_MOST, &p->value, e))
			return false;
		if (strcmp(p->name, "records") == 0 &&
		    !file_read(p->value, RECORDS_MOST, &p->value, e))
			return false;
		/* JSON begins with a bracket, the names of columns don't. */
		if (strcmp(p->name, "records") == 0 &&
		    strchr("[{", p->value[strspn(p->value, " \t\r\n")]) == NULL)
			p->name = "csv";
		(*count)++;
	}
	return true;
}

/* A tariff file is called what it calls itself, or as the file. */
static void
defaults_add(const struct verb *v, int argc, char **argv, struct cli_param *params,
    size_t *count)
{
	bool named = false;

	for (size_t i = 0; i < *count; i++)
		named = named || strcmp(params[i].name, "name") == 0;
	if (v->op == OP_importTariff && !named && argc > 0) {
		char *base = mem_strdup(
		    strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0]);
		base[strcspn(base, ".")] = '\0';
		params[(*count)++] = (struct cli_param){ "name", base };
	}
	if (operations[v->op].form == FORM_LIST &&
	    operation_param(&operations[v->op], "listall") != NULL)
		params[(*count)++] = (struct cli_param){ "listall", "true" };
}

static bool
job_wait(const struct cli *c, const char *jobid, struct json **out, struct err *e)
{
	struct cli_param p[] = { { "jobid", jobid } };
	bool tty = isatty(STDERR_FILENO) == 1;

	for (int i = 0; i < JOB_WAIT_S * 5; i++) {
		struct timespec ts = { .tv_sec = 0, .tv_nsec = 200000000 };
		struct json *doc = NULL;
		int64_t status = 0;
		if (!client_call(c, "queryAsyncJobResult", p, 1, &doc, e))
			return false;
		if (!json_i64(&status, json_get(client_body(doc), "jobstatus"), e)) {
			json_free(doc);
			return false;
		}
		if (status == 1) {
			*out = doc;
			return true;
		}
		if (status != 0) {
			const struct jval *r = json_get(client_body(doc), "jobresult");
			const char *text = json_text(json_get(r, "errortext"));
			(void)err_set(e, ERR_INTERNAL, "%s",
			    text != NULL ? text : "the job failed");
			json_free(doc);
			return false;
		}
		json_free(doc);
		if (tty)
			(void)fprintf(stderr, "\r%c", "|/-\\"[i % 4]);
		(void)nanosleep(&ts, NULL);
	}
	return err_set(e, ERR_GONE,
	    "the job %s is not done after %d s: see jeoul job show %s", jobid, JOB_WAIT_S,
	    jobid);
}

/* The array of a list, or the object of a single answer as a list of one. */
static const struct jval *
rows_of(const struct jval *body, const struct jval **single)
{
	*single = NULL;
	for (const struct jval *m = json_first(body); m != NULL; m = json_next(m))
		if (json_type(m) == JSON_ARRAY)
			return m;
	for (const struct jval *m = json_first(body); m != NULL; m = json_next(m))
		if (json_type(m) == JSON_OBJECT)
			*single = m;
	if (*single == NULL)
		*single = body;
	return NULL;
}

static void
print_single(const struct jval *object, const char *columns)
{
	for (const char *p = columns; *p != '\0';) {
		size_t n = strcspn(p, " ");
		scoped_free char *name = mem_strndup(p, n);
		const struct jval *v = json_get(object, name);
		struct buf b = BUF_INIT;
		if (json_text(v) != NULL)
			buf_puts(&b, json_text(v));
		else if (v != NULL)
			json_write(&b, v);
		scoped_free char *shown = text_tame(buf_take(&b));
		if (v != NULL)
			(void)printf("%-16s %s\n", name, shown);
		p += n + strspn(p + n, " ");
	}
}

static void
print_bill(const struct cli *c, const struct jval *bill, const char *columns)
{
	const char *currency = json_text(json_get(bill, "currency"));
	static const char *const sums[] = { "subtotal", "tax", "total", "per_hour" };

	print_table(json_get(bill, "lines"), columns, c->color);
	(void)putchar('\n');
	for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
		const char *text = json_text(json_get(bill, sums[i]));
		if (text != NULL)
			(void)printf("%-10s %s %s\n", sums[i], text,
			    currency != NULL ? currency : "");
	}
}

/* As it is written for people, line by line. */
static void
print_text(const char *text)
{
	while (text != NULL && *text != '\0') {
		size_t n = strcspn(text, "\n");
		scoped_free char *line = text_tame(mem_strndup(text, n));

		(void)puts(line);
		text += n + (text[n] == '\n' ? 1 : 0);
	}
}

static void
print_answer(const struct cli *c, const struct verb *v, const struct jval *body)
{
	const struct jval *single = NULL;
	const struct jval *rows = rows_of(body, &single);
	struct buf b = BUF_INIT;

	if (c->json) {
		if (rows == NULL && single == body && json_count(body) == 0)
			buf_puts(&b, "[]");
		else
			json_write(&b, rows != NULL ? rows : single);
		(void)puts(buf_text(&b));
		buf_done(&b);
	} else if (v->op == OP_previewBill)
		print_bill(c, single, v->columns);
	else if (v->op == OP_estimateCost)
		cost_estimate_print(c, single, v->columns);
	else if (v->op == OP_getCostReport)
		cost_report_print(c, single, v->columns);
	else if (v->op == OP_explainCharge)
		print_text(json_text(json_get(single, "text")));
	else if (v->op == OP_exportTariff)
		tariff_print(single);
	else if (v->op == OP_simulateTariff)
		tariff_trial_print(rows, v->columns);
	else if (rows != NULL || operations[v->op].form == FORM_LIST)
		print_table(rows, v->columns, c->color);
	else
		print_single(single, v->columns);
}

static int
fail(const struct verb *v, const struct err *e)
{
	char what[128];
	char help[80];

	(void)snprintf(what, sizeof(what), "jeoul %s %s did not work", v->noun, v->verb);
	(void)snprintf(help, sizeof(help), "jeoul help %s", v->noun);
	print_error(what, e->text, advice(e->kind, help));
	return exit_code_of(e->kind);
}

static bool
verb_call(struct cli *c, const struct verb *v, struct cli_param *params, size_t count,
    struct json **out, struct err *e)
{
	if (v->op == OP_importUsage)
		return import_call(c, params, count, out, e);
	if (v->op == OP_simulateTariff)
		return tariff_trial(c, params, count, out, e);
	return client_call(c, operations[v->op].name, params, count, out, e);
}

int
call_verb(struct cli *c, const char *noun, const char *verb, int argc, char **argv)
{
	const struct verb *v = verb_find(noun, verb);
	struct cli_param params[CLI_PARAMS_MOST + 4];
	struct json *doc = NULL;
	struct json *done = NULL;
	struct err e = ERR_INIT;
	size_t count = 0;

	if (v == NULL) {
		(void)fprintf(stderr, "error: %s has no verb \"%s\"; it has:\n", noun,
		    verb);
		help_print(noun);
		return EXIT_USAGE;
	}
	if (!arguments_read(c, v, argc, argv, params, &count, &e) || !client_keys(c, &e))
		return fail(v, &e);
	defaults_add(v, argc, argv, params, &count);
	if (operations[v->op].form == FORM_FILE)
		return resolve_all(c, v, params, count, &e) &&
			file_call(c, v, params, count, &e)
		    ? EXIT_OK
		    : fail(v, &e);
	if (!resolve_all(c, v, params, count, &e) ||
	    !verb_call(c, v, params, count, &doc, &e)) {
		tariff_place(c, &e);
		return fail(v, &e);
	}
	const struct jval *body = client_body(doc);
	const char *jobid = json_text(json_get(body, "jobid"));
	if (operations[v->op].mode == OP_JOB && jobid != NULL && !c->no_wait) {
		if (!job_wait(c, jobid, &done, &e)) {
			json_free(doc);
			return fail(v, &e);
		}
		body = json_get(client_body(done), "jobresult");
	}
	print_answer(c, v, body);
	json_free(doc);
	json_free(done);
	return EXIT_OK;
}
