"""bench-meter: what a VM and sample costs, beside the bare libvirt calls for the same fields."""
import os
import pathlib
import shutil
import tempfile

import house
from measure import Rival, figure, in_turns, median, memory_kib, note, peak_kib, ratio, spread

GUESTS = int(os.environ.get("BENCH_GUESTS", "6"))
SIMULATED = int(os.environ.get("BENCH_SIMULATED", "10000"))
GRAPHS = int(os.environ.get("BENCH_GRAPHS", "1000"))
VALUES_A_FLUSH = 3  # the collector flushes every 30 s what it sampled every 10 s


def lanes_real(stack):
    """Our lanes and the bare calls in turns on the same guests, the roles holding still."""
    pid, uri = house.libvirtd(stack), house.uri(stack)
    with house.quiet(stack, "meter", "provision"):
        for lane, seconds in (("fast", 12), ("guarded", 8)):
            ours = Rival("meter_lane", lane, uri, pid)
            bare = Rival("floor_libvirt", lane, uri, pid)
            in_turns([ours, bare], seconds)
            name = f"meter.{lane}"
            figure(f"{name}.own_cpu", median(ours.turns, "own"), "ns/sample")
            figure(f"{name}.bare_own_cpu", median(bare.turns, "own"), "ns/sample")
            figure(f"{name}.libvirtd_cpu", median(ours.turns, "beside"), "ns/sample")
            figure(f"{name}.bare_libvirtd_cpu", median(bare.turns, "beside"), "ns/sample")
            figure(f"{name}.own_vs_bare", ratio(ours, bare, "own"), "ratio")
            figure(f"{name}.own_vs_bare_spread", spread(ours, bare, "own"), "%")
            figure(f"{name}.vs_bare_call", ratio(ours, bare, "both"), "ratio")
            ours.close()
            bare.close()


def simulated_host(path, count):
    """A host of libvirt's test driver: nothing runs, but every call is answered."""
    with open(path, "w") as out:
        out.write("<node>\n<cpu><mhz>2000</mhz><model>x</model><active>32</active><nodes>1</nodes>"
                  "<sockets>2</sockets><cores>16</cores><threads>1</threads></cpu>"
                  "<memory>999999999</memory>\n<network><name>default</name><bridge name='virbr0'/>"
                  "<ip address='192.168.0.1' netmask='255.255.0.0'/></network>\n")
        for i in range(count):
            out.write(f"<domain type='test'><name>sim{i}</name><uuid>{i:08x}-1111-4111-8111-000000000000</uuid>"
                      "<memory>1048576</memory><vcpu>2</vcpu><os><type arch='x86_64'>hvm</type></os><devices>"
                      f"<disk type='file' device='disk'><source file='/{i}'/><target dev='vda'/></disk>"
                      "<interface type='network'><source network='default'/>"
                      f"<mac address='52:54:00:{i >> 16:02x}:{i >> 8 & 255:02x}:{i & 255:02x}'/></interface>"
                      "</devices></domain>\n")
        out.write("</node>\n")


def lanes_simulated(folder):
    """Many VMs of the test driver, inside the process that asks: what our side costs, and its memory."""
    path = folder / "node.xml"
    simulated_host(path, SIMULATED)
    ours = Rival("meter_lane", "fast", f"test://{path}")
    bare = Rival("floor_libvirt", "fast", f"test://{path}")
    in_turns([ours, bare], 8)
    figure("meter.simulated.vms", SIMULATED, "VMs")
    figure("meter.simulated.own_cpu", median(ours.turns, "own"), "ns/sample")
    figure("meter.simulated.bare_own_cpu", median(bare.turns, "own"), "ns/sample")
    figure("meter.simulated.vs_bare_call", ratio(ours, bare, "own"), "ratio")
    figure("meter.simulated.core_at_10s", median(ours.turns, "own") * SIMULATED / 10e9 * 100, "%")
    more = peak_kib(ours.process.pid) - peak_kib(bare.process.pid)
    figure("meter.simulated.peak_over_bare", more * 1024 / SIMULATED, "B/VM")
    ours.close()
    bare.close()


def graphs(folder):
    """The collector's graphs beside rrd_update_r with ready texts, on the same number of files."""
    ours = Rival("meter_graphs", folder / "ours", GRAPHS, VALUES_A_FLUSH)
    ours.run(1)  # makes the files
    shutil.copytree(folder / "ours", folder / "bare")
    bare = Rival("floor_rrd", folder / "bare", VALUES_A_FLUSH)
    in_turns([ours, bare], 6)
    figure("meter.rrd.updates", 1e9 / median(ours.turns, "own"), "values/CPU-s")
    figure("meter.rrd.bare_updates", 1e9 / median(bare.turns, "own"), "values/CPU-s")
    figure("meter.rrd.vs_bare_librrd", ratio(ours, bare, "own"), "ratio")
    ours.close()
    bare.close()


def memory(stack):
    """Resident memory of all of Jeoul; PSS divides shared pages among those who share them."""
    total = {"Pss": 0, "Rss": 0}
    for name, pid in sorted(house.children(stack).items()):
        figure(f"memory.{name}.pss", memory_kib(pid), "KiB")
        for field in total:
            total[field] += memory_kib(pid, field)
    figure("memory.all.pss", total["Pss"] / 1024, "MiB")
    figure("memory.all.rss_sum", total["Rss"] / 1024, "MiB")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="jeoul-bench-", dir="/tmp"))
    try:
        graphs(folder)
        lanes_simulated(folder)
    finally:
        shutil.rmtree(folder)
    real()


def real():
    """All that needs real guests."""
    stack = house.Stack(**{"meter.step": "1s", "meter.guarded_step": "5s"})
    try:
        stack.start()
        house.run(house.BIN / "jeoul-first-admin", env=stack.env)
        stack.demo([f"g{i}" for i in range(GUESTS)])
        note(f"{GUESTS} real guests run under {house.engine(stack)}")
        memory(stack)
        lanes_real(stack)
    finally:
        stack.remove()
