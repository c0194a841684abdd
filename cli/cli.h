/* SPDX-License-Identifier: Apache-2.0 */
/* cli: what the files of the jeoul command share */
#pragma once
#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/json.h"
#include "web/operations.h"
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* usability A5: scripts rely on these. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_CONFLICT = 4,
	EXIT_DENIED = 5,
	EXIT_UNREACHABLE = 6,
	EXIT_PROBLEMS = 7,
};

enum { CLI_PARAMS_MOST = 64, CLI_FLAGS_MOST = 32 };

struct cli_param {
	const char *name;
	const char *value;
};

struct verb;
struct cli {
	struct conf *conf;
	const char *conf_file;
	const char *flags[CLI_FLAGS_MOST];
	size_t flag_count;
	bool json, no_wait, yes, color;
	const char *file; /* that was read for a document; NULL: none */
	const char *out;  /* where a file goes; NULL: standard output */
	/* the API: environment, else admin.key of the state folder */
	char url[512], api_key[256], secret_key[256];
};

/* ---- client.c: one signed call; the body of a success in *out (json_free). */
must_check bool client_keys(struct cli *c, struct err *e);
must_check bool client_call(const struct cli *c, const char *command,
    const struct cli_param *params, size_t count, struct json **out, struct err *e);
/* The same where the answer is a file, whose bytes go to out. */
must_check bool client_file(const struct cli *c, const char *command,
    const struct cli_param *params, size_t count, FILE *out, struct err *e);
/* The one value inside the answer's envelope. */
const struct jval *client_body(const struct json *doc);
/* ---- import.c: importUsage with a file of any size, in several batches if need be;
 * params has room for two more and the file's text as its csv or records. */
must_check bool import_call(const struct cli *c, struct cli_param *params, size_t count,
    struct json **out, struct err *e);
/* ---- file.c: what answers a file goes to standard output, or to the file of --out; with
 * the metadata beside it where an export has such; *out is NULL. */
must_check bool file_call(const struct cli *c, const struct verb *v,
    const struct cli_param *params, size_t count, struct err *e);
/* ---- print.c */
void print_table(const struct jval *rows, const char *columns, bool color);
/* Names and errors of others must not command the terminal: in place, answers text. */
char *text_tame(char *text);
size_t text_width(const char *utf8); /* columns on a terminal */
void print_error(const char *what, const char *why, const char *try_this);
/* What to try after such an error. */
const char *advice(enum err_kind kind, const char *otherwise);
int exit_code_of(enum err_kind kind);

/* ---- local.c: what needs no server, or more than one call */
int local_config(struct cli *c, int argc, char **argv);
int local_status(struct cli *c);
int local_doctor(struct cli *c);

/* ---- data.c: the questions of sql/checks; [{"check":..,"rows":n,"try":..},..],
 * json_free. ERR_GONE when the database could not be asked (only its owner and root may).
 */
must_check bool data_check(const struct cli *c, struct json **out, struct err *e);

/* One of our programs: beside this one, or where `make install` puts what people don't
 * call themselves. */
must_check bool program_find(char out[PATH_MAX], const char *name, struct err *e);

/* ---- tariff.c: what of "jeoul tariff" is more than a call */
bool tariff_local(struct cli *c, int argc, char **argv, int *status); /* check, diff */
void tariff_help(void);
/* exportTariff's answer as the list itself. */
void tariff_print(const struct jval *answer);
/* simulateTariff for one account or, when none is named, for all; params has room for
 * one more. */
must_check bool tariff_trial(const struct cli *c, struct cli_param *params, size_t count,
    struct json **out, struct err *e);
void tariff_trial_print(const struct jval *trials, const char *columns);
/* "line 4, column 9: ..." of the file that was sent as "list.tariff:4:9: ...". */
void tariff_place(const struct cli *c, struct err *e);

/* ---- cost.c: answers that are more than one table */
void cost_estimate_print(const struct cli *c, const struct jval *estimate,
    const char *columns);
void cost_report_print(const struct cli *c, const struct jval *report,
    const char *columns);

/* ---- call.c: the verbs of verb.def */
int call_verb(struct cli *c, const char *noun, const char *verb, int argc, char **argv);
/* The verb has a parameter of that name: it is no global flag then. */
bool verb_takes(const char *noun, const char *verb, const char *flag);
struct verb {
	const char *noun, *verb;
	enum op_id op;
	const char *first; /* the parameter that needs no flag, or "" */
	const char *columns;
};
extern const struct verb verbs[];
extern const size_t verbs_count;
/* A list may hold one thing of that name, whose id takes its place; of the process. */
must_check bool name_resolve(const struct cli *c, const char *list, const char *field,
    const char **value, struct err *e);
/* How a name becomes an id: the list that is asked, and its field; NULL: it is no id. */
struct lookup {
	const char *param, *list, *name_field;
};
const struct lookup *lookup_of(const struct verb *v, const char *param);
const char *flag_of(const char *param); /* "offering" for serviceofferingid */
const char *param_name(const struct operation *op, const char *flag); /* and back */
bool noun_known(const char *noun);
void help_print(const char *noun);
const char *noun_nearest(const char *noun);

/* ---- complete.c: one line a candidate, "word<TAB>meaning".  words: those that are
 * whole, without global flags; prefix: what is typed of the next one; an empty answer
 * means that a file may stand there, or anything. */
void complete_words(struct cli *c, int count, char **words, const char *prefix,
    struct buf *out);
int complete_script(const char *shell);
