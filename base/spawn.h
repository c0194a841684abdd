/* SPDX-License-Identifier: Apache-2.0 */
/* spawn: starting a program with just the rights and descriptors that it needs */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <sys/types.h>

struct spawn {
	int program_fd;          /* opened before rights are dropped, so that the program
				  * needs no right on its folder; -1: use path */
	const char *path;        /* of scripts, and for messages */
	const char *const *argv; /* NULL-terminated, argv[0] included */
	const char *user;        /* NULL or when we are not root: as we are */
	int parent_fd, conf_fd, listen_fd; /* become 3, 4 and 5; -1: none */
	int death_signal;                  /* what it gets when we die; 0: nothing */
	int output_fd;                     /* becomes stdout and stderr; -1: ours */
	bool keep_rights;                  /* may gain rights again (the VM host must) */
};

must_check bool spawn_start(const struct spawn *s, pid_t *pid, struct err *e);

/* Runs it to its end; ERR_INTERNAL with the last output line when its status is not 0. */
must_check bool spawn_wait(const struct spawn *s, struct err *e);
