/* SPDX-License-Identifier: Apache-2.0 */
/* domain: which network card is which, by a guest's XML; domain.c knows libxml2 */
#pragma once
#include "base/err.h"
#include <stddef.h>

enum { DOMAIN_NICS_MOST = 32, DOMAIN_MAC_MAX = 18, DOMAIN_NAME_MAX = 32 };

struct domain_nic {
	char mac[DOMAIN_MAC_MAX];     /* lower case, as the tables have it */
	char target[DOMAIN_NAME_MAX]; /* the host's side (vnet3); "" while it does not run
				       */
	char port[37];                /* libvirt's uuid of this plugging in; "": none */
};

struct domain_nics {
	size_t count;
	struct domain_nic *list;
};

/*
 * Refuses what is too large or no domain; more cards than DOMAIN_NICS_MOST are left out.
 * What out held before is released when it returns true.
 */
must_check bool domain_nics_read(struct domain_nics *out, const char *xml, struct err *e);
void domain_nics_done(struct domain_nics *nics);

/* The card with that name on the host's side, or NULL. */
const struct domain_nic *domain_nic_find(const struct domain_nics *nics,
    const char *target);

/* "52:54:00:AA:..." -> lower case, cut to its room. */
void domain_mac_copy(char out[DOMAIN_MAC_MAX], const char *mac);
