# SPDX-License-Identifier: Apache-2.0
"""Double entry, credits and payments, and a chain in which every change of closed data shows."""
import random
import subprocess
from datetime import datetime
from fractions import Fraction

import psycopg2
import pytest

from billing_house import (BIN, LICENCES, PLAIN, SEOUL, UTC, Site, db, environment, one, rate, rows, state)  # noqa: F401

TAMPERS = 1000


def audit(state, *words):
    return subprocess.run([BIN / "jeoul-audit", "--config", "/dev/null", *words], env=environment(state),
                          capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def site(db, state):
    s = Site(db, 815, now=datetime(2024, 2, 4, tzinfo=UTC), created=datetime(2024, 1, 25, tzinfo=UTC))
    s.names = {name: s.account(name, zone, document) for name, zone, document in (
        ("berlin", "Europe/Berlin", PLAIN), ("seoul", "Asia/Seoul", SEOUL), ("licences", "UTC", LICENCES))}
    s.vm(s.names["berlin"], "web1", [(9, 2, 512)])
    s.vm(s.names["seoul"], "db1", [(8, 3, 3000), (6, 1, 700), (5, None, 0)])
    s.lifetime(s.names["licences"], 900001, s.uuid(), "kvm01", "host", s.ago(8), None, sockets=2)
    rows(db, "update issuer set legal_name = 'Weighbridge'")
    rows(db, "update account set created = '2024-01-25Z' where name in ('admin', 'unassigned')")
    return s


def balance(db, account, ledger):
    return Fraction(one(db, "select coalesce(sum(balance), 0) from ledger_balance where account_id = %s and ledger = %s",
                        account, ledger))


def give(db, account, name, amount, expires=None):
    identity = one(db, "select gen_random_uuid()")
    rows(db, "select credit_give(%s, %s, %s, (select currency from account where id = %s), %s, %s, null, '2024-01-26Z')",
         account, identity, name, account, amount, expires)
    return identity


def test_credits_end_soonest_first_then_what_is_paid_in_advance(db, state, site):
    berlin = site.names["berlin"]
    never = give(db, berlin, "welcome", "5")
    soon = give(db, berlin, "spring", "3", "2024-02-20Z")
    gone = give(db, berlin, "old", "100", "2024-01-30Z")
    rows(db, "select payment_take(%s, 'wire-1', 'USD', 4.5, true, null, '2024-01-27Z')", berlin)
    rate(state, "--as-of", "2024-02-03T12:00:00Z")
    s = rows(db, "select * from statement where account_id = %s", berlin)[0]
    used = {c["id"]: Fraction(c["used"]) for c in s_document(s)["credits"]}
    total = Fraction(s["total"])
    assert total > 12.5  # all is used up
    assert used == {soon: 3, never: 5} and list(used) == [soon, never]
    assert s_document(s)["prepaid"] == {"used": "4.50", "left": "0.00"}
    assert Fraction(s["due"]) == total - Fraction("12.5") == balance(db, berlin, "receivable")
    assert balance(db, berlin, "credit/" + soon) == balance(db, berlin, "prepaid") == 0
    # What ended before it could be used went back.
    assert balance(db, berlin, "credit/" + gone) == 0
    assert balance(db, berlin, "promotion") == 8
    assert balance(db, berlin, "revenue/compute") + balance(db, berlin, "revenue/storage") + \
        balance(db, berlin, "revenue/network") == -Fraction(s["subtotal"])
    assert balance(db, berlin, "tax/standard") == -Fraction(s["tax"])
    assert audit(state, "verify").returncode == 0


def s_document(s):
    import json
    return json.loads(s["document"])


def test_a_payment_counts_once_and_a_mistake_is_taken_back_by_name(db, state, site):
    berlin = site.names["berlin"]
    due = balance(db, berlin, "receivable")
    for _ in range(2):
        rows(db, "select payment_take(%s, 'wire-2', 'USD', 1.25, false, null, '2024-02-05Z')", berlin)
    assert balance(db, berlin, "receivable") == due - Fraction("1.25")
    with pytest.raises(psycopg2.Error, match="exists with another content"):
        rows(db, "select payment_take(%s, 'wire-2', 'USD', 9, false, null, '2024-02-05Z')", berlin)
    for _ in range(2):
        rows(db, "select ledger_reverse(%s, 'payment/wire-2', 'bounced', null, '2024-02-06Z')", berlin)
    assert balance(db, berlin, "receivable") == due
    assert one(db, "select corrects from ledger_entry where posting_key = 'reverse/payment/wire-2'") == "payment/wire-2"
    with pytest.raises(psycopg2.Error, match="more than 0"):
        rows(db, "select payment_take(%s, 'wire-3', 'USD', 0, false, null, '2024-02-05Z')", berlin)


def test_debits_are_credits_after_every_entry(db, state, site):
    """An entry moves an amount from one ledger to another, so any prefix of any history balances."""
    assert one(db, "select count(*) from ledger_entry where amount <= 0 or debit = credit") == 0
    assert all(r[0] == 0 for r in rows(db, "select sum(balance) from ledger_balance group by account_id, currency"))


def test_the_chain_is_intact_and_says_where_it_ends(db, state, site):
    said = audit(state, "verify")
    assert said.returncode == 0 and said.stdout.startswith("intact: ")
    seq, digest = audit(state, "head").stdout.split()
    assert int(seq) == one(db, "select count(*) from chain")
    assert digest == one(db, "select hash from chain where seq = %s", int(seq))
    assert audit(state, "look").returncode == 2


def test_late_usage_is_on_record_within_a_day(db, state, site):
    berlin = site.names["berlin"]
    rows(db, "update usage_window set net_tx_bytes = net_tx_bytes + 1 where account_id = %s and window_from = "
         "(select min(window_from) from usage_window where account_id = %s and resource_kind = 'nic')", berlin, berlin)
    said = audit(state, "verify")
    assert said.returncode == 1 and "usage of a closed period was changed" in said.stdout
    assert audit(state, "verify", "--without-usage").returncode == 0
    rate(state, "--as-of", "2024-02-04T13:00:00Z")
    assert audit(state, "verify").returncode == 0
    assert one(db, "select count(*) from chain where kind = 'usage' and key like %s || '/%%'", str(berlin)) == 2


# ---------------------------------------------------------------- tampering

# What is closed: table, which rows, columns that are no part of it.
CLOSED = {
    "statement": ("true", set()),
    "statement_line": ("true", set()),
    "statement_number": ("true", set()),
    "ledger_entry": ("true", set()),
    "credit_grant": ("true", set()),
    "chain": ("true", set()),
    "chain_head": ("true", set()),
    "tariff": ("exists (select from account_tariff a where a.tariff_id = x.id)", {"created"}),
    "tariff_version": ("true", set()),
    "billing_period": ("closed_at is not null", {"looked_at"}),
    "usage_window": ("window_from < '2024-01-31T15:00Z'", {"turn"}),  # which collector wrote it is no consumption
    "lifetime": ("valid_from < '2024-01-31T15:00Z' and valid_to < '2024-01-31T15:00Z'", set()),
}


def other(dice, value, kind):
    """The value with one byte, digit or instant changed; None: leave this one."""
    if value is None:
        return {"text": "x", "bigint": "7", "integer": "7", "numeric": "7", "uuid": str(__import__("uuid").uuid4()),
                "timestamp with time zone": "2024-01-01Z", "boolean": "true"}.get(kind)
    if kind == "boolean":
        return "false" if value == "true" else "true"
    if kind == "timestamp with time zone":
        return None  # handled in SQL: one microsecond is enough
    if kind == "uuid" or kind == "text":
        at = dice.randrange(len(value)) if value else 0
        letters = "0123456789abcdef" if kind == "uuid" else "0123456789abcdefghijklmnopqrstuvwxyz{}[]\",: "
        letter = dice.choice([c for c in letters if c != value[at:at + 1]])
        return None if kind == "uuid" and value[at] == "-" else value[:at] + letter + value[at + 1:]
    digits = [i for i, c in enumerate(value) if c.isdigit()]
    at = dice.choice(digits)
    return value[:at] + dice.choice([d for d in "0123456789" if d != value[at]]) + value[at + 1:]


def columns_of(cursor, table):
    cursor.execute("select column_name, data_type from information_schema.columns where table_schema = 'jeoul' "
                   "and table_name = %s and is_generated = 'NEVER' order by ordinal_position", (table,))
    return [(n, k) for n, k in cursor.fetchall() if n not in CLOSED[table][1] and k != "ARRAY"]


def tamper(cursor, dice, table):
    """Changes, removes or doubles one row; answers what was done, or None where that was refused."""
    where = CLOSED[table][0]
    cursor.execute(f"select x.ctid, x.tableoid::regclass::text from {table} x where {where} order by random() limit 1")
    place, real = cursor.fetchone()
    deed = dice.random()
    if deed < 0.12:
        cursor.execute(f"delete from {real} where ctid = %s", (place,))
        return f"{table}: row deleted"
    name, kind = dice.choice(columns_of(cursor, table))
    cursor.execute(f"select {name}::text from {real} where ctid = %s", (place,))
    value = cursor.fetchone()[0]
    if kind == "timestamp with time zone" and value is not None:
        changed = f"{name} + interval '1 microsecond' * {dice.choice([1, -1, 10**6, -86400 * 10**6])}"
    else:
        new = other(dice, value, kind)
        if new is None:
            return None
        changed = cursor.mogrify("%s::" + kind, (new,)).decode()
    # A further version is no change of what is there, nor is usage of an account that has none yet.
    if deed < 0.2 and not table.startswith("tariff") and (name != "account_id" or table not in ("lifetime", "usage_window")):
        cols = [n for n, _ in columns_of(cursor, table)]
        cursor.execute(f"insert into {real} ({', '.join(cols)}) overriding system value select "
                       + ", ".join(changed if c == name else c for c in cols) + f" from {real} where ctid = %s", (place,))
        return f"{table}: a row like another, {name} = {changed}"
    cursor.execute(f"update {real} set {name} = {changed} where ctid = %s", (place,))
    return f"{table}.{name}: {value} -> {changed}"


def test_every_change_of_closed_data_is_found(db, state, site):
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    dice = random.Random(seed)
    done, tables, missed = 0, {}, []
    link = psycopg2.connect(host=str(state / "pg"), user="jeoul_owner", dbname="jeoul",
                            options="-c search_path=jeoul,public -c TimeZone=UTC")
    with link.cursor() as cursor:
        cursor.execute(f"select setseed({dice.random()})")
        cursor.execute("alter table tariff_version disable trigger all")  # as who owns the database may
        cursor.execute("set session_replication_role = replica")          # foreign keys don't hold him back
        cursor.execute("select count(*) from audit_verify()")
        assert cursor.fetchone()[0] == 0
        while done < TAMPERS:
            table = dice.choice(list(CLOSED))
            cursor.execute("savepoint before")
            try:
                what = tamper(cursor, dice, table)
            except (psycopg2.errors.IntegrityError, psycopg2.errors.DataError, psycopg2.errors.GeneratedAlways):
                what = None  # the schema itself refuses it
            if what is not None:
                cursor.execute("select problem from audit_verify() limit 1")
                found = cursor.fetchone()
                done += 1
                tables[table] = tables.get(table, 0) + 1
                if found is None:
                    missed.append(what)
            cursor.execute("rollback to before")
    link.rollback()
    link.close()
    print(tables)
    assert missed == []
    assert set(tables) == set(CLOSED)


def test_the_first_bad_row_is_named(db, state, site):
    """Of two changes the earlier one in the chain comes first, under its own name."""
    two = rows(db, "select c.seq, s.account_id, s.uuid from chain c join statement s on c.kind = 'statement' and "
               "c.key = s.uuid::text order by c.seq")
    first, last = two[0], two[-1]
    link = psycopg2.connect(host=str(state / "pg"), user="jeoul_owner", dbname="jeoul", options="-c search_path=jeoul,public")
    with link.cursor() as cursor:
        for s in (last, first):
            cursor.execute("update statement set total = total + 1 where account_id = %s and uuid = %s",
                           (s["account_id"], s["uuid"]))
        cursor.execute("select seq, kind, key, problem from audit_verify()")
        assert cursor.fetchall() == [(s["seq"], "statement", str(s["uuid"]), "it was changed") for s in (first, last)]
    link.rollback()
    link.close()
