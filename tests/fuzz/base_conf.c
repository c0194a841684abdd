/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file, flags and what the parent hands down: what is taken is handed
 * on unchanged, what is refused says where and what to write */
#include "base/conf.h"
#include "base/log.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void
same(const struct conf *a, const struct conf *b)
{
	for (int i = 0; i < CONF_COUNT; i++) {
		enum conf_id id = (enum conf_id)i;
		must(strcmp(conf_text(a, id), conf_text(b, id)) == 0, "%s", conf_key(id));
		must(fuzz_printable(conf_text(a, id)), "%s holds a control character",
		    conf_key(id));
		must(conf_number(a, id) == conf_number(b, id), "%s", conf_key(id));
		must(conf_origin(a, id)[0] != '\0', "%s", conf_key(id));
	}
}

/* What the parent writes for a role, the role reads as the same. */
static void
handed_on(const struct conf *c)
{
	struct buf one = BUF_INIT;
	struct buf two = BUF_INIT;
	struct conf *back = conf_new();
	struct err e = ERR_INIT;

	conf_dump(c, &one);
	must(conf_undump(back, buf_text(&one), &e), "%s", e.text);
	same(c, back);
	conf_dump(back, &two);
	must(strcmp(buf_text(&one), buf_text(&two)) == 0, "dumped twice it differs");
	conf_free(back);
	buf_done(&one);
	buf_done(&two);
}

static bool
file_load(struct conf *c, const char *text, size_t length, struct err *e)
{
	char path[64];
	int fd = memfd_create("jeoul.conf", MFD_CLOEXEC);
	bool ok;

	must(fd >= 0 && write(fd, text, length) == (ssize_t)length, "memfd");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ok = conf_load(c, path, NULL, 0, e);
	(void)close(fd);
	if (!ok)
		must(strstr(e->text, path) != NULL, "it does not say where: %s", e->text);
	return ok;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = ERR_INIT;
	struct conf *c = conf_new();
	unsigned how = fuzz_choice(&data, &size, 3);
	scoped_free char *text = fuzz_text(data, size);
	const char *flag = text;
	bool ok;

	log_open("fuzz", LOG_TO_STDERR, LOG_LVL_ERROR);
	if (how == 0)
		ok = file_load(c, text, size, &e);
	else if (how == 1)
		ok = conf_load(c, "/dev/null", &flag, 1, &e);
	else
		ok = conf_undump(c, text, &e);
	if (ok)
		handed_on(c);
	else
		must(e.kind == ERR_INPUT && e.text[0] != '\0', "a refusal says why");
	conf_free(c);
	return 0;
}
