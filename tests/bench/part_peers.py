# SPDX-License-Identifier: Apache-2.0
"""bench-peers: the month of bench-rating, rated by our rater and, as hourly points, by CloudKitty's hashmap module."""
import datetime
import decimal
import json
import os
import subprocess
import tempfile

import house
import measure
import part_rating
from measure import figure, note, skipped

VMS = int(os.environ.get("BENCH_PEER_VMS", "100"))
HOURS = int(os.environ.get("BENCH_PEER_HOURS", "96"))  # of the month go to the peer, whose points all cost the same

# One price a service: hashmap has no tiers by quantity of a month, no time of use, no package.
PRICES = {"vm.running": "0.0010", "vcpu": "0.0060", "memory.gib": "0.0030", "volume.gib": "0.00016", "cpu.time": "0.01",
          "disk.read.bytes": "0.01", "disk.write.bytes": "0.02", "disk.read.requests": "0.05",
          "disk.write.requests": "0.10", "net.rx.bytes": "0.001", "net.tx.bytes": "0.05"}

# Hour by hour what each thing had: allocations as they stood at its end, consumption as it was counted.
ALLOCATED = """
select kind, extract(epoch from w)::bigint, resource_uuid, account_id, vcpus, memory_bytes, size_bytes
from lifetime, generate_series(%s::timestamptz, %s::timestamptz - interval '1 hour', interval '1 hour') w
where kind in ('running', 'volume') and valid_from <= w and coalesce(valid_to, 'infinity') >= w + interval '1 hour'"""
CONSUMED = """
select extract(epoch from window_from)::bigint, resource_kind, resource_id, account_id, vcpu_ns, disk_read_bytes,
    disk_write_bytes, disk_read_requests, disk_write_requests, net_rx_bytes, net_tx_bytes
from usage_window where window_from >= %s and window_from < %s"""
BY_KIND = {"vm": {"cpu.time": (4, 3600 * 10**9)},
           "volume": {"disk.read.bytes": (5, 1 << 30), "disk.write.bytes": (6, 1 << 30),
                      "disk.read.requests": (7, 10**6), "disk.write.requests": (8, 10**6)},
           "nic": {"net.rx.bytes": (9, 10**9), "net.tx.bytes": (10, 10**9)}}


def points(stack, start, to):
    """{hour: {service: [[quantity, resource, account]]}}, quantities as exact text."""
    hours = {}

    def put(at, service, value, divisor, resource, account):
        of = hours.setdefault(int(at), {}).setdefault(service, [])
        of.append([str(decimal.Decimal(int(value)) / divisor), str(resource), str(account)])
    for kind, at, resource, account, vcpus, memory, size in stack.sql(ALLOCATED, start, to):
        if kind == "volume":
            put(at, "volume.gib", size, 1 << 30, resource, account)
            continue
        put(at, "vm.running", 1, 1, resource, account)
        put(at, "vcpu", vcpus, 1, resource, account)
        put(at, "memory.gib", memory, 1 << 30, resource, account)
    for row in stack.sql(CONSUMED, start, to):
        for service, (column, divisor) in BY_KIND[row[1]].items():
            put(row[0], service, row[column], divisor, row[2], row[3])
    return hours


def cloudkitty(hours):
    """What its module said of them, or None where it is not to be had."""
    with tempfile.TemporaryDirectory(prefix="jeoul-peer-") as folder:
        text = "".join(json.dumps({"at": at, "usage": of}) + "\n" for at, of in sorted(hours.items()))
        done = subprocess.run(["/usr/bin/python3", measure.TOP / "tests/bench/peer_hashmap.py", json.dumps(PRICES), folder],
                              input=text, text=True, capture_output=True)
    if done.returncode != 0:
        skipped("peers.cloudkitty", done.stderr.strip().splitlines()[-1])
        return None
    return json.loads(done.stdout.splitlines()[-1])


def jeoul(stack, now, vm_hours, *how):
    """What our rater and PostgreSQL need for a VM-hour, ns."""
    part_rating.free(stack)
    r = part_rating.rival(stack, "jeoul_billing", "billing_rater", now, vm_hours, *how)
    cost = r.run(1).both
    r.close()
    return cost


def main():
    stack = house.Stack("none")
    try:
        stack.start()
        house.run(house.BIN / "jeoul-first-admin", env=stack.env)
        start, to = part_rating.month()
        with house.quiet(stack, "provision", "meter", "billing"):
            vm_hours = part_rating.fill(stack, VMS)
            hours = points(stack, start, start + HOURS * (to - start) / (vm_hours // VMS))
            theirs = cloudkitty(hours)
            an_hour = sum(len(p) for of in hours.values() for p in of.values()) / len(hours) / VMS
            note(f"{an_hour:.2f} points a VM-hour; {HOURS} hours of the month for the peer")
            now = part_rating.iso(to - datetime.timedelta(seconds=1))
            speeds = {"jeoul": an_hour * 1e9 / jeoul(stack, now, vm_hours),
                      "jeoul.steady": an_hour * 1e9 / jeoul(stack, now, vm_hours, "kept")}
        figure("peers.points", round(vm_hours * an_hour), "points/month")
        for name, speed in speeds.items():
            figure(f"peers.{name}", speed, "points/CPU-s")
        if theirs:
            figure("peers.cloudkitty", theirs["points"] * 1e9 / theirs["rate_ns"], "points/CPU-s")
            figure("peers.cloudkitty.made", theirs["points"] * 1e9 / (theirs["rate_ns"] + theirs["make_ns"]), "points/CPU-s")
            for name, speed in speeds.items():
                figure(f"peers.{name}.vs_cloudkitty", speed * theirs["rate_ns"] / theirs["points"] / 1e9, "ratio")
    finally:
        stack.remove()
