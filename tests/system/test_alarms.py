"""Each rule made true in earnest, told at a real snmptrapd and a real rsyslogd, and over again."""
import contextlib
import json
import os
import re
import signal
import subprocess
import time

import pytest

from conftest import BIN, TOP, Stack, run, stopped, wait_for
from noc import Rsyslogd, Sender, Trapd, story, text

RULE = "role.down"


@contextlib.contextmanager
def pair(folder):
    """An snmptrapd and an rsyslogd, and the settings that name them."""
    trapd, rsyslogd = Trapd(folder), Rsyslogd(folder)
    try:
        for r in (trapd, rsyslogd):
            r.start()
        yield [trapd, rsyslogd], {"snmp.trap": f"127.0.0.1:{trapd.port}", "syslog.target": f"udp:127.0.0.1:{rsyslogd.port}"}
    finally:
        for r in (trapd, rsyslogd):
            r.stop()


@contextlib.contextmanager
def sending(folder, **settings):
    with pair(folder) as (receivers, names):
        sender = Sender(folder, **names, **settings)
        sender.start()
        try:
            yield sender, receivers
        finally:
            sender.stop()


def told(receivers, words, seconds=30, **wanted):
    try:
        wait_for("the words", lambda: all(story(r, **wanted) == words for r in receivers), seconds)
    except AssertionError:
        raise AssertionError(f"{words} wanted, got {[story(r, **wanted) for r in receivers]}") from None


def test_the_rules_are_in_the_noc_s_page():
    declared = dict(re.findall(r'RULE\(\w+, "([\w.]+)", "\w+", SEVERITY_(\w+)', (TOP / "snmp/rule.def").read_text()))
    shown = dict(re.findall(r"^\| `([\w.]+)` \| (\w+) \|", (TOP / "docs/noc.md").read_text(), re.M))
    assert len(declared) >= 9 and shown == {rule: severity.lower() for rule, severity in declared.items()}


# ---- what is made of a condition

def test_the_same_trouble_again_is_no_second_alarm(tmp_path):
    with sending(tmp_path) as (sender, receivers):
        for _ in range(50):
            sender.tell(RULE, "meter", True)
        sender.tell(RULE, "meter", False)
        sender.tell(RULE, "meter", False)
        told(receivers, ["raise", "clear"], rule=RULE)


def test_an_alarm_that_nobody_acknowledges_is_repeated(tmp_path):
    with sending(tmp_path, **{"alarm.repeat": "1s"}) as (sender, receivers):
        sender.tell(RULE, "meter", True)
        wait_for("two repeats", lambda: all(len(story(r, rule=RULE)) >= 3 for r in receivers), 15)
        sender.tell(RULE, "meter", False)
        wait_for("the clear", lambda: all(story(r, rule=RULE)[-1] == "clear" for r in receivers), 15)
        for r in receivers:
            came = r.notices(rule=RULE)
            assert len({n["alarm"] for n in came}) == 1 and len({n["notice"] for n in came}) == len(came)
            times = [int(n["times"].split()[-1]) for n in came if n["word"] == "raise"]
            assert times == list(range(1, len(times) + 1)), "how often it was told"


def test_what_comes_and_goes_is_told_as_flapping_until_it_is_calm(tmp_path):
    with sending(tmp_path, **{"alarm.flap_raises": 3, "alarm.flap_window": "8s"}) as (sender, receivers):
        for _ in range(10):
            sender.tell(RULE, "meter", True)
            sender.tell(RULE, "meter", False)
        told(receivers, ["raise", "clear", "raise", "clear", "raise"], rule=RULE)
        assert "flapping: went wrong 3 times" in receivers[0].notices(rule=RULE)[-1]["text"]
        told(receivers, ["raise", "clear", "raise", "clear", "raise", "clear"], rule=RULE)  # 4 s later


def test_severities_are_the_rules_or_the_settings(tmp_path):
    with sending(tmp_path, **{"alarm.rules": f"{RULE}=warning vm.monitor.blocked=off"}) as (sender, receivers):
        sender.tell("vm.monitor.blocked", "some-vm", True)
        sender.tell(RULE, "meter", True)
        told(receivers, ["raise"], rule=RULE)
        trap, line = (r.notices(rule=RULE)[0] for r in receivers)
        assert trap["severity"] == "6" and line["perceivedSeverity"] == "warning" and line["priority"] % 8 == 4
        assert not any(r.notices(rule="vm.monitor.blocked") for r in receivers)


def test_syslog_has_the_alarm_in_its_structured_data(tmp_path):
    with sending(tmp_path) as (sender, receivers):
        sender.tell(RULE, 'a "b" ]c\\', True, 'it is "wrong"\nand forged')
        told(receivers[1:], ["raise"], rule=RULE)
        line = receivers[1].notices(rule=RULE)[0]["line"]
    assert '[alarm resource="a \\"b\\" \\]c\\\\" probableCause="softwareProgramAbnormallyTerminated" ' \
           'perceivedSeverity="major" eventType="processingErrorAlarm"]' in line
    assert line.endswith('\ufeffit is "wrong" and forged'), "one line, whatever it says"


def test_a_receiver_that_is_away_is_an_alarm_for_the_others(tmp_path):
    rule = "receiver.away"
    with sending(tmp_path, **{"alarm.receiver_after": "2s"}) as (sender, (trapd, rsyslogd)):
        trapd.stop()
        sender.tell(RULE, "meter", True)
        told([rsyslogd], ["raise"], rule=rule)
        assert rsyslogd.notices(rule=rule)[0]["resource"] == f"trap:127.0.0.1:{trapd.port}"
        trapd.start()
        told([trapd, rsyslogd], ["raise", "clear"], 40, rule=rule)
        told([trapd], ["raise"], rule=RULE)


# ---- the disk

@pytest.fixture
def small_disk(tmp_path):
    """64 MiB for a state folder, and no more."""
    place = tmp_path / "state"
    place.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place)
    yield tmp_path
    run("umount", "-l", place)


def test_a_disk_that_fills_up_is_told_in_two_steps_and_when_it_is_full(small_disk):
    rule = "disk.full"
    with sending(small_disk, **{"alarm.disk_free": "32MiB"}) as (sender, receivers):
        assert not receivers[0].notices(rule=rule)
        (sender.state / "a").write_bytes(bytes(40 << 20))
        told(receivers, ["raise"], rule=rule)
        (sender.state / "b").write_bytes(bytes(18 << 20))
        told(receivers, ["raise", "change"], rule=rule)
        assert [n["severity"] for n in receivers[0].notices(rule=rule)] == ["4", "3"], "major, then critical"
        with contextlib.suppress(OSError), open(sender.state / "c", "wb") as rest:
            while True:
                rest.write(bytes(4096))
        sender.tell(RULE, "meter", True)  # to be told though it can't be written down
        told(receivers, ["raise"], rule=RULE)
        for name in "abc":
            (sender.state / name).unlink()
        told(receivers, ["raise", "change", "clear"], rule=rule)
        sender.tell(RULE, "meter", False)
        told(receivers, ["raise", "clear"], rule=RULE)
        wait_for("the journal to be kept again", lambda: "database disk image" not in text(sender.log), 1)


# ---- people

def test_an_acknowledged_alarm_is_repeated_no_more(tmp_path):
    rule = "disk.full"
    with pair(tmp_path) as (receivers, names):
        s = Stack("none", **names, **{"alarm.repeat": "1s", "alarm.disk_free": "1024TiB"})
        try:
            s.start()
            run(BIN / "jeoul-first-admin", env=s.env)
            wait_for("a repeat", lambda: len(story(receivers[0], rule=rule)) >= 2, 20)
            alarm = wait_for("it in the list", lambda: [a for a in s.jeoul("alarm", "list") if a["rule"] == rule])[0]
            assert alarm["active"] and "acknowledged" not in alarm
            answer = s.jeoul("alarm", "acknowledge", alarm["id"], "--note", "disks are ordered")
            assert answer["acknowledgedby"] == "admin" and answer["note"] == "disks are ordered"
            told_by_then = wait_for("the repeats to end", lambda: quiet_for(receivers[0], rule, 3), 20)
            s.jeoul("alarm", "acknowledge", alarm["id"], "--acknowledged", "false")
            wait_for("the next repeat", lambda: len(story(receivers[0], rule=rule)) > told_by_then, 10)
            done = s.jeoul("alarm", "acknowledge", "00000000-0000-4000-8000-000000000000", check=False)
            assert done.returncode != 0
        finally:
            s.remove()


def quiet_for(receiver, rule, seconds):
    """How many have come, if none comes any more."""
    before = len(story(receiver, rule=rule))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if len(story(receiver, rule=rule)) != before:
            return 0
        time.sleep(0.2)
    return before


# ---- what the tables and the programs know, with a guest that runs

@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with pair(tmp_path_factory.mktemp("noc")) as (receivers, names):
        s = Stack(**names, **{"meter.step": "1s", "meter.guarded_step": "2s", "meter.deadline": "2s",
                              "billing.interval": "2s", "alarm.host_after": "2s"})
        s.receivers = receivers
        try:
            s.start()
            run(BIN / "jeoul-first-admin", env=s.env)
            s.vms = s.demo(("web1",))
            yield s
        finally:
            s.remove()


def qemu_of(uuid):
    found = subprocess.run(["pgrep", "-f", f"qemu-system.*{uuid}"], text=True, capture_output=True).stdout.split()
    assert len(found) == 1, found
    return int(found[0])


def test_a_guest_whose_channel_is_taken(cloud):
    """Another client's command hangs in a guest that hangs: the collector keeps off and says so."""
    rule, uuid = "vm.monitor.blocked", cloud.vms["web1"]
    uri = f"qemu+unix:///system?socket={cloud.state}/libvirt/run/libvirt-sock"
    with stopped(qemu_of(uuid)):
        with stopped(cloud.child("meter")["pid"]):
            hanging = subprocess.Popen(["virsh", "-c", uri, "domstats", "--block", uuid], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            wait_for("the channel to be taken", lambda: "ok" not in cloud.virsh("domcontrol", uuid), 20)
        told(cloud.receivers, ["raise"], 30, rule=rule)
    hanging.wait(timeout=60)
    told(cloud.receivers, ["raise", "clear"], 60, rule=rule)
    trap = cloud.receivers[0].notices(rule=rule)[0]
    assert trap["object"] == uuid and trap["uuid"] == uuid and trap["kind"] == "vm" and trap["severity"] == "5"


def test_usage_without_a_price(cloud, tmp_path):
    """A price list that has all, then one without memory, then no price list at all."""
    rule = "usage.unrated"
    document = tmp_path / "small-hoster.json"
    prices = json.loads((TOP / "billing/presets/small-hoster.json").read_text())
    named = {p["sku"] for p in prices["prices"]}
    zero = {"model": {"type": "unit", "price": "0"}}
    free = [line | zero for line in ({"sku": "disk.read.requests"}, {"sku": "disk.write.requests"},
                                     {"sku": "vm.running", "per": "hour"}) if line["sku"] not in named]

    def priced(lines):
        document.write_text(json.dumps(prices | {"prices": lines + free}))
        cloud.jeoul("tariff", "import", document)

    def last(account):
        return [story(r, rule=rule, **({"object": account} if isinstance(r, Trapd) else {"resource": account}))[-1:]
                for r in cloud.receivers]
    priced(prices["prices"])
    wait_for("no complaint", lambda: all(w in ([], ["clear"]) for w in last("acme")), 30)
    priced([p for p in prices["prices"] if p["sku"] != "memory.gib"])
    wait_for("the raise", lambda: last("acme") == [["raise"], ["raise"]], 30)
    trap = cloud.receivers[0].notices(rule=rule, object="acme")[-1]
    assert trap["severity"] == "6" and trap["text"].endswith("no price for memory.gib")
    priced(prices["prices"])
    wait_for("the clear", lambda: last("acme") == [["clear"], ["clear"]], 30)
    cloud.jeoul("account", "create", "forgotten", "--username", "forgotten", "--password", "a long password")
    cloud.jeoul("vm", "create", "web2", "--account", "forgotten", "--offering", "tiny", "--template", "demo-guest")
    wait_for("the raise", lambda: last("forgotten") == [["raise"], ["raise"]], 60)
    trap = cloud.receivers[0].notices(rule=rule, object="forgotten")[-1]
    assert trap["severity"] == "4" and "has no price list" in trap["text"]
    cloud.jeoul("tariff", "assign", "small-hoster", "--account", "forgotten")
    wait_for("the clear", lambda: last("forgotten") == [["clear"], ["clear"]], 40)


def test_a_gap_in_metering(cloud):
    rule = "meter.gap"
    with stopped(cloud.child("meter")["pid"]):
        end = time.monotonic() + 12  # longer than the steps that count as late
        wait_for("the gap", lambda: time.monotonic() > end, 15)
    wait_for("gaps in the tables", lambda: cloud.sql("select count(*) from meter_gap")[0][0], 20)
    wait_for("the raise", lambda: all("raise" in story(r, rule=rule) for r in cloud.receivers), 20)
    assert any(n["object"] == "acme" and "not measured for" in n["text"] for n in cloud.receivers[0].notices(rule=rule))

    def over():
        """Two hours later; a busy machine may make another gap meanwhile."""
        cloud.sql("""update meter_gap set gap_from = gap_from - interval '2 hours', gap_to = gap_to - interval '2 hours'
            where gap_to > now() - interval '1 hour'""")
        return all(story(r, rule=rule)[-1] == "clear" for r in cloud.receivers)
    wait_for("the clear", over, 20)


def test_a_collector_that_hangs(cloud):
    rule = "meter.late"
    with stopped(cloud.child("meter")["pid"]):
        told(cloud.receivers, ["raise"], 90, rule=rule)
    told(cloud.receivers, ["raise", "clear"], 30, rule=rule)


def test_a_role_that_keeps_dying(cloud):
    """The NOC's own program among the dead does not matter: the others say it again."""
    def beaten():
        for role in ("billing",):
            pid = cloud.child(role)["pid"]
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return all(story(r, rule=RULE) for r in cloud.receivers)
    wait_for("the raise", beaten, 60)
    told(cloud.receivers, ["raise", "clear"], 60, rule=RULE)
    assert cloud.receivers[0].notices(rule=RULE)[0]["object"] == "billing"
