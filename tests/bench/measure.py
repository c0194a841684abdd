# SPDX-License-Identifier: Apache-2.0
"""How figures are taken: rivals in turns, CPU time instead of wall time, medians, one line each."""
import array
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("BUILD", "build")


def note(text):
    print(f"# {text}", flush=True)


def figure(name, value, unit):
    """One line of the result; whole numbers stay whole, others get four digits that count."""
    text = str(value) if isinstance(value, int) else f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    print(name, text, unit, flush=True)


def skipped(name, why):
    print(f"skipped {name}: {why}", flush=True)


def machine():
    """What the reader must know to compare figures of two runs."""
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?")
    memory = int(open("/proc/meminfo").readline().split()[1]) // 1024
    load = os.getloadavg()[0]
    commit = subprocess.run(["git", "-C", TOP, "describe", "--always", "--dirty"], text=True,
                            capture_output=True).stdout.strip()
    note(f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, commit {commit or 'unknown'}")
    note(f"{os.cpu_count()} x {cpu}, {memory} MiB, Linux {platform.release()}, load {load:.1f}")
    for what, argv in {"compiler": ["gcc", "--version"], "libvirt": ["libvirtd", "--version"],
                       "PostgreSQL": ["/usr/lib/postgresql/15/bin/postgres", "--version"]}.items():
        try:
            said = subprocess.run(argv, text=True, capture_output=True).stdout.splitlines()
            note(f"{what}: {said[0] if said else 'unknown'}")
        except OSError:
            note(f"{what}: not installed")


def cpu_ns(pid):
    """CPU time of a process with all its threads, to the nanosecond (clock_getcpuclockid)."""
    return time.clock_gettime_ns((~int(pid) << 3) | 2)


def thread_ns(pid, name):
    """CPU time of the threads of that name alone."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            total += int((task / "schedstat").read_text().split()[0])
    return total


def tree(pid):
    """A process and all that it started."""
    found, todo = [], [int(pid)]
    while todo:
        p = todo.pop()
        found.append(p)
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                todo += map(int, open(f"/proc/{p}/task/{task}/children").read().split())
        except OSError:
            pass
    return found


def memory_kib(pid, field="Pss"):
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


def resident_pages(pids):
    """Physical pages of all these processes, each counted once; 0 where the kernel hides them."""
    page, found = os.sysconf("SC_PAGE_SIZE"), set()
    for pid in pids:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb") as entries:
            for line in maps:
                start, end = (int(a, 16) // page for a in line.split()[0].split("-"))
                if start >= 1 << 47:
                    continue  # vsyscall
                entries.seek(start * 8)
                list_ = array.array("Q", entries.read((end - start) * 8))
                found.update(e & (1 << 55) - 1 for e in list_ if e >> 63)
    found.discard(0)
    return len(found)


def peak_kib(pid):
    """The most that was ever resident at once."""
    return next(int(l.split()[1]) for l in open(f"/proc/{pid}/status") if l.startswith("VmHWM:"))


class Rival:
    """A program of build/bench that works on request (tests/bench/bench.h)."""

    def __init__(self, *argv, env=None, cwd=None):
        self.name = " ".join(map(str, argv[:2]))
        self.process = subprocess.Popen([str(BUILD / "bench" / argv[0]), *map(str, argv[1:])],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=env, cwd=cwd)
        first = self.process.stdout.readline().strip()
        if first != "ready":
            raise RuntimeError(f"{self.name}: did not start")
        self.turns = []
        self.servers = []  # processes that work for this rival alone: their CPU time is "beside" too

    def run(self, times):
        before = sum(map(cpu_ns, self.servers))
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()
        answer = [int(n) for n in self.process.stdout.readline().split()]
        if len(answer) != 4:
            raise RuntimeError(f"{self.name}: ended in a round")
        answer[2] += sum(map(cpu_ns, self.servers)) - before
        return Turn(*answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Turn:
    """What one turn cost: CPU of the rival itself and of the process beside it, per sample."""

    def __init__(self, samples, own_ns, beside_ns=0, wall_ns=0):
        self.samples = samples
        self.own = own_ns / samples
        self.beside = beside_ns / samples
        self.both = self.own + self.beside
        self.wall = wall_ns / samples


def in_turns(rivals, seconds, turn_seconds=0.25, least=7):
    """Rivals take turns of about equal length until the time is over; who begins changes.

    A slow moment of the machine hits neighbours alike, so ratios are made turn by turn."""
    times = {}
    for r in rivals:
        once = r.run(1)
        times[r] = max(1, int(turn_seconds * 1e9 / max(1, once.wall * once.samples)))
        r.run(times[r])  # warm
        r.turns = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(rivals[0].turns) < least:
        for r in rivals:
            r.turns.append(r.run(times[r]))
        rivals = rivals[1:] + rivals[:1]


def median(turns, of):
    return statistics.median(getattr(t, of) for t in turns)


def ratio(rival, base, of):
    return statistics.median(getattr(a, of) / getattr(b, of) for a, b in zip(rival.turns, base.turns))


def spread(rival, base, of):
    """Half the distance between the quartiles of the ratio, in per cent: how far to trust it."""
    each = [getattr(a, of) / getattr(b, of) for a, b in zip(rival.turns, base.turns)]
    low, middle, high = statistics.quantiles(each, n=4)
    return 50 * (high - low) / middle


def installed(program):
    for folder in os.environ["PATH"].split(":") + ["/usr/sbin", "/sbin"]:
        path = pathlib.Path(folder) / program
        if os.access(path, os.X_OK):
            return str(path)
    return None


def fail(text):
    print(f"error: {text}", file=sys.stderr)
    sys.exit(1)
