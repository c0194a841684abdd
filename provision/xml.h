/* SPDX-License-Identifier: Apache-2.0 */
/* xml: writing XML as XML, never with printf */
#pragma once
#include "base/attr.h"
#include <stdint.h>

/* Out of memory ends the program, so nothing here can fail. */
struct xml;

struct xml *xml_new(void) must_check;
void xml_open(struct xml *x, const char *name);
void xml_attribute(struct xml *x, const char *name, const char *value); /* NULL: none */
void xml_text(struct xml *x, const char *text);
void xml_close(struct xml *x);
/* A whole element: text may be NULL; then pairs of attribute name and value, then NULL. A
 * pair whose value is "" is left out. */
void xml_element(struct xml *x, const char *name, const char *text, ...) sentinel;
/* <name unit='unit'>value</name>; unit may be NULL. */
void xml_number(struct xml *x, const char *name, int64_t value, const char *unit);
/* The text, the caller's to free; x is gone. */
char *xml_take(struct xml *x) must_check;
