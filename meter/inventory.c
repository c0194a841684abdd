/* SPDX-License-Identifier: Apache-2.0 */
/* inventory: which hosts and guests there are, as the provisioning core keeps them */
#include "meter/inventory.h"
#include "base/log.h"
#include "base/mem.h"
#include "meter/store.h"
#include "meter_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t
bucket_of(const char *uuid)
{
	uint32_t hash = 0;

	for (const char *p = uuid; *p != '\0'; p++)
		hash = hash * 31 + (unsigned char)*p;
	return hash % INVENTORY_BUCKETS;
}

struct meter_vm *
inventory_vm(struct inventory *in, const char *uuid)
{
	for (struct meter_vm *v = in->buckets[bucket_of(uuid)]; v != NULL; v = v->next)
		if (strcmp(v->uuid, uuid) == 0)
			return v;
	return NULL;
}

struct series *
inventory_nic(struct meter_vm *v, const char *mac)
{
	for (size_t i = 0; i < v->nic_count; i++)
		if (strcmp(v->macs[i], mac) == 0)
			return v->nics[i];
	return NULL;
}

struct meter_host *
inventory_host(struct inventory *in, int64_t id)
{
	for (struct meter_host *h = in->hosts; h != NULL; h = h->next)
		if (h->id == id)
			return h;
	return NULL;
}

static void
hosts_read(struct inventory *in, const struct rows *r)
{
	for (struct meter_host *h = in->hosts; h != NULL; h = h->next)
		h->listed = false;
	in->host_count = rows_count(r);
	for (size_t i = 0; i < rows_count(r); i++) {
		struct meter_host *h = inventory_host(in, rows_i64(r, i, 0));
		if (h == NULL) {
			h = mem_alloc(sizeof(*h));
			h->id = rows_i64(r, i, 0);
			(void)snprintf(h->uuid, sizeof(h->uuid), "%s",
			    rows_text(r, i, 1));
			h->uri = mem_strdup(rows_text(r, i, 3));
			h->next = in->hosts;
			in->hosts = h;
		}
		(void)snprintf(h->name, sizeof(h->name), "%s", rows_text(r, i, 2));
		h->simulated = rows_bool(r, i, 4);
		h->listed = true;
	}
}

static struct series *
series_of(const struct meter_vm *v, int64_t resource_id)
{
	if (v->vm != NULL && v->vm->resource_id == resource_id)
		return v->vm;
	for (size_t i = 0; i < v->nic_count; i++)
		if (v->nics[i]->resource_id == resource_id)
			return v->nics[i];
	for (size_t i = 0; i < v->volume_count; i++)
		if (v->volumes[i]->resource_id == resource_id)
			return v->volumes[i];
	return NULL;
}

static bool
series_add(struct inventory *in, struct meter_vm *v, struct db *db, const struct rows *r,
    size_t i, struct err *e)
{
	const char *kind = rows_text(r, i, 0);
	struct series *s = mem_alloc(sizeof(*s));
	const struct meter_host *h = inventory_host(in, v->host_id);

	s->kind = kind[0] == 'n' ? SERIES_NIC
	    : kind[1] == 'm'     ? SERIES_VM
				 : SERIES_VOLUME;
	s->account_id = rows_i64(r, i, 1);
	s->resource_id = rows_i64(r, i, 2);
	s->vm_id = rows_i64(r, i, 3);
	s->fresh = rows_bool(r, i, 8);
	s->simulated = h != NULL && h->simulated;
	if (!store_load(db, s, e)) {
		series_done(s);
		free(s);
		return false;
	}
	if (s->kind == SERIES_VM)
		v->vm = s;
	else if (s->kind == SERIES_NIC) {
		domain_mac_copy(v->macs[v->nic_count], rows_text(r, i, 6));
		v->nics[v->nic_count++] = s;
	} else {
		(void)snprintf(v->targets[v->volume_count], READ_NAME_MAX, "%.31s",
		    rows_text(r, i, 6));
		v->volumes[v->volume_count++] = s;
	}
	return true;
}

static bool
row_read(struct inventory *in, struct db *db, const struct rows *r, size_t i,
    struct err *e)
{
	const char *uuid = rows_text(r, i, 4);
	struct meter_vm *v = inventory_vm(in, uuid);
	struct series *s;

	if (v == NULL) {
		size_t b = bucket_of(uuid);
		v = mem_alloc(sizeof(*v));
		(void)snprintf(v->uuid, sizeof(v->uuid), "%s", uuid);
		v->next = in->buckets[b];
		in->buckets[b] = v;
		in->vm_count++;
	}
	v->host_id = rows_i64(r, i, 5);
	v->listed = true;
	v->begun = strcmp(rows_text(r, i, 9), "Running") == 0 ||
	    strcmp(rows_text(r, i, 9), "Paused") == 0;
	s = series_of(v, rows_i64(r, i, 2));
	if (s == NULL) {
		if (v->nic_count == INVENTORY_DEVICES_MOST ||
		    v->volume_count == INVENTORY_DEVICES_MOST)
			return true; /* more devices than we meter; told at adoption */
		return series_add(in, v, db, r, i, e);
	}
	if (!s->sampled)
		s->fresh = rows_bool(r, i, 8);
	if (s->account_id != rows_i64(r, i, 1)) {
		in->leaving(in->context, s);
		series_move(s, rows_i64(r, i, 1));
	}
	return true;
}

static void
vm_free(struct inventory *in, struct meter_vm *v)
{
	struct series *all[2 * INVENTORY_DEVICES_MOST + 1];
	size_t n = 0;

	for (size_t i = 0; i < v->nic_count; i++)
		all[n++] = v->nics[i];
	for (size_t i = 0; i < v->volume_count; i++)
		all[n++] = v->volumes[i];
	if (v->vm != NULL)
		all[n++] = v->vm;
	for (size_t i = 0; i < n; i++) {
		in->leaving(in->context, all[i]);
		series_done(all[i]);
		free(all[i]);
	}
	free(v);
	in->vm_count--;
}

static void
unlisted_drop(struct inventory *in)
{
	for (size_t b = 0; b < INVENTORY_BUCKETS; b++)
		for (struct meter_vm **p = &in->buckets[b]; *p != NULL;) {
			struct meter_vm *v = *p;
			if (v->listed) {
				p = &v->next;
				continue;
			}
			*p = v->next;
			vm_free(in, v);
		}
}

bool
inventory_refresh(struct inventory *in, struct db *db, struct err *e)
{
	scoped(rows_clear) struct rows *hosts = NULL;
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(db, STMT_METER_HOSTS, DB_NONE, &hosts, e) ||
	    !db_query(db, STMT_METER_INVENTORY, DB_NONE, &r, e))
		return false;
	hosts_read(in, hosts);
	for (size_t b = 0; b < INVENTORY_BUCKETS; b++)
		for (struct meter_vm *v = in->buckets[b]; v != NULL; v = v->next)
			v->listed = false;
	for (size_t i = 0; i < rows_count(r); i++)
		if (!row_read(in, db, r, i, e))
			return false; /* nothing is dropped on half an answer */
	unlisted_drop(in);
	return true;
}

void
inventory_each(struct inventory *in, void (*visit)(void *context, struct series *s),
    void *context)
{
	for (size_t b = 0; b < INVENTORY_BUCKETS; b++)
		for (struct meter_vm *v = in->buckets[b]; v != NULL; v = v->next) {
			if (v->vm != NULL)
				visit(context, v->vm);
			for (size_t i = 0; i < v->nic_count; i++)
				visit(context, v->nics[i]);
			for (size_t i = 0; i < v->volume_count; i++)
				visit(context, v->volumes[i]);
		}
}
