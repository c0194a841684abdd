"""kill -9 of everything, one after the other, while metering: nothing lost, nothing doubled.

The oracle is independent: the guest's own account against the sums of the raw rows.
"""
import os
import signal

import pytest

from conftest import wait_for
from test_slice import host_delay_ns, sampled_after, usage


def pid_of(stack, what):
    if what == "jeould":
        return stack.status()["pid"]
    if what == "guardian":
        me = stack.status()["pid"]
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    words = open(f"/proc/{entry}/cmdline").read().split("\0")
                except OSError:
                    continue
                if words[:3] == ["jeould", "--guard", str(me)]:
                    return int(entry)
        raise AssertionError("no guardian")
    return stack.child(what)["pid"]


@pytest.mark.parametrize("what", ["meter", "provision", "billing", "snmp", "web", "postgres", "libvirtd",
                                  "guardian", "jeould"])
def test_kill(stack, what):
    uuid = stack.vms["web1"]
    sampled_after(stack, uuid)
    before, mine = usage(stack, uuid), stack.guest(uuid, "report")["total"]
    waited = host_delay_ns(stack, uuid)
    assert stack.guest(uuid, f"write {1 << 20}")["ok"]
    victim = pid_of(stack, what)
    os.kill(victim, signal.SIGKILL)
    assert stack.guest(uuid, "cpu 2")["ok"]
    assert stack.guest(uuid, f"send {1 << 20}")["ok"]
    wait_for(f"{what} to come back", lambda: stack.ready() and pid_of(stack, what) != victim, 30)
    wait_for("the hosts", lambda: stack.sql("select bool_and(state = 'Up') from host where removed is null")[0][0], 30)
    sampled_after(stack, uuid)
    after, its = usage(stack, uuid), stack.guest(uuid, "report")["total"]
    assert after["wr"] - before["wr"] == its["wr_bytes"] - mine["wr_bytes"], "disk bytes, exact"
    tx = its["tx_bytes"] - mine["tx_bytes"]
    assert abs(after["tx"] - before["tx"] - tx) <= 4096, "net bytes, but for what the samples cut"
    cpu = (its["busy_ticks"] - mine["busy_ticks"]) * 10**7
    # What the host made it wait the guest takes for work of its own.
    waited = host_delay_ns(stack, uuid) - waited
    metered = after["vcpu_ns"] - before["vcpu_ns"]
    assert cpu - waited - 10**9 < metered < cpu + 10**9, "but for the open sample"
    rows = stack.sql("""select kind, count(*) filter (where valid_to is null) from lifetime
        where resource_uuid = %s group by 1""", uuid)
    assert dict(rows) == {"allocated": 1, "running": 1}, "one life, neither torn nor doubled"
    assert stack.sql("""select count(*) from lifetime a join lifetime b on a.resource_id = b.resource_id
        and a.kind = b.kind and a.ctid <> b.ctid and tstzrange(a.valid_from, a.valid_to)
        && tstzrange(b.valid_from, b.valid_to)""")[0][0] == 0
