/* SPDX-License-Identifier: Apache-2.0 */
/* check: parameters of a call against the operations table, with CloudStack's texts */
#pragma once
#include "web/operations.h"
#include "web/params.h"

/*
 * Required ones are there, all are of their type, not too long and without control
 * characters.  Unknown ones are ignored, as CloudStack does.  Always ERR_INPUT.
 */
must_check bool check_params(const struct operation *op, const struct param_list *p,
    struct err *e);

/* A parameter's value ready for a statement: NULL when absent, empty, or a uuid of -1;
 * booleans as true or false, dates as RFC 3339 in UTC.  check_params() was asked before.
 */
const char *check_value(const struct op_param *param, const struct param_list *p);

bool uuid_text(const char *text); /* 36 characters of the usual form */
