/* SPDX-License-Identifier: Apache-2.0 */
/* explain_text: an explanation as lines for people, in which every sum adds up */
#pragma once
#include "base/buf.h"
#include "base/json.h"

/* root: what explain() makes, without text. */
void explain_text(struct buf *out, const struct jval *root);
