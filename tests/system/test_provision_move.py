"""Guests go to another host, running or stopped, with their disks; whatever is killed meanwhile, each runs once and
every byte is counted once."""
import json
import os
import re
import signal
import socket
import time

import pytest

from cloud import Cloud
from conftest import run, wait_for
from guest_life import Events

OWN_TALK = 4096
ANNOUNCED = 60  # bytes of a frame by which QEMU itself tells the switch where the guest is now
HOLES = """select count(*) from (select valid_to, lead(valid_from) over (partition by kind order by valid_from) as next
    from lifetime where resource_uuid = %s) x where valid_to <> next"""


def reachable(cloud, uuid):
    folder = cloud.state / "move"
    folder.mkdir(mode=0o755, exist_ok=True)
    cloud.jeoul("host", "update", uuid, "--migrateuri", f"unix://{folder}")


@pytest.fixture(scope="module")
def cloud():
    """Two hosts on the same disks, and a third with disks of its own at the same path."""
    c = Cloud(**{"provision.stop_grace": "2s", "meter.step": "5s", "meter.guarded_step": "10s"})
    try:
        c.begin()
        c.jeoul("offering", "create", "busy", "--vcpus", "1", "--memory", "96", "--rootdisksize", "1")
        c.places = {"vm": c.jeoul("host", "list")[0]}
        c.first = c.places["vm"]["id"]
        c.jeoul("host", "update", c.first, "--name", "vm")
        for name in ("h2", "h3"):
            h = c.host(name)
            c.places[name] = {"id": h.id, "host": h}
        (c.state / "own").mkdir(mode=0o755)
        c.hosts[1].inside("mount", "--bind", c.state / "own", c.state / "images")
        for p in c.places.values():
            reachable(c, p["id"])
        c.uris = {"vm": f"qemu+unix:///system?socket={c.state}/libvirt/run/libvirt-sock", "h2": c.hosts[0].uri, "h3": c.hosts[1].uri}
        c.events = Events(c.state, c.uris)
        yield c
        c.events.close()
    finally:
        c.remove()


def domain_of(cloud, uuid):
    return cloud.sql("select instance_name from vm where uuid = %s", uuid)[0][0]


def host_of(cloud, uuid):
    return cloud.sql("select h.name from vm v join host h on h.id = v.host_id where v.uuid = %s", uuid)[0][0]


def domains(cloud, domain, *which):
    """Host -> state, of all that know the domain."""
    found = {}
    for name, uri in cloud.uris.items():
        said = run("virsh", "-q", "-c", uri, "domstate", domain, check=False)
        if said.returncode == 0 and said.stdout.strip():
            found[name] = said.stdout.strip()
    return found


class Guest:
    """A demo guest, asked over whatever socket it has now."""

    def __init__(self, cloud, name, host="vm"):
        self.cloud, self.name = cloud, name
        self.uuid = cloud.vm(name, template="demo-guest", offering="busy", host=cloud.places[host]["id"])
        self.domain = domain_of(cloud, self.uuid)
        wait_for("its network", lambda: self.ask("send", 1, patience=3)["ok"], 90)
        self.boot = self.ask("run", "cat /proc/sys/kernel/random/boot_id")["output"]

    def ask(self, verb, what="", seconds=90, patience=None):
        end, number = time.monotonic() + seconds, str(time.monotonic_ns())
        while True:
            try:
                xml = run("virsh", "-q", "-c", self.cloud.uris[self.where()], "dumpxml", self.domain).stdout
                path = re.search(r"<source mode='bind' path='([^']+)'/>\s*<target type='virtio' name='org.jeoul.ctl'", xml)[1]
                with socket.socket(socket.AF_UNIX) as link:
                    link.settimeout(patience or max(1, end - time.monotonic()))
                    link.connect(path)
                    link.sendall(f"#{number} {verb} {what}\n".encode())
                    for line in link.makefile():
                        if f'"for":"{number}"' in line:
                            return json.loads(line)
            except (OSError, AssertionError, TypeError):
                pass
            assert time.monotonic() < end, f"{self.name}: no answer to {verb} {what}"
            time.sleep(0.1)

    def where(self):
        return host_of(self.cloud, self.uuid)

    def migrate(self, to=None, check=True):
        words = ("--host", to) if to else ()
        return self.cloud.jeoul("vm", "migrate", self.name, *words, check=check, seconds=300)

    def same(self):
        assert self.ask("run", "cat /proc/sys/kernel/random/boot_id", patience=5)["output"] == self.boot, "the same kernel"

    def tell(self, verb, what):
        """Without waiting for an answer."""
        xml = run("virsh", "-q", "-c", self.cloud.uris[self.where()], "dumpxml", self.domain).stdout
        path = re.search(r"<source mode='bind' path='([^']+)'/>\s*<target type='virtio' name='org.jeoul.ctl'", xml)[1]
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(path)
            link.sendall(f"{verb} {what}\n".encode())

    def busy(self, megabytes):
        """Writes all the time, and sends so much."""
        self.ask("run", "(while [ ! -e /quiet ]; do dd if=/dev/zero of=/dev/vda bs=64k count=16 conv=fsync; done) >/dev/null 2>&1 &")
        self.tell("send", megabytes * 1_000_000)

    def quiet(self):
        """The agent answers when it has sent all."""
        self.ask("run", "touch /quiet; sleep 2; sync; rm /quiet", seconds=200, patience=100)

    def total(self):
        return self.ask("report")["total"]

    def metered(self):
        return dict(zip(("wr", "rd", "tx", "rx", "vcpu"), map(int, self.cloud.sql(
            """select sum(disk_write_bytes), sum(disk_read_bytes), sum(net_tx_bytes), sum(net_rx_bytes), sum(w.vcpu_ns)
            from usage_window w join vm v on v.id = w.vm_id where v.uuid = %s""", self.uuid)[0])))

    def runs_once(self, at=None):
        states = domains(self.cloud, self.domain)
        assert states == {at or self.where(): "running"}, states
        assert self.cloud.sql(HOLES, self.uuid)[0][0] == 0
        assert self.cloud.sql("select count(*) from lifetime where valid_to is null and resource_uuid = %s group by kind",
                              self.uuid) == [(1,), (1,)]
        assert self.cloud.sql("select count(*) from disk_left")[0][0] == 0
        assert self.cloud.check("provision_capacity", "provision_held") == []

    def told(self):
        return self.cloud.sql("""select text from event where kind = 'VM.MIGRATE' and object_uuid = %s
            order by id desc limit 1""", self.uuid)[0][0]


def job_hosts(cloud, uuid, to):
    return cloud.job("migrateVirtualMachine", uuid, hostid=cloud.places[to]["id"])


def counted(g, moves):
    """After its end: all that it did, by its own account."""
    its = g.total()
    g.cloud.jeoul("vm", "stop", g.name, "--forced", "true")
    m = g.metered()
    print(g.name, "its own account", its, "metered", m)
    assert m["wr"] == its["wr_bytes"] > 0 and m["rd"] == its["rd_bytes"]
    announced = m["tx"] - its["tx_bytes"]
    assert its["tx_bytes"] > 0 and 0 <= announced <= moves * 5 * ANNOUNCED and announced % ANNOUNCED == 0, announced
    # What the host itself says on a card that is new: neighbours, routers.
    assert 0 <= m["rx"] - its["rx_bytes"] <= (moves + 1) * OWN_TALK, (m, its)


def test_a_busy_guest_moves_and_every_byte_is_counted(cloud):
    g = Guest(cloud, "busy1")
    for there in ("h2", "vm"):
        g.busy(30)
        v = g.migrate(there)
        assert v["hostname"] == there and v["state"] == "Running", v
        print(g.told())
        assert re.search(r"it stood still for \d+ ms .*; all that it did is metered$", g.told())
        g.runs_once(there)
        g.quiet()
    g.same()
    counted(g, 2)
    cloud.jeoul("vm", "destroy", "busy1", "--expunge", "true")


def test_disks_that_are_not_shared_go_along(cloud):
    g = Guest(cloud, "carry1")
    volume = cloud.jeoul("volume", "create", "more", "--account", "acme", "--size", "1")
    cloud.jeoul("volume", "attach", volume["id"], "--vm", g.uuid)
    g.ask("run", "echo written before > /dev/vda; echo on the second > /dev/vdb; sync")
    g.busy(5)
    assert g.migrate("h3")["hostname"] == "h3"
    print(g.told())
    assert re.search(r"all that it did is metered$", g.told())
    g.runs_once("h3")
    g.quiet()
    g.same()
    assert g.ask("run", "head -c 13 /dev/vdb")["output"] == "on the second"
    files = [f for f, in cloud.sql("select file from volume d join vm v on v.id = d.vm_id where v.uuid = %s", g.uuid)]
    assert len(files) == 2
    for f in files:
        assert (cloud.state / "own" / f).exists() and not (cloud.state / "images" / f).exists(), f
    assert {h for h, in cloud.sql("""select h.name from volume d join storage_pool p on p.id = d.pool_id
        join host h on h.id = p.host_id where d.file = any(%s)""", files)} == {"h3"}
    # Back without its process: whole files, and the guest finds what it wrote.
    cloud.jeoul("vm", "stop", g.name, "--forced", "true")
    assert g.migrate("vm")["hostname"] == "vm"
    assert domains(cloud, g.domain) == {"vm": "shut off"}
    for f in files:
        assert (cloud.state / "images" / f).exists() and not (cloud.state / "own" / f).exists(), f
    assert cloud.sql("select count(*) from disk_left")[0][0] == 0
    cloud.jeoul("vm", "start", g.name)
    assert g.ask("run", "head -c 13 /dev/vdb", patience=5)["output"] == "on the second"
    cloud.jeoul("vm", "destroy", g.name, "--expunge", "true")


def refused(g, *words):
    done = g.cloud.jeoul("vm", "migrate", g.name, *words, check=False)
    assert done.returncode != 0, done.stdout
    g.runs_once("vm")
    return done.stderr


def test_refusals_say_why_and_change_nothing(cloud):
    g = Guest(cloud, "stays")
    assert "is on that host already" in refused(g, "--host", "vm")
    assert "entity does not exist" in refused(g, "--host", "00000000-0000-4000-8000-000000000000")
    h2 = cloud.places["h2"]["id"]
    cloud.jeoul("host", "maintain", "h2")
    assert "stays cannot go to host h2, which is in maintenance or disabled" in refused(g, "--host", "h2")
    found = {h["name"]: h for h in cloud.jeoul("vm", "hosts", "stays")}
    assert not found["h2"]["suitableformigration"] and found["h3"]["suitableformigration"] and "vm" not in found
    cloud.jeoul("host", "resume", "h2")
    total = cloud.sql("select memory_bytes >> 20 from host where uuid = %s", h2)[0][0]
    cloud.jeoul("host", "update", "h2", "--reservedmemory", total - 50)
    assert "without enough memory free" in refused(g, "--host", "h2")
    assert not {h["name"]: h for h in cloud.jeoul("vm", "hosts", "stays")}["h2"]["hasenoughcapacity"]
    cloud.jeoul("host", "update", "h2", "--reservedmemory", "512")
    cloud.jeoul("account", "create", "others", "--username", "others", "--password", "a long password")
    cloud.jeoul("host", "dedicate", "h2", "--account", "others")
    assert "dedicated to others" in refused(g, "--host", "h2")
    cloud.jeoul("host", "release", "h2")
    cloud.hosts[0].virsh("net-destroy", "default")
    assert "which is not active on host h2" in refused(g, "--host", "h2")
    cloud.hosts[0].virsh("net-start", "default")
    made = cloud.jeoul("vm-snapshot", "create", "stays", "--snapshotmemory", "true")
    assert "there are snapshots of stays" in refused(g)
    cloud.jeoul("vm-snapshot", "delete", made["id"])
    g.same()
    cloud.jeoul("vm", "destroy", "stays", "--expunge", "true")


def test_a_guest_that_its_owner_paused_is_paused_there_too(cloud):
    g = Guest(cloud, "still")
    cloud.jeoul("vm", "suspend", "still")
    g.migrate("h2")
    assert domains(cloud, g.domain) == {"h2": "paused"} and cloud.state_of(g.uuid) == "Paused"
    cloud.jeoul("vm", "resume", "still")
    g.same()
    g.runs_once("h2")
    # A host that is to be maintained is left by all that run there.
    assert cloud.jeoul("host", "maintain", "h2")["resourcestate"] == "Maintenance"
    g.same()
    g.runs_once()
    assert g.where() != "h2"
    cloud.jeoul("host", "resume", "h2")
    cloud.jeoul("vm", "destroy", "still", "--expunge", "true")


def killed(pid):
    os.kill(int(pid), signal.SIGKILL)


class Kills:
    """What is killed, and when: as soon as the move has come so far."""

    def __init__(self, g):
        self.g, self.cloud = g, g.cloud

    def stepped(self, word):
        return self.cloud.sql("""select 1 from job where object_uuid = %s and state in ('running', 'pending')
            and step like %s""", self.g.uuid, f"{word}%")

    def state(self, host, word):
        return domains(self.cloud, self.g.domain).get(host) == word

    def provision(self):
        killed(self.cloud.child("provision")["pid"])

    def database(self):
        killed(self.cloud.child("postgres")["pid"])
        wait_for("the database", self.alive, 60)

    def alive(self):
        try:
            return self.cloud.sql("select 1")
        except Exception:  # noqa: it is away
            return False

    def libvirtd(self, host):
        if host == "vm":
            killed((self.cloud.state / "libvirt/libvirtd.pid").read_text())
            return
        killed(self.cloud.places[host]["host"].pid())
        self.cloud.places[host]["host"].process.wait(20)
        self.cloud.places[host]["host"].start()


@pytest.mark.parametrize("what,when", [
    ("provision", "looking"), ("provision", "moving"), ("provision", "there"), ("provision", "paused"),
    ("database", "moving"), ("database", "paused"), ("source", "moving"), ("target", "there"), ("target", "paused"),
    ("process", "there")])
def test_whatever_is_killed_it_runs_once(cloud, lasting, what, when):
    g, kills = lasting, Kills(lasting)
    here = g.where()
    there = "h2" if here == "vm" else "vm"
    job = job_hosts(cloud, g.uuid, there)
    end = time.monotonic() + 60
    reached = {"looking": lambda: kills.stepped("looking"), "moving": lambda: kills.stepped("moving"),
               "there": lambda: there in domains(cloud, g.domain), "paused": lambda: kills.state(here, "paused")}[when]
    while not reached() and time.monotonic() < end:
        if cloud.sql("select 1 from job where uuid = %s and finished is not null", job):
            break
    if what == "provision":
        kills.provision()
    elif what == "database":
        kills.database()
    elif what == "process":
        folder = cloud.state / ("libvirt" if there == "vm" else there)
        path = folder / f"run/qemu/{g.domain}.pid"
        if path.exists():
            killed(path.read_text())
    else:
        kills.libvirtd(here if what == "source" else there)
    state, why, _ = cloud.job_end(job, 100)
    print(what, when, here, "->", there, state, why, g.told() if state == "succeeded" else "")
    wait_for("it to run once", lambda: domains(cloud, g.domain) == {g.where(): "running"}, 30)
    assert g.where() == (there if state == "succeeded" else here)
    g.runs_once()
    g.same()


@pytest.fixture(scope="module")
def lasting(cloud):
    g = Guest(cloud, "lasting")
    yield g
