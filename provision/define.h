/* SPDX-License-Identifier: Apache-2.0 */
/* define: a VM's domain as its rows say */
#pragma once
#include "provision/domain_xml.h"
#include "provision/work.h"

/*
 * Makes the definition on the host what the rows say: disks, cards, image in the drive,
 * seed.  A running domain keeps what it has and takes the rest at its next start.  Never
 * for adopted ones, whose definition is their owner's.  *ready false: an image is still
 * being copied, return at once.
 */
must_check bool define_vm(struct work *w, bool *ready, struct err *e);

/* A row of the statements vm_disks and vm_nics; texts are the row's own. */
void define_disk(struct want_disk *out, const struct rows *r, size_t row);
void define_nic(struct want_nic *out, const struct rows *r, size_t row);
/* The drive with an image in it (path) or empty (NULL). */
void define_drive(struct want_disk *out, const struct work *w, const char *path);
