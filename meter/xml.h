/* SPDX-License-Identifier: Apache-2.0 */
/* xml: what the collector reads of libvirt's XML; only xml.c knows libxml2 */
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

/* What a host's capabilities say of its CPUs, by distinct ids (monitoring 1.3). */
struct topology {
	int sockets, cores, threads;
	int cells; /* of NUMA */
};

/* ERR_INPUT when no CPU names its socket: then they can't be counted. */
must_check bool topology_read(struct topology *out, const char *capabilities,
    struct err *e);

/*
 * The text without its amounts of memory and pages, which differ from call to call where
 * a machine's memory grows and shrinks: what is compared to tell whether a host has
 * changed. The caller frees it.
 */
char *topology_facts(const char *capabilities);
