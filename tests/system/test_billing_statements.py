# SPDX-License-Identifier: Apache-2.0
"""Periods close, statements are numbered and never change, late usage comes as a difference."""
import csv
import hashlib
import io
import json
import subprocess
from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from billing_house import (BIN, GIB, LICENCES, PLAIN, SEOUL, UTC, Site, db, environment, expected,  # noqa: F401
                           lease_runs_out, local_unit, one, rate, rounded, rows, state)

TIERS = {
    "currency": "USD", "timezone": "Europe/Berlin",
    "tax": {"mode": "inclusive", "classes": {"standard": "0.19", "reduced": "0.07"}},
    "prices": [
        {"sku": "vcpu", "per": "hour", "group_by": "resource", "versions": [
            {"to": "2024-02-14T23:00:00Z", "model": {"type": "graduated", "free_units": "10", "tiers": [
                {"up_to": "100", "price": "0.05", "flat": "1"}, {"up_to": None, "price": "0.03", "flat": "2"}]}},
            {"from": "2024-02-14T23:00:00Z", "model": {"type": "graduated", "discount_pct": "12.5", "tiers": [
                {"up_to": "500", "price": "0.04"}, {"up_to": None, "price": "0.02"}]}}]},
        {"sku": "memory.gib", "per": "hour", "tax_class": "reduced", "model": {
            "type": "tou", "price": "0.007", "default_name": "day", "maximum": "9",
            "bands": [{"name": "night", "from": "22:00", "to": "06:00", "price": "0.002"}]}},
        {"sku": "cpu.time", "divisor": "3600", "model": {"type": "package", "size": "100", "price": "0.5"}},
        {"sku": "net.tx.bytes", "divisor": "1000000000", "group_by": "resource",
         "model": {"type": "commit", "units": "100", "price": "0.01", "overage": "0.02"}},
        {"sku": "disk.write.bytes", "divisor": str(GIB), "group_by": "resource",
         "model": {"type": "volume", "minimum": "3", "tiers": [
             {"up_to": "50", "price": "0.02"}, {"up_to": None, "price": "0.01"}]}},
        *({"sku": sku, "model": {"type": "unit", "price": "0"}}
          for sku in ("disk.read.bytes", "disk.read.requests", "disk.write.requests", "net.rx.bytes")),
    ],
}


@pytest.fixture(scope="module")
def site(db):
    s = Site(db, 4711, now=datetime(2024, 2, 20, tzinfo=UTC), created=datetime(2024, 1, 5, tzinfo=UTC))
    s.names = {}
    for name, zone, document in (("berlin", "Europe/Berlin", PLAIN), ("seoul", "Asia/Seoul", SEOUL),
                                 ("tiers", "Europe/Berlin", TIERS), ("licences", "UTC", LICENCES)):
        s.names[name] = s.account(name, zone, document)
    web1 = s.vm(s.names["berlin"], "web1", [(40, 2, 512)])
    rows(db, "delete from usage_window where resource_id = %s and window_from = '2024-01-16T04:00Z'", web1)  # comes late
    s.vm(s.names["berlin"], "web2", [(36, 1, 256), (22, 4, 1536), (18, None, 0)])
    s.vm(s.names["seoul"], "db1", [(33, 3, 3000)])
    s.vm(s.names["tiers"], "a", [(30, 8, 4096), (10, 2, 1024)])
    s.vm(s.names["tiers"], "b", [(29.5, 1, 512)])
    s.lifetime(s.names["licences"], 900001, s.uuid(), "kvm01", "host", s.ago(300), None, sockets=2)
    rows(db, "update account set created = '2024-01-05Z' where name in ('admin', 'unassigned')")
    return s


def statements(db, account=None):
    return rows(db, "select * from statement where %s::bigint is null or account_id = %s "
                "order by case when %s::bigint is null then issued_at else period_from end, series, year, number",
                account, account, account)


def lines(db, s):
    return [json.loads(r["document"]) for r in rows(
        db, "select document from statement_line where account_id = %s and statement_id = %s order by line_no",
        s["account_id"], s["id"])]


def everything(db):
    """All bytes of what is closed."""
    return (rows(db, "select * from statement order by account_id, id"),
            rows(db, "select * from statement_line order by 1, 2, 3"),
            rows(db, "select * from statement_number order by 1, 2, 3, 4"))


def sums_hold(db, s):
    """What a statement says of itself adds up, to the last digit."""
    document, body = json.loads(s["document"]), json.loads(s["document"])["body"]
    found = lines(db, s)
    texts = [r[0] for r in rows(db, "select document from statement_line where account_id = %s and statement_id = %s "
                                "order by line_no", s["account_id"], s["id"])]
    digests = "".join(hashlib.sha256(t.encode()).hexdigest() for t in texts)
    assert body["lines"] == {"count": len(texts), "sha256": hashlib.sha256(digests.encode()).hexdigest()}
    assert s["sha256"] == hashlib.sha256(s["document"].encode()).hexdigest()
    assert [line["n"] for line in found] == list(range(1, len(found) + 1))
    net = tax = Fraction(0)
    for place, entry in enumerate(body["taxes"]):
        of = sum((Fraction(line["amount"]) for line in found if line["tax"] == place), Fraction(0))
        got = Fraction(entry["net"]), Fraction(entry["tax"])
        assert of == got[0] + (got[1] if entry.get("mode") == "inclusive" else 0)
        net, tax = net + got[0], tax + got[1]
    assert (net, tax, net + tax) == tuple(Fraction(body[k]) for k in ("subtotal", "tax", "total"))
    for line in found:
        if line["kind"] == "charge":
            fx = Fraction(body["tariffs"][line["tariff"]].get("fx_rate", "1"))
            assert sum((Fraction(p["amount"]) for p in line["parts"]), Fraction(0)) * fx == Fraction(line["exact"])
            for p in line["parts"]:
                assert "quantity" not in p or Fraction(p["quantity"]) * Fraction(p["price"]) == Fraction(p["amount"])
    return document


def against_the_oracle(db, account, zone, document, period, found):
    want, subtotal, tax = expected(db, account, zone, document, period)
    got = {(line["sku"], line.get("resource", {}).get("id")): line for line in found if line["kind"] == "charge"}
    assert {k: (Fraction(v["quantity"]), Fraction(v["exact"]), Fraction(v["amount"])) for k, v in got.items()} == want
    return subtotal, tax


def test_nothing_is_closed_before_the_grace_is_over(db, state, site):
    said = rate(state, "--as-of", "2024-02-01T22:00:00Z")
    assert "0 failed, 10 periods drawn up, 10 statements issued" in said
    # Nine older months of a licence, and seoul, which is ahead by eight hours.
    assert [s["account_id"] for s in statements(db)] == 9 * [site.names["licences"]] + [site.names["seoul"]]
    states = dict(rows(db, "select starts, state from (select starts, case when closed_at is not null then 'closed' "
                       "when ends <= '2024-02-01T22:00Z' then 'grace' else 'open' end as state from billing_period "
                       "where account_id = %s) x", site.names["berlin"]))
    assert states == {local_unit("Europe/Berlin", "month", datetime(2024, 1, 9, tzinfo=UTC))[0]: "grace",
                      local_unit("Europe/Berlin", "month", datetime(2024, 2, 1, 12, tzinfo=UTC))[0]: "open"}


def test_closed_months_are_what_the_rules_say(db, state, site):
    rate(state, "--as-of", "2024-02-03T00:00:00Z")
    for name, document in (("berlin", PLAIN), ("seoul", SEOUL)):
        s, = statements(db, site.names[name])
        zone = site.accounts[s["account_id"]][0]
        period = local_unit(zone, "month", datetime(2024, 1, 20, tzinfo=UTC))
        assert (s["period_from"], s["period_to"]) == period
        head = sums_hold(db, s)
        subtotal, tax = against_the_oracle(db, s["account_id"], zone, document, period, lines(db, s))
        assert (Fraction(s["subtotal"]), Fraction(s["tax"]), Fraction(s["total"])) == (subtotal, tax, subtotal + tax)
        assert head["body"]["tariffs"][0]["sha256"] == hashlib.sha256(json.dumps(document).encode()).hexdigest()
        assert head["kind"] == "showback"  # the issuer has no legal name yet
    s, = statements(db, site.names["tiers"])
    sums_hold(db, s)
    assert {line["sku"] for line in lines(db, s)} == {p["sku"] for p in TIERS["prices"]}
    assert not statements(db, one(db, "select id from account where name = 'unassigned'"))


def test_numbers_have_no_gap_and_each_names_the_one_before(db, state, site):
    before = None
    licences = statements(db, site.names["licences"])
    assert len(licences) == 10  # since last April
    assert sum((Fraction(line["exact"]) for s in licences[-1:] for line in lines(db, s)), Fraction(0)) == \
        Fraction(2 * 765 * 31, 366)
    for n, s in enumerate(statements(db), 1):
        assert (s["series"], s["year"], s["number"], s["name"]) == ("showback", 2024, n, f"2024-{n:06}")
        head = json.loads(s["document"])
        assert head["previous"] == before
        before = {"number": s["name"], "sha256": s["sha256"]}
    assert rows(db, "select issuer_id, series, year, number, account_id, statement_id from statement_number "
                "order by number") == rows(db, "select issuer_id, series, year, number, account_id, id from statement "
                                           "order by number")


def test_a_second_round_changes_nothing(db, state, site):
    before = everything(db)
    assert "0 periods drawn up, 0 statements issued" in rate(state, "--as-of", "2024-02-03T00:10:00Z")
    assert everything(db) == before


def test_the_role_that_bills_can_not_change_what_is_closed(db, state, site):
    import psycopg2
    link = psycopg2.connect(host=str(state / "pg"), user="jeoul_billing", dbname="jeoul", options="-c search_path=jeoul")
    for sql in ("update statement set total = 0", "delete from statement", "update statement_line set document = '{}'",
                "delete from statement_line", "update statement_number set number = 9", "truncate statement",
                "delete from billing_period", "update billing_period set ends = now()"):
        with link.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(sql)
        link.rollback()
    link.close()


def test_late_and_corrected_usage_comes_as_differences(db, state, site):
    berlin = site.names["berlin"]
    january, = statements(db, berlin)
    closed = everything(db)
    vm = one(db, "select id from vm where account_id = %s and name = 'web1'", berlin)
    # A collector's spool comes back, a window turns out larger, a VM was off since the 25th.
    rows(db, "update usage_window set net_tx_bytes = net_tx_bytes + 123456789123, samples = samples + 1 "
         "where account_id = %s and resource_id = %s and window_from = '2024-01-20T10:00Z'", berlin, vm + 200000)
    rows(db, "insert into usage_window (account_id, resource_id, window_from, window_to, resource_kind, vm_id, through, "
         "epoch, vcpu_ns) values (%s, %s, '2024-01-16T04:00Z', '2024-01-16T05:00Z', 'vm', %s, '2024-01-16T05:00Z', 'e', "
         "77000000000001)", berlin, vm, vm)
    rows(db, "update lifetime set valid_to = '2024-01-25T00:00Z' where account_id = %s and resource_id = %s and "
         "kind = 'running' and valid_to is null", berlin, vm)
    rate(state, "--as-of", "2024-03-03T00:00:00Z")
    assert everything(db)[1][:0] == [] and set(map(tuple, closed[0])) <= set(map(tuple, everything(db)[0]))
    assert set(map(tuple, closed[1])) <= set(map(tuple, everything(db)[1]))

    february = statements(db, berlin)[-1]
    head = sums_hold(db, february)
    found = lines(db, february)
    zone, document = site.accounts[berlin]
    against_the_oracle(db, berlin, zone, document, (february["period_from"], february["period_to"]), found)
    adjustments = [line for line in found if line["kind"] == "adjustment"]
    assert {line["original"]["statement"] for line in adjustments} == {january["name"]}
    assert {line["sku"] for line in adjustments} == {"cpu.time", "net.tx.bytes", "vm.running", "vcpu", "memory.gib"}
    assert head["body"]["settles"][0]["statement"] == january["name"]
    # The closed month and its differences are the month as it would be charged today.
    full, subtotal, _ = expected(db, berlin, zone, document, (january["period_from"], january["period_to"]))
    together = {}
    for line in lines(db, january) + adjustments:
        key = line["sku"], line.get("resource", {}).get("id")
        quantity, amount = together.get(key, (0, 0))
        together[key] = quantity + Fraction(line["quantity"]), amount + Fraction(line["amount"])
    assert {k: v for k, v in together.items() if v != (0, 0)} == \
        {k: (v[0], v[2]) for k, v in full.items() if (v[0], v[2]) != (0, 0)}
    assert sum(v[1] for v in together.values()) == subtotal


def test_what_is_settled_is_not_adjusted_again(db, state, site):
    rate(state, "--as-of", "2024-04-03T00:00:00Z")
    march = statements(db, site.names["berlin"])[-1]
    head = sums_hold(db, march)
    assert head["body"]["settles"] == []
    assert not [line for line in lines(db, march) if line["kind"] == "adjustment"]


def test_usage_taken_back_wholly_is_given_back(db, state, site):
    """A correction of a correction: everything that was ever charged counts, and its tax comes back."""
    berlin = site.names["berlin"]
    january = statements(db, berlin)[0]
    rows(db, "delete from usage_window where account_id = %s and window_from < %s", berlin, january["period_to"])
    rate(state, "--as-of", "2024-05-03T00:00:00Z")
    april = statements(db, berlin)[-1]
    sums_hold(db, april)
    ever = [json.loads(r[0]) for r in rows(db, "select document from statement_line where account_id = %s "
                                          "and for_period = %s", berlin, january["period_from"])]
    consumed = [line for line in ever if line["sku"] in ("cpu.time", "disk.write.bytes", "net.tx.bytes")]
    assert consumed and sum(Fraction(line["amount"]) for line in consumed) == 0
    assert Fraction(april["tax"]) == rounded(Fraction(april["subtotal"]) * Fraction(19, 100), 2)


def test_periods_follow_the_anchor_and_never_drift(db, state, site):
    rows(db, "insert into billing_terms (account_id, issuer_id, anchor, grace_hours) values (%s, 1, '2024-01-31', 0)",
         site.names["seoul"])
    rate(state, "--as-of", "2024-07-31T15:00:00Z")
    spans = rows(db, "select (starts at time zone 'Asia/Seoul')::date::text, (ends at time zone 'Asia/Seoul')::date::text "
                 "from billing_period where account_id = %s order by starts", site.names["seoul"])
    got = [tuple(s) for s in spans]
    # Calendar months until the terms changed; from there to the next anchor, then from 31st to 31st.
    assert got[-3:] == [("2024-06-01", "2024-06-30"), ("2024-06-30", "2024-07-31"), ("2024-07-31", "2024-08-31")]
    assert all(a[1] == b[0] for a, b in zip(got, got[1:]))


def test_invoices_have_a_series_of_their_own(db, state, site):
    rows(db, "update issuer set legal_name = 'Weighbridge Hosting GmbH', address = E'Am Kai 1\\n20457 Hamburg', "
         "tax_number = 'DE123456789', note = 'Pay within 14 days.', number_form = 'R{year}/{number}'")
    rows(db, "insert into billing_terms (account_id, issuer_id, kind) values (%s, 1, 'showback')", site.names["tiers"])
    rate(state, "--as-of", "2024-08-02T12:00:00Z")
    latest = {name: statements(db, account)[-1] for name, account in site.names.items()}
    assert latest["berlin"]["kind"] == "invoice" and latest["tiers"]["kind"] == "showback"
    numbers = [s["name"] for s in statements(db) if s["series"] == "invoice"]
    assert numbers == [f"R2024/{n:06}" for n in range(1, len(numbers) + 1)] and len(numbers) >= 2
    assert json.loads(latest["berlin"]["document"])["issuer"]["tax_number"] == "DE123456789"


def test_a_statement_as_json_csv_and_html(db, state, site):
    s = statements(db, site.names["tiers"])[1]

    def tool(form, which):
        return subprocess.run([BIN / "jeoul-statement", "--config", "/dev/null", "--format", form, which],
                              env=environment(state), capture_output=True, text=True, timeout=60)
    whole = tool("json", str(s["uuid"])).stdout
    assert json.loads(whole)["statement"] == json.loads(s["document"])
    assert s["document"] in whole and len(json.loads(whole)["lines"]) == len(lines(db, s))
    table = list(csv.DictReader(io.StringIO(tool("csv", s["name"]).stdout)))
    assert [row["exact"] for row in table] == [line.get("exact", "") for line in lines(db, s)]
    inclusive = sum(Fraction(row["amount"]) for row in table)
    assert inclusive == Fraction(s["total"])
    page = tool("html", s["name"]).stdout
    assert "This is not an invoice" in page and s["name"] in page and "Tax included" in page
    assert tool("json", "2024-999999").returncode == 3
    assert "json, csv or html" in tool("docx", s["name"]).stderr


def test_a_changed_price_list_does_not_reach_back(db, state, site):
    """A new version rates what is open; closed periods stay with the one that charged them."""
    berlin = site.names["berlin"]
    dear = json.loads(json.dumps(PLAIN))
    for price in dear["prices"]:
        price["model"]["price"] = "1000"
    rows(db, "insert into tariff_version (tariff_id, version, document, sha256) select tariff_id, 2, %s, '' "
         "from account_tariff where account_id = %s", json.dumps(dear), berlin)
    rows(db, "update usage_window set samples = samples + 1 where account_id = %s and window_from = "
         "(select min(window_from) from usage_window where account_id = %s and window_from >= '2024-07-01Z')", berlin, berlin)
    before = len(statements(db, berlin))
    rate(state, "--as-of", "2024-09-02T12:00:00Z")
    august = statements(db, berlin)[before]
    assert [line for line in lines(db, august) if line["kind"] == "adjustment"] == []
    assert json.loads(august["document"])["body"]["tariffs"][0]["version"] == 2
