# SPDX-License-Identifier: Apache-2.0
"""bench-rating: a month of usage rated by the real rater, beside COPY of the same rows out and back."""
import datetime
import os
import statistics

import house
import measure
import usage
from measure import Rival, figure, note, peak_kib

VMS = int(os.environ.get("BENCH_VMS", "1000"))
VMS_AN_ACCOUNT = 10
TURNS = int(os.environ.get("BENCH_TURNS", "1"))  # a turn of 1,000 VMs takes some 13 CPU seconds

FLOOR_TABLE = """
create unlogged table bench_floor as select account_id, resource_id, window_from, vcpu_ns, disk_read_bytes,
    disk_write_bytes, disk_read_requests, disk_write_requests, net_rx_bytes, net_tx_bytes from usage_window limit 0"""


def month():
    """The last whole month in UTC."""
    to = datetime.datetime.now(datetime.timezone.utc).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = (to - datetime.timedelta(days=1)).replace(day=1)
    return start, to


def rival(stack, role, *argv):
    """A rival and the server processes that work for it: those that were not there before."""
    before = usage.servers(stack, role)
    r = Rival(*argv, env=stack.env)
    r.run(1)  # connects, warms both caches, and is thrown away
    r.servers = [pid for pid in usage.servers(stack, role) if pid not in before]
    return r


def compare(stack, vm_hours, name):
    _, to = month()
    now = (to - datetime.timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    stack.sql("delete from lease")  # of a rater that holds still or has ended
    ours = rival(stack, "jeoul_billing", "billing_rater", now, vm_hours)
    bare = rival(stack, "jeoul_owner", "floor_copy",
                 f"host={stack.state}/pg dbname=jeoul user=jeoul_owner options='-c search_path=jeoul,public'", vm_hours)
    for _ in range(TURNS):
        for r in (ours, bare):
            r.turns.append(r.run(1))
    for of in ("own", "both"):
        suffix = "" if of == "both" else "_own"
        figure(f"rating.{name}.speed{suffix}", 1e9 / measure.median(ours.turns, of), "VM-hours/CPU-s")
        figure(f"rating.{name}.copy_speed{suffix}", 1e9 / measure.median(bare.turns, of), "VM-hours/CPU-s")
    figure(f"rating.{name}.vs_copy", statistics.median(b.both / a.both for a, b in zip(ours.turns, bare.turns)), "ratio")
    figure(f"rating.{name}.round", measure.median(ours.turns, "both") * vm_hours / 1e9, "CPU-s")
    figure(f"rating.{name}.peak_memory", peak_kib(ours.process.pid) / 1024, "MiB")
    ours.close()
    bare.close()


def main():
    stack = house.Stack("none")
    try:
        stack.start()
        house.run(house.BIN / "jeoul-first-admin", env=stack.env)
        with house.quiet(stack, "provision", "meter", "billing"):
            usage.tariff(stack, "mixed", measure.TOP / "tests/bench/rating.json")
            usage.tariff(stack, "flat", measure.TOP / "billing/presets/small-hoster.json")
            vm_hours = usage.fill(stack, VMS, VMS_AN_ACCOUNT, *month(), "mixed")
            stack.sql(FLOOR_TABLE)
            rows = stack.sql("select count(*) from usage_window")[0][0]
            note(f"a month of {VMS} VMs in {VMS // VMS_AN_ACCOUNT} accounts: {rows} windows of an hour")
            compare(stack, vm_hours, "mixed")
            stack.sql("update account_tariff set tariff_id = (select id from tariff where name = 'flat')")
            compare(stack, vm_hours, "flat")
    finally:
        stack.remove()
