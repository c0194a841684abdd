/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual machines: size, drive, cards, snapshots, user data, keys, console. */
#include "web/cloud.h"
#include "web/password.h"
#include "web_stmt.gen.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { CONSOLE_MOST = 65536, CONSOLE_USUAL = 16384 };

static bool
vm_answer(struct call *c, struct err *e)
{
	return call_answer_one(c, STMT_VM_ONE, c->object, e);
}

bool
handle_vm_scale(struct call *c, struct err *e)
{
	if (c->op->mode == OP_SYNC)
		c->after = vm_answer;
	return cloud_seen(c, STMT_OFFERING_ONE, "serviceofferingid", e) &&
	    cloud_job_on(c, STMT_VM_TARGET, "id", e) &&
	    db_run(c->db, STMT_VM_WANT,
		DB_ARGS(call_value(c, "id"), call_value(c, "serviceofferingid")), NULL,
		e) &&
	    cloud_limits(c, c->owner, "{cpu,memory}", e);
}

bool
handle_vm_rescue(struct call *c, struct err *e)
{
	return cloud_seen(c, STMT_ISO_SEEN, "isoid", e) &&
	    cloud_job_on(c, STMT_VM_TARGET, "id", e);
}

bool
handle_iso_attach(struct call *c, struct err *e)
{
	return cloud_seen(c, STMT_ISO_SEEN, "id", e) &&
	    cloud_job_on(c, STMT_VM_TARGET, "virtualmachineid", e);
}

/* Six pairs of hexadecimal digits, of one card (not of a group). */
static bool
mac_fits(const char *mac, struct err *e)
{
	bool fits = strlen(mac) == 17;

	for (size_t i = 0; fits && i < 17; i++)
		fits = i % 3 == 2 ? mac[i] == ':' : isxdigit((unsigned char)mac[i]) != 0;
	fits = fits && strchr("02468aceACE", mac[1]) != NULL;
	return fits ||
	    err_set(e, ERR_INPUT,
		"macaddress %.20s: six pairs of hexadecimal digits are wanted, the "
		"first of them even, as 52:54:00:12:34:56",
		mac);
}

bool
handle_nic_add(struct call *c, struct err *e)
{
	const char *mac = call_value(c, "macaddress");

	return (mac == NULL || mac_fits(mac, e)) &&
	    cloud_seen(c, STMT_NETWORK_SEEN, "networkid", e) &&
	    cloud_job_on(c, STMT_VM_TARGET, "virtualmachineid", e);
}

bool
handle_nic_remove(struct call *c, struct err *e)
{
	return cloud_job_on(c, STMT_VM_TARGET, "virtualmachineid", e);
}

bool
handle_vm_snapshot_create(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *vm = call_value(c, "virtualmachineid");

	if (!db_query(c->db, STMT_VM_SNAPSHOT_INSERT,
		DB_ARGS(vm, call_value(c, "name"), call_value(c, "description"),
		    call_value(c, "snapshotmemory")),
		&r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "virtualmachineid", vm, e);
	call_job_says(c, "vmsnapshotid", rows_text(r, 0, 0));
	return cloud_job_on(c, STMT_VM_TARGET, "virtualmachineid", e);
}

/* ---- what a VM is made of */

bool
cloud_vm_disks(struct call *c, const char *uuid, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *root = call_value(c, "rootdisksize");
	const char *offering = NULL;
	int64_t root_bytes = 0;
	int64_t bytes = 0;

	if (root != NULL && !cloud_gib(call_number(c, "rootdisksize", 0), &root_bytes))
		return err_set(e, ERR_INPUT, "rootdisksize: 1 to 1048576 GiB");
	if (!db_query(c->db, STMT_VM_ROOT_INSERT,
		DB_ARGS(uuid, root != NULL ? DB_NUMBER(root_bytes) : NULL), &r, e) ||
	    !cloud_disk_size(c, &offering, &bytes, e))
		return false;
	if (bytes == 0 && offering != NULL)
		return err_set(e, ERR_INPUT, "how large is its data disk? give size");
	return bytes == 0 ||
	    db_run(c->db, STMT_VM_DATA_INSERT, DB_ARGS(uuid, offering, DB_NUMBER(bytes)),
		NULL, e);
}

/* On the networks that are named, or on the one for everybody. */
bool
cloud_vm_cards(struct call *c, const char *uuid, struct err *e)
{
	const char *networks = call_value(c, "networkids");
	char *list;
	char *rest = NULL;

	if (networks == NULL)
		return db_run(c->db, STMT_VM_CARD_DEFAULT, DB_ARGS(uuid), NULL, e);
	list = arena_strdup(c->arena, networks);
	for (char *one = strtok_r(list, ",", &rest); one != NULL;
	     one = strtok_r(NULL, ",", &rest)) {
		uint64_t done = 0;
		if (!db_run(c->db, STMT_VM_CARD_INSERT, DB_ARGS(uuid, one), &done, e))
			return false;
		if (done == 0)
			return call_not_found(c, "networkids", one, e);
	}
	return true;
}

/* ---- what is told to the guest */

static bool
vm_is(struct call *c, const char *id, const char *state, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (!db_query(c->db, STMT_VM_FIND, DB_ARGS(id), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", id, e);
	c->owner = rows_i64(r, 0, 0);
	c->object = id;
	if (state == NULL || strcmp(rows_text(r, 0, 2), state) == 0)
		return true;
	return err_set(e, ERR_CONFLICT, "%.120s is %s: stop it first", rows_text(r, 0, 1),
	    rows_text(r, 0, 2));
}

bool
handle_vm_update(struct call *c, struct err *e)
{
	const char *id = call_value(c, "id");
	const char *name = call_value(c, "displayname");

	if (name == NULL)
		name = call_value(c, "name");
	if (!vm_is(c, id, NULL, e) ||
	    !db_run(c->db, STMT_VM_UPDATE,
		DB_ARGS(id, name, call_value(c, "haenable"), call_value(c, "userdata")),
		NULL, e))
		return false;
	return vm_answer(c, e);
}

bool
handle_vm_password(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "id");
	const char *password = call_value(c, "password");
	char made[20];
	char hash[PASSWORD_HASH_MAX];

	if (!vm_is(c, id, "Stopped", e))
		return false;
	if (password == NULL) {
		password_make(made);
		password = made;
	} else if (!password_fit(password, e))
		return false;
	if (!password_hash(hash, password, e) ||
	    !db_run(c->db, STMT_VM_SEED, DB_ARGS(id, NULL, NULL, hash, NULL, "1"), NULL,
		e) ||
	    !db_query(c->db, STMT_VM_ONE, DB_ARGS(id), &r, e))
		return false;
	jout_open(&c->out, NULL, '{');
	call_row_as(c, r, 0, "virtualmachine");
	jout_string(&c->out, "password", password);
	jout_close(&c->out, '}');
	c->total = 1;
	return true;
}

/* The public halves of the named pairs of the VM's owner; in the arena. */
static bool
keys_read(struct call *c, const char *names, const char **keys, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	*keys = NULL;
	if (names == NULL)
		return true;
	if (!db_query(c->db, STMT_KEY_PAIR_KEYS, DB_ARGS(DB_NUMBER(c->owner), names), &r,
		e))
		return false;
	if (!rows_bool(r, 0, 1))
		return err_set(e, ERR_NOT_FOUND,
		    "there is no SSH key named %.200s: see listSSHKeyPairs", names);
	*keys = arena_strdup(c->arena, rows_text(r, 0, 0));
	return true;
}

static const char *
keys_named(struct call *c)
{
	const char *many = call_value(c, "keypairs");

	return many != NULL ? many : call_value(c, "keypair");
}

bool
handle_vm_keys(struct call *c, struct err *e)
{
	const char *id = call_value(c, "id");
	const char *keys = NULL;

	if (keys_named(c) == NULL)
		return err_set(e, ERR_INPUT, "keypair or keypairs is missing");
	if (!vm_is(c, id, "Stopped", e) || !keys_read(c, keys_named(c), &keys, e) ||
	    !db_run(c->db, STMT_VM_SEED, DB_ARGS(id, NULL, keys, NULL, NULL, "1"), NULL,
		e))
		return false;
	return vm_answer(c, e);
}

/* Of a VM that is being made: what its guest reads at its first boot. */
bool
cloud_vm_seed(struct call *c, const char *uuid, struct err *e)
{
	const char *keys = NULL;
	const char *cmdline = params_map_get(c->params, "details", "cmdline");
	const char *password = call_value(c, "password");
	char hash[PASSWORD_HASH_MAX];

	if (cmdline != NULL && strlen(cmdline) > 1024)
		return err_set(e, ERR_INPUT, "details.cmdline: 1024 bytes at most");
	if (password != NULL &&
	    (!password_fit(password, e) || !password_hash(hash, password, e)))
		return false;
	return keys_read(c, keys_named(c), &keys, e) &&
	    db_run(c->db, STMT_VM_SEED,
		DB_ARGS(uuid, call_value(c, "userdata"), keys,
		    password != NULL ? hash : NULL, cmdline, "0"),
		NULL, e);
}

/* ---- console */

static bool
console_answer(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	struct json *doc = NULL;
	const char *text;

	if (!db_query(c->db, STMT_JOB_TAKE_RESULT, DB_ARGS(c->wait_job), &r, e))
		return false;
	text = rows_count(r) > 0 ? rows_text(r, 0, 0) : NULL;
	if (text == NULL)
		text = "{}";
	if (!json_parse(&doc, text, strlen(text), e))
		return false;
	jout_open(&c->out, NULL, '{');
	jout_string(&c->out, "virtualmachineid", call_value(c, "id"));
	text = json_text(json_get(json_root(doc), "log"));
	jout_number(&c->out, "length", text != NULL ? (int64_t)strlen(text) : 0);
	jout_string(&c->out, "log", text != NULL ? text : "");
	jout_close(&c->out, '}');
	json_free(doc);
	c->total = 1;
	return true;
}

/* Read by the role that may, as a job that changes nothing and so stands in no one's way.
 */
bool
handle_console_log(struct call *c, struct err *e)
{
	const char *id = call_value(c, "id");
	int64_t length = call_number(c, "length", CONSOLE_USUAL);

	if (length < 1 || length > CONSOLE_MOST)
		return err_set(e, ERR_INPUT, "length: 1 to %d bytes", CONSOLE_MOST);
	if (!vm_is(c, id, NULL, e))
		return false;
	c->after = console_answer;
	return call_job(c, "console", NULL, c->owner, e);
}
