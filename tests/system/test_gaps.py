# SPDX-License-Identifier: Apache-2.0
"""Gaps in metering are seen by those whom they concern, and settled once, by an act with a name, up to the bill."""
import json
import os
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from conftest import BIN, run, wait_for
from import_house import UTC, ImportHouse, iso

PRICES = {"currency": "USD", "prices": [
    {"sku": "cpu.time", "divisor": "3600", "group_by": "resource", "model": {"type": "unit", "price": "0.36"}},
    {"sku": "net.tx.bytes", "group_by": "account", "model": {"type": "unit", "price": "0.000001"}},
    {"sku": "disk.write.bytes", "group_by": "account", "model": {"type": "unit", "price": "0.000001"}}]}
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
# A month must not begin in the middle of what these tests look at.
ZONE = "UTC" if HOUR.day == datetime.now(UTC).day and (HOUR.day, HOUR.hour) > (1, 1) else "Etc/GMT+12"


def at(minutes):
    return HOUR + timedelta(minutes=minutes)


class GapHouse(ImportHouse):
    def check(self):
        self.sql("update vm set state_at = now() - interval '1 minute'")
        super().check()

    def machine(self, client, name, number):
        """A VM of two virtual CPUs with a disk, which used an hour of CPU around a gap of half an hour.

        It runs since two hours before HOUR, was sampled at HOUR, HOUR + 10 min, + 40 min (after the gap) and + 59 min."""
        vm, disk = str(uuid.uuid4()), str(uuid.uuid4())
        owner = self.sql("select id from account where uuid = %s", client.account)[0][0]
        self.sql(f"""
            insert into vm (account_id, id, uuid, name, instance_name, vcpus, memory_bytes, held_vcpus, held_memory, state, epoch)
                values ({owner}, {number}, '{vm}', '{name}', 'i-{name}', 2, 1 << 30, 2, 1 << 30, 'Running', 'e');
            insert into volume (account_id, id, uuid, vm_id, name, size_bytes)
                values ({owner}, {number + 1}, '{disk}', {number}, '{name}-root', 1 << 30);
            insert into lifetime (account_id, resource_id, kind, valid_from, resource_uuid, resource_name, vm_id, vcpus,
                memory_bytes, size_bytes, open_reason) values
                ({owner}, {number}, 'allocated', '{iso(at(-120))}', '{vm}', '{name}', {number}, 2, 1 << 30, null, 'created'),
                ({owner}, {number}, 'running', '{iso(at(-120))}', '{vm}', '{name}', {number}, 2, 1 << 30, null, 'started'),
                ({owner}, {number + 1}, 'volume', '{iso(at(-120))}', '{disk}', '{name}-root', {number}, null, null, 1 << 30, 'created');
            insert into usage_window (account_id, resource_id, window_from, window_to, resource_kind, vm_id, through, epoch,
                cpu_ns, vcpu_ns, raw_cpu_ns, raw_vcpu_ns, samples) values
                ({owner}, {number}, '{iso(at(-60))}', '{iso(at(0))}', 'vm', {number}, '{iso(at(0))}', 'e', 9, 9, 9, '{{9,0}}', 2),
                ({owner}, {number}, '{iso(at(0))}', '{iso(at(60))}', 'vm', {number}, '{iso(at(59))}', 'e', 3600000000000,
                    3600000000000, 3600000000009, '{{3600000000009,0}}', 3);
            insert into meter_gap (account_id, resource_id, gap_from, gap_to, reason) values
                ({owner}, {number}, '{iso(at(10))}', '{iso(at(40))}', 'nobody looked'),
                ({owner}, {number + 1}, '{iso(at(10))}', '{iso(at(41))}', 'its guest hung');""")
        found = {g["resourcetype"]: g["id"] for g in self.admin.rest("GET", "gaps")["metergap"] if g["virtualmachineid"] == vm}
        return vm, disk, found["VirtualMachine"], found["Volume"]

    def correct(self, gap, expect=201, client=None, **words):
        return (client or self.admin).rest("POST", f"gaps/{gap}/corrections", {"reason": "read from its own log", **words},
                                           expect=expect)

    def gap(self, gap, client=None):
        return (client or self.admin).rest("GET", f"gaps?id={gap}")["metergap"][0]

    def lines(self, client):
        answer = client.rest("GET", "bill-preview")
        return {line["sku"]: line for line in answer.get("bill", answer)["lines"]}

    def stored_acts(self):
        return self.sql("select (select count(*) from meter_gap_act), (select count(*) from usage_import where source = 'jeoul.gap')")[0]


@pytest.fixture(scope="module")
def house():
    h = GapHouse()
    try:
        yield h
        h.check()
    finally:
        h.close()


@pytest.fixture(scope="module")
def acme(house):
    client = house.customer("acme", PRICES, ZONE, 5)
    client.vm, client.disk, client.gap, client.disk_gap = house.machine(client, "web", 5000)
    return client


@pytest.fixture(scope="module")
def other(house):
    client = house.customer("other", PRICES, ZONE, 5)
    client.vm, client.disk, client.gap, client.disk_gap = house.machine(client, "shop", 6000)
    return client


# ---------------------------------------------------------------- who sees what

def test_admin_sees_all_gaps_and_a_tenant_the_own(house, acme, other):
    assert {acme.gap, acme.disk_gap, other.gap, other.disk_gap} <= {g["id"] for g in house.admin.rest("GET", "gaps")["metergap"]}
    own = acme.rest("GET", "gaps")["metergap"]
    assert {g["id"] for g in own} == {acme.gap, acme.disk_gap} and acme.rest("GET", f"gaps?id={other.gap}") == {"count": 0, "metergap": []}
    gap = next(g for g in own if g["id"] == acme.gap)
    assert (gap["resourcetype"], gap["resourcename"], gap["resourceid"]) == ("VirtualMachine", "web", acme.vm)
    assert (gap["seconds"], gap["description"], gap["state"], gap["corrections"]) == ("1800", "nobody looked", "open", [])
    assert gap["startdate"] == iso(at(10))[:-1] + ".000000Z" and gap["enddate"].startswith(iso(at(40))[:-1])
    disk = next(g for g in own if g["id"] == acme.disk_gap)
    assert (disk["resourcetype"], disk["resourceid"], disk["virtualmachineid"]) == ("Volume", acme.disk, acme.vm)
    assert house.admin.rest("GET", f"gaps?resourceid={acme.disk}")["count"] == 1
    assert house.admin.rest("GET", f"gaps?resourceid={acme.vm}")["count"] == 2
    assert house.admin.rest("GET", f"gaps?resourceid={acme.vm}&enddate={iso(at(9))}")["count"] == 0
    assert house.admin.rest("GET", "gaps?account=acme&keyword=root")["metergap"][0]["id"] == acme.disk_gap


def test_only_the_provider_corrects(house, acme):
    assert house.correct(acme.gap, client=acme, sku="cpu.time", quantity="1", expect=403)
    assert house.gap(acme.gap)["state"] == "open"


# ---------------------------------------------------------------- what is refused

@pytest.mark.parametrize("words,said", [
    ({"sku": "cpu.time", "quantity": "3600.000001"}, "the 3600 that its virtual CPUs had"),
    ({"sku": "cpu.time", "quantity": "3480.000001"}, "of the 7080"),  # of which an hour was counted
    ({"sku": "cpu.time", "quantity": "-1"}, "below zero"), ({"sku": "cpu.time", "quantity": "1e3"}, "no decimal number"),
    ({"sku": "cpu.time", "quantity": "1", "at": iso(at(10) - timedelta(microseconds=1))}, "outside of the gap"),
    ({"sku": "cpu.time", "quantity": "1", "at": iso(at(40))}, "outside of the gap"),
    ({"sku": "cpu.time", "quantity": "1", "at": "yesterday"}, "no instant"),
    ({"sku": "disk.write.bytes", "quantity": "1"}, "a virtual machine was not measured"),
    ({"sku": "vcpu", "quantity": "1"}, "does not come from samples"), ({"sku": "mail.sent", "quantity": "1"}, "does not come from samples"),
    ({"sku": "cpu.time"}, "say what was used"), ({}, "say what was used"), ({"sku": "cpu.time", "quantity": "1", "nothing": True}, "one of both"),
    ({"nothing": True, "at": iso(at(20))}, "one of both"), ({"nothing": True, "reason": ""}, "reason"),
    ({"nothing": True, "reason": "x" * 256}, "reason"), ({"nothing": True, "reason": "a\nb"}, "reason")])
def test_what_can_not_be_is_refused_and_changes_nothing(house, acme, words, said):
    before = house.stored_acts()
    assert said in house.correct(acme.gap, expect=400, **words)["detail"]
    assert house.stored_acts() == before and house.gap(acme.gap)["state"] == "open"


def test_a_gap_that_is_not_there(house):
    assert house.correct(uuid.uuid4(), nothing=True, expect=404)


def test_nobody_tells_usage_under_the_name_of_a_gap(house, acme):
    answer = house.admin.rest("POST", "usage", {"records": [{"source": "jeoul.gap", "id": f"{acme.gap}/cpu.time", "account": "acme",
        "sku": "cpu.time", "unit": "vCPU-second", "quantity": "5", "at": iso(at(20)), "resource": acme.vm}]}, expect=400)
    assert "jeoul gap correct" in answer["detail"]


# ---------------------------------------------------------------- what was used

def test_a_correction_reaches_the_bill_and_says_where_it_comes_from(house, acme):
    before = house.lines(acme)["cpu.time"]
    assert Fraction(before["quantity"]) * 3600 == Fraction(3600000000009, 10**9)
    answer = house.correct(acme.gap, sku="cpu.time", quantity="3480.00", reason="from the guest's log")
    assert answer["state"] == "corrected" and answer == house.gap(acme.gap)
    said = answer["corrections"][0]
    assert (said["verdict"], said["sku"], Fraction(said["quantity"]), said["unit"]) == ("used", "cpu.time", 3480, "vCPU-second")
    assert (said["by"], said["reason"], said["record"]) == ("admin", "from the guest's log", f"jeoul.gap/{acme.gap}/cpu.time")
    line = house.lines(acme)["cpu.time"]
    assert Fraction(line["quantity"]) == Fraction(before["quantity"]) + Fraction(3480, 3600)
    assert Fraction(line["exact"]) == Fraction(line["quantity"]) * Fraction("0.36")
    assert line["resource"]["name"] == "web" and line["records"] == {"count": "1", "first": [said["record"]]}
    # What was measured is what it was, and the tenant sees the act but not who of the provider did it.
    assert house.sql("select sum(vcpu_ns) from usage_window where resource_id = 5000") == [(3600000000009,)]
    assert "by" not in house.gap(acme.gap, acme)["corrections"][0] and house.gap(acme.gap, acme)["state"] == "corrected"


def test_explain_names_the_act(house, acme):
    text = house.command("--account", "acme", "--resource", acme.vm, "cpu.time", program="jeoul-explain").stdout
    assert f"record jeoul.gap/{acme.gap}/cpu.time" in text
    assert "said by admin on " in text and "from the guest's log" in text and iso(at(10))[:-1] in text
    told = json.loads(house.command("--json", "--account", "acme", "cpu.time", program="jeoul-explain").stdout)
    acts = [a for line in told["lines"] for u in line["usage"] for a in u.get("acts", [])]
    assert [(a["by"], a["record"]) for a in acts] == [("admin", f"{acme.gap}/cpu.time")]


def test_the_audit_trail_has_it(house, acme):
    rows = house.sql("""select e.text, u.name, a.name from event e join app_user u on u.id = e.user_id join account a on a.id = e.account_id
        where e.kind = 'GAP.CORRECT' and e.object_uuid = %s""", acme.gap)
    assert len(rows) == 1 and rows[0][1:] == ("admin", "acme")
    assert "3480.00 vCPU-second of cpu.time" in rows[0][0] and "from the guest's log" in rows[0][0]


def test_the_same_again_changes_nothing_and_another_is_refused(house, acme):
    before = house.stored_acts()
    assert house.correct(acme.gap, sku="cpu.time", quantity="3480", reason="from the guest's log") == house.gap(acme.gap)
    for other in ({"quantity": "3479", "reason": "from the guest's log"}, {"quantity": "3480", "reason": "because"},
                  {"quantity": "3480", "reason": "from the guest's log", "at": iso(at(20))}):
        answer = house.correct(acme.gap, sku="cpu.time", expect=409, **other)
        assert "admin said on" in answer["detail"] and f'"{acme.gap}/cpu.time"' in answer["detail"]
    assert "already" in house.correct(acme.gap, nothing=True, expect=409)["detail"]
    assert house.stored_acts() == before and house.sql("select count(*) from event where kind = 'GAP.CORRECT'") == [(1,)]


def test_each_sku_of_a_gap_has_an_act_of_its_own(house, acme):
    house.correct(acme.gap, sku="net.tx.bytes", quantity="5000000", at=iso(at(15)))
    house.correct(acme.disk_gap, sku="disk.write.bytes", quantity="7000000")
    lines = house.lines(acme)
    assert Fraction(lines["net.tx.bytes"]["quantity"]) == 5000000 and Fraction(lines["disk.write.bytes"]["quantity"]) == 7000000
    assert len(house.gap(acme.gap)["corrections"]) == 2
    told = {r["resourceid"] for r in acme.rest("GET", "usage?source=jeoul.gap")["usageentry"]}
    assert told == {acme.vm}, "all of it stands on the lines of the machine, as what is measured does"


def test_a_correction_is_corrected_like_any_record(house, acme):
    key = f"{acme.gap}/cpu.time"
    house.push([{"source": "jeoul.gap", "id": f"{key}/2", "account": "acme", "sku": "cpu.time", "unit": "vCPU-second",
                 "quantity": "60", "at": iso(at(39)), "resource": acme.vm, "resource_name": "web", "corrects": key}])
    line = house.lines(acme)["cpu.time"]
    assert Fraction(line["quantity"]) * 3600 == Fraction(3600000000009, 10**9) + 60
    said = house.gap(acme.gap)["corrections"][0]
    assert said["correctedby"] == f"{key}/2" and Fraction(said["quantity"]) == 3480
    text = house.command("--account", "acme", "--resource", acme.vm, "cpu.time", program="jeoul-explain").stdout
    assert f"record jeoul.gap/{key}/2" in text and "from the guest's log" in text


# ---------------------------------------------------------------- nothing, and at once

def test_nothing_is_said_once_too(house, other):
    cli = house.command("--json", "gap", "correct", other.disk_gap, "--nothing", "--reason", "it stood still")
    assert json.loads(cli.stdout)["state"] == "nothing"
    house.correct(other.disk_gap, nothing=True, reason="it stood still")
    assert "it stood still" in house.correct(other.disk_gap, nothing=True, reason="it did not", expect=409)["detail"]
    assert "already" in house.correct(other.disk_gap, sku="disk.write.bytes", quantity="1", expect=409)["detail"]
    assert house.sql("select text from event where kind = 'GAP.CORRECT' and object_uuid = %s", other.disk_gap)[0][0].endswith(
        "nothing is billed: it stood still")
    listed = json.loads(house.command("--json", "gap", "list", "--open", "--account", "other").stdout)
    assert [g["id"] for g in listed] == [other.gap]
    table = house.command("gap", "list", "--open").stdout
    assert "nobody looked" in table and "shop" in table and "it stood still" not in table


def test_of_acts_at_the_same_time_one_holds(house, other):
    """Twenty at once, of which each would be refused after any other."""
    def act(n):
        words = {"nothing": "true", "reason": f"no {n}"} if n % 2 else {"sku": "cpu.time", "quantity": str(n + 1), "reason": f"no {n}"}
        body = json.dumps(words)
        return house.admin.http("POST", f"/v1/gaps/{other.gap}/corrections", body,
                                house.admin.headers() | {"Content-Type": "application/json"}).status
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(act, range(20)))
    assert sorted(answers) == [201] + [409] * 19, answers
    assert house.sql("select count(*) from meter_gap_act where resource_id = 6000") == [(1,)]
    assert house.sql("select count(*) from usage_import where resource_name = 'shop'")[0][0] == (
        house.sql("select count(*) from meter_gap_act where resource_id = 6000 and verdict = 'used'")[0][0])


def test_a_kill_in_the_middle_leaves_the_act_or_nothing(house):
    """web dies again and again while an act is repeated until it is answered."""
    client = house.customer("killed", PRICES, ZONE, 5)
    *_, gap, disk_gap = house.machine(client, "k", 7000)
    words = [(g, sku) for g, skus in ((gap, ("cpu.time", "net.tx.bytes", "net.rx.bytes")),
                                      (disk_gap, ("disk.write.bytes", "disk.read.bytes", "disk.read.requests"))) for sku in skus]

    def patient(word):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                answer = house.admin.http("POST", f"/v1/gaps/{word[0]}/corrections",
                                          json.dumps({"sku": word[1], "quantity": "7", "reason": "r"}),
                                          house.admin.headers() | {"Content-Type": "application/json"})
                if answer.status == 201:
                    return 201
                assert answer.status in (409, 500, 503), answer.text
            except (OSError, ConnectionError):
                pass
            except Exception as e:  # noqa: BLE001: the connection broke in the middle of an answer
                assert "http.client" in type(e).__module__, e
            time.sleep(0.02)
        return None
    with ThreadPoolExecutor(6) as pool:
        work = [pool.submit(patient, w) for w in words]
        for _ in range(3):
            house.web_killed()
        assert [w.result() for w in work] == [201] * 6
    assert house.sql("select count(*), count(distinct sku) from meter_gap_act where resource_id in (7000, 7001)") == [(6, 6)]
    assert house.sql("select count(*), sum(quantity) from usage_import where resource_name = 'k'") == [(6, 42)]
    assert house.sql("select count(*) from event where kind = 'GAP.CORRECT' and object_uuid in (%s, %s)", gap, disk_gap) == [(6,)]


# ---------------------------------------------------------------- a real one

def test_a_real_gap_from_the_collector_to_the_bill(stack):
    """The collector stands still; its gap is listed, corrected by the command, and on the tenant's bill."""
    vm = stack.vms["web1"]
    known = {g["id"] for g in stack.jeoul("gap", "list")}
    meter = stack.child("meter")["pid"]
    os.kill(meter, signal.SIGSTOP)
    end = time.monotonic() + 12
    wait_for("the gap", lambda: time.monotonic() > end, 15)
    os.kill(meter, signal.SIGCONT)
    gap = wait_for("the gap in the list", lambda: [g for g in stack.jeoul("gap", "list", "--open", "--account", "acme")
        if g["resourceid"] == vm and g["id"] not in known], 30)[0]
    assert float(gap["seconds"]) > 6 and "billed at the end" in gap["description"]

    def told():
        return next(line.get("records") for line in bill_lines(stack) if line["sku"] == "cpu.time" and line["resource"]["name"] == "web1")
    refused = stack.jeoul("gap", "correct", gap["id"], "--sku", "cpu.time", "--quantity", "86400", "--reason", "too much", check=False)
    assert refused.returncode != 0 and "virtual CPUs had" in refused.stderr
    assert told() is None
    answer = stack.jeoul("gap", "correct", gap["id"], "--sku", "cpu.time", "--quantity", "1.25", "--reason", "as its log says")
    assert answer["state"] == "corrected"
    # A bill of this moment goes to its last whole second.
    assert wait_for("it on the bill", told, 5) == {"count": "1", "first": [f"jeoul.gap/{gap['id']}/cpu.time"]}
    assert wait_for("the rater too", lambda: stack.sql("""select quantity from accrual a join accrual_run r using (account_id, period_from,
        generation) where sku = 'cpu.time' and resource_uuid = %s and r.through > %s""", vm, answer["corrections"][0]["made"]), 30)
    text = run(BIN / "jeoul-explain", "--account", "acme", "--resource", vm, "cpu.time", env=stack.env).stdout
    assert "as its log says" in text


def bill_lines(stack):
    answer = stack.jeoul("bill", "preview", "--account", "acme")
    return answer["lines"]
