/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs of network cards. */
#include "base/log.h"
#include "base/mem.h"
#include "provision/define.h"
#include "provision/work.h"
#include "provision_stmt.gen.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REMOVE_LOOK_NS (NS_PER_S / 2)
#define REMOVE_MOST_NS (30 * NS_PER_S)

struct nic_job {
	struct work w;
	struct rows *network; /* network_by_uuid */
	int64_t id;
	char uuid[HV_UUID_MAX];
	char mac[18], tap[16];
	struct instant at;
};

static void
done(struct nic_job *n)
{
	rows_free(n->network);
	work_done(&n->w);
}

static bool
domain_has(struct work *w, const char *mac, bool *has, struct err *e)
{
	struct domain_found found;
	char *xml = NULL;
	bool ok = hv_domain_xml(w->hv, w->vm.uuid, &xml, e) &&
	    domain_read(&found, xml, e);

	free(xml);
	*has = false;
	for (size_t i = 0; ok && i < found.nic_count; i++)
		*has = *has || strcasecmp(found.nics[i].mac, mac) == 0;
	return ok;
}

/* As the rows say it; caller frees. */
static bool
nic_xml_now(struct nic_job *n, char **xml, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct want_nic nic;

	if (!db_query(n->w.job->db, STMT_VM_NICS,
		DB_ARGS(DB_NUMBER(n->w.vm.account_id), DB_NUMBER(n->w.vm.id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++)
		if (strcmp(rows_text(r, i, 2), n->mac) == 0) {
			define_nic(&nic, r, i);
			*xml = nic_xml(&nic);
			return true;
		}
	return err_set(e, ERR_INTERNAL, "the card %s is not on %s any more", n->mac,
	    n->w.vm.name);
}

/* ---- add */

static bool
write_added(struct db *db, void *context, struct err *e)
{
	struct nic_job *n = context;

	return vm_nic_add(db, &n->w.vm, n->mac, rows_text(n->network, 0, 5),
	    rows_i64(n->network, 0, 1), n->tap, n->at, e);
}

static bool
write_removed(struct db *db, void *context, struct err *e)
{
	struct nic_job *n = context;

	return db_run(db, STMT_NIC_REMOVE_ONE,
	    DB_ARGS(DB_NUMBER(n->w.vm.account_id), DB_NUMBER(n->id), DB_INSTANT(n->at)),
	    NULL, e);
}

static bool
known(struct nic_job *n, bool *is, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	*is = false;
	if (!db_query(n->w.job->db, STMT_VM_NICS,
		DB_ARGS(DB_NUMBER(n->w.vm.account_id), DB_NUMBER(n->w.vm.id)), &r, e))
		return false;
	for (size_t i = 0; i < rows_count(r); i++)
		if (strcmp(rows_text(r, i, 2), n->mac) == 0) {
			*is = true;
			n->id = rows_i64(r, i, 0);
		}
	return rows_count(r) < WANT_NICS_MOST || *is ||
	    err_set(e, ERR_LIMIT, "%s has as many cards as it can", n->w.vm.name);
}

/* The address is of the job, so that a second try after a kill finds the first one's
 * card. */
static void
card_name(struct nic_job *n)
{
	const char *wish = job_text(n->w.job, "macaddress");
	const char *u = n->w.job->uuid;
	char digits[13] = "";
	size_t length = 0;

	if (wish != NULL)
		(void)snprintf(n->mac, sizeof(n->mac), "%.17s", wish);
	else
		(void)snprintf(n->mac, sizeof(n->mac), "52:54:00:%.2s:%.2s:%.2s", u,
		    u + 2, u + 4);
	for (const char *p = n->mac; *p != '\0' && length < 12; p++)
		if (*p != ':')
			digits[length++] = *p;
	digits[length] = '\0';
	(void)snprintf(n->tap, sizeof(n->tap), "jn%s", digits);
}

static bool
network_find(struct nic_job *n, struct err *e)
{
	const char *uuid = job_text(n->w.job, "networkid");

	if (uuid == NULL)
		return err_set(e, ERR_INPUT, "networkid is missing");
	if (!db_query(n->w.job->db, STMT_NETWORK_BY_UUID, DB_ARGS(uuid), &n->network, e))
		return false;
	return rows_count(n->network) == 1 ||
	    err_set(e, ERR_NOT_FOUND, "no network %.36s", uuid);
}

static bool
plug(struct nic_job *n, struct err *e)
{
	struct work *w = &n->w;
	scoped_free char *xml = NULL;
	bool stopped = false;
	bool has = false;
	bool ready = true;

	if (!work_stopped(w, &stopped, e) || !nic_xml_now(n, &xml, e))
		return false;
	job_step(w->job, "plugging the card in");
	if (!stopped &&
	    (!domain_has(w, n->mac, &has, e) ||
		(!has && !hv_attach(w->hv, w->vm.uuid, xml, e))))
		return false;
	return w->vm.adopted || define_vm(w, &ready, e);
}

static bool
add_all(struct nic_job *n, struct err *e)
{
	struct work *w = &n->w;
	struct err ignored = ERR_INIT;
	bool is = false;

	card_name(n);
	n->at = clock_now();
	if (!work_connect(w, e) || !known(n, &is, e) ||
	    (!is && (!job_transaction(w->job, write_added, n, e) || !known(n, &is, e))))
		return false;
	if (plug(n, e))
		return true;
	n->at = clock_now();
	if (!w->job->overtaken && !job_may_retry(w->job, e) &&
	    !job_transaction(w->job, write_removed, n, &ignored))
		log_warning("vm %s: %s", w->vm.uuid, ignored.text);
	return false;
}

bool
job_nic_add(struct job *j, struct err *e)
{
	struct nic_job n = { .w = { .job = j } };
	bool ok = work_find(&n.w, j, e) && network_find(&n, e) && add_all(&n, e);

	done(&n);
	return ok;
}

/* ---- remove */

static bool
unplug_turn(struct nic_job *n, bool *gone, struct err *e)
{
	struct work *w = &n->w;
	scoped_free char *xml = NULL;
	struct instant asked;
	char now[CLOCK_TEXT_MAX];
	bool has = true;

	*gone = false;
	if (!domain_has(w, n->mac, &has, e))
		return false;
	*gone = !has;
	if (*gone)
		return true;
	if (job_noted_at(w->job, "asked", &asked))
		return clock_now().ns - asked.ns < REMOVE_MOST_NS
		    ? job_again(w->job, "waiting for the guest to let it go",
			  REMOVE_LOOK_NS)
		    : err_set(e, ERR_CONFLICT,
			  "the guest of %s does not let go of the card %s", w->vm.name,
			  n->mac);
	if (!nic_xml_now(n, &xml, e) ||
	    !job_note(w->job, "asked", instant_text(clock_now(), now), e) ||
	    !hv_detach(w->hv, w->vm.uuid, xml, e))
		return false;
	return job_again(w->job, "waiting for the guest to let it go", 1);
}

static bool
remove_turn(struct nic_job *n, struct err *e)
{
	struct work *w = &n->w;
	bool stopped = false;
	bool gone = true;
	bool ready = true;

	if (!work_connect(w, e) || !work_stopped(w, &stopped, e))
		return false;
	if (!stopped && (!work_sampled(w, "sample", &ready, e) || !ready))
		return e->kind == ERR_NONE;
	if (!stopped && !unplug_turn(n, &gone, e))
		return false;
	if (!gone)
		return true;
	n->at = clock_now();
	return job_transaction(w->job, write_removed, n, e) &&
	    (w->vm.adopted || define_vm(w, &ready, e));
}

bool
job_nic_remove(struct job *j, struct err *e)
{
	struct nic_job n = { .w = { .job = j } };
	scoped(rows_clear) struct rows *r = NULL;
	const char *uuid = job_text(j, "nicid");
	bool ok = work_find(&n.w, j, e);

	if (ok && uuid == NULL)
		ok = err_set(e, ERR_INPUT, "nicid is missing");
	ok = ok &&
	    db_query(j->db, STMT_NIC_BY_UUID,
		DB_ARGS(DB_NUMBER(n.w.vm.account_id), DB_NUMBER(n.w.vm.id), uuid), &r, e);
	if (ok && rows_count(r) == 1) { /* else it went before a kill */
		n.id = rows_i64(r, 0, 0);
		(void)snprintf(n.mac, sizeof(n.mac), "%s", rows_text(r, 0, 1));
		ok = remove_turn(&n, e);
	}
	done(&n);
	return ok;
}
