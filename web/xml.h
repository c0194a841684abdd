/* SPDX-License-Identifier: Apache-2.0 */
/* xml: CloudStack's XML form of an answer, made of its JSON form */
#pragma once
#include "base/buf.h"
#include "base/err.h"

/*
 * One element per member, arrays repeat their element, null is left out.  version: value
 * of the attribute cloud-stack-version of the outermost element; NULL: none.
 */
must_check bool xml_from_json(struct buf *to, const char *json, size_t length,
    const char *version, struct err *e);

/* & < > " ' and control characters, which XML 1.0 has no place for, as U+FFFD. */
void xml_escape(struct buf *to, const char *text);
