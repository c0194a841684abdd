/* SPDX-License-Identifier: Apache-2.0 */
/* image: what VMs are made from and boot from, where a host can reach it */
#pragma once
#include "provision/job.h"

struct image {
	char uuid[HV_UUID_MAX];
	char *path;    /* on the host */
	char *format;  /* "qcow2" or "raw" */
	int64_t bytes; /* as the guest sees it; 0: not known */
};
void image_done(struct image *i);

/*
 * Where the host finds it: a file that the provider put there, or our own copy in the
 * host's folder, made now if there is none.  *ready false: another job is making that
 * copy; return at once, this job has been told to come again.
 */
must_check bool image_ready(struct job *j, struct hv *hv, int64_t host_id,
    int64_t template_id, struct image *out, bool *ready, struct err *e);

/* What a file says of itself. */
struct image_facts {
	const char *format;
	int64_t virtual_bytes, file_bytes;
};
/*
 * ERR_INPUT: an image that would read other files of the host (a backing or data file),
 * is encrypted or is broken.
 */
must_check bool image_look(const char *path, struct image_facts *out, struct err *e);
