/* SPDX-License-Identifier: Apache-2.0 */
/* account: making accounts, changing users, API keys */
#include "base/rat.h"
#include "web/handlers.h"
#include "web/password.h"
#include "web/sign.h"
#include "web_stmt.gen.h"
#include <string.h>

enum { KEY_BYTES = 64 };

static bool
locale_fits(const char *locale, struct err *e)
{
	if (locale == NULL || strcmp(locale, "en") == 0 || strcmp(locale, "ko") == 0)
		return true;
	return err_set(e, ERR_INPUT, "locale %.10s: en and ko are known", locale);
}

static bool
timezone_fits(struct call *c, const char *zone, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;

	if (zone == NULL)
		return true;
	if (!db_query(c->db, STMT_ZONE_NAME_KNOWN, DB_ARGS(zone), &r, e))
		return false;
	return rows_count(r) > 0 ||
	    err_set(e, ERR_INPUT,
		"timezone %.64s is not known: write a name such as Asia/Seoul or UTC",
		zone);
}

static bool
money_fits(const char *currency, struct err *e)
{
	unsigned places;

	return currency == NULL || currency_places(&places, currency, e);
}

static bool
account_fits(struct call *c, struct err *e)
{
	if (call_number(c, "accounttype", 0) != 0)
		return err_set(e, ERR_INPUT,
		    "accounttype: only 0, a tenant, can be made");
	return password_fit(call_value(c, "password"), e) &&
	    locale_fits(call_value(c, "locale"), e) &&
	    money_fits(call_value(c, "currency"), e) &&
	    timezone_fits(c, call_value(c, "timezone"), e);
}

static bool
domain_of(struct call *c, const char **id, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *uuid = call_value(c, "domainid");

	if (!db_query(c->db, STMT_DOMAIN_FIND, DB_ARGS(uuid), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "domainid", uuid, e);
	*id = arena_strdup(c->arena, rows_text(r, 0, 0));
	return true;
}

static bool
first_user_insert(struct call *c, const char *account_id, struct err *e)
{
	char hash[PASSWORD_HASH_MAX];

	if (!password_hash(hash, call_value(c, "password"), e))
		return false;
	if (db_run(c->db, STMT_USER_INSERT,
		DB_ARGS(account_id, call_value(c, "username"), hash,
		    call_value(c, "email"), call_value(c, "firstname"),
		    call_value(c, "lastname"), call_value(c, "locale")),
		NULL, e))
		return true;
	if (e->kind != ERR_CONFLICT)
		return false;
	return err_set(e, ERR_CONFLICT, "The user %.120s already exists",
	    call_value(c, "username"));
}

bool
handle_account_create(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *name = call_value(c, "account");
	const char *domain = NULL;

	if (name == NULL)
		name = call_value(c, "username");
	if (!account_fits(c, e) || !domain_of(c, &domain, e))
		return false;
	if (!db_query(c->db, STMT_ACCOUNT_INSERT,
		DB_ARGS(domain, name, call_value(c, "currency"),
		    call_value(c, "timezone"), call_value(c, "locale")),
		&r, e)) {
		if (e->kind == ERR_CONFLICT)
			return err_set(e, ERR_CONFLICT,
			    "The account %.120s already exists in that domain", name);
		return false;
	}
	c->object = arena_strdup(c->arena, rows_text(r, 0, 1));
	return first_user_insert(c, rows_text(r, 0, 0), e) &&
	    call_answer_one(c, STMT_ACCOUNT_ONE, c->object, e);
}

/* Tenants change themselves only; the provider changes anybody. */
static bool
user_reach(struct call *c, int64_t *user_id, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *id = call_value(c, "id");

	if (!db_query(c->db, STMT_USER_FIND, DB_ARGS(id), &r, e))
		return false;
	if (rows_count(r) == 0)
		return call_not_found(c, "id", id, e);
	*user_id = rows_i64(r, 0, 0);
	c->object = id;
	if (c->caller.provider || *user_id == c->caller.user_id)
		return true;
	return err_set(e, ERR_DENIED,
	    "Account %s does not have permission to change user %s",
	    c->caller.account_name, rows_text(r, 0, 1));
}

static bool
present_password_good(struct call *c, struct err *e)
{
	scoped(rows_clear) struct rows *r = NULL;
	const char *present = call_value(c, "currentpassword");

	if (present == NULL)
		return err_set(e, ERR_INPUT,
		    "currentpassword is needed to change one's own password");
	if (!db_query(c->db, STMT_CALLER_BY_NAME, DB_ARGS(c->caller.user_name), &r, e))
		return false;
	if (rows_count(r) == 1 && password_good(present, rows_text(r, 0, 5)))
		return true;
	return err_set(e, ERR_INPUT, "the present password is another one");
}

/* What another has set is a one-time password; all other log-ins of that user end. */
static bool
password_write(struct call *c, int64_t user_id, const char *wanted, bool own,
    struct err *e)
{
	char hash[PASSWORD_HASH_MAX];
	char token_hash[65] = "";

	if (own && c->caller.token != NULL)
		digest_hex(token_hash, c->caller.token);
	return password_hash(hash, wanted, e) &&
	    db_run(c->db, STMT_USER_PASSWORD,
		DB_ARGS(DB_NUMBER(user_id), hash, own ? "false" : "true"), NULL, e) &&
	    db_run(c->db, STMT_SESSION_CLOSE_OTHERS,
		DB_ARGS(DB_NUMBER(user_id), token_hash[0] != '\0' ? token_hash : NULL),
		NULL, e);
}

static bool
password_change(struct call *c, int64_t user_id, struct err *e)
{
	const char *wanted = call_value(c, "password");
	bool own = user_id == c->caller.user_id;

	if (wanted == NULL)
		return true;
	if (!password_fit(wanted, e) || (own && !present_password_good(c, e)))
		return false;
	if (own && strcmp(wanted, call_value(c, "currentpassword")) == 0)
		return err_set(e, ERR_INPUT, "the new password is the present one");
	return password_write(c, user_id, wanted, own, e);
}

bool
handle_user_update(struct call *c, struct err *e)
{
	int64_t user_id = 0;

	if (!locale_fits(call_value(c, "locale"), e) || !user_reach(c, &user_id, e) ||
	    !password_change(c, user_id, e))
		return false;
	if (!db_run(c->db, STMT_USER_UPDATE,
		DB_ARGS(DB_NUMBER(user_id), call_value(c, "locale"),
		    call_value(c, "email"), call_value(c, "firstname"),
		    call_value(c, "lastname")),
		NULL, e))
		return false;
	return call_answer_one(c, STMT_USER_ONE, c->object, e);
}

bool
handle_user_keys(struct call *c, struct err *e)
{
	char key[TOKEN_TEXT_MAX];
	char secret[TOKEN_TEXT_MAX];
	int64_t user_id = 0;
	uint64_t done = 0;

	if (!user_reach(c, &user_id, e))
		return false;
	token_make(key, KEY_BYTES);
	token_make(secret, KEY_BYTES);
	if (!db_run(c->db, STMT_USER_KEYS, DB_ARGS(c->object, key, secret), &done, e))
		return false;
	if (done != 1)
		return call_not_found(c, "id", c->object, e);
	jout_open(&c->out, NULL, '{');
	jout_string(&c->out, "apikey", key);
	jout_string(&c->out, "secretkey", secret);
	jout_close(&c->out, '}');
	return true;
}
