/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul: the command; jeoul(1) */
#include "base/log.h"
#include "cli/cli.h"
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: jeoul [--json] [--config FILE] [--set key=value]... NOUN VERB [ARGUMENTS]\n"
    "\n"
    "  jeoul status            what runs, and how much memory it takes\n"
    "  jeoul doctor            checks everything, with the command that mends it\n"
    "  jeoul config check|show|explain KEY\n"
    "  jeoul help [NOUN]       all verbs\n"
    "  jeoul completion bash|zsh\n"
    "\n"
    "Data goes to standard output, talk to standard error.  Global flags: --json, "
    "--no-wait,\n"
    "--no-color, --out FILE (of what answers a file), --url URL, --state FOLDER, "
    "--version.  Names may stand where ids are "
    "asked for.\n"
    "\n";

static void
color_find(struct cli *c)
{
	const char *term = getenv("TERM"); /* NOLINT(concurrency-mt-unsafe): one thread */

	c->color = isatty(STDOUT_FILENO) == 1 &&
	    getenv("NO_COLOR") == NULL && /* NOLINT */
	    term != NULL && strcmp(term, "dumb") != 0;
}

/* Takes a global flag out of the arguments; how many words it had, 0: none of ours. */
static int
global_take(struct cli *c, int argc, char **argv)
{
	static char state_flag[4200];
	bool has_value = argc > 1;

	if (strcmp(argv[0], "--json") == 0)
		c->json = true;
	else if (strcmp(argv[0], "--no-wait") == 0)
		c->no_wait = true;
	else if (strcmp(argv[0], "--no-color") == 0)
		c->color = false;
	else if (strcmp(argv[0], "--yes") == 0 || strcmp(argv[0], "--no-input") == 0)
		c->yes = true; /* nothing asks yet; scripts may say so already */
	else if (has_value && strcmp(argv[0], "--config") == 0)
		c->conf_file = argv[1];
	else if (has_value && strcmp(argv[0], "--out") == 0)
		c->out = argv[1];
	else if (has_value && strcmp(argv[0], "--url") == 0)
		(void)snprintf(c->url, sizeof(c->url), "%s", argv[1]);
	else if (has_value && strcmp(argv[0], "--set") == 0 &&
	    c->flag_count < CLI_FLAGS_MOST)
		c->flags[c->flag_count++] = argv[1];
	else if (has_value && strcmp(argv[0], "--state") == 0 &&
	    c->flag_count < CLI_FLAGS_MOST) {
		(void)snprintf(state_flag, sizeof(state_flag), "state=%.4100s", argv[1]);
		c->flags[c->flag_count++] = state_flag;
	} else
		return 0;
	return argv[0][2] == 'c' || strcmp(argv[0], "--url") == 0 ||
		strcmp(argv[0], "--out") == 0 || argv[0][2] == 's'
	    ? 2
	    : 1;
}

static int
globals_take(struct cli *c, int argc, char **argv)
{
	int kept = 0;

	for (int i = 0; i < argc;) {
		/* `jeoul vm list --state Running`: behind a verb its own flags come
		 * first. */
		bool own = kept >= 2 && strncmp(argv[i], "--", 2) == 0 &&
		    verb_takes(argv[0], argv[1], argv[i] + 2);
		int n = own ? 0 : global_take(c, argc - i, argv + i);
		if (n == 0)
			argv[kept++] = argv[i++];
		i += n;
	}
	argv[kept] = NULL;
	return kept;
}

static int
dispatch(struct cli *c, int argc, char **argv)
{
	const char *noun = argv[0];
	int status;

	if (strcmp(noun, "status") == 0)
		return local_status(c);
	if (strcmp(noun, "doctor") == 0)
		return local_doctor(c);
	if (strcmp(noun, "config") == 0)
		return local_config(c, argc - 1, argv + 1);
	if (!noun_known(noun)) {
		(void)fprintf(stderr,
		    "error: there is no \"%s\"\nwhy:   it is no noun of jeoul\n"
		    "try:   did you mean \"jeoul %s\"? (all: jeoul help)\n",
		    noun, noun_nearest(noun));
		return EXIT_USAGE;
	}
	if (argc < 2 || strcmp(argv[1], "--help") == 0) {
		help_print(noun);
		return argc < 2 ? EXIT_USAGE : EXIT_OK;
	}
	if (strcmp(noun, "tariff") == 0 && tariff_local(c, argc - 1, argv + 1, &status))
		return status;
	return call_verb(c, noun, argv[1], argc - 2, argv + 2);
}

/* For the scripts of complete.c: completion words WORD..., the last as far as it is
 * typed. */
static int
completion(struct cli *c, int argc, char **argv)
{
	struct buf out = BUF_INIT;
	struct err ignored = ERR_INIT;
	int n;

	if (argc < 2 || strcmp(argv[0], "words") != 0)
		return complete_script(argv[0]);
	char *prefix = argv[argc - 1];
	n = globals_take(c, argc - 2, argv + 1);
	c->conf = conf_new();
	log_open("jeoul", LOG_TO_STDERR, LOG_LVL_ERROR);
	if (!conf_load(c->conf, c->conf_file, c->flags, c->flag_count, &ignored)) {
		conf_free(c->conf);
		c->conf = NULL; /* names can't be asked for; all else is known */
	}
	complete_words(c, n, argv + 1, prefix, &out);
	(void)fputs(buf_text(&out), stdout);
	return EXIT_OK;
}

int
main(int argc, char **argv)
{
	struct cli c = { .conf = NULL };
	struct err e = ERR_INIT;
	int n;

	(void)setlocale(LC_CTYPE,
	    "C.UTF-8"); /* widths of Korean text, whatever the terminal says */
	log_open("jeoul", LOG_TO_STDERR, LOG_LVL_WARNING);
	color_find(&c);
	if (argc > 1 && strcmp(argv[1], "completion") == 0)
		return completion(&c, argc - 2, argv + 2);
	n = globals_take(&c, argc - 1, argv + 1);
	argv++;
	if (n == 0 || strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0) {
		(void)fputs(help, n == 0 ? stderr : stdout);
		if (n > 0)
			help_print(n > 1 ? argv[1] : NULL);
		return n == 0 ? EXIT_USAGE : EXIT_OK;
	}
	if (strcmp(argv[0], "--version") == 0) {
		(void)puts("jeoul " JEOUL_VERSION);
		return EXIT_OK;
	}
	c.conf = conf_new();
	if (!conf_load(c.conf, c.conf_file, c.flags, c.flag_count, &e)) {
		print_error("the configuration is not valid", e.text,
		    "mend that line, then: jeoul config check");
		return EXIT_USAGE;
	}
	return dispatch(&c, n, argv);
}
