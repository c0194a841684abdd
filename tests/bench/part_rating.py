# SPDX-License-Identifier: Apache-2.0
"""bench-rating: a month of usage rated by the real rater, beside COPY of the same rows out and back."""
import datetime
import os
import statistics

import house
import measure
import usage
from measure import Rival, figure, note, peak_kib

# Of all but the last only the memory is told: it must not grow with the number of VMs.
SIZES = [int(n) for n in os.environ.get("BENCH_VMS", "100,1000").split(",")]
VMS_AN_ACCOUNT = 10
TURNS = int(os.environ.get("BENCH_TURNS", "3"))
STEADY_ROUNDS = 5

FLOOR_TABLE = """
create unlogged table bench_floor as select account_id, resource_id, window_from, vcpu_ns, disk_read_bytes,
    disk_write_bytes, disk_read_requests, disk_write_requests, net_rx_bytes, net_tx_bytes from usage_window limit 0"""


def month():
    """The last whole month in UTC."""
    to = datetime.datetime.now(datetime.timezone.utc).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = (to - datetime.timedelta(days=1)).replace(day=1)
    return start, to


def iso(t):
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


def rival(stack, role, *argv, warm=True):
    """A rival and the server processes that work for it: those that were not there before."""
    before = usage.servers(stack, role)
    r = Rival(*argv, env=stack.env)
    first = r.run(1)  # connects, warms both caches, and is thrown away where it is not all there is
    r.servers = [pid for pid in usage.servers(stack, role) if pid not in before]
    if not warm:
        first.beside = sum(map(measure.cpu_ns, r.servers)) / first.samples
        r.turns = [measure.Turn(first.samples, first.own * first.samples, first.beside * first.samples)]
    return r


def memory(name, r):
    """The most that the rater, and PostgreSQL for it, ever held; PostgreSQL's with the pages that all share."""
    figure(f"rating.{name}.peak_memory", peak_kib(r.process.pid) / 1024, "MiB")
    figure(f"rating.{name}.peak_memory_server", max(map(peak_kib, r.servers)) / 1024, "MiB")


def free(stack):
    stack.sql("delete from lease")  # of a rater that holds still or has ended


def steady(stack, vm_hours, name, now):
    """A round as the role does it every billing.interval, on the last day of the month."""
    free(stack)
    r = rival(stack, "jeoul_billing", "billing_rater", now, vm_hours, "kept")
    for _ in range(STEADY_ROUNDS):
        r.turns.append(r.run(1))
    for of in ("own", "both"):
        figure(f"rating.{name}.steady{'' if of == 'both' else '_own'}", measure.median(r.turns, of) * vm_hours / 1e9, "CPU-s")
    r.close()


def compare(stack, vm_hours, name):
    """Rounds that read all rows, beside COPY of the same rows; answers what each cost a VM-hour, in ns."""
    now = iso(month()[1] - datetime.timedelta(seconds=1))
    free(stack)
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
    memory(name, ours)
    ours.close()
    bare.close()
    steady(stack, vm_hours, name, now)
    return measure.median(ours.turns, "both"), measure.median(bare.turns, "both")


def close(stack, vm_hours, name, rated, copied):
    """All accounts' statements of the month, drawn up from rows and issued, after a round that rated it from rows."""
    free(stack)
    r = rival(stack, "jeoul_billing", "billing_rater", iso(month()[1] + datetime.timedelta(hours=25)), vm_hours, "kept", warm=False)
    closed, accounts = stack.sql("select (select count(*) from statement), (select count(*) from account where name like 'bench%%')")[0]
    if closed != accounts:
        raise RuntimeError(f"{closed} statements of {accounts} accounts")
    cost = r.turns[0].both
    figure(f"rating.{name}.close", cost * vm_hours / 1e9, "CPU-s")
    figure(f"rating.{name}.rated_and_closed", 1e9 / (rated + cost), "VM-hours/CPU-s")
    figure(f"rating.{name}.rated_and_closed_vs_copy", copied / (rated + cost), "ratio")
    memory(f"{name}.closing", r)
    r.close()


def fill(stack, vms):
    usage.tariff(stack, "mixed", measure.TOP / "tests/bench/rating.json")
    usage.tariff(stack, "flat", measure.TOP / "billing/presets/small-hoster.json")
    vm_hours = usage.fill(stack, vms, VMS_AN_ACCOUNT, *month(), "mixed")
    house.vacuum(stack, "usage_window")  # as autovacuum does while a month goes by
    stack.sql(FLOOR_TABLE)
    rows = stack.sql("select count(*) from usage_window")[0][0]
    note(f"a month of {vms} VMs in {vms // VMS_AN_ACCOUNT} accounts: {rows} windows of an hour")
    return vm_hours


def size(vms, whole):
    stack = house.Stack("none")
    try:
        stack.start()
        house.run(house.BIN / "jeoul-first-admin", env=stack.env)
        with house.quiet(stack, "provision", "meter", "billing"):
            vm_hours = fill(stack, vms)
            if not whole:
                free(stack)
                r = rival(stack, "jeoul_billing", "billing_rater", iso(month()[1] - datetime.timedelta(seconds=1)), vm_hours)
                memory(f"mixed.of_{vms}", r)
                r.close()
                return
            stack.sql("update account_tariff set tariff_id = (select id from tariff where name = 'flat')")
            compare(stack, vm_hours, "flat")
            stack.sql("update account_tariff set tariff_id = (select id from tariff where name = 'mixed')")
            close(stack, vm_hours, "mixed", *compare(stack, vm_hours, "mixed"))
    finally:
        stack.remove()


def main():
    for vms in SIZES:
        size(vms, vms == SIZES[-1])
