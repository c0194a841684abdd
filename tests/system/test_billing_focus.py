# SPDX-License-Identifier: Apache-2.0
"""Charges as FOCUS, usage as records: every kind of price, adjustment, credit and tax, against a checker of its own."""
import csv
import io
import json
import subprocess
import uuid
from collections import defaultdict
from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from billing_front import Front
from billing_house import BIN, GIB, LICENCES, PLAIN, SEOUL, UTC, Site, db, environment, one, rate, rows, state  # noqa: F401
from focus_check import Broken, check, value

FREE = [{"sku": sku, **({"per": "hour"} if "." in sku and sku.split(".")[0] in ("vm", "memory", "volume") or sku == "vcpu" else {}),
         "model": {"type": "unit", "price": "0"}}
        for sku in ("vm.running", "vcpu", "memory.gib", "volume.gib", "cpu.time", "disk.read.bytes", "disk.write.bytes", "disk.read.requests",
                    "disk.write.requests", "net.rx.bytes", "net.tx.bytes")]


def tariff(prices, **more):
    """With what is not named for nothing."""
    return {"currency": "USD", **more, "prices": prices + [p for p in FREE if p["sku"] not in {x["sku"] for x in prices}]}


TIERED = tariff([
    {"sku": "vcpu", "per": "hour", "group_by": "resource", "versions": [
        {"to": "2024-02-14T23:00:00Z", "model": {"type": "graduated", "free_units": "10", "tiers": [
            {"up_to": "100", "price": "0.05", "flat": "1"}, {"up_to": None, "price": "0.03", "flat": "2"}]}},
        {"from": "2024-02-14T23:00:00Z", "model": {"type": "graduated", "discount_pct": "12.5", "tiers": [
            {"up_to": "500", "price": "0.04"}, {"up_to": None, "price": "1/30"}]}}]},
    {"sku": "memory.gib", "per": "hour", "tax_class": "reduced", "model": {
        "type": "tou", "price": "0.007", "default_name": "day", "maximum": "2", "free_units": "3",
        "bands": [{"name": "night", "from": "22:00", "to": "06:00", "price": "0.002"}]}},
    {"sku": "cpu.time", "divisor": "3600", "model": {"type": "package", "size": "100", "price": "0.5", "free_units": "5", "discount_pct": "10"}},
    {"sku": "disk.write.bytes", "divisor": str(GIB), "group_by": "resource",
     "model": {"type": "volume", "minimum": "300", "tiers": [{"up_to": "50", "price": "0.02"}, {"up_to": None, "price": "0.01"}]}},
    {"sku": "volume.gib", "per": "month", "model": {"type": "unit", "price": "0.09", "free_units": "1000"}},
], timezone="Europe/Berlin", tax={"mode": "inclusive", "classes": {"standard": "0.19", "reduced": "0.07"}})
COMMITTED = tariff([
    {"sku": "net.tx.bytes", "divisor": "1000000000", "model": {"type": "commit", "units": "100000", "price": "0.01", "overage": "0.02"}},
    {"sku": "cpu.time", "divisor": "3600", "group_by": "resource",
     "model": {"type": "commit", "units": "5", "price": "0.3", "overage": "0.7", "discount_pct": "5"}},
    {"sku": "vcpu", "per": "hour", "model": {"type": "unit", "price": "0.0137", "discount_pct": "100"}},
], fx={"to": "KRW", "rate": "1387.25"}, tax={"mode": "exclusive", "classes": {"standard": "0.10"}, "rounding": "down"})


def export(state, *words, check=True):
    done = subprocess.run([BIN / "jeoul-export", *words, "--config", "/dev/null"], env=environment(state), capture_output=True, text=True,
                          timeout=120)
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def site(db, state):
    s = Site(db, 1202, now=datetime(2024, 3, 3, tzinfo=UTC), created=datetime(2024, 1, 5, tzinfo=UTC))
    s.names = {name: s.account(name, zone, document) for name, zone, document in (
        ("tiered", "Europe/Berlin", TIERED), ("committed", "Asia/Seoul", COMMITTED), ("plain", "Europe/Berlin", PLAIN),
        ("seoul", "Asia/Seoul", SEOUL), ("licences", "UTC", LICENCES), ("shown", "UTC", PLAIN))}
    rows(db, "update issuer set legal_name = 'Weigh, \"House\" & Söhne'")
    rows(db, "insert into billing_terms (account_id, issuer_id, kind) select %s, id, 'showback' from issuer", s.names["shown"])
    late = s.vm(s.names["plain"], "web, \"one\"", [(45, 2, 512)])
    for name in ("tiered", "committed", "seoul", "shown"):
        s.vm(s.names[name], name + "1", [(40, 3, 3000), (20, 1, 512)])
    s.vm(s.names["tiered"], "tiered2", [(17.3, 1, 777)])
    s.lifetime(s.names["licences"], 900001, s.uuid(), "kvm01", "host", s.ago(60), None, sockets=2)
    rows(db, "insert into tag (account_id, resource_kind, resource_uuid, key, value) "
         "select account_id, 'vm', uuid, 'team', 'a \"b\", c' from vm where name = 'web, \"one\"'")
    rows(db, "update account set created = '2024-01-05Z' where name in ('admin', 'unassigned')")
    credit = one(db, "select gen_random_uuid()")
    rows(db, "select credit_give(%s, %s, 'welcome', 'USD', 3, null, null, '2024-01-26Z')", s.names["plain"], credit)
    rate(state, "--as-of", "2024-02-05T00:00:00Z")
    rows(db, "update usage_window set net_tx_bytes = net_tx_bytes + 123456789123, samples = samples + 1 "
         "where account_id = %s and resource_id = %s and window_from = '2024-01-20T10:00Z'", s.names["plain"], late + 200000)
    rate(state, "--as-of", "2024-03-03T00:00:00Z")
    february = rows(db, "select * from statement where account_id = %s and period_from > '2024-01-20'", s.names["tiered"])[0]
    rows(db, "insert into billing_request (account_id, kind, request) values (%s, 'credit_note', %s)", s.names["tiered"],
         json.dumps({"statement": february["name"], "reason": "goodwill", "items": [{"sku": "vcpu", "percent": "33.333"}]}))
    rate(state, "--as-of", "2024-03-03T00:00:30Z")
    return s


def payable(db, since, until):
    """What each invoice asks for: its total less credits."""
    return {r["name"]: Fraction(r["total"]) - sum(Fraction(c["used"]) for c in json.loads(r["document"]).get("credits", []))
            for r in rows(db, "select * from statement where kind <> 'showback' and period_from >= %s and period_from < %s", since, until)}


@pytest.fixture(scope="module")
def exported(db, state, site, tmp_path_factory):
    """version -> (text, metadata) of all closed months."""
    folder, out = tmp_path_factory.mktemp("focus"), {}
    for version in ("1.0", "1.1", "1.2"):
        path = folder / f"{version}.csv"
        export(state, "focus", "--from", "2023-12-15", "--to", "2024-03-01", "--focus", version, "--closed", "yes", "--out", str(path))
        with open(path, newline="") as f:
            out[version] = f.read(), json.loads((folder / f"{version}.csv.metadata.json").read_text())
    return out


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_every_hard_rule_holds(db, exported, version):
    found = check(*exported[version], payable(db, "2023-12-15", "2024-03-01"))
    assert len(found) > 100
    assert {r["ChargeCategory"] for r in found} == {"Usage", "Purchase", "Tax", "Credit", "Adjustment"}
    assert {r["ChargeClass"] for r in found} == {"", "Correction"}


def test_the_checker_finds_what_is_broken(db, exported):
    """Each of these changes of one cell breaks a rule, and is found."""
    text, metadata = exported["1.2"]
    found = list(csv.DictReader(text.splitlines(keepends=True)))
    names = list(found[0])
    wanted = payable(db, "2023-12-15", "2024-03-01")
    usage = next(i for i, r in enumerate(found) if r["ChargeCategory"] == "Usage" and Fraction(r["BilledCost"]) > 0 and not r["ChargeClass"]
                 and r["ResourceId"] and r["InvoiceId"])
    tax = next(i for i, r in enumerate(found) if r["ChargeCategory"] == "Tax")
    bought = next(i for i, r in enumerate(found) if r["CommitmentDiscountId"] and r["ChargeCategory"] == "Purchase")
    for place, column, text in (
            (usage, "BilledCost", "1e3"), (usage, "BilledCost", "+1"), (usage, "BilledCost", ""), (usage, "BilledCost", "0.01"),
            (usage, "ListCost", "999"), (usage, "ContractedUnitPrice", ""), (usage, "ConsumedQuantity", ""), (usage, "PricingUnit", "hours"),
            (usage, "ChargePeriodEnd", "2023-12-01T00:00:00Z"), (usage, "ChargePeriodStart", "2024-01-05"), (usage, "ChargeCategory", "Use"),
            (usage, "SkuId", ""), (usage, "ResourceType", ""), (usage, "ServiceSubcategory", "Containers and more"), (usage, "Tags", "[1]"),
            (usage, "ProviderName", ""), (usage, "InvoiceId", ""), (usage, "InvoiceId", "N/A"), (usage, "BillingCurrency", "usd"),
            (tax, "SkuId", "vcpu"), (tax, "PricingQuantity", "1"), (bought, "ChargeFrequency", "Usage-Based"),
            (bought, "ConsumedQuantity", "1"), (bought, "CommitmentDiscountId", ""), (bought, "BilledCost", "1")):
        changed = [dict(r) for r in found]
        changed[place][column] = text
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, names, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(changed)
        with pytest.raises(Broken):
            check(out.getvalue(), metadata, wanted)
            print(f"{column} = {text!r} is not found")
    for names in (found[0].keys() - {"BilledCost"}, found[0].keys() | {"Surprise"}):
        with pytest.raises(Broken):
            check(",".join(names) + "\r\n", metadata)


def test_rows_come_to_the_lines_they_are_of(db, exported):
    sums = defaultdict(Fraction)
    for r in check(*exported["1.2"]):
        if r["x_Line"]:
            sums[r["BillingAccountName"], r["x_Document"], int(r["x_Line"])] += value(r, "BilledCost")
    lines = {(r["account"], r["name"], r["line_no"]): Fraction(json.loads(r["document"])["amount"]) for r in rows(
        db, "select a.name as account, s.name, l.line_no, l.document from statement_line l "
        "join statement s on s.account_id = l.account_id and s.id = l.statement_id join account a on a.id = s.account_id")}
    assert {k: v for k, v in lines.items() if v or k in sums} == {k: v for k, v in sums.items()}


def test_each_model_has_rows_of_its_own_kind(exported):
    found = check(*exported["1.2"])

    def of(sku, what):
        return [r for r in found if r["SkuId"] == sku and r["ChargeDescription"].endswith(what) and not r["ChargeClass"]]
    assert {r["ContractedUnitPrice"] for r in of("vcpu", "free")} == {"0"}
    # Where all was free, no price of a unit stands in the line.
    assert {r["ListUnitPrice"] for r in of("vcpu", "free")} == {"0", "0.05"}
    assert {r["PricingUnit"] for r in of("vcpu", "tier 1")} == {"Core-Hours"}
    assert {r["PricingUnit"] for r in of("vcpu", "flat 1")} == {"Fees"} and of("vcpu", "flat 1")[0]["ChargeCategory"] == "Purchase"
    discounted = [r for r in of("vcpu", "tier 1") if r["ListUnitPrice"] == "0.04"]
    assert discounted and {r["ContractedUnitPrice"] for r in discounted} == {"0.035"}
    assert {r["PricingUnit"] for r in of("cpu.time", "package")} == {"Packages"}
    assert {r["ChargeCategory"] for r in of("memory.gib", "maximum") + of("disk.write.bytes", "minimum")} == {"Adjustment"}
    assert {r["x_Band"] for r in of("memory.gib", "unit")} >= {"day", "night"}
    assert {r["CommitmentDiscountStatus"] for r in of("net.tx.bytes", "commit")} >= {"", "Used", "Unused"}
    won = [r for r in found if r["BillingCurrency"] == "KRW" and r["PricingCurrency"] == "USD" and r["ListUnitPrice"]]
    assert won and all(value(r, "ListUnitPrice") == value(r, "PricingCurrencyListUnitPrice") * Fraction("1387.25") for r in won)
    late = [r for r in found if r["ChargeClass"] and r["x_OriginalInvoiceId"] != r["InvoiceId"]]
    assert {r["ChargePeriodEnd"] <= r["BillingPeriodStart"] for r in late if r["SkuId"] == "net.tx.bytes"} == {True}
    assert {json.loads(r["Tags"])["team"] for r in found if r["Tags"]} == {'a "b", c'}
    assert {r["InvoiceId"] for r in found if r["x_Document"] and r["BillingAccountName"] == "shown"} == {""}


def test_open_periods_come_without_an_invoice(db, state, site):
    text = export(state, "focus", "--from", "2024-02-29", "--to", "2024-04-01", "--account", "plain").stdout
    found = check(text.replace("\n", "\r\n"), json.loads(export(state, "metadata").stdout))
    assert found and {r["InvoiceId"] for r in found} == {""} and {r["BillingAccountName"] for r in found} == {"plain"}
    assert "Tax" in {r["ChargeCategory"] for r in found}


def test_any_range_is_whole_documents(db, state, site):
    everything = export(state, "focus", "--from", "2024-01-01", "--to", "2024-03-01", "--closed", "yes").stdout.splitlines()
    first = export(state, "focus", "--from", "2024-01-01", "--to", "2024-01-31T20:00:00Z", "--closed", "yes").stdout.splitlines()
    second = export(state, "focus", "--from", "2024-01-31T20:00:00Z", "--to", "2024-03-01", "--closed", "yes").stdout.splitlines()
    assert len(first) > 1 < len(second) and sorted(everything[1:]) == sorted(first[1:] + second[1:])
    assert export(state, "focus", "--from", "2019-01-01", "--to", "2019-02-01").stdout.splitlines() == everything[:1]
    assert export(state, "focus", "--from", "2024-01-01", "--to", "2024-02-01", "--account", "nobody", check=False).returncode == 3
    for words in (("--focus", "2.0"), ("--to", "2023-01-01"), ("--from", "soon")):
        assert export(state, "focus", "--from", "2024-01-01", "--to", "2024-02-01", *words, check=False).returncode == 2


def test_usage_comes_as_records_in_both_forms(db, state, site):
    """All that lies in the range, each once, with exact quantities."""
    since, until = "2024-02-10T05:00:00Z", "2024-02-12T00:00:00Z"
    found = list(csv.DictReader(io.StringIO(export(state, "usage", "--from", since, "--to", until).stdout)))
    again = json.loads(export(state, "usage", "--from", since, "--to", until, "--format", "json").stdout)
    assert [{k: v for k, v in r.items() if v and k != "tags"} for r in found] == [{k: v for k, v in r.items() if k != "tags"} for r in again]
    assert len({(r["account"], r["sku"], r["source"], r["id"]) for r in found}) == len(found)
    sums = defaultdict(Fraction)
    for r in found:
        if r["at"]:
            sums[r["sku"]] += Fraction(r["quantity"])
    windows = rows(db, "select sum(vcpu_ns)::text as cpu, sum(net_tx_bytes)::text as tx, sum(disk_write_bytes)::text as written "
                   "from usage_window where window_from >= %s and window_from < %s", since, until)[0]
    assert (sums["cpu.time"] * 10**9, sums["net.tx.bytes"], sums["disk.write.bytes"]) == tuple(int(v) for v in windows)
    memory = {r["resource_name"]: Fraction(r["quantity"]) for r in found if r["sku"] == "memory.gib" and r["account"] == "plain"}
    assert memory == {'web, "one"': Fraction(1, 2)}
    lives = one(db, "select count(*) from lifetime where kind = 'running' and valid_from < %s and (valid_to is null or valid_to > %s)", until, since)
    assert sum(r["sku"] == "vcpu" for r in found) == lives
    only = list(csv.DictReader(io.StringIO(export(state, "usage", "--from", since, "--to", until, "--account", "seoul").stdout)))
    assert only == [r for r in found if r["account"] == "seoul"] != []


def test_memory_does_not_grow_with_the_range(db, state, site):
    """A hundred times the rows, and the same peak: nothing is kept."""
    def peak(*words):
        done = subprocess.run(["/usr/bin/time", "-f", "%M", BIN / "jeoul-export", *words, "--config", "/dev/null", "--out", "/dev/null"],
                              env=environment(state), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return int(done.stderr.split()[-1])
    hour = peak("usage", "--from", "2024-02-10T05:00:00Z", "--to", "2024-02-10T06:00:00Z")
    month = peak("usage", "--from", "2024-02-01", "--to", "2024-03-01")
    assert month < hour + 8192


# ---------------------------------------------------------------- through the API and the command

@pytest.fixture(scope="module")
def front(state, site):
    f = Front(state)
    try:
        yield f
    finally:
        f.close()


RANGE = "startdate=2023-12-15&enddate=2024-02-29"


def fetched(client, path, expect=200):
    answer = client.http("GET", f"/v1/{path}", headers=client.headers())
    assert answer.status == expect, answer.text
    return answer


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_the_api_answers_the_same_file(exported, front, version):
    answer = fetched(front.admin, f"focus?{RANGE}&closed=true&focus={version}")
    assert answer.headers["Content-Type"].startswith("text/csv") and "focus.csv" in answer.headers["Content-Disposition"]
    assert answer.text == exported[version][0]
    metadata = front.admin.rest("GET", f"focus/metadata?focus={version}")
    assert metadata | {"CreationDate": 0} == exported[version][1] | {"CreationDate": 0}
    signed = front.admin.cs("exportFocus", startdate="2023-12-15", enddate="2024-02-29", closed="true", focus=version)
    assert signed == exported[version][0]


def test_a_tenant_gets_its_own_and_no_more(exported, state, front):
    plain = front.user("plain")
    own = fetched(plain, f"focus?{RANGE}&closed=true").text
    assert {r["BillingAccountName"] for r in csv.DictReader(io.StringIO(own, newline=""))} == {"plain"}
    assert own == fetched(front.admin, f"focus?{RANGE}&closed=true&account=plain").text
    usage = fetched(plain, f"usage-file?{RANGE}&format=json").json
    assert {r["account"] for r in usage} == {"plain"} and len(usage) > 100
    # The next caller on the same threads sees its own again, not what the one before was shown.
    assert fetched(front.admin, f"focus?{RANGE}&closed=true").text == exported["1.2"][0]
    assert fetched(plain, f"focus?{RANGE}&closed=true").text == own
    assert "account" in fetched(plain, f"focus?{RANGE}&account=seoul", expect=403).json["detail"]


def test_what_can_not_be_exported_is_refused_in_words(front):
    for query, word in (("startdate=2024-01-01", "enddate"), ("startdate=2024-02-01&enddate=2024-01-01", "before"),
                        (f"{RANGE}&focus=2.0", "1.2"), ("startdate=soon&enddate=2024-01-01", "startdate")):
        assert word in fetched(front.admin, f"focus?{query}", expect=400).json["detail"]
    assert "csv or json" in fetched(front.admin, f"usage-file?{RANGE}&format=xml", expect=400).json["detail"]


def test_the_command_writes_the_file_and_its_metadata(exported, front, tmp_path):
    path = tmp_path / "focus.csv"
    words = ("focus", "export", "--startdate", "2023-12-15", "--enddate", "2024-02-29", "--closed", "--focus", "1.1")
    assert front.command(*words, "--out", str(path)).stdout == ""
    with open(path, newline="") as f:
        assert f.read() == exported["1.1"][0]
    assert json.loads((tmp_path / "focus.csv.metadata.json").read_text())["FocusVersion"] == "1.1"
    assert front.command(*words).stdout.replace("\n", "\r\n") == exported["1.1"][0]
    refused = front.command("focus", "export", "--startdate", "2024-02-01", "--enddate", "2024-01-01", check=False)
    assert refused.returncode == 2 and "before" in refused.stderr and refused.stdout == ""
    usage = json.loads(front.command("usage", "export", "--startdate", "2024-02-10", "--enddate", "2024-02-10", "--format", "json").stdout)
    assert {r["account"] for r in usage} >= {"plain", "seoul", "tiered"}
