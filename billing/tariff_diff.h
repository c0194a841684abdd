/* SPDX-License-Identifier: Apache-2.0 */
/* tariff_diff: what differs between two price lists, for people */
#pragma once
#include "base/buf.h"
#include "base/json.h"

/*
 * Lines "- was", "+ is" for what holds for the whole list, and price by price (told apart
 * by sku, tags and priority, not by place).  Both are documents that tariff_read()
 * takes.  Answers how many things differ.
 */
size_t tariff_diff(struct buf *out, const struct jval *before, const struct jval *after);
