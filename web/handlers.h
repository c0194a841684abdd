/* SPDX-License-Identifier: Apache-2.0 */
/* handlers: one function per operation that is more than a list (operations.def) */
#pragma once
#include "web/web.h"

#define SQL(statement)
#define CALL(function) bool handle_##function(struct call *c, struct err *e);
#define SLOW(function) bool handle_##function(struct call *c, struct err *e);
#define OP(name, method, path, access, mode, form, response, event, handler, text) handler
#define PARAM(name, type, flags, length, text)
#define END_OP
/* vm_job serves four operations: declared four times alike, which C allows. */
#include "web/operations.def"
#undef SQL
#undef CALL
#undef SLOW
#undef OP
#undef PARAM
#undef END_OP
