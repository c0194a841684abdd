/* SPDX-License-Identifier: Apache-2.0 */
/* link: connections to hosts that jobs borrow, kept open for a while */
#pragma once
#include "provision/hv.h"

/*
 * A connection that nobody else uses meanwhile: libvirtd serves only a few calls of one
 * client at a time, and a call that hangs with its guest must not hold up another job.
 */
must_check bool link_take(struct hv **out, const char *uri, struct err *e);
/* Back for the next job; one that broke is closed.  NULL is fine. */
void link_give(struct hv *hv);
