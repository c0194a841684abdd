/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files that know libvirt share; nobody else includes it. */
#pragma once
#include "provision/hv.h"
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

struct hv {
	virConnectPtr link;
	char *uri;
	hv_event event;
	void *context;
	int callback;
};

/* "what object: why", as libvirt said last; always false. */
bool hv_fail(struct err *e, const char *what, const char *object);
/* NULL with an error; else to be freed. */
virDomainPtr hv_domain_find(struct hv *hv, const char *uuid, struct err *e);
