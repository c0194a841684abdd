"""What is done to one real guest, and what its own account says must be in the rows of usage.

Three witnesses, none of them ours: the guest's own counters (agent), the host's scheduler
(/proc/PID/task/*/schedstat) and libvirt's events with their times (virsh event)."""
import datetime
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time

from conftest import run, wait_for

LINK = 1_250_000_000  # bytes a second: ten gigabit
DISK = 4_000_000_000  # bytes a second
TICK_NS = 10**7       # in so large pieces the kernel tells a thread's CPU time
OWN_TALK = 4096       # bytes of ARP, DHCP and IPv6 that a guest sends or hears beside what it is told to
COUNTERS = {"wr": "disk_write_bytes", "rd": "disk_read_bytes", "tx": "net_tx_bytes", "rx": "net_rx_bytes"}


class Events:
    """When guests began and ceased to run on these hosts, as libvirt told it at that instant."""

    def __init__(self, folder, hosts):
        self.files, self.processes = {}, []
        for name, uri in hosts.items():
            self.files[name] = folder / f"events-{name}"
            self.processes.append(subprocess.Popen(
                ["stdbuf", "-oL", "virsh", "-c", uri, "event", "--loop", "--timestamp", "--event", "lifecycle"],
                stdin=subprocess.DEVNULL, stdout=open(self.files[name], "wb"), stderr=subprocess.STDOUT))

    def close(self):
        for p in self.processes:
            p.kill()
            p.wait(10)

    def of(self, domain):
        """[(seconds, host, word, detail)] in order."""
        found = []
        for host, path in self.files.items():
            for line in path.read_text().splitlines():
                m = re.match(r"(\S+ \S+)\+0000: event 'lifecycle' for domain '?([^':]+)'?: (\w+) (.*)", line)
                if m and m[2] == domain and m[3] in ("Started", "Stopped", "Crashed"):
                    at = datetime.datetime.fromisoformat(m[1]).replace(tzinfo=datetime.timezone.utc)
                    found.append((at, host, m[3], m[4]))
        return sorted(found)

    def runs(self, domain):
        """[[from, to]] as unions over hosts: one that migrates runs on both for a moment, and once."""
        on, found = set(), []
        for at, host, word, detail in self.of(domain):
            if word == "Started":
                if not on and not (found and detail.startswith(("Migrated", "From snapshot"))
                                   and (at - found[-1][1]).total_seconds() < 2):
                    found.append([at, None])
                on.add(host)
            else:
                on.discard(host)
                if not on:
                    found[-1][1] = at
        return found


class Watch(threading.Thread):
    """Looks at a guest's rows all the time: sums never fall, and never grow faster than they could."""

    def __init__(self, cloud, uuid):
        super().__init__(daemon=True)
        self.cloud, self.uuid, self.over, self.wrong = cloud, uuid, threading.Event(), []
        self.last = {}
        self.start()

    def run(self):
        while not self.over.wait(0.5):
            self.look()

    def look(self):
        for row in self.cloud.sql("""select w.resource_id, max(w.through), extract(epoch from max(w.through)),
                sum(w.vcpu_ns), sum(w.cpu_ns), sum(disk_read_bytes), sum(disk_write_bytes), sum(net_rx_bytes),
                sum(net_tx_bytes), sum(resets) from usage_window w join vm v on v.id = w.vm_id
                where v.uuid = %s group by 1""", self.uuid):
            self.compare(row[0], row[1], [int(v) if i else float(v) for i, v in enumerate(row[2:])])

    def compare(self, resource, when, now):
        before = self.last.get(resource)
        self.last[resource] = now
        if now[-1]:
            self.wrong.append(f"{when}: a counter fell within its run")
        if before is None:
            return
        seconds = now[0] - before[0]
        grown = [b - a for a, b in zip(before[1:-1], now[1:-1])]
        # Two virtual CPUs, and the emulator's own threads beside them.
        most = [2 * 10**9, 4 * 10**9, DISK, DISK, LINK, LINK]
        if seconds < 0 or min(grown) < 0 or (seconds == 0 and any(grown)):
            self.wrong.append(f"{when}: {before} became {now}")
        if any(g > m * seconds + 4 * TICK_NS for g, m in zip(grown, most)):
            self.wrong.append(f"{when}: {grown} within {seconds} s is more than could be")

    def close(self):
        self.over.set()
        self.join()
        self.look()
        return self.wrong


def move(folder, domain, here, there):
    """A live migration.  Both hosts are one machine: two processes must not share a socket."""
    xml = run("virsh", "-q", "-c", here, "dumpxml", "--migratable", domain).stdout
    path = folder / f"{domain}.xml"
    path.write_text(re.sub(r"(console/[\w-]+\.ctl)[^']*", rf"\1.{time.monotonic_ns()}", xml))
    run("virsh", "-q", "-c", here, "migrate", "--live", "--unsafe", "--persistent", "--undefinesource", "--xml", path,
        "--persistent-xml", path, domain, there, "--migrateuri", f"unix://{folder}/{domain}.move")


def zeros():
    return dict.fromkeys([*COUNTERS, "busy"], 0)


class Life:
    """A guest, and the sum of what it says of itself."""

    def __init__(self, cloud, events, seed):
        self.cloud, self.events, self.seed = cloud, events, seed
        self.rng = random.Random(seed)
        self.name, self.story, self.asked = f"life{seed}", [], 0
        self.state, self.size, self.host, self.boots = "stopped", 1, "vm", 0
        self.expect, self.lost, self.sampled = zeros(), zeros(), zeros()
        self.before = zeros()      # what the guest said last
        self.session = None        # its kernel's boot id
        self.pid = self.spent = 0  # its process, and the time of its virtual CPUs when we looked last
        self.unheard_ns = 0        # CPU time of firmware and boot that the guest's own clock does not know
        self.waited_ns = 0         # what the host made it wait: the guest takes that for work
        self.cpu_least = self.cpu_most = self.spent_sampled = self.processes = self.moves = 0
        self.uuid = cloud.vm(self.name, template="demo-guest", offering="life1", host=cloud.first)
        self.domain = cloud.sql("select instance_name from vm where uuid = %s", self.uuid)[0][0]
        self.watch = Watch(cloud, self.uuid)
        self.began()

    # ---- its hosts

    def folder(self):
        return self.cloud.state / ("libvirt" if self.host == "vm" else self.host)

    def uri(self):
        return f"qemu+unix:///system?socket={self.folder()}/run/libvirt-sock"

    def virsh(self, *words):
        return run("virsh", "-q", "-c", self.uri(), *words).stdout

    def api(self, *words):
        return self.cloud.jeoul(*words)

    def wait_state(self, state):
        wait_for(f"{self.name} to be {state}", lambda: self.cloud.state_of(self.uuid) == state, 20)

    # ---- what the guest says

    def ask(self, verb, amount="", seconds=90, again=None):
        """again: once more after so many seconds, since what comes before the agent is up is lost."""
        path = re.search(r"<source mode='bind' path='([^']+)'/>\s*<target type='virtio' name='org.jeoul.ctl'",
                         self.virsh("dumpxml", self.domain))[1]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                with socket.socket(socket.AF_UNIX) as link:
                    link.settimeout(again or max(1, end - time.monotonic()))
                    link.connect(path)
                    link.sendall(f"{verb} {amount}\n".encode())
                    for line in link.makefile():
                        answer = json.loads(line)
                        # An answer to an earlier question may come late.
                        if verb == "run" or (answer.get("command"), str(answer.get("amount"))) == (verb, str(amount)):
                            return answer
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"{self.name}: no answer to {verb} {amount} after {self.story}")

    def account(self):
        """Adds what it did since it was asked last."""
        self.asked += 1
        total = self.ask("report", self.asked, again=3)["total"]
        now = {"wr": total["wr_bytes"], "rd": total["rd_bytes"], "tx": total["tx_bytes"], "rx": total["rx_bytes"],
               "busy": total["busy_ticks"]}
        for k, v in now.items():
            assert v >= self.before[k], f"{k}: {v} after {self.before[k]}"
            self.expect[k] += v - self.before[k]
        busy, self.before = now["busy"] - self.before["busy"], now
        spent, waited = self.threads()
        return busy * TICK_NS, spent, waited

    def threads(self):
        """What the host's scheduler says of its virtual CPUs: time spent, time waited."""
        found = [list(map(int, (task / "schedstat").read_text().split()))
                 for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir()
                 if (task / "comm").read_text().startswith("CPU ")]
        return sum(f[0] for f in found), sum(f[1] for f in found)

    def look(self):
        busy, spent, waited = self.account()
        self.waited_ns += waited - self.waited
        self.spent, self.waited = spent, waited

    # ---- the beginning and the end of a process, and of the guest's kernel

    def process_new(self):
        self.pid = int((self.folder() / f"run/qemu/{self.domain}.pid").read_text())
        self.spent = self.waited = self.spent_sampled = 0
        self.processes += 1

    def first_words(self):
        """After a boot, or in a new process: what the CPU did before the guest could count it."""
        busy, spent, self.waited = self.account()
        self.unheard_ns += spent - self.spent - busy
        self.spent = spent

    def kernel(self):
        return self.ask("run", "cat /proc/sys/kernel/random/boot_id", again=3)["output"]

    def booted(self):
        self.before, old = zeros(), self.session
        wait_for("its network", lambda: self.ask("send", 1, again=3)["ok"], 60)
        self.first_words()
        self.session = self.kernel()
        assert self.session != old, "another kernel"
        self.boots += 1

    def began(self):
        self.state = "running"
        self.plugged = False  # a snapshot of its memory is refused after that
        self.process_new()
        self.booted()

    def same_guest(self):
        assert self.kernel() == self.session, "the same kernel"

    def goes_on_elsewhere(self):
        """The guest's memory in a new process."""
        self.state = "running"
        self.process_new()
        self.same_guest()
        self.first_words()

    def confirm(self):
        """Waits for samples of all that it did so far."""
        self.look()
        known, spent = dict(self.expect), self.spent
        now = self.cloud.sql("select clock_timestamp()")[0][0]
        wait_for(f"samples of {self.name}", lambda: self.cloud.sql(
            """select count(*) = 3 and min(last) > %s from (select resource_id, max(through) as last
            from usage_window w join vm v on v.id = w.vm_id where v.uuid = %s group by 1) x""", now, self.uuid)[0][0], 40)
        self.sampled, self.spent_sampled = known, spent

    def ends(self, final, how):
        """how() ends its process.  final: by us, so that nothing is lost; else what came after the last sample."""
        if not final and self.rng.random() < 0.5:
            self.confirm()
        self.look()
        begun = time.monotonic()
        how()
        self.cpu_most += self.spent + int((time.monotonic() - begun) * self.size * 10**9)
        self.cpu_least += self.spent if final else self.spent_sampled
        if not final:
            for k in self.lost:
                self.lost[k] += self.expect[k] - self.sampled[k]
        self.sampled = dict(self.expect)

    # ---- what is done to it

    def work(self):
        for verb in self.rng.sample(["write", "read", "send", "cpu"], self.rng.randint(1, 3)):
            amount = 1 if verb == "cpu" else 512 * self.rng.randint(1, 4096)
            answer = self.ask(verb, amount)
            assert answer["ok"], answer
        self.look()

    def stop(self, *how):
        self.ends(True, lambda: self.api("vm", "stop", self.name, *how))
        self.state = "stopped"

    def do_stop_hard(self):
        self.stop("--forced", "true")

    def do_stop_softly(self):
        self.stop()

    def do_reboot(self):
        self.ends(True, lambda: self.api("vm", "reboot", self.name))
        self.began()

    def do_start(self):
        self.api("vm", "start", self.name)
        self.began()

    def do_reset(self):
        self.look()
        self.api("vm", "reset", self.name)
        self.booted()

    def do_panic(self):
        self.look()
        self.ask("run", "(sleep 1; echo c > /proc/sysrq-trigger) >/dev/null 2>&1 &")
        wait_for("its kernel to panic", lambda: self.kernel() != self.session, 90)
        self.booted()

    def do_suspend(self):
        self.look()
        self.api("vm", "suspend", self.name)
        self.api("vm", "resume", self.name)
        self.same_guest()

    def do_suspend_behind_our_back(self):
        self.look()
        self.virsh("suspend", self.domain)
        time.sleep(self.rng.random())
        self.virsh("resume", self.domain)
        self.same_guest()

    def do_scale(self):
        """Up at once; down from the next start on."""
        size = 3 - self.size
        if self.state == "running" and size < self.size:
            self.api("vm", "scale", self.name, "--offering", f"life{size}")
            self.ends(True, lambda: self.api("vm", "reboot", self.name))
            self.size = size
            self.began()
            return
        self.api("vm", "scale", self.name, "--offering", f"life{size}")
        self.size = size
        if self.state == "running":
            self.plugged = True
            self.ask("run", "for c in /sys/devices/system/cpu/cpu[1-9]*/online; do echo 1 > $c; done")

    def do_disk_snapshot(self):
        root = self.api("volume", "list", "--virtualmachineid", self.uuid, "--type", "ROOT")[0]
        made = self.api("snapshot", "create", root["id"], "--name", f"{self.name}-disk")
        if self.state == "running":
            self.work()
        self.api("snapshot", "delete", made["id"])

    def do_snapshot_and_back(self):
        """The guest goes back to where it was, and so does its own account; what it used stays used."""
        self.look()
        then = dict(self.before)
        made = self.api("vm-snapshot", "create", self.name, "--snapshotmemory", "true")
        self.same_guest()
        self.work()
        self.ends(True, lambda: self.api("vm-snapshot", "revert", made["id"]))
        self.before = then
        self.goes_on_elsewhere()
        self.api("vm-snapshot", "delete", made["id"])

    def do_save_and_restore(self):
        saved = self.cloud.state / f"{self.name}.saved"
        self.ends(False, lambda: self.virsh("save", self.domain, saved))
        self.wait_state("Stopped")
        self.virsh("restore", saved)
        saved.unlink()
        self.wait_state("Running")
        self.goes_on_elsewhere()

    def do_kill(self):
        self.ends(False, lambda: os.kill(self.pid, signal.SIGKILL))
        self.wait_state("Stopped")
        self.state = "stopped"

    def do_destroy(self):
        self.ends(False, lambda: self.virsh("destroy", self.domain))
        self.wait_state("Stopped")
        self.state = "stopped"

    def do_poweroff(self):
        self.ends(False, lambda: self.ask("poweroff", 0))
        self.wait_state("Stopped")
        self.state = "stopped"

    def do_start_behind_our_back(self):
        self.virsh("start", self.domain)
        self.wait_state("Running")
        self.began()

    def do_migrate(self):
        """By us: nothing is lost.  QEMU itself announces where it is now, on the guest's card."""
        there = next(h for h in self.cloud.places if h != self.host)
        self.look()
        begun = time.monotonic()
        self.api("vm", "migrate", self.name, "--host", there)
        self.cpu_most += self.spent + int((time.monotonic() - begun) * self.size * 10**9)
        self.cpu_least += self.spent
        self.sampled = dict(self.expect)
        self.host = there
        self.moves += 1
        self.goes_on_elsewhere()

    def do_migrate_stopped(self):
        there = next(h for h in self.cloud.places if h != self.host)
        self.api("vm", "migrate", self.name, "--host", there)
        self.host = there

    def do_migrate_behind_our_back(self):
        there = next(h for h in self.cloud.places if h != self.host)
        self.ends(False, lambda: self.move(there))
        self.goes_on_elsewhere()
        wait_for("it to be known there", lambda: self.cloud.sql("""select 1 from vm v join host h on h.id = v.host_id
            where v.uuid = %s and h.name = %s and v.state = 'Running'""", self.uuid, there), 20)

    def move(self, there):
        move(self.cloud.state, self.domain, self.uri(), self.cloud.places[there])
        self.host = there

    def deeds(self):
        """What can be done to it now; those that need a second host only with one."""
        always = ["scale", "disk_snapshot"]
        stopped = ["start", "start_behind_our_back"]
        running = ["stop_hard", "stop_softly", "reboot", "reset", "panic", "suspend", "suspend_behind_our_back",
                   "snapshot_and_back", "save_and_restore", "kill", "destroy", "poweroff"]
        if self.state == "running" and self.plugged:
            running.remove("snapshot_and_back")
        if len(self.cloud.places) > 1:
            running += ["migrate", "migrate_behind_our_back"]
            stopped += ["migrate_stopped"]
        return always + stopped * 2 if self.state == "stopped" else always + running

    def live(self, count):
        self.work()
        for _ in range(count):
            deed = self.rng.choice([d for d in self.deeds() if d not in self.story] or self.deeds())
            self.story.append(deed)
            getattr(self, f"do_{deed}")()
            if self.state == "running":
                self.look()
                self.work()
        if self.state == "running":
            self.confirm()
            self.stop("--forced", "true")

    # ---- was it metered right?

    def metered(self):
        row = self.cloud.sql(f"""select coalesce(sum(w.vcpu_ns), 0), {', '.join(f'coalesce(sum({c}), 0)' for c in COUNTERS.values())}
            from usage_window w join vm v on v.id = w.vm_id where v.uuid = %s""", self.uuid)[0]
        return dict(zip(["vcpu_ns", *COUNTERS], map(int, row)))

    def compare(self):
        wrong = self.watch.close()
        m = self.metered()
        for k in ("wr", "rd"):
            if not self.expect[k] - self.lost[k] <= m[k] <= self.expect[k]:
                wrong.append(f"{k}: metered {m[k]}, its own account {self.expect[k]}, not sampled at most {self.lost[k]}")
        for k in ("tx", "rx"):
            talk = OWN_TALK * (self.processes + self.boots)
            if not self.expect[k] - self.lost[k] - talk <= m[k] <= self.expect[k] + talk:
                wrong.append(f"{k}: metered {m[k]}, its own account {self.expect[k]}, not sampled at most {self.lost[k]}")
        ticks = 2 * TICK_NS * self.processes
        if not self.cpu_least - ticks <= m["vcpu_ns"] <= self.cpu_most + ticks:
            wrong.append(f"CPU: metered {m['vcpu_ns']}, by the host's scheduler {self.cpu_least} to {self.cpu_most}")
        its = self.expect["busy"] * TICK_NS + self.unheard_ns
        lost = self.lost["busy"] * TICK_NS
        allowed = its // 20 + 10**9 + ticks
        if not its - lost - self.waited_ns - allowed <= m["vcpu_ns"] <= its + allowed:
            wrong.append(f"CPU: metered {m['vcpu_ns']}, its own account {its}, waited {self.waited_ns}, lost {lost}")
        self.metered_now = m
        return wrong

    def compare_times(self):
        """Its running intervals against libvirt's events; answers what is wrong, and the widest difference."""
        told = self.events.runs(self.domain)
        rows = [tuple(r[:4]) for r in self.cloud.intervals(self.uuid, "running")]
        why = "; ".join(f"{a:%T.%f} {x} to {b:%T.%f} {y}" for a, b, x, y in rows)
        joined = []
        for a, b, _, _ in rows:  # a resize or a move cuts an interval at one instant
            if joined and joined[-1][1] == a:
                joined[-1][1] = b
            else:
                joined.append([a, b])
        if len(told) != len(joined):
            return [f"it ran {len(told)} times {told}, written down are {joined}"], 0
        apart = [abs((x - y).total_seconds()) for t, j in zip(told, joined) for x, y in zip(t, j)]
        said = "; ".join(f"{at:%T.%f} {host} {word} {detail}" for at, host, word, detail in self.events.of(self.domain))
        return [f"{said} are written down as {why}"] if max(apart) > 1 else [], max(apart)
