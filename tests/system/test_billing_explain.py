# SPDX-License-Identifier: Apache-2.0
"""Every line explains itself down to windows and counters, and every sum adds up."""
import json
import subprocess
from datetime import datetime
from fractions import Fraction

import pytest

from billing_house import (BIN, GIB, LICENCES, PLAIN, SEOUL, UTC, Site, db, environment, one, rate, rows, state)  # noqa: F401
from test_billing_statements import TIERS

SCALE = {"cpu.time": 10**9}


@pytest.fixture(scope="module")
def site(db, state):
    s = Site(db, 4242, now=datetime(2024, 2, 20, tzinfo=UTC), created=datetime(2024, 1, 25, tzinfo=UTC))
    s.names = {name: s.account(name, zone, document) for name, zone, document in (
        ("berlin", "Europe/Berlin", PLAIN), ("seoul", "Asia/Seoul", SEOUL), ("tiers", "Europe/Berlin", TIERS),
        ("licences", "UTC", LICENCES))}
    s.vm(s.names["berlin"], "web1", [(24, 2, 512)])
    s.vm(s.names["berlin"], "web2", [(25, 1, 256), (22, 4, 1536), (20.5, None, 0)])
    s.vm(s.names["seoul"], "db1", [(23, 3, 3000)])
    s.vm(s.names["tiers"], "a", [(23, 8, 4096), (10, 2, 1024)])
    s.vm(s.names["tiers"], "b", [(22.5, 1, 512)])
    s.lifetime(s.names["licences"], 900001, s.uuid(), "kvm01", "host", s.ago(24), None, sockets=2)
    rows(db, "update account set created = '2024-01-25Z' where name in ('admin', 'unassigned')")
    rows(db, "update usage_window set raw_vcpu_ns = array[vcpu_ns, 7], raw_disk_write = 11, raw_net_tx = 13")
    rate(state, "--as-of", "2024-02-03T00:00:00Z")
    return s


def explain(state, *words, text=False):
    done = subprocess.run([BIN / "jeoul-explain", "--config", "/dev/null", *([] if text else ["--json"]), *map(str, words)],
                          env=environment(state), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout if text else json.loads(done.stdout)


def total(items, key):
    return sum((Fraction(i[key]) for i in items), Fraction(0))


def adds_up(told, explained):
    """units = sum of what was measured; quantity, parts and exact amount follow from it."""
    line = explained["line"]
    units = Fraction(explained["units"])
    if explained.get("resources"):
        assert total(explained["resources"], "units") == units
    assert total(explained["usage"], "units") == units
    assert units - Fraction(explained["changed"]) == Fraction(line["quantity"])
    fx = Fraction(explained["tariff"].get("fx_rate", "1"))
    assert total(line["parts"], "amount") * fx == Fraction(line["exact"])
    for part in line["parts"]:
        if "quantity" in part:
            assert Fraction(part["quantity"]) * Fraction(part["price"]) == Fraction(part["amount"])
    step = Fraction(explained["tariff"]["step"])
    assert abs(Fraction(line["amount"]) - Fraction(line["exact"])) < step
    if "windows" in told:
        divisor = Fraction(explained["price"].get("divisor", "1")) * SCALE.get(line["sku"], 1)
        assert total(told["windows"], "value") == Fraction(told["windows_sum"])
        assert Fraction(told["windows_sum"]) / divisor == sum(Fraction(e["units"]) for e in told["lines"])


def test_every_line_of_every_statement_adds_up(db, state, site):
    seen = set()
    for s in rows(db, "select * from statement order by account_id"):
        for (document,) in rows(db, "select document from statement_line where account_id = %s and statement_id = %s",
                                s["account_id"], s["id"]):
            line = json.loads(document)
            told = explain(state, s["name"], line["n"])
            explained, = told["lines"]
            assert explained["line"] == line and explained["changed"] == "0"
            assert explained["price"]["sku"] == line["sku"]
            adds_up(told, explained)
            assert told["charged_quantity"] == told["units_now"]
            seen.add(line["sku"])
            if line["sku"] in ("cpu.time", "disk.write.bytes", "net.tx.bytes") and "resource" in line:
                assert len(told["windows"]) > 80 and all(w["raw"] for w in told["windows"])
                assert told["graph"]["id"] == line["resource"]["id"]
    assert len(seen) >= 11


def test_an_accounts_line_opens_to_each_resource(db, state, site):
    """net.tx.bytes of berlin is one line for all machines; each machine's part opens to its windows."""
    berlin = one(db, "select name from statement where account_id = %s", site.names["berlin"])
    n = one(db, "select line_no from statement_line where account_id = %s and document like %s", site.names["berlin"],
            '%"net.tx.bytes"%')
    whole = explain(state, berlin, n)["lines"][0]
    assert len(whole["resources"]) == 2 and "windows" not in explain(state, berlin, n)
    for part in whole["resources"]:
        told = explain(state, "--resource", part["id"], berlin, n)
        close = told["lines"][0]
        assert total(close["usage"], "units") == Fraction(part["units"])
        assert {u["resource"] for u in close["usage"]} == {part["id"]}
        assert Fraction(told["windows_sum"]) / 1000000 == Fraction(part["units"])


def test_the_running_bill_explains_itself_too(db, state, site):
    told = explain(state, "--account", "licences", "host.socket")
    explained, = told["lines"]
    adds_up(told, explained)
    assert "statement" not in told
    done = subprocess.run([BIN / "jeoul-explain", "--config", "/dev/null", "--account", "licences", "vcpu"],
                          env=environment(state), capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "has no line of vcpu" in done.stderr


def test_what_changed_after_closing_shows_and_is_followed_to_its_correction(db, state, site):
    account = site.names["berlin"]
    january = one(db, "select name from statement where account_id = %s", account)
    n, vm = rows(db, "select line_no, document::jsonb->'resource'->>'id' from statement_line where account_id = %s and "
                 "document like %s", account, '%"cpu.time"%')[0]
    rows(db, "update usage_window set vcpu_ns = vcpu_ns + 3600000000000 where account_id = %s and window_from = "
         "(select min(window_from) from usage_window w join vm v on v.id = w.vm_id where v.uuid = %s) and resource_kind = 'vm' "
         "and vm_id = (select id from vm where uuid = %s)", account, vm, vm)
    told = explain(state, january, n)
    assert told["lines"][0]["changed"] == "1"
    adds_up(told, told["lines"][0])
    assert "changed since it was closed: 1" in told["text"]
    rate(state, "--as-of", "2024-03-03T00:00:00Z")
    told = explain(state, january, n)
    assert [c["kind"] for c in told["charged"]] == ["charge", "adjustment"]
    assert total(told["charged"], "quantity") == Fraction(told["charged_quantity"]) == Fraction(told["units_now"])
    adjustment = explain(state, told["charged"][1]["statement"], told["charged"][1]["n"])
    assert adjustment["adjustment"]["quantity"] == "1" and adjustment["charged_quantity"] == adjustment["units_now"]


def test_people_read_the_same(db, state, site):
    tiers = one(db, "select name from statement where account_id = %s order by period_from desc", site.names["tiers"])
    n = one(db, "select l.line_no from statement_line l join statement s on s.id = l.statement_id where s.name = %s and "
            "l.document::jsonb->>'sku' = 'vcpu' and jsonb_array_length(l.document::jsonb->'parts') > 3", tiers)
    text = explain(state, tiers, n, text=True)
    print(text)
    for word in (f"line {n} of {tiers}: vcpu", "measured", "alive", "sum:", "tier 1:", "exact:", "rounded half_even to 0.01"):
        assert word in text
