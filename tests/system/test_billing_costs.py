# SPDX-License-Identifier: Apache-2.0
"""Estimates that bills keep, costs that add up to statements, budgets that tell in time."""
import csv
import io
import json
from collections import defaultdict
from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from billing_front import Front
from billing_house import GIB, PLAIN, SEOUL, UTC, Site, db, one, rate, rows, rounded, state  # noqa: F401
from test_billing_focus import COMMITTED, FREE, TIERED, tariff
from web_house import Client

MINIMUM = tariff([
    {"sku": "vm.running", "per": "month", "granularity": "day", "group_by": "resource", "model": {
        "type": "unit", "price": "31", "minimum": "40"}},
    {"sku": "vcpu", "per": "hour", "model": {"type": "graduated", "minimum": "500", "tiers": [
        {"up_to": "500", "price": "0.05"}, {"up_to": None, "price": "0.03"}]}},
    {"sku": "memory.gib", "per": "hour", "model": {"type": "volume", "tiers": [
        {"up_to": "700", "price": "0.01"}, {"up_to": None, "price": "0.004"}]}},
], tax={"mode": "exclusive", "classes": {"standard": "0.19"}})


@pytest.fixture(scope="module")
def site(db, state):
    s = Site(db, 4711, now=datetime(2024, 3, 3, tzinfo=UTC), created=datetime(2024, 1, 5, tzinfo=UTC))
    s.names = {name: s.account(name, zone, document) for name, zone, document in (
        ("tiered", "Europe/Berlin", TIERED), ("committed", "Asia/Seoul", COMMITTED), ("plain", "Europe/Berlin", PLAIN),
        ("seoul", "Asia/Seoul", SEOUL), ("least", "UTC", MINIMUM))}
    rows(db, "update issuer set legal_name = 'Weighbridge'")
    s.late = s.vm(s.names["plain"], "shop1", [(45, 2, 512)])
    s.vm(s.names["plain"], "shop2", [(33, 1, 512)])
    for name in ("tiered", "committed", "seoul", "least"):
        s.vm(s.names[name], name + "1", [(40, 3, 3000), (20, 1, 512)])
        s.vm(s.names[name], name + "2", [(17.3, 1, 777), (9, None, 0), (6, 2, 1024)])
    rows(db, "insert into tag (account_id, resource_kind, resource_uuid, key, value) select account_id, 'vm', uuid, 'team', "
         "case when name like '%%1' then 'web' else 'night shift' end from vm where name <> 'seoul2'")
    rows(db, "update account set created = '2024-01-05Z' where name in ('admin', 'unassigned')")
    rows(db, "select credit_give(%s, %s, 'welcome', 'USD', 3, null, null, '2024-01-26Z')", s.names["plain"], s.uuid())
    rate(state, "--as-of", "2024-02-05T00:00:00Z")
    rows(db, "update usage_window set net_tx_bytes = net_tx_bytes + 123456789123, samples = samples + 1 "
         "where account_id = %s and resource_id = %s and window_from = '2024-01-20T10:00Z'", s.names["plain"], s.late + 200000)
    rate(state, "--as-of", "2024-03-03T00:00:00Z")
    february = rows(db, "select * from statement where account_id = %s and period_from > '2024-01-20'", s.names["tiered"])[0]
    rows(db, "insert into billing_request (account_id, kind, request) values (%s, 'credit_note', %s)", s.names["tiered"],
         json.dumps({"statement": february["name"], "reason": "goodwill", "items": [{"sku": "vcpu", "percent": "33.333"}]}))
    rate(state, "--as-of", "2024-03-03T00:00:30Z")
    return s


@pytest.fixture(scope="module")
def house(state, site):
    front = Front(state)
    front.users = {name: front.user(name) for name in site.names}
    yield front
    front.close()


# ---------------------------------------------------------------- costs

ALWAYS = ["day", "sku", "resource", "day,resource", "account,sku,resource", "tag:team", "resource,sku,day,tag:team", "project"]


def report(client, **asked):
    query = "&".join(f"{k}={v}" for k, v in asked.items())
    return client.rest("GET", f"costs?{query}".replace(" ", "%20"))


def total(rows_, *kinds):
    return sum((Fraction(r["amount"]) for r in rows_ if not kinds or r["kind"] in kinds), Fraction(0))


def test_rows_add_up_to_every_statement_however_they_are_grouped(db, house, site):
    documents = rows(db, "select s.*, a.name as account from statement s join account a on a.id = s.account_id order by s.id")
    assert len(documents) == 11
    for s in documents:
        lines = [json.loads(x[0]) for x in rows(db, "select document from statement_line where account_id = %s and statement_id = %s",
                                                s["account_id"], s["id"])]
        for by in ALWAYS:
            got = report(house.admin, statement=s["uuid"], by=by)
            assert len(got["documents"]) == 1 and got["documents"][0]["number"] == s["name"]
            assert total(got["rows"], "charge", "adjustment", "credit_note", "tax", "tax_included") == s["total"], (s["name"], by)
            assert total(got["rows"]) == s["due"]
            assert total(got["rows"], "charge") == sum(Fraction(x["amount"]) for x in lines if x["kind"] == "charge")
            assert total(got["rows"], "adjustment") == sum(Fraction(x["amount"]) for x in lines if x["kind"] == "adjustment")
            assert (got["documents"][0]["shown"], got["documents"][0]["leftout"]) == (
                str(s["total"]), "0" if s["currency"] == "KRW" else "0.00")
            assert [x["total"] for x in got["sums"]] == [str(s["total"])] or not got["sums"]


def test_rows_by_sku_and_resource_are_the_lines_themselves(db, house, site):
    for s in rows(db, "select * from statement where kind <> 'credit_note'"):
        want = defaultdict(Fraction)
        whole = defaultdict(Fraction)
        for (text,) in rows(db, "select document from statement_line where account_id = %s and statement_id = %s", s["account_id"], s["id"]):
            line = json.loads(text)
            if line["kind"] == "charge":
                if "resource" in line:
                    want[line["sku"], line["resource"]["id"]] += Fraction(line["amount"])
                whole[line["sku"]] += Fraction(line["amount"])
        got = defaultdict(Fraction)
        skus = defaultdict(Fraction)
        for r in report(house.admin, statement=s["uuid"], by="sku,resource")["rows"]:
            if r["kind"] == "charge":
                got[r["sku"], r.get("resourceid")] += Fraction(r["amount"])
                skus[r["sku"]] += Fraction(r["amount"])
        assert {k: v for k, v in skus.items() if v} == {k: v for k, v in whole.items() if v}
        for key, amount in want.items():
            assert got[key] == amount, (s["name"], key)


def days_of(zone, begin, end):
    """Days of a zone's calendar: name, begin and end."""
    day, out = begin.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None), []
    while day.replace(tzinfo=ZoneInfo(zone)) < end:
        out.append((day.strftime("%Y-%m-%d"), *(x.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for x in (day, day + timedelta(days=1)))))
        day += timedelta(days=1)
    return out


def test_tiers_are_used_up_in_order_of_days(db, house, site):
    """An oracle of its own: F(units by the day's end) less F(units by its begin), to the minor unit."""
    account = site.names["least"]
    s = rows(db, "select * from statement where account_id = %s order by period_from desc", account)[0]
    hours = defaultdict(Fraction)
    for r in rows(db, "select * from lifetime where account_id = %s and kind = 'running'", account):
        for day, begin, end in days_of("UTC", s["period_from"], s["period_to"]):
            a, b = max(begin, r["valid_from"]), min(end, r["valid_to"] or end)
            if a < b:
                hours[day] += r["vcpus"] * Fraction((b - a) // timedelta(microseconds=1), 3_600_000_000)

    def price(q):
        return min(q, 500) * Fraction("0.05") + max(q - 500, 0) * Fraction("0.03")

    want, position = {}, Fraction(0)
    for day in sorted(hours):
        want[day] = price(position + hours[day]) - price(position)
        position += hours[day]
    assert position > 500 and price(position) < 500  # both tiers, and the minimum lifts it
    got = {r["day"]: Fraction(r["amount"]) for r in report(house.admin, statement=s["uuid"], by="day", sku="vcpu")["rows"]}
    last = max(want)
    want[last] += 500 - price(position)
    assert sum(got.values()) == 500
    for day, amount in want.items():
        assert abs(got.get(day, 0) - amount) < Fraction("0.01"), day


@pytest.mark.parametrize("name", ["plain", "seoul"])
def test_days_are_those_of_the_account(db, house, site, name):
    """Also where its midnight is not that of UTC: units of each local day, by a price of every hour."""
    account, zone = site.names[name], {"plain": "Europe/Berlin", "seoul": "Asia/Seoul"}[name]
    price, step = {"plain": (Fraction("0.0137"), Fraction("0.01")), "seoul": (Fraction("17.3"), Fraction(1))}[name]
    s = rows(db, "select * from statement where account_id = %s order by period_from desc", account)[0]
    want = defaultdict(Fraction)
    for r in rows(db, "select * from lifetime where account_id = %s and kind = 'running'", account):
        for day, begin, end in days_of(zone, s["period_from"], s["period_to"]):
            a, b = max(begin, r["valid_from"]), min(end, r["valid_to"] or end)
            if a < b:
                want[r["resource_name"], day] += r["vcpus"] * price * Fraction((b - a) // timedelta(microseconds=1), 3_600_000_000)
    got = {(r["resourcename"], r["day"]): Fraction(r["amount"])
           for r in report(house.users[name], statement=s["uuid"], by="resource,day", sku="vcpu")["rows"]}
    assert got.keys() <= want.keys() and len(got) > 30
    assert all(abs(got.get(key, 0) - amount) < step for key, amount in want.items())


def test_days_of_started_units_are_those_on_which_they_were_started(db, house, site):
    """A price per started day: each day that was touched has the same share, others none."""
    account = site.names["least"]
    s = rows(db, "select * from statement where account_id = %s order by period_from desc", account)[0]
    got = {r["day"]: Fraction(r["amount"]) for r in report(house.admin, statement=s["uuid"], by="day,resource", sku="vm.running")["rows"]
           if r["resourcename"] == "least2"}
    touched = set()
    for r in rows(db, "select * from lifetime where account_id = %s and kind = 'running' and resource_name = 'least2'", account):
        touched |= {day for day, begin, end in days_of("UTC", s["period_from"], s["period_to"])
                    if r["valid_from"] < end and (r["valid_to"] or end) > begin}
    share = Fraction(31, 29)
    assert set(got) == touched and len(touched) < 29
    assert all(abs(got[day] - share) < Fraction("0.01") for day in sorted(touched)[:-1])


def test_the_open_period_adds_up_to_what_it_has_come_to(db, house, site):
    for name in site.names:
        bill = house.users[name].rest("GET", "bill-preview")
        for by in ALWAYS:
            got = report(house.users[name], by=by)
            (document,) = got["documents"]
            assert document["kind"] == "open" and "number" not in document
            # Time goes on between two calls, and nothing else.
            assert abs(Fraction(document["total"]) - Fraction(bill["total"])) <= Fraction(bill["per_hour"]) / 60 + 1
            assert total(got["rows"]) == Fraction(document["total"]) == Fraction(document["shown"])


def test_ranges_and_filters_say_what_they_leave_out(db, house, site):
    plain = house.users["plain"]
    whole = report(plain, startdate="2024-02-01", enddate="2024-02-29", by="day")
    (february,) = whole["documents"]
    assert february["firstday"] == "2024-02-01" and february["lastday"] == "2024-02-29" and february["leftout"] == "0.00"
    part = report(plain, startdate="2024-02-10", enddate="2024-02-12", by="day")
    (document,) = part["documents"]
    assert [r["day"] for r in part["rows"]] == ["2024-02-10", "2024-02-11", "2024-02-12"]
    by_day = {r["day"]: r["amount"] for r in whole["rows"] if r["kind"] == "charge"}
    assert all(by_day[r["day"]] == r["amount"] for r in part["rows"])
    assert Fraction(document["shown"]) + Fraction(document["leftout"]) == Fraction(document["total"]) == Fraction(february["total"])
    both = report(plain, startdate="2024-01-31", enddate="2024-02-01", by="account,day")
    assert [d["lastday"] for d in both["documents"]] == ["2024-01-31", "2024-02-29"]
    for asked in ({"sku": "vcpu"}, {"tag": "team=web"}, {"resourceid": whole["documents"][0]["accountid"]}):
        got = report(plain, startdate="2024-02-01", enddate="2024-02-29", by="sku", **asked)
        (d,) = got["documents"]
        assert Fraction(d["shown"]) == total(got["rows"]) and Fraction(d["shown"]) + Fraction(d["leftout"]) == Fraction(d["total"])
    teams = report(plain, startdate="2024-02-01", enddate="2024-02-29", by="tag:team")
    web = report(plain, startdate="2024-02-01", enddate="2024-02-29", by="tag:team", tag="team=web")
    assert {r["tag"] for r in web["rows"]} == {"web"}
    assert abs(total(web["rows"]) - sum(Fraction(r["amount"]) for r in teams["rows"] if r.get("tag") == "web")) < Fraction("0.10")
    assert {r["tag"] for r in teams["rows"] if r["kind"] == "charge"} == {"", "web", "night shift"}


def test_what_can_not_be_asked_is_refused(house, site):
    client = house.users["plain"]
    for query, word in (("by=week", "is none of day"), ("by=day,day", "twice"), ("by=tag", "is none of day"), ("startdate=march", "startdate"),
                        ("startdate=2024-03-02&enddate=2024-03-01", "after enddate"), ("tag=web", "key=value"),
                        ("statement=2024-000001&enddate=2024-03-01", "not both"), ("startdate=2024-02-31", "2024-02-31")):
        answer = client.http("GET", f"/v1/costs?{query}", headers=client.headers())
        assert answer.status == 400 and word in answer.text, (query, answer.text)
    client.rest("GET", "costs?statement=2019-000001", expect=404)


def test_files_and_the_command_say_the_same(db, house, site):
    s = rows(db, "select * from statement where account_id = %s order by period_from desc", site.names["plain"])[0]
    answer = house.admin.http("GET", f"/v1/cost-file?statement={s['uuid']}&by=day,resource", headers=house.admin.headers())
    assert answer.headers["Content-Type"].startswith("text/csv")
    read = list(csv.DictReader(io.StringIO(answer.text)))
    assert sum(Fraction(r["amount"]) for r in read) == s["due"]
    assert list(read[0]) == ["day", "resourceid", "resourcename", "kind", "currency", "amount"]
    told = house.command("cost", "report", "--by", "day,project", "--statement", s["name"], "--account", "plain")
    assert "2024-02-01" in told.stdout and f"total        {s['total']} USD" in told.stdout and s["name"] in told.stdout
    as_json = json.loads(house.command("--json", "cost", "report", "--statement", s["name"], "--account", "plain").stdout)
    assert sum(Fraction(r["amount"]) for r in as_json["rows"]) == s["due"]
    out = house.command("cost", "export", "--statement", s["name"], "--account", "plain", "--by", "sku").stdout
    assert sum(Fraction(r["amount"]) for r in csv.DictReader(io.StringIO(out))) == s["due"]
