# SPDX-License-Identifier: Apache-2.0
"""bench-meter: what a VM and sample costs, beside the bare libvirt calls for the same fields."""
import contextlib
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request

import house
from measure import (Rival, Turn, cpu_ns, figure, in_turns, installed, median, memory_kib, note, peak_kib,
                     ratio, resident_pages, skipped, spread, thread_ns)

GUESTS = int(os.environ.get("BENCH_GUESTS", "6"))
SIMULATED = int(os.environ.get("BENCH_SIMULATED", "10000"))
GRAPHS = int(os.environ.get("BENCH_GRAPHS", "1000"))
GUARDED_EVERY = 6  # a guarded round for so many fast ones: meter.guarded_step / meter.step
VALUES_A_FLUSH = 3  # the collector flushes every 30 s what it sampled every 10 s


def lane_real(stack, lane, seconds):
    """One of our lanes and its bare calls in turns; answers what a sample costs with each."""
    pid, uri = house.libvirtd(stack), house.uri(stack)
    ours = Rival("meter_lane", lane, uri, pid)
    bare = Rival("floor_libvirt", lane, uri, pid)
    in_turns([ours, bare], seconds)
    name = f"meter.{lane}"
    figure(f"{name}.own_cpu", median(ours.turns, "own"), "ns/sample")
    figure(f"{name}.bare_own_cpu", median(bare.turns, "own"), "ns/sample")
    figure(f"{name}.libvirtd_cpu", median(ours.turns, "beside"), "ns/sample")
    figure(f"{name}.bare_libvirtd_cpu", median(bare.turns, "beside"), "ns/sample")
    figure(f"{name}.own_vs_bare_own", ratio(ours, bare, "own"), "ratio")
    figure(f"{name}.vs_bare_call", ratio(ours, bare, "both"), "ratio")
    figure(f"{name}.vs_bare_call_spread", spread(ours, bare, "both"), "%")
    ours.close()
    bare.close()
    return median(ours.turns, "both"), median(bare.turns, "both")


def lanes_real(stack):
    """Both lanes on the same guests, the roles holding still; then both as often as they run."""
    with house.quiet(stack, "meter", "provision"):
        fast, bare_fast = lane_real(stack, "fast", 6)
        guarded, bare_guarded = lane_real(stack, "guarded", 5)
    figure("meter.vs_bare_call", (fast + guarded / GUARDED_EVERY) / (bare_fast + bare_guarded / GUARDED_EVERY), "ratio")


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
    in_turns([ours, bare], 4)
    figure("meter.simulated.vms", SIMULATED, "VMs")
    figure("meter.simulated.own_cpu", median(ours.turns, "own"), "ns/sample")
    figure("meter.simulated.bare_own_cpu", median(bare.turns, "own"), "ns/sample")
    figure("meter.simulated.vs_bare_call", ratio(ours, bare, "own"), "ratio")
    figure("meter.simulated.core_at_10s", median(ours.turns, "own") * SIMULATED / 10e9 * 100, "%")
    ours.close()
    bare.close()


class Daemon:
    """rrdcached as Debian ships it, in the foreground; it writes out what it is told to at the end of a turn."""

    def __init__(self, folder, name):
        program = installed("rrdcached")
        if not program:
            raise FileNotFoundError("rrdcached is not installed")
        self.socket = folder / f"{name}.sock"
        self.process = subprocess.Popen([program, "-g", "-l", f"unix:{self.socket}", "-p", folder / f"{name}.pid",
                                         "-b", folder / name, "-w", "3600", "-f", "7200", "-B"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        house.wait_for("rrdcached", self.socket.exists, 10)

    def close(self):
        self.process.kill()
        self.process.wait(10)


def cached_graphs(folder):
    """The same through rrdcached beside bare BATCH of ready texts: each with a daemon of its own, whose CPU time
    counts too.  The daemon keeps what it gets in memory, for both alike."""
    for name in ("ours_cached", "bare_cached"):
        (folder / name).mkdir()
    daemons = [Daemon(folder, name) for name in ("ours_cached", "bare_cached")]
    ours = Rival("meter_graphs", folder / "ours_cached", GRAPHS, VALUES_A_FLUSH, f"unix:{daemons[0].socket}")
    ours.run(1)  # makes the files
    shutil.copytree(folder / "ours_cached", folder / "bare_cached", dirs_exist_ok=True)
    bare = Rival("floor_rrdcached", folder / "bare_cached", VALUES_A_FLUSH, daemons[1].socket)
    try:
        for r, d in zip((ours, bare), daemons):
            r.servers = [d.process.pid]
        in_turns([ours, bare], 4)
        for r, name in ((ours, "cached"), (bare, "bare_cached")):
            figure(f"meter.rrd.{name}_updates", 1e9 / median(r.turns, "both"), "values/CPU-s")
            figure(f"meter.rrd.{name}_daemon", median(r.turns, "beside"), "ns/value")
        figure("meter.rrd.vs_bare_rrdcached", ratio(ours, bare, "both"), "ratio")
    finally:
        for x in (ours, bare, *daemons):
            x.close()


def graphs(folder):
    """The collector's graphs beside rrd_update_r with ready texts, on the same number of files."""
    ours = Rival("meter_graphs", folder / "ours", GRAPHS, VALUES_A_FLUSH)
    made = ours.run(1)  # makes the files
    figure("meter.rrd.create", made.own * VALUES_A_FLUSH / 1000, "us/file")
    shutil.copytree(folder / "ours", folder / "bare")
    bare = Rival("floor_rrd", folder / "bare", VALUES_A_FLUSH)
    in_turns([ours, bare], 4)
    figure("meter.rrd.updates", 1e9 / median(ours.turns, "own"), "values/CPU-s")
    figure("meter.rrd.bare_updates", 1e9 / median(bare.turns, "own"), "values/CPU-s")
    figure("meter.rrd.vs_bare_librrd", ratio(ours, bare, "own"), "ratio")
    ours.close()
    bare.close()
    try:
        cached_graphs(folder)
    except FileNotFoundError as why:
        skipped("meter.rrd.cached_updates", str(why))


def samples(stack):
    return int(stack.sql("select coalesce(sum(samples), 0) from usage_window where resource_kind = 'vm'")[0][0])


def backends(stack):
    """PostgreSQL's processes that work for the collector."""
    return [r[0] for r in stack.sql("select pid from pg_stat_activity where usename = 'jeoul_meter'")]


class Collector:
    """The collector as it runs, with all that it does: libvirt, windows, rows, graphs."""

    name = "program"

    def __init__(self, stack):
        self.stack, self.pid, self.turns = stack, house.children(stack)["meter"], []
        self.servers = backends(stack)

    def turn(self, libvirtd, seconds):
        os.kill(self.pid, signal.SIGCONT)
        time.sleep(1)  # what it missed while it was stopped is over
        began, rows = self.at(libvirtd), samples(self.stack)
        time.sleep(seconds)
        cost = self.at(libvirtd)
        taken = samples(self.stack) - rows
        os.kill(self.pid, signal.SIGSTOP)
        own, beside, rows_ns, graphs_ns = (b - a for a, b in zip(began, cost))
        turn = Turn(taken, own, beside)
        turn.rows, turn.undrawn = rows_ns / taken, turn.both - graphs_ns / taken
        turn.graphs = graphs_ns / taken
        self.turns.append(turn)

    def at(self, libvirtd):
        return [cpu_ns(self.pid), cpu_ns(libvirtd), house.cpu_sum(self.servers), thread_ns(self.pid, "graphs")]

    def close(self):
        os.kill(self.pid, signal.SIGCONT)


class Collectd:
    """collectd with its virt and rrdtool plug-ins, as Debian ships them, every second: our fields, drawn."""

    name, ours = "collectd", "both"

    def __init__(self, stack, folder):
        program = installed("collectd") or installed("collectdmon")
        if not program:
            raise FileNotFoundError("collectd-core is not installed")
        (folder / "collectd").mkdir()
        (folder / "collectd.conf").write_text(
            f'BaseDir "{folder}/collectd"\nPIDFile "{folder}/collectd.pid"\nInterval 1\n'
            'TypesDB "/usr/share/collectd/types.db"\nLoadPlugin virt\nLoadPlugin rrdtool\n'
            f'<Plugin virt>\n Connection "{house.uri(stack)}"\n RefreshInterval 60\n'
            ' HostnameFormat uuid\n</Plugin>\n'
            f'<Plugin rrdtool>\n DataDir "{folder}/collectd/rrd"\n CacheTimeout 30\n CacheFlush 60\n</Plugin>\n')
        self.turns = []
        self.process = subprocess.Popen([program, "-f", "-C", folder / "collectd.conf"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(3)  # its files are made
        if self.process.poll() is not None:
            raise RuntimeError("collectd did not stay up")
        self.process.send_signal(signal.SIGSTOP)

    def turn(self, libvirtd, seconds):
        self.process.send_signal(signal.SIGCONT)
        time.sleep(1)
        began = [cpu_ns(self.process.pid), cpu_ns(libvirtd)]
        time.sleep(seconds)
        cost = [cpu_ns(self.process.pid), cpu_ns(libvirtd)]
        self.process.send_signal(signal.SIGSTOP)
        self.turns.append(Turn(GUESTS * seconds, cost[0] - began[0], cost[1] - began[1]))

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait(10)


class Exporter:
    """prometheus-libvirt-exporter as Debian ships it, asked once a round.  It knows no balloon, no time of single
    vCPUs, no sizes of disks and no host, and draws nothing: ours is compared without its graphs."""

    name, ours = "exporter_of_fewer_fields", "undrawn"

    def __init__(self, stack, unused_folder):
        program = installed("prometheus-libvirt-exporter")
        if not program:
            raise FileNotFoundError("prometheus-libvirt-exporter is not installed")
        port = house.free_port()
        self.turns, self.url = [], f"http://127.0.0.1:{port}/metrics"
        self.process = subprocess.Popen([program, f"--libvirt.uri={house.uri(stack)}",
                                         f"--web.listen-address=127.0.0.1:{port}"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            house.wait_for("the exporter", self.alive, 10)
        except AssertionError as why:
            self.close()
            raise RuntimeError("it did not answer within 10 s") from why

    def alive(self):
        try:
            return b"libvirt_domain" in urllib.request.urlopen(self.url, timeout=5).read()
        except OSError:
            return False

    def turn(self, libvirtd, seconds):
        began = [cpu_ns(self.process.pid), cpu_ns(libvirtd)]
        for _ in range(seconds):
            urllib.request.urlopen(self.url, timeout=5).read()
        cost = [cpu_ns(self.process.pid), cpu_ns(libvirtd)]
        self.turns.append(Turn(GUESTS * seconds, cost[0] - began[0], cost[1] - began[1]))

    def close(self):
        self.process.kill()
        self.process.wait(10)


class Bare:
    """Both lanes' calls and nothing else."""

    name, ours = "bare_call", "both"

    def __init__(self, stack):
        self.turns = []
        self.lanes = [Rival("floor_libvirt", lane, house.uri(stack), house.libvirtd(stack))
                      for lane in ("fast", "guarded")]

    def turn(self, unused_libvirtd, seconds):
        fast, guarded = (lane.run(seconds) for lane in self.lanes)
        self.turns.append(Turn(1, fast.own + guarded.own, fast.beside + guarded.beside))

    def close(self):
        for lane in self.lanes:
            lane.close()


def peers(stack, folder):
    for peer in (Collectd, Exporter):
        try:
            yield peer(stack, folder)
        except (OSError, RuntimeError, AssertionError) as why:
            skipped(f"meter.{peer.name}", str(why))


def against(ours, rival):
    """What ours costs of what the rival costs, turn by turn, with what both do."""
    return statistics.median(getattr(a, rival.ours) / b.both for a, b in zip(ours.turns, rival.turns))


def programs(stack, folder, name, seconds):
    """Whole programs in turns on the same guests, each once a second; the peers read all each time."""
    libvirtd = house.libvirtd(stack)
    folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
    with house.quiet(stack, "provision", "meter"):
        ours = Collector(stack)
        rivals = [Bare(stack), *peers(stack, folder)]
        try:
            for _ in range(3):
                for r in (ours, *rivals):
                    r.turn(libvirtd, seconds)
        finally:
            for r in (ours, *rivals):
                r.close()
    for part in ("rows", "graphs"):
        figure(f"meter.{name}.{part}_cpu", median(ours.turns, part), "ns/sample")
    figure(f"meter.{name}.cpu", median(ours.turns, "own"), "ns/sample")
    figure(f"meter.{name}.libvirtd_cpu", median(ours.turns, "beside"), "ns/sample")
    for r in rivals:
        figure(f"meter.{name}.{r.name}_cpu", median(r.turns, "own"), "ns/sample")
        figure(f"meter.{name}.{r.name}_libvirtd_cpu", median(r.turns, "beside"), "ns/sample")
        figure(f"meter.{name}.vs_{r.name}", against(ours, r), "ratio")
    if len(rivals) > 1:
        figure(f"meter.{name}.vs_cheapest_peer", max(against(ours, r) for r in rivals[1:]), "ratio")


# The collector counts runs that are written down: host and libvirt's id, since when.
SIMULATED_ROWS = """
with h as (insert into host (account_id, zone_id, name, uri, simulated, state, sockets, cores, threads)
    select a.id, (select min(id) from zone), 'simulated', %s, true, 'Up', 2, 32, 32
    from account a where a.name = 'admin' returning id, account_id, uuid),
v as (insert into vm (account_id, uuid, name, instance_name, host_id, adopted, vcpus, memory_bytes, desired, state, epoch)
    select account_id, (lpad(to_hex(i), 8, '0') || '-1111-4111-8111-000000000000')::uuid, 'sim' || i, 'sim' || i,
        h.id, true, 2, 1073741824, 'AsIs', 'Running', h.uuid || '/' || i + 1 from h, generate_series(0, %s - 1) i
    returning account_id, id, uuid, name),
l as (insert into lifetime (account_id, resource_id, kind, valid_from, resource_uuid, resource_name, open_reason)
    select account_id, id, 'running', now(), uuid, name, 'started' from v),
n as (insert into nic (account_id, vm_id, mac) select account_id, id, '52:54:00:00:00:00' from v)
insert into volume (account_id, vm_id, name, target, size_bytes)
    select account_id, id, 'root', 'vda', 1073741824 from v"""


def program_simulated(folder):
    """The collector with many VMs of the test driver, until its first graphs would be made.

    The inventory is written as rows: the provisioning core is not what is measured here."""
    one = folder / "one.xml"
    simulated_host(one, 1)
    driver = Rival("floor_libvirt", "fast", f"test://{one}"), Rival("floor_libvirt", "fast", f"test://{folder}/node.xml")
    small, large = (memory_kib(r.process.pid) for r in driver if r.run(1))
    driver_peak = peak_kib(driver[1].process.pid) - small
    for r in driver:
        r.close()
    # The test driver takes long over so many, the more so beside other work.
    stack = house.Stack("none", **{"meter.step": "2s", "meter.guarded_step": "10min", "meter.deadline": "60s"})
    try:
        stack.start()
        house.run(house.BIN / "jeoul-first-admin", env=stack.env)
        shutil.copy(folder / "node.xml", stack.state / "node.xml")
        with house.quiet(stack, "provision", "billing"):
            pid = house.children(stack)["meter"]
            empty = memory_kib(pid)
            stack.sql(SIMULATED_ROWS, f"test://{stack.state}/node.xml", SIMULATED)
            house.wait_for("two rounds", lambda: samples(stack) >= 2 * SIMULATED, 90)
            servers = backends(stack)
            rows, own, server = samples(stack), cpu_ns(pid), house.cpu_sum(servers)
            house.wait_for("two more", lambda: samples(stack) >= rows + 2 * SIMULATED, 60)
            time.sleep(1)
            taken = samples(stack) - rows
            figure("meter.program.simulated.cpu", (cpu_ns(pid) - own) / taken, "ns/sample")
            figure("meter.program.simulated.rows_cpu", (house.cpu_sum(servers) - server) / taken, "ns/sample")
            figure("meter.program.simulated.core_at_10s", (cpu_ns(pid) - own) / taken * SIMULATED / 10e9 * 100, "%")
            figure("meter.program.simulated.memory", (memory_kib(pid) - empty - large + small) * 1024 / SIMULATED, "B/VM")
            figure("meter.program.simulated.peak", (peak_kib(pid) - empty - driver_peak) * 1024 / SIMULATED, "B/VM")
    finally:
        stack.remove()


def memory(stack):
    """Resident memory of all of Jeoul.  PSS divides a page among all who map it, also among
    those of another Jeoul on this machine; the sum of pages counts each page once."""
    found = house.children(stack)
    for name, pid in sorted(found.items()):
        figure(f"memory.{name}.pss", memory_kib(pid), "KiB")
    pages = resident_pages(found.values())
    if pages:
        figure("memory.all.resident", pages * os.sysconf("SC_PAGE_SIZE") / 2**20, "MiB")
    else:
        skipped("memory.all.resident", "/proc/PID/pagemap shows no page numbers")
    figure("memory.all.pss", sum(map(memory_kib, found.values())) / 1024, "MiB")
    figure("memory.all.rss_sum", sum(memory_kib(pid, "Rss") for pid in found.values()) / 1024, "MiB")


@contextlib.contextmanager
def guests(guarded):
    stack = house.Stack(**{"meter.step": "1s", "meter.guarded_step": f"{guarded}s"})
    try:
        stack.start()
        house.run(house.BIN / "jeoul-first-admin", env=stack.env)
        stack.demo([f"g{i}" for i in range(GUESTS)])
        yield stack
    finally:
        stack.remove()


def real(folder):
    """All that needs real guests."""
    with guests(1) as stack:
        note(f"{GUESTS} real guests run under {house.engine(stack)}")
        memory(stack)
        programs(stack, folder, "program", 4)
        lanes_real(stack)
    note("as shipped: disks and balloon at each sixth step only, which the peers can't")
    with guests(GUARDED_EVERY) as stack:
        programs(stack, folder, "as_shipped", GUARDED_EVERY)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="jeoul-bench-", dir="/tmp"))
    try:
        graphs(folder)
        lanes_simulated(folder)
        program_simulated(folder)
        real(folder)
    finally:
        shutil.rmtree(folder)
