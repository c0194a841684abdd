# SPDX-License-Identifier: Apache-2.0
"""What the agent in a guest tells is shown, and one that is dead or floods delays nobody.

The guests are real, and so is the way: QEMU's guest agent protocol over virtio-serial and libvirt;
the agent is the demo guest's own small one (setup/guest/qga.c)."""
import threading
import time

import pytest

from conftest import BIN, Stack, run, wait_for


@pytest.fixture(scope="module")
def cloud():
    s = Stack(**{"provision.agent_every": "2s", "meter.step": "2s", "meter.guarded_step": "4s", "billing.interval": "1h"})
    try:
        s.start()
        run(BIN / "jeoul-first-admin", env=s.env)
        s.vms = s.demo(("web1", "db1"))
        yield s
    finally:
        s.remove()


def told(cloud, name):
    return cloud.jeoul("vm", "show", name)


def said(cloud, name, command):
    answer = cloud.guest(cloud.vms[name], f"run {command}", 30)
    assert answer["ok"], answer
    return answer["output"].strip()


def seen_after(cloud, name, moment):
    return wait_for(f"a fresh word of {name}", lambda: cloud.sql("""select g.seen from vm_guest g join vm v on v.id = g.vm_id
        where v.uuid = %s and g.seen > %s""", cloud.vms[name], moment), 30)[0][0]


def now(cloud):
    return cloud.sql("select clock_timestamp()")[0][0]


def test_what_the_guest_says_of_itself_is_shown(cloud):
    shown = wait_for("the agent's word", lambda: (t := told(cloud, "web1")).get("guestseen") and t, 60)
    assert shown["guesthostname"] == said(cloud, "web1", "hostname")
    assert shown["guestkernel"] == said(cloud, "web1", "uname -r") and shown["guestmachine"] == "x86_64"
    assert shown["guestos"] == "Jeoul demo guest (busybox)" and shown["guestosversion"] == "1"
    address = wait_for("its address", lambda: said(cloud, "web1", "ip -4 -o addr show eth0").split()[3:4], 60)[0]

    def card_with():
        cards = [n for n in told(cloud, "web1")["guestinterfaces"] if n["name"] == "eth0" and address in n["addresses"]]
        return cards and cards[0]
    card = wait_for("its card with that address", card_with, 60)
    assert card["mac"] == said(cloud, "web1", "cat /sys/class/net/eth0/address")
    assert card["mac"] in cloud.virsh("domiflist", shown["id"])
    assert "guesterror" not in shown and shown["state"] == "Running" and shown["cpunumber"] == 1
    text = run(BIN / "jeoul", "vm", "show", "web1", env=cloud.env).stdout
    assert shown["guesthostname"] in text and "guestfilesystems" in text


def disk_used(cloud, name):
    lists = told(cloud, name)["guestfilesystems"]
    return next(int(f["used"]) for f in lists if f["mountpoint"] == "/tmp")


def test_a_file_system_that_fills_is_seen(cloud):
    before = disk_used(cloud, "web1")
    said(cloud, "web1", "dd if=/dev/zero of=/tmp/x bs=1048576 count=3 2>/dev/null; echo done")
    wait_for("three MiB more", lambda: disk_used(cloud, "web1") == before + (3 << 20), 20)


def test_whose_it_is(cloud):
    cloud.jeoul("account", "create", "other", "--username", "other", "--password", "a long password")
    rows = cloud.sql("select account_id, id from vm where uuid = %s", cloud.vms["web1"])
    seen = {}
    for account in [rows[0][0], cloud.sql("select id from account where name = 'other'")[0][0]]:
        seen[account] = cloud.sql("select set_config('jeoul.account', %s, true); select count(*) from vm_guest where vm_id = %s",
                                  str(account), rows[0][1], role="web")[0][0]
    assert list(seen.values()) == [1, 0]


def quick(cloud, deadline=8):
    """What other people want of the same host, meanwhile."""
    slowest = 0
    for words in (("dominfo", cloud.vms["web1"]), ("dominfo", cloud.vms["db1"]), ("list",)):
        begun = time.monotonic()
        cloud.virsh(*words)
        slowest = max(slowest, time.monotonic() - begun)
    begun = time.monotonic()
    cloud.jeoul("vm", "list")
    assert max(slowest, time.monotonic() - begun) < deadline
    return slowest


class Fresh(threading.Thread):
    """How old db1's facts and web1's samples get at worst while something is wrong with web1's agent."""

    def __init__(self, cloud):
        super().__init__(daemon=True)
        self.cloud, self.over, self.worst = cloud, threading.Event(), {"facts": 0, "sample": 0}

    def run(self):
        while not self.over.wait(0.5):
            facts, sample = self.cloud.sql("""select extract(epoch from now() - g.seen)::text, extract(epoch from now() -
                (select max(through) from usage_window where resource_id = (select id from vm where uuid = %s)))::text
                from vm_guest g join vm v on v.id = g.vm_id where v.uuid = %s""", self.cloud.vms["web1"], self.cloud.vms["db1"])[0]
            self.worst = {"facts": max(self.worst["facts"], float(facts)), "sample": max(self.worst["sample"], float(sample))}

    def __enter__(self):
        seen_after(self.cloud, "db1", now(self.cloud))
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def test_a_dead_agent_delays_nobody_and_what_it_said_stays(cloud):
    before = told(cloud, "web1")
    said(cloud, "web1", "killall -STOP qga")
    with Fresh(cloud) as fresh:
        shown = wait_for("it to be told", lambda: (t := told(cloud, "web1")).get("guesterror") and t, 30)
        assert "respond" in shown["guesterror"] or "time" in shown["guesterror"], shown
        assert shown["guesthostname"] == before["guesthostname"] and shown["guestfilesystems"]
        end = time.monotonic() + 12
        slowest = 0
        while time.monotonic() < end:
            slowest = max(slowest, quick(cloud))
        begun = time.monotonic()
        cloud.jeoul("volume", "create", "papers", "--account", "acme", "--size", "1")
        cloud.jeoul("volume", "attach", "papers", "--vm", "web1")
        took = time.monotonic() - begun
    print(f"dead agent: slowest answer of libvirtd {slowest:.2f} s, a disk made and attached in {took:.1f} s, "
          f"db1's facts at most {fresh.worst['facts']:.1f} s old, web1's samples {fresh.worst['sample']:.1f} s")
    assert took < 20 and fresh.worst["facts"] < 12 and fresh.worst["sample"] < 10
    failures = cloud.sql("select failures from vm_guest g join vm v on v.id = g.vm_id where v.uuid = %s", cloud.vms["web1"])[0][0]
    assert 1 <= failures <= 4, "a silent one is asked less and less often"
    said(cloud, "web1", "killall -CONT qga")
    cloud.sql("update vm_guest set failures = 0")  # it would be asked again, but late for a test
    seen_after(cloud, "web1", now(cloud))
    assert "guesterror" not in told(cloud, "web1")


def test_an_agent_that_floods_its_channel_harms_nobody(cloud):
    said(cloud, "web1", "killall qga; echo gone")
    port = said(cloud, "web1", "grep -l guest_agent /sys/class/virtio-ports/*/name").split("/")[4]
    said(cloud, "web1", f"yes >/dev/{port} 2>/dev/null & echo flooding")
    with Fresh(cloud) as fresh:
        wait_for("it to be told", lambda: told(cloud, "web1").get("guesterror"), 40)
        end, slowest = time.monotonic() + 8, 0
        while time.monotonic() < end:
            slowest = max(slowest, quick(cloud))
    print(f"flood: slowest answer {slowest:.2f} s, worst ages {fresh.worst}")
    assert fresh.worst["facts"] < 15 and fresh.worst["sample"] < 10
    said(cloud, "web1", "killall yes; echo over")
    assert cloud.status()["ready"]


def test_a_guest_without_an_agent_has_none(cloud):
    said(cloud, "db1", "killall qga; echo gone")
    moment = now(cloud)
    wait_for("a look", lambda: cloud.sql("select 1 from vm_guest g join vm v on v.id = g.vm_id where v.uuid = %s and tried > %s + "
        "interval '3 s'", cloud.vms["db1"], moment), 30)
    shown = told(cloud, "db1")
    assert "guesterror" not in shown and shown["guesthostname"].startswith("guest-"), "what it said stays, with its time"
