# SPDX-License-Identifier: Apache-2.0
"""Funds that run out, credit limits, budgets, corrections, credit notes."""
import json
from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from billing_house import PLAIN, UTC, Site, db, expected, local_unit, one, rate, rows, state  # noqa: F401

HOURLY = {"currency": "USD", "tax": {"mode": "exclusive", "classes": {"standard": "0.19"}}, "prices": [
    {"sku": "vm.running", "per": "hour", "group_by": "resource", "model": {"type": "unit", "price": "0.30"}},
    {"sku": "vcpu", "per": "hour", "model": {"type": "graduated", "tiers": [
        {"up_to": "50", "price": "0.10"}, {"up_to": None, "price": "0.07"}]}},
    {"sku": "support.hours", "model": {"type": "unit", "price": "80"}},
    *({"sku": sku, "model": {"type": "unit", "price": "0"}} for sku in (
        "memory.gib", "cpu.time", "disk.read.bytes", "disk.write.bytes", "disk.read.requests", "disk.write.requests",
        "net.rx.bytes", "net.tx.bytes") if sku != "memory.gib"),
    {"sku": "memory.gib", "per": "hour", "model": {"type": "unit", "price": "0"}},
    {"sku": "volume.gib", "per": "month", "model": {"type": "unit", "price": "0"}}]}
BEGIN = datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def site(db, state):
    s = Site(db, 5, now=datetime(2024, 2, 10, tzinfo=UTC), created=datetime(2024, 2, 1, tzinfo=UTC))
    s.names = {name: s.account(name, "UTC", HOURLY) for name in ("prepaid", "owing", "free")}
    s.uuids = {}
    for n, (name, account) in enumerate(s.names.items()):
        s.uuids[name] = s.uuid()
        s.lifetime(account, 500 + n, s.uuids[name], "vm-" + name, "running", BEGIN, None, vcpus=2, memory_bytes=1 << 30)
    rows(db, "update issuer set legal_name = 'Weighbridge'")
    rows(db, "update account set created = '2024-02-01Z' where name in ('admin', 'unassigned')")
    rows(db, "insert into billing_terms (account_id, issuer_id, prepaid, credit_limit, policy) values "
         "(%s, 1, true, 2, 'stop'), (%s, 1, false, 30, 'refuse')", s.names["prepaid"], s.names["owing"])
    return s


def charge(seconds):
    """What HOURLY asks for two vCPUs after so many seconds, before tax."""
    hours = Fraction(seconds, 3600)
    cpus = 2 * hours
    return hours * Fraction("0.30") + min(cpus, 50) * Fraction("0.10") + max(cpus - 50, 0) * Fraction("0.07")


def locked(funds):
    """First whole second of the period at which the charge reaches the funds, by trying."""
    low, high = 0, 40 * 86400
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if charge(middle) >= funds else (middle + 1, high)
    return BEGIN + timedelta(seconds=low)


def standing(db, account):
    return rows(db, "select * from account_standing where account_id = %s", account)[0]


def alarms(db, rule):
    return {r["name"]: (r["severity"], r["text"]) for r in rows(db, "select * from billing_alarm where rule = %s", rule)}


def test_funds_run_out_at_the_second_that_was_predicted(db, state, site):
    account = site.names["prepaid"]
    rows(db, "select payment_take(%s, 'first', 'USD', 25.5, true, null, '2024-02-02Z')", account)
    end = locked(Fraction("27.5"))
    rate(state, "--as-of", "2024-02-03T05:00:00Z")
    s = standing(db, account)
    assert s["lock_at"] == end
    assert (s["balance"], s["credit_limit"], s["level"], s["action"]) == (Fraction("25.5"), 2, "ok", "none")
    near = BEGIN
    while charge(int((near - BEGIN).total_seconds())) * 100 < Fraction("27.5") * 80:
        near += timedelta(seconds=60)
    for at, level, action in ((near - timedelta(seconds=60), "ok", "none"), (near, "near", "warn"),
                              (end - timedelta(seconds=1), "near", "warn"), (end, "over", "stop")):
        rate(state, "--as-of", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
        s = standing(db, account)
        assert (s["level"], s["action"], s["lock_at"]) == (level, action, end)
    severity, text = alarms(db, "account.funds")["prepaid"]
    assert severity == "major" and "has used 100 % of its funds" in text and "all of it since" in text
    # More comes in: the lock moves on.
    rows(db, "select payment_take(%s, 'second', 'USD', 20, true, null, '2024-02-08Z')", account)
    rate(state, "--as-of", (end + timedelta(seconds=9)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    s = standing(db, account)
    assert (s["level"], s["action"], s["lock_at"]) == ("ok", "none", locked(Fraction("47.5")))
    assert "prepaid" not in alarms(db, "account.funds")


def test_a_credit_limit_counts_what_is_owed(db, state, site):
    account = site.names["owing"]
    end = locked(30)
    rate(state, "--as-of", end.strftime("%Y-%m-%dT%H:%M:%SZ"))
    s = standing(db, account)
    assert (s["balance"], s["level"], s["action"], s["lock_at"]) == (0, "over", "refuse", end)
    assert "100 % of its credit limit" in alarms(db, "account.funds")["owing"][1]
    rows(db, "update billing_terms set credit_limit = 1000 where account_id = %s", account)
    rate(state, "--as-of", (end + timedelta(seconds=5)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert standing(db, account)["lock_at"] is None  # not within this month
    assert standing(db, site.names["free"])["used_percent"] is None


def test_budgets_tell_what_is_spent_and_what_it_will_come_to(db, state, site):
    account = site.names["free"]
    for name, amount, scope, value in (("all", 1000, "account", ""), ("cpu", 30, "sku", "vcpu"),
                                       ("machine", "1", "resource", site.uuids["free"]), ("web", 68, "tag", "tier=web")):
        rows(db, "insert into budget (account_id, name, amount, currency, scope, value) values (%s, %s, %s, 'USD', %s, %s)",
             account, name, amount, scope, value)
    rows(db, "insert into tag values (%s, 'vm', %s, 'tier', 'web')", account, site.uuids["free"])
    now = BEGIN + timedelta(days=6)
    rate(state, "--as-of", now.strftime("%Y-%m-%dT%H:%M:%SZ"))
    got = {r["name"]: r for r in rows(db, "select b.name, s.* from budget_state s join budget b on b.uuid = s.budget_uuid")}
    hours = 6 * 24
    cpu = 50 * Fraction("0.10") + (2 * hours - 50) * Fraction("0.07")
    left = Fraction((datetime(2024, 3, 1, tzinfo=UTC) - now) // timedelta(seconds=1), 3600)
    # A resource has its share of the account's lines too: here all of it.
    assert got["machine"]["spent"] == cpu + hours * Fraction("0.30") and got["machine"]["level"] == "over"
    assert got["web"]["spent"] == got["machine"]["spent"] and got["web"]["level"] == "near"
    assert got["cpu"]["spent"] == cpu and got["cpu"]["level"] == "ok"
    assert got["all"]["spent"] == cpu + hours * Fraction("0.30") and got["all"]["level"] == "ok"
    assert abs(Fraction(got["all"]["forecast"]) - (Fraction(got["all"]["spent"]) + left * Fraction("0.44"))) <= Fraction("0.01")
    assert {k: v[0] for k, v in alarms(db, "account.budget").items()} == {"free/machine": "major", "free/web": "warning"}


# ---------------------------------------------------------------- usage from outside

def tell(db, account, record, sku="support.hours", quantity="1", since="2024-02-05T12:00Z", **more):
    """A record as the API stores it: an amount, or with `until` a level."""
    rows(db, "insert into usage_meter (sku, unit, kind) select %s, 'hour', 'amount' where %s ~ '^(support|paper)' "
         "on conflict do nothing", sku, sku)
    rows(db, "insert into usage_import (account_id, source, record, sku, unit, kind, used_from, used_to, quantity, seq, "
         "resource_uuid, resource_name, corrects, received_at) select id, 'desk', %s, %s, 'hour', %s, %s, %s, %s, %s, "
         "coalesce(%s, uuid), name, %s, '2024-02-09Z' from account where id = %s", record, sku,
         "level" if "until" in more else "amount", since, more.get("until"), quantity, more.get("seq", 0),
         more.get("resource"), more.get("corrects"), account)
    rows(db, "insert into usage_import_key values ('desk', %s, %s)", record, account)


def accrued(db, account, sku):
    return {r["resource_uuid"]: Fraction(r["quantity"]) for r in rows(
        db, "select a.* from accrual a join accrual_run r using (account_id, period_from, generation) "
        "where a.account_id = %s and a.sku = %s", account, sku)}


def test_received_is_rated_unrated_rejected_or_pending(db, state, site):
    """Counted on both sides: in the tables, and by who rates; a future event waits, unpriced usage is named."""
    account = site.names["free"]
    tell(db, account, "call-1", quantity="1.5")
    tell(db, account, "call-2", quantity="0.25")
    tell(db, account, "call-3", since="2024-02-12T00:00Z")
    tell(db, account, "call-2b", quantity="0.5", corrects="call-2", seq=1)
    tell(db, account, "call-7b", corrects="call-7", seq=1)
    tell(db, account, "gift", sku="paper.pages", quantity="3")
    rate(state, "--as-of", "2024-02-10T00:00:00Z")
    got = {r["sku"]: tuple(r[k] for k in ("received", "rated", "unrated", "rejected", "pending"))
           for r in rows(db, "select * from usage_balance where account_id = %s", account)}
    assert got == {"support.hours": (4, 2, 0, 0, 2), "paper.pages": (1, 0, 1, 0, 0), "vm.running": (1, 1, 0, 0, 0),
                   "vcpu": (1, 1, 0, 0, 0), "memory.gib": (1, 1, 0, 0, 0)}
    assert one(db, "select unrated from accrual_run where account_id = %s", account) == ["paper.pages"]
    assert sum(accrued(db, account, "support.hours").values()) == 2


def test_a_correction_goes_before_what_was_metered(db, state, site):
    """The VM was down for a day and nobody saw it: not billed, by name and reason."""
    account, vm = site.names["free"], site.uuids["free"]
    before = accrued(db, account, "vm.running")[vm]
    tell(db, account, "ticket-77", sku="vm.running", resource=vm, since="2024-02-06T00:00Z", until="2024-02-07T00:00Z",
         quantity="0", seq=1)
    rate(state, "--as-of", "2024-02-10T00:00:10Z")
    assert accrued(db, account, "vm.running")[vm] == before - 24 + Fraction(10, 3600)
    assert accrued(db, account, "vcpu")[None] == 2 * (before + Fraction(10, 3600))


def test_a_correction_of_a_closed_month_is_a_difference(db, state, site):
    account, vm = site.names["free"], site.uuids["free"]
    rate(state, "--as-of", "2024-03-02T00:00:00Z")
    february = rows(db, "select * from statement where account_id = %s", account)[0]
    tell(db, account, "ticket-78", sku="vm.running", resource=vm, since="2024-02-09T00:00Z", until="2024-02-09T10:00Z",
         quantity="0", seq=1)
    tell(db, account, "call-9", quantity="2", since="2024-02-20T00:00Z")
    rate(state, "--as-of", "2024-04-02T00:00:00Z")
    found = [json.loads(r[0]) for r in rows(db, "select document from statement_line where account_id = %s and for_period = %s "
                                           "and statement_id <> %s", account, february["period_from"], february["id"])]
    assert {(line["kind"], line["sku"], line["quantity"], line["amount"], line["original"]["statement"]) for line in found} == {
        ("adjustment", "vm.running", "-10", "-3.00", february["name"]),
        ("adjustment", "support.hours", "2", "160.00", february["name"])}
    assert {u["sku"]: (u["received"], u["rated"], u["unrated"], u["rejected"]) for u in
            json.loads(february["document"])["body"]["usage"]}["support.hours"] == ("4", "3", "0", "0")
    assert rows(db, "select * from audit_verify()") == []


# ---------------------------------------------------------------- credit notes

def ask(db, account, **request):
    return one(db, "insert into billing_request (account_id, kind, request) values (%s, 'credit_note', %s) returning uuid",
               account, json.dumps(request))


def answer(db, uuid):
    return tuple(rows(db, "select state, answer from billing_request where uuid = %s", uuid)[0])


def test_credit_notes_over_everything_leave_exactly_nothing(db, state, site):
    account = site.names["free"]
    s = rows(db, "select * from statement where account_id = %s order by period_from", account)[0]
    owed = one(db, "select balance from ledger_balance where account_id = %s and ledger = 'receivable'", account)
    third = ask(db, account, statement=s["name"], reason="slow answers", items=[{"sku": "support.hours", "percent": "33.333"}])
    some = ask(db, account, statement=str(s["uuid"]), reason="goodwill",
               items=[{"sku": "vcpu", "amount": "3.33"}, {"sku": "vm.running", "percent": "50"}])
    much = ask(db, account, statement=s["name"], reason="", items=[{"sku": "vm.running", "percent": "50.01"}])
    none = ask(db, account, statement=s["name"], items=[{"sku": "net.bytes", "percent": "50"}])
    fine = ask(db, account, statement=s["name"], items=[{"sku": "vcpu", "amount": "0.001"}])
    gone = ask(db, account, statement="2019-000001", items=[{"all": True}])
    rest = ask(db, account, statement=s["name"], reason="all of it", items=[{"all": True}])
    again = ask(db, account, statement=s["name"], items=[{"all": True}])
    rate(state, "--as-of", "2024-04-02T00:00:30Z")
    line = one(db, "select document from statement_line where account_id = %s and statement_id = %s and document like %s",
               account, s["id"], '%"vm.running"%')
    assert json.loads(line)["tags"] == {"tier": "web"}
    assert [answer(db, u)[0] for u in (third, some, rest)] == ["done"] * 3
    for uuid, why in ((much, "more than what is left of it"), (none, "has no line of net.bytes"),
                      (fine, "more than 2 places"), (gone, "no statement 2019-000001"), (again, "nothing is left")):
        assert answer(db, uuid)[0] == "refused" and why in answer(db, uuid)[1]
    notes = rows(db, "select * from statement where refers_to = %s order by number", s["id"])
    assert [n["name"] for n in notes] == [answer(db, u)[1] for u in (third, some, rest)]
    for key in ("subtotal", "tax", "total"):
        assert s[key] + sum(n[key] for n in notes) == 0
    assert one(db, "select balance from ledger_balance where account_id = %s and ledger = 'receivable'", account) == \
        owed - s["total"]
    head = json.loads(notes[0]["document"])
    assert head["original"] == {"number": s["name"], "sha256": s["sha256"]} and head["reason"] == "slow answers"
    # What is left after half of 33.333 % stays in cents, and tax is the difference of taxes.
    assert Fraction(head["body"]["total"]) == Fraction(head["body"]["subtotal"]) + Fraction(head["body"]["tax"])
    assert rows(db, "select * from audit_verify()") == []
    numbers = [r[0] for r in rows(db, "select number from statement_number where series = 'invoice' order by 1")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_note_is_no_correction_of_usage(db, state, site):
    """What was given back for goodwill is not charged again by the next statement."""
    account = site.names["free"]
    rate(state, "--as-of", "2024-05-02T00:00:00Z")
    s = rows(db, "select * from statement where account_id = %s and kind = 'invoice' order by period_from desc", account)[0]
    assert not [r for r in rows(db, "select document from statement_line where account_id = %s and statement_id = %s",
                                account, s["id"]) if '"adjustment"' in r[0]]
    assert s["total"] == s["subtotal"] + s["tax"]
