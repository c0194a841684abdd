/* SPDX-License-Identifier: Apache-2.0 */
/* complete: what may stand next on a command line of jeoul, for the shells */
#include "base/mem.h"
#include "cli/cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words that are no verbs of verb.def. */
static const char *const own_words[][3] = {
	{ "", "status", "what runs, and how much memory it takes" },
	{ "", "doctor", "checks everything, with the command that mends it" },
	{ "", "config", "settings: check, show, explain" },
	{ "", "help", "all verbs" },
	{ "", "completion", "a script for the shell that completes words" },
	{ "config", "check", "reads the configuration and says what is wrong" },
	{ "config", "show", "every setting, and where it came from" },
	{ "config", "explain", "what a setting means" },
	{ "tariff", "check", "whether price lists in files can be used" },
	{ "tariff", "diff", "what differs between two price lists" },
	{ "completion", "bash", "for bash" },
	{ "completion", "zsh", "for zsh" },
};
static const char *const global_flags[][2] = {
	{ "--json", "one JSON document instead of a table" },
	{ "--no-wait", "do not wait for the end of a job" },
	{ "--no-color", "no colours" },
	{ "--out", "where a file goes, instead of standard output" },
	{ "--url", "address of the API" },
	{ "--state", "state folder" },
	{ "--config", "configuration file" },
	{ "--set", "a setting, as key=value" },
};

struct completion {
	struct cli *cli;
	const char *prefix; /* what is typed of the word so far */
	const char *lead;   /* "--flag=" when that stands before the value */
	struct buf *out;
};

/* One line a candidate: the word, a tab, what it means. */
static void
offer(const struct completion *k, const char *word, const char *meaning)
{
	if (strncmp(word, k->prefix, strlen(k->prefix)) == 0)
		buf_printf(k->out, "%s%s\t%s\n", k->lead, word, meaning);
}

static void
offer_own(const struct completion *k, const char *below)
{
	for (size_t i = 0; i < ARRAY_LEN(own_words); i++)
		if (strcmp(own_words[i][0], below) == 0)
			offer(k, own_words[i][1], own_words[i][2]);
}

static void
offer_nouns(const struct completion *k)
{
	for (size_t i = 0; i < verbs_count; i++) {
		size_t first = 0;
		while (strcmp(verbs[first].noun, verbs[i].noun) != 0)
			first++;
		if (first == i)
			offer(k, verbs[i].noun, operations[verbs[i].op].description);
	}
}

static void
offer_verbs(const struct completion *k, const char *noun)
{
	for (size_t i = 0; i < verbs_count; i++)
		if (strcmp(verbs[i].noun, noun) == 0)
			offer(k, verbs[i].verb, operations[verbs[i].op].description);
}

static void
offer_settings(const struct completion *k, const char *after)
{
	for (int i = 0; i < CONF_COUNT; i++) {
		scoped_free char *word = mem_printf("%s%s", conf_key((enum conf_id)i),
		    after);
		offer(k, word, conf_help((enum conf_id)i));
	}
}

static void
offer_global_flags(const struct completion *k)
{
	for (size_t i = 0; i < ARRAY_LEN(global_flags); i++)
		offer(k, global_flags[i][0], global_flags[i][1]);
}

/* A name that a shell would take apart is left to its id. */
static bool
one_word(const char *text)
{
	return text != NULL && text[0] != '\0' &&
	    strspn(text,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+@-") ==
	    strlen(text);
}

/* What there is of a kind, asked of the API; silence when it does not answer. */
static void
offer_names(const struct completion *k, const struct lookup *l)
{
	struct cli_param p[] = { { "listall", "true" }, { "templatefilter", "all" } };
	struct json *doc = NULL;
	struct err ignored = ERR_INIT;

	if (k->cli->conf == NULL || !client_keys(k->cli, &ignored) ||
	    !client_call(k->cli, l->list, p, ARRAY_LEN(p), &doc, &ignored))
		return;
	for (const struct jval *m = json_first(client_body(doc)); m != NULL;
	     m = json_next(m))
		for (const struct jval *r = json_type(m) == JSON_ARRAY ? json_first(m)
								       : NULL;
		     r != NULL; r = json_next(r)) {
			const char *name = json_text(json_get(r, l->name_field));
			const char *state = json_text(json_get(r, "state"));
			if (one_word(name))
				offer(k, name, one_word(state) ? state : "");
		}
	json_free(doc);
}

static const struct verb *
verb_of(const char *noun, const char *verb)
{
	for (size_t i = 0; i < verbs_count; i++)
		if (strcmp(verbs[i].noun, noun) == 0 && strcmp(verbs[i].verb, verb) == 0)
			return &verbs[i];
	return NULL;
}

/* Values of a parameter; false: anything may stand there, a file's name perhaps. */
static bool
offer_values(const struct completion *k, const struct verb *v, const char *name)
{
	const struct op_param *param = operation_param(&operations[v->op], name);
	const struct lookup *l = lookup_of(v, name);

	if (l != NULL) {
		offer_names(k, l);
		return true;
	}
	if (param == NULL || param->type != TYPE_BOOLEAN)
		return false;
	offer(k, "true", "");
	offer(k, "false", "");
	return true;
}

static bool
given(int count, char *const *words, const char *flag)
{
	for (int i = 2; i < count; i++)
		if (strncmp(words[i], "--", 2) == 0 && strcmp(words[i] + 2, flag) == 0)
			return true;
	return false;
}

/* A short name where there is one; what is written already is not offered again. */
static void
offer_flags(const struct completion *k, const struct verb *v, int count,
    char *const *words)
{
	const struct operation *op = &operations[v->op];

	for (size_t i = 0; i < op->param_count; i++) {
		const char *name = flag_of(op->params[i].name);
		scoped_free char *flag = mem_printf("--%s", name);
		if (strcmp(op->params[i].name, v->first) != 0 &&
		    !given(count, words, name) &&
		    !given(count, words, op->params[i].name))
			offer(k, flag, op->params[i].description);
	}
	offer_global_flags(k);
}

/* Behind a verb: the value of the flag before, the word that needs no flag, or flags. */
static void
complete_arguments(struct completion *k, const struct verb *v, int count, char **words)
{
	const char *last = words[count - 1];
	char *equals = strchr(k->prefix, '=');
	int plain = 0;

	if (strncmp(last, "--", 2) == 0 && count > 2) {
		(void)offer_values(k, v, param_name(&operations[v->op], last + 2));
		return;
	}
	if (strncmp(k->prefix, "--", 2) == 0 && equals != NULL) {
		scoped_free char *flag = mem_strndup(k->prefix + 2,
		    (size_t)(equals - k->prefix) - 2);
		scoped_free char *lead = mem_printf("--%s=", flag);
		k->lead = lead;
		k->prefix = equals + 1;
		(void)offer_values(k, v, param_name(&operations[v->op], flag));
		return;
	}
	for (int i = 2; i < count; i++) {
		if (strncmp(words[i], "--", 2) != 0)
			plain++;
		else if (strchr(words[i], '=') == NULL)
			i++; /* its value */
	}
	if (k->prefix[0] != '-' && v->first[0] != '\0' && plain == 0)
		(void)offer_values(k, v, v->first); /* else the shell offers files */
	else
		offer_flags(k, v, count, words);
}

/* bash takes --flag=value apart at the sign: it is put together again. */
static int
signs_drop(int count, char **words)
{
	int kept = 0;

	for (int i = 0; i < count; i++)
		if (strcmp(words[i], "=") != 0)
			words[kept++] = words[i];
	return kept;
}

void
complete_words(struct cli *c, int count, char **words, const char *prefix,
    struct buf *out)
{
	struct completion k = { c, strcmp(prefix, "=") == 0 ? "" : prefix, "", out };
	const struct verb *v;

	count = signs_drop(count, words);
	if (count > 0 && strcmp(words[count - 1], "--set") == 0) {
		offer_settings(&k, "=");
		return;
	}
	if (count == 0) {
		offer_nouns(&k);
		offer_own(&k, "");
		if (k.prefix[0] == '-')
			offer_global_flags(&k);
		return;
	}
	if (count == 1 && strcmp(words[0], "help") == 0)
		offer_nouns(&k);
	if (count == 1) {
		offer_verbs(&k, words[0]);
		offer_own(&k, words[0]);
		return;
	}
	if (count == 2 && strcmp(words[0], "config") == 0 &&
	    strcmp(words[1], "explain") == 0)
		offer_settings(&k, "");
	v = verb_of(words[0], words[1]);
	if (v != NULL)
		complete_arguments(&k, v, count, words);
}

/* The scripts know nothing: what may stand next is asked of the very jeoul that is run.
 */
static const char bash_script[] =
    "# bash completion of jeoul, made by: jeoul completion bash\n"
    "_jeoul() {\n"
    "\tlocal word\n"
    "\tCOMPREPLY=()\n"
    "\twhile IFS=$'\\t' read -r word _; do COMPREPLY+=(\"$word\"); done < <(\n"
    "\t\t\"${COMP_WORDS[0]}\" completion words \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
    "2>/dev/null)\n"
    "\t[[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace\n"
    "}\n"
    "complete -o default -F _jeoul jeoul\n";
static const char zsh_script[] =
    "#compdef jeoul\n"
    "# zsh completion of jeoul, made by: jeoul completion zsh\n"
    "_jeoul() {\n"
    "\tlocal line\n"
    "\tlocal -a found\n"
    "\twhile IFS= read -r line; do\n"
    "\t\tfound+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
    "\tdone < <(\"${words[1]}\" completion words \"${(@)words[2,CURRENT]}\" "
    "2>/dev/null)\n"
    "\tif (( ${#found} )); then _describe jeoul found; else _files; fi\n"
    "}\n"
    "[[ $funcstack[1] != _jeoul ]] || _jeoul \"$@\"\n"
    "compdef _jeoul jeoul\n";

int
complete_script(const char *shell)
{
	bool zsh = shell != NULL && strcmp(shell, "zsh") == 0;

	if (shell == NULL || (!zsh && strcmp(shell, "bash") != 0)) {
		(void)fputs("usage: jeoul completion bash|zsh\n"
			    "To use it now: source <(jeoul completion bash)\n",
		    stderr);
		return EXIT_USAGE;
	}
	(void)fputs(zsh ? zsh_script : bash_script, stdout);
	return EXIT_OK;
}
