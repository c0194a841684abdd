/* SPDX-License-Identifier: Apache-2.0 */
/* listen: the web's socket, opened by the parent before anything starts */
#pragma once
#include "base/err.h"

/*
 * endpoint: "127.0.0.1:8080", "[::1]:8080" or "unix:/path".  When the port is taken the
 * message names the program that holds it, as far as /proc tells.  Answers -1 on failure.
 */
int listen_open(const char *endpoint, struct err *e);
