/* SPDX-License-Identifier: Apache-2.0 */
/* jeoul-api-doc: writes docs/api.md, or --openapi the document, from the operations table
 */
#include "web/face.h"
#include <stdio.h>
#include <string.h>

static const char *
who(const struct operation *op)
{
	if (op->access == OP_PROVIDER)
		return "the provider";
	return op->access == OP_PUBLIC ? "anybody" : "every user";
}

static const char *
answer(const struct operation *op)
{
	switch (op->form) {
	case FORM_LIST:
		return "a list of";
	case FORM_OBJECT:
		return "one";
	case FORM_FLAT:
		return "the fields of";
	case FORM_SUCCESS:
		return "success";
	case FORM_JOB:
		return "the id of a job that makes a";
	case FORM_FILE:
		return "a file";
	}
	return "";
}

static void
params_print(const struct operation *op)
{
	if (op->param_count == 0)
		return;
	(void)printf("\n| parameter | type | | |\n|---|---|---|---|\n");
	for (size_t i = 0; i < op->param_count; i++) {
		const struct op_param *p = &op->params[i];
		(void)printf("| `%s` | %s | %s | %s |\n", p->name, op_type_name(p->type),
		    (p->flags & REQUIRED) != 0 ? "required" : "", p->description);
	}
}

static void
operation_print(const struct operation *op)
{
	(void)printf("\n### %s\n\n`%s %s`, for %s; answers %s", op->name, op->method,
	    op->path, who(op), answer(op));
	if (op->response[0] != '\0')
		(void)printf(" [%s](#%s)", op->response, op->response);
	(void)printf(".\n\n%s.\n", op->description);
	params_print(op);
}

static void
responses_print(void)
{
	const struct op_response *r;

	(void)printf("\n## Answers\n");
	for (size_t i = 0; (r = operation_response_at(i)) != NULL; i++) {
		(void)printf("\n### %s\n\n| field | type | |\n|---|---|---|\n", r->name);
		for (size_t k = 0; k < r->count; k++) {
			const struct op_field *f = &r->fields[k];
			(void)printf("| `%s` | %s | %s%s%s%s |\n", f->name,
			    op_type_name(f->type), f->description,
			    f->of != NULL ? ": " : "", f->of != NULL ? f->of : "",
			    f->provider ? " (provider only)" : "");
		}
	}
}

static const char head[] =
    "# The API\n"
    "\n"
    "<!-- Written by `jeoul-api-doc` from web/operations.def; a test compares. -->\n"
    "\n"
    "Every operation has two faces.\n"
    "\n"
    "* **REST**: method and path as below, JSON or form in, JSON out; errors are RFC "
    "9457\n"
    "  (`application/problem+json`). Log in with `Authorization: Basic` (API key and "
    "secret key),\n"
    "  `Authorization: Bearer apikey:secretkey`, or the session of the pages; writing "
    "calls of a\n"
    "  session need the header `X-CSRF-Token` with the session's key. `/v1/openapi.json` "
    "is the\n"
    "  whole as OpenAPI 3.1.\n"
    "* **CloudStack**: `/client/api?command=NAME`, by GET or POST, signed with HMAC-SHA1 "
    "or in a\n"
    "  session, `response=json` or XML, as CloudStack 4.20 speaks it. Lists show the "
    "provider only\n"
    "  the own account unless `listall=true`; in REST they show all.\n"
    "\n"
    "Amounts and counters are strings, so that no client rounds them. Times are UTC. "
    "Lists have at\n"
    "most 500 rows a page. Jobs: ask `queryAsyncJobResult` until `jobstatus` is 1 or 2.\n"
    "\n"
    "    curl -u \"$APIKEY:$SECRETKEY\" http://127.0.0.1:8080/v1/virtual-machines\n"
    "\n"
    "## Operations\n";

int
main(int argc, char **argv)
{
	scoped(buf_done) struct buf json = BUF_INIT;

	if (argc == 2 && strcmp(argv[1], "--openapi") == 0) {
		openapi_write(&json);
		(void)puts(buf_text(&json));
		return 0;
	}
	if (argc != 1) {
		(void)fprintf(stderr, "usage: jeoul-api-doc [--openapi]\n");
		return 2;
	}
	(void)fputs(head, stdout);
	for (size_t i = 0; i < OP_COUNT; i++)
		operation_print(&operations[i]);
	responses_print();
	return 0;
}
