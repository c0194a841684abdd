# SPDX-License-Identifier: Apache-2.0
"""bench-scale: what a host and a VM cost the collector and PostgreSQL, for more and more of them.

First the collector's own code alone, in virtual time (meter_crowd.c), up to 40,000 hosts; then the program with
PostgreSQL and graphs, over hosts and guests of libvirt's test driver (system/crowd.py): simulated, inside the
collector's process.  What those cost there themselves is in the figures; docs/scale.md says how much that is."""
import os
import pathlib
import re
import time

import house
import measure
from measure import Rival, cpu_ns, figure, memory_kib, note, peak_kib, skipped

import crowd



def points(name, default):
    """HOSTSxVMS of each, as many as are asked for."""
    return [tuple(map(int, p.split("x"))) for p in os.environ.get(name, default).split()]


CORE = points("BENCH_SCALE_CORE", "400x25 2500x25 40000x25 40000x1")
POINTS = points("BENCH_SCALE", "40x25 160x25 1000x1")
CORE_ROOM = 3000  # bytes a VM at the peak, with some to spare
STEP_S = int(os.environ.get("BENCH_SCALE_STEP", "10"))
SECONDS = 3 * STEP_S + 2
DAY = 24


def statement(name):
    """A statement of the collector, as it is."""
    text = (measure.TOP / "sql/query/meter.sql").read_text()
    return re.search(rf"^-- name: {name}\n(.*?)(?=^-- name: |\Z)", text, re.M | re.S)[1].replace("%", "%%")


class Place:
    """A Jeoul with so many made-up hosts; all roles but the collector hold still."""

    def __init__(self, hosts, each):
        self.name, self.vms = f"scale.{hosts}x{each}", hosts * each
        self.hosts, self.each = hosts, each
        self.stack = house.Stack("none", **{"meter.step": f"{STEP_S}s"})

    def __enter__(self):
        self.stack.start()
        house.run(house.BIN / "jeoul-first-admin", env=self.stack.env)
        self.hold = house.quiet(self.stack, "provision", "billing")
        self.hold.__enter__()
        self.pid = house.children(self.stack)["meter"]
        self.server = self.stack.child("postgres")["pid"]
        return self

    def __exit__(self, *why):
        self.hold.__exit__(*why)
        self.stack.remove()

    def one(self, query, *values):
        return self.stack.sql(query, *values)[0][0]

    def figure(self, what, value, unit):
        figure(f"{self.name}.{what}", value, unit)

    def at(self):
        """What is counted, now."""
        wal, rows, updates, hot = self.stack.sql("""
            select pg_current_wal_lsn() - '0/0'::pg_lsn, coalesce(sum(n_tup_ins + n_tup_upd), 0), coalesce(sum(n_tup_upd), 0),
                coalesce(sum(n_tup_hot_upd), 0)
            from pg_stat_user_tables where relname like 'usage_window%%'""")[0]
        return {"samples": int(self.one("select coalesce(sum(samples), 0) from usage_window")), "own": cpu_ns(self.pid),
                "server": house.cpu_sum(measure.tree(self.server)), "wal": int(wal), "rows": int(rows),
                "updates": int(updates), "hot": int(hot), "wall": time.monotonic()}


def steady(p):
    """Samples as they come, step by step, for some steps."""
    before = p.at()
    time.sleep(SECONDS)
    now = p.at()
    d = {k: now[k] - before[k] for k in now}
    p.figure("samples", d["samples"] / d["wall"], "samples/s")
    p.figure("own_cpu", d["own"] / d["samples"] / 1e3, "us/sample")
    p.figure("rows_cpu", d["server"] / d["samples"] / 1e3, "us/sample")
    p.figure("cores", (d["own"] + d["server"]) / d["wall"] / 1e9, "cores")
    p.figure("wal", d["wal"] / d["samples"], "B/sample")
    p.figure("hot", 100 * d["hot"] / max(1, d["updates"]), "%")


def memory(p, empty):
    p.figure("memory", (memory_kib(p.pid) - empty) * 1024 / p.vms, "B/VM")
    p.figure("peak", (peak_kib(p.pid) - empty) * 1024 / p.vms, "B/VM")
    spool = p.stack.state / "spool/meter"
    p.figure("inventory", (spool / "inventory").stat().st_size / p.vms, "B/VM")
    p.figure("spool", sum(f.stat().st_size for f in spool.glob("usage.db*")) / p.vms, "B/VM")


def inventory(p):
    """The question that the collector asks after each step, by itself."""
    plan = p.one("explain (analyze, format json) " + statement("meter_inventory"))[0]
    p.figure("inventory_time", plan["Execution Time"] * 1000 / p.vms, "us/VM")


def a_day_of_rows(p):
    """The rows of a day, written at once: what is stored, and what it costs at least."""
    start = p.one("select date_trunc('month', now()) - interval '40 days'")
    p.stack.sql("select usage_window_partition(%s), usage_window_partition(%s)", start, start.replace(day=28))
    before = p.at()
    p.stack.sql("""
        insert into usage_window (account_id, resource_id, window_from, window_to, resource_kind, vm_id, through, epoch,
            cpu_ns, vcpu_ns, net_rx_bytes, net_tx_bytes, disk_read_bytes, disk_write_bytes, disk_read_requests,
            disk_write_requests, raw_cpu_ns, raw_vcpu_ns, samples, resets, simulated, memory_bytes)
        select account_id, resource_id, f, f + interval '1 hour', resource_kind, vm_id, f + interval '1 hour', epoch, cpu_ns,
            vcpu_ns, 0, 0, 0, 0, 0, 0, raw_cpu_ns, raw_vcpu_ns, samples, resets, simulated, memory_bytes
        from usage_window w, generate_series(%s::timestamptz, %s::timestamptz + interval '23 hours', interval '1 hour') f""",
                start, start)
    now = p.at()
    rows = DAY * p.vms
    heap, index = p.stack.sql("""select sum(pg_relation_size(oid)), sum(pg_indexes_size(oid)) from pg_class
        where relname like 'usage_window%%' and relkind = 'r'
            and oid in (select tableoid from usage_window where window_from < %s::timestamptz + interval '1 day')""", start)[0]
    p.figure("row", int(heap) / rows, "B/row")
    p.figure("row_index", int(index) / rows, "B/row")
    p.figure("row_cpu", (now["server"] - before["server"]) / rows / 1e3, "us/row")
    p.figure("row_wal", (now["wal"] - before["wal"]) / rows, "B/row")


def graphs(p):
    """Their files are made within two minutes, once for all: that is told apart.  They are all alike."""
    def files(kind):
        return list(pathlib.Path(p.stack.state / "rrd").glob(f"*/{kind}/*/*.rrd"))
    began, cpu = time.monotonic(), cpu_ns(p.pid)
    house.wait_for("all graphs", lambda: len(files("vm")) == p.vms and len(files("host")) == p.hosts, 600)
    p.figure("graphs_after", time.monotonic() - began, "s")
    p.figure("graphs_cpu", (cpu_ns(p.pid) - cpu) / p.vms / 1e3, "us/VM")
    for kind in ("vm", "host"):
        p.figure(f"graph_{kind}", files(kind)[0].stat().st_size, "B/file")


def core(hosts, each):
    name, vms = f"scale.core.{hosts}x{each}", hosts * each
    free = next(int(l.split()[1]) for l in open("/proc/meminfo") if l.startswith("MemAvailable:")) * 1024
    if free < CORE_ROOM * vms + 2**30:
        skipped(name, f"{vms} VMs need {CORE_ROOM * vms >> 20} MiB, and {free >> 20} MiB are free")
        return
    one, r = Rival("meter_crowd", 1, 1, STEP_S), Rival("meter_crowd", hosts, each, STEP_S)
    one.run(3)  # the libraries themselves
    first, _, steady_ = r.run(1), r.run(1), r.run(3)
    figure(f"{name}.first_cpu", first.own * first.samples / hosts / 1e6, "ms/host")
    figure(f"{name}.cpu", steady_.own / 1e3, "us/sample")
    figure(f"{name}.core", steady_.own * vms / STEP_S / 1e7, "% of a core")
    figure(f"{name}.memory", (memory_kib(r.process.pid) - memory_kib(one.process.pid)) * 1024 / vms, "B/VM")
    figure(f"{name}.peak", (peak_kib(r.process.pid) - peak_kib(one.process.pid)) * 1024 / vms, "B/VM")
    for x in (one, r):
        x.close()


def point(hosts, each, last):
    with Place(hosts, each) as p:
        empty = memory_kib(p.pid)
        began, cpu = time.monotonic(), cpu_ns(p.pid)
        crowd.plant(p.stack, hosts, each)
        house.wait_for("all guests", lambda: p.one("select count(*) from usage_window where samples >= 2") == p.vms, 600)
        p.figure("first_samples", time.monotonic() - began, "s")
        p.figure("first_cpu", (cpu_ns(p.pid) - cpu) / hosts / 1e6, "ms/host")
        graphs(p)
        steady(p)
        memory(p, empty)
        inventory(p)
        if last:
            a_day_of_rows(p)


def main():
    for hosts, each in CORE:
        core(hosts, each)
    note(f"hosts x VMs each of the test driver, a sample each {STEP_S} s; provision and billing hold still")
    for n, (hosts, each) in enumerate(POINTS):
        point(hosts, each, n == 1)
