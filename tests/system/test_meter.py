"""The collector over real guests: cards, disks, hung guests, hosts that go away."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

import pytest

from conftest import BIN, TOP, Stack, run, stopped, wait_for
from test_slice import sampled_after, usage


def foreign(stack, name, uuid, devices="", memory=96):
    """A guest that somebody else defined and started; found and adopted by us."""
    disk = stack.state / f"images/{name}.raw"
    with open(disk, "wb") as f:
        f.truncate(64 << 20)
    xml = (TOP / "setup/guest/domain.xml").read_text().replace("/tmp/hb/disk.raw", str(disk)) \
        .replace("/tmp/guest/", f"{stack.state}/guest/").replace("/tmp/hb/", f"{stack.state}/console/") \
        .replace("guest1.ctl", f"{uuid[:8]}.ctl").replace("guest1", name) \
        .replace("11111111-2222-4333-8444-555555555555", uuid).replace("<memory unit='MiB'>96", f"<memory unit='MiB'>{memory}") \
        .replace("<interface type='network'>", f"{devices}<interface type='network'>")
    path = stack.state / f"{name}.xml"
    path.write_text(xml)
    stack.virsh("define", path)
    stack.virsh("start", name)
    wait_for(f"the adoption of {name}", lambda: stack.sql(
        "select 1 from vm where uuid = %s and state = 'Running'", uuid), 25)


def forget(stack, name, uuid):
    stack.virsh("destroy", name, check=False)
    stack.virsh("undefine", name)
    wait_for(f"the end of {name}", lambda: not stack.sql(
        "select 1 from vm where uuid = %s and removed is null", uuid), 25)


def test_a_card_without_counters_hides_no_later_one(stack):
    """Cards of user mode networks have no counters at all: the next card is still measured."""
    uuid = "22222222-aaaa-4333-8444-555555555555"
    foreign(stack, "cards1", uuid, "<interface type='user'><mac address='52:54:00:77:00:01'/>"
            "<model type='virtio'/></interface>")
    try:
        target, kind = stack.virsh("domiflist", "cards1").split("\n")[1].split()[:2]
        assert kind == "network"
        mac = stack.virsh("domiflist", "cards1").split("\n")[1].split()[-1]

        def raw():
            return stack.sql("""select n.mac, w.raw_net_tx + w.raw_net_rx from usage_window w
                join nic n on n.account_id = w.account_id and n.id = w.resource_id
                join vm v on v.id = w.vm_id where v.uuid = %s order by w.through desc limit 1""", uuid)
        rows = wait_for("samples of the card", raw, 20)
        assert rows[0][0] == mac

        def host_side():
            words = stack.virsh("domifstat", "cards1", target).split()
            return int(words[words.index("rx_bytes") + 1]) + int(words[words.index("tx_bytes") + 1])
        seen = host_side()
        assert wait_for("a later sample", lambda: raw()[0][1] >= seen and raw(), 20)[0][1] <= host_side()
        assert stack.sql("""select count(*) from usage_window w join nic n on n.id = w.resource_id
            where n.mac = '52:54:00:77:00:01'""")[0][0] == 0, "no answer is never zero"
    finally:
        forget(stack, "cards1", uuid)


# ---- who hangs delays himself alone

def kept(stack):
    """The newest sample of each resource on the collector's own disk, ns."""
    with sqlite3.connect(f"file:{stack.state}/spool/meter/usage.db?mode=ro", uri=True, timeout=5) as link:
        rows = link.execute("select key, rank from record where payload like 'w%'").fetchall()
    newest = {}
    for key, rank in rows:
        newest[key.split("/")[1]] = max(rank, newest.get(key.split("/")[1], 0))
    return newest


def test_a_frozen_database_delays_no_sample(stack):
    """Nor does a restart of the collector meanwhile: it has its own copy of what there is."""
    uuid = stack.vms["web1"]
    sampled_after(stack, uuid)
    ids = {str(r[0]) for r in stack.sql("""select v.id from vm v where v.removed is null and v.state = 'Running'
        union select n.id from nic n join vm v on v.id = n.vm_id where v.uuid = %s""", uuid)}
    before, mine = usage(stack, uuid), stack.guest(uuid, "report")["total"]
    meter = stack.child("meter")["pid"]
    with stopped(stack.child("postgres")["pid"]):
        for what in ("the collector goes on", "a new one goes on"):
            begun = time.time_ns()
            wait_for(what, lambda b=begun: (k := kept(stack)) and all(k.get(i, 0) > b + 4 * 10**9 for i in ids), 12, law=True)
            if stack.child("meter")["pid"] == meter:
                os.kill(meter, signal.SIGKILL)
                wait_for("another collector", lambda: stack.child("meter")["pid"] not in (0, meter), 10)
        assert stack.guest(uuid, f"write {1 << 20}")["ok"] and stack.guest(uuid, f"send {1 << 20}")["ok"]
        begun = time.time_ns()
        wait_for("a last look", lambda: all(kept(stack).get(i, 0) > begun for i in ids), 12, law=True)
    wait_for("the database", lambda: stack.ready(), 30)
    sampled_after(stack, uuid)
    after, its = usage(stack, uuid), stack.guest(uuid, "report")["total"]
    assert after["wr"] - before["wr"] == its["wr_bytes"] - mine["wr_bytes"], "disk bytes, exact"
    assert abs(after["tx"] - before["tx"] - (its["tx_bytes"] - mine["tx_bytes"])) <= 4096
    assert abs(after["vcpu_ns"] - before["vcpu_ns"] - (its["busy_ticks"] - mine["busy_ticks"]) * 10**7) < 10**9


def test_a_refused_row_blocks_no_other(stack):
    bad, db = stack.vms["shop1"], stack.vms["db1"]
    vm = stack.sql("select id from vm where uuid = %s", bad)[0][0]
    stack.sql(f"alter table usage_window add constraint planted check (resource_id <> {vm}) not valid")
    try:
        aside = wait_for("the row to be put aside", lambda: stack.sql(
            "select kind, line, error from meter_refused where key like %s", f"%/{vm}/%"), 20)
        assert aside[0][0] == "window" and "planted" in aside[0][2] and f"\t{vm}\t" in aside[0][1]
        sampled_after(stack, db)
        wait_for("the alarm", lambda: stack.sql(
            "select 1 from alarm where rule = 'meter.row.refused' and cleared_at is null"), 10)
        assert "refused" in stack.child("meter")["status"]
    finally:
        stack.sql("alter table usage_window drop constraint planted")


# ---- which run it is

def test_ids_that_begin_anew_are_another_run(stack):
    """libvirtd that is restarted with guests keeps their ids and our epochs; without guests its ids
    begin at 1 again: a run with an old id and higher counters is counted whole."""
    uuid = stack.vms["web1"]
    sampled_after(stack, uuid)

    def rows():
        return stack.sql("""select w.epoch, w.raw_cpu_ns, w.resets from usage_window w join vm v on v.id = w.resource_id
            where v.uuid = %s order by through desc limit 1""", uuid)[0]
    epoch = rows()[0]
    os.kill(stack.child("libvirtd")["pid"], signal.SIGKILL)
    wait_for("the host", lambda: stack.sql("select bool_and(state = 'Up') from host where removed is null")[0][0], 40)
    sampled_after(stack, uuid)
    assert rows()[0] == epoch and rows()[2] == 0
    names = {n: stack.sql("select instance_name from vm where uuid = %s", u)[0][0] for n, u in stack.vms.items()}
    for name in stack.vms:
        stack.jeoul("vm", "stop", name, "--forced", "true")
    before = usage(stack, uuid)
    assert not stack.virsh("list", "--name").strip()
    os.kill(stack.child("libvirtd")["pid"], signal.SIGKILL)
    wait_for("the host", lambda: stack.sql("select bool_and(state = 'Up') from host where removed is null")[0][0], 40)
    for name in stack.vms:
        wait_for(f"the start of {name}", lambda n=name: stack.jeoul("vm", "start", n, check=False).returncode == 0, 40)
    assert stack.virsh("domid", names["web1"]).strip() == epoch.split("/")[1], "the id of its first run"
    wait_for("the guest", lambda: stack.guest(uuid, "send 1", 60, 3)["ok"], 60)
    assert stack.guest(uuid, "cpu 3")["ok"]
    sampled_after(stack, uuid)
    last = rows()
    assert last[0] != epoch
    assert usage(stack, uuid)["cpu_ns"] - before["cpu_ns"] == last[1], "all that the new run has used"


# ---- hosts

def test_what_is_made_up_says_so_and_a_hung_host_delays_itself_alone(stack):
    stack.jeoul("host", "add", "test:///default", "--name", "made-up")  # has one guest, called test
    try:
        wait_for("its guests", lambda: stack.sql("""select count(*) from usage_window w join vm v on v.id = w.vm_id
            where v.name = 'test'""")[0][0] >= 1, 30)
        assert stack.sql("""select w.simulated, count(*) from usage_window w join vm v on v.id = w.vm_id
            where v.name = 'test' group by 1""") == [(True, stack.sql("""select count(*) from usage_window w
            join vm v on v.id = w.vm_id where v.name = 'test'""")[0][0])]
        assert stack.sql("""select count(*) from usage_window w join vm v on v.id = w.vm_id
            where v.name <> 'test' and w.simulated""")[0][0] == 0
        uuid = stack.vms["web1"]
        sampled_after(stack, uuid)
        before, mine = usage(stack, uuid), stack.guest(uuid, "report")["total"]
        libvirtd = stack.child("libvirtd")["pid"]
        seen, start = [], time.monotonic()
        os.kill(libvirtd, signal.SIGSTOP)
        try:
            while time.monotonic() - start < 16:
                through = stack.sql("""select max(w.through) from usage_window w join vm v on v.id = w.vm_id
                    where v.name = 'test'""")[0][0]
                seen += [through] if seen[-1:] != [through] else []
                time.sleep(0.2)
            failing = stack.sql("""select c.error from host_contact c join host h on h.id = c.host_id
                where h.name <> 'made-up' and c.failing_since is not null""")
            assert failing and "no answer" in failing[0][0]
        finally:
            os.kill(libvirtd, signal.SIGCONT)
        worst = max((b - a).total_seconds() for a, b in zip(seen, seen[1:]))
        print(f"the other host's widest step while libvirtd hung: {worst:.1f} s")
        assert worst < 3.5
        sampled_after(stack, uuid)
        wait_for("the calls that hung", lambda: "hang" not in stack.child("meter")["status"], 30)
        after, its = usage(stack, uuid), stack.guest(uuid, "report")["total"]
        assert after["wr"] - before["wr"] == its["wr_bytes"] - mine["wr_bytes"]
        assert abs(after["vcpu_ns"] - before["vcpu_ns"] - (its["busy_ticks"] - mine["busy_ticks"]) * 10**7) < 10**9
        wait_for("the gap to be told", lambda: stack.sql("""select count(*) from meter_gap g
            where gap_to - gap_from > interval '10 s' and resource_id = (select id from vm where uuid = %s)""",
            uuid)[0][0] >= 1, 10)
    finally:
        stack.jeoul("host", "remove", "made-up")


def test_a_hosts_pools_networks_and_evidence(stack):
    rows = wait_for("evidence", lambda: stack.sql("""select e.sockets, e.cores, e.threads, e.sha256, e.capabilities
        from host_evidence e join host h on h.id = e.host_id where not h.simulated"""), 20)
    assert len(rows) == 1, "one row, since it says the same each time"
    # Also to a collector that has just begun, on a machine whose memory has grown meanwhile.
    stack.sql("update host_evidence set capabilities = regexp_replace(capabilities, 'KiB.>[0-9]+<', 'KiB''>77<', 'g')")
    assert "'KiB'>77<" in stack.sql("select capabilities from host_evidence")[0][0]
    since = stack.sql("select now()")[0][0]
    os.kill(stack.child("meter")["pid"], signal.SIGKILL)
    wait_for("a look at the host's pools", lambda: stack.sql("select count(*) = 0 from host_pool where seen < %s", since)[0][0], 90)
    assert stack.sql("select count(*) from host_evidence e join host h on h.id = e.host_id where not h.simulated")[0][0] == 1
    stack.sql("update host_evidence set capabilities = %s", rows[0][4])
    sockets, cores, threads, sha, xml = rows[0]
    assert hashlib.sha256(xml.encode()).hexdigest() == sha
    assert len(set(re.findall(r"socket_id='(\d+)'", xml))) == sockets and cores <= threads
    assert stack.sql("select sockets from host where not simulated and removed is null")[0][0] == sockets
    pools = {r[0]: r[1:] for r in stack.sql("""select p.name, p.state, p.capacity_bytes, p.available_bytes
        from host_pool p join host h on h.id = p.host_id where not h.simulated and h.removed is null""")}
    disk = os.statvfs(stack.state / "images")
    assert pools["jeoul"][0] == "running" and pools["jeoul"][1] == disk.f_blocks * disk.f_frsize
    cells = stack.sql("""select c.cell, c.memory_bytes, c.free_bytes from host_cell c join host h on h.id = c.host_id
        where not h.simulated and h.removed is null order by 1""")
    assert len(cells) == len(set(re.findall(r"<cell id='(\d+)'", xml))) > 0
    for cell, total, free in cells:
        said = pathlib.Path(f"/sys/devices/system/node/node{cell}/meminfo").read_text()
        said = int(re.search(r"MemTotal:\s+(\d+)", said)[1]) << 10
        assert abs(total - said) < said // 20 and 0 < free <= total, "memory of a machine may grow meanwhile"
    wait_for("the guests' leases", lambda: stack.sql("""select n.active, n.bridge, n.leases >= %s from host_network n
        join host h on h.id = n.host_id where n.name = 'default' and not h.simulated and h.removed is null""",
        len(stack.vms)) == [(True, "jeoulbr0", True)], 20)


def test_local_hours_of_zones_off_the_hour_are_known(stack):
    stack.jeoul("account", "create", "bharat", "--username", "bharat", "--password", "a long password",
                "--timezone", "Asia/Kolkata")
    account = str(stack.sql("select id from account where name = 'bharat'")[0][0])

    def lines():
        return [l.split("\t") for l in (stack.state / "spool/meter/inventory").read_text().splitlines()]
    wait_for("its zone", lambda: [l for l in lines() if l[0] == "a" and l[1] == account and l[2] == "Asia/Kolkata"], 15)
    assert [l for l in lines() if l[0] == "z" and l[1] == "Asia/Kolkata" and l[3] == "1800"], "at +05:30 hours begin at :30"
    assert not [l for l in lines() if l[0] == "a" and l[2] in ("UTC", "Europe/Madrid")], "others need no line"


# ---- graphs

def graph(stack, kind, uuid, *more, seconds=300):
    now = int(time.time())
    stack.sql("select pg_notify('jeoul_graph', %s)", str(uuid))
    return run(BIN / "jeoul-graph", stack.state / "rrd", kind, uuid, now - seconds, now, 1, *more, check=False)


def test_graphs_through_rrdcached():
    """The setting meter.rrdcached: values wait in the daemon and are in the file when somebody looks."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="jeoul-rrdcached-", dir="/tmp"))
    folder.chmod(0o755)
    sock = folder / "sock"
    daemon = subprocess.Popen(["rrdcached", "-g", "-m", "0666", "-l", f"unix:{sock}", "-p", folder / "pid",
                               "-w", "3600", "-f", "7200"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    s = Stack(**{"meter.step": "1s", "meter.guarded_step": "2s", "meter.rrdcached": f"unix:{sock}"})

    def stats():
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(str(sock))
            link.sendall(b"STATS\n")
            answer = b""
            while answer.count(b"\n") < 1 + int(answer.split(b" ")[0] or 0) or not answer:
                answer += link.recv(65536)
        return {k: int(v) for k, v in (l.split(": ") for l in answer.decode().splitlines()[1:])}
    try:
        wait_for("rrdcached", sock.exists, 10)
        s.start()
        host = wait_for("a host", lambda: s.sql("select uuid from host where state = 'Up' and not simulated"), 60)[0][0]

        def points():
            done = graph(s, "host", host)
            if done.returncode:
                return 0
            return sum(v is not None for v in json.loads(done.stdout)["series"]["mem_total"])
        wait_for("points of the graph", lambda: points() >= 8, 40)
        count = stats()
        assert count["UpdatesReceived"] >= 8 and count["FlushesReceived"] >= 1
        path = next((s.state / "rrd/v2/host").glob(f"*/{host}.rrd"))
        before = points()
        # It goes away: nothing but graphs waits, and what was gathered meanwhile comes after.
        daemon.send_signal(signal.SIGKILL)
        daemon.wait(10)
        sock.unlink()
        last = int(run("rrdtool", "last", path).stdout)
        wait_for("some steps without it", lambda: time.time() > last + 12, 20)
        daemon = subprocess.Popen(["rrdcached", "-g", "-m", "0666", "-l", f"unix:{sock}", "-p", folder / "pid2",
                                   "-w", "3600", "-f", "7200"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("rrdcached", sock.exists, 10)
        wait_for("all its points", lambda: points() >= before + 10, 30)
        assert "rrdcached takes values again" in (s.state / "log/jeould.log").read_text()
    finally:
        s.remove()
        daemon.kill()
        daemon.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def test_graphs_and_pictures_of_guests(stack):
    uuid = stack.vms["web1"]
    os.kill(stack.child("meter")["pid"], signal.SIGKILL)  # what it had gathered is drawn by the next one
    wait_for("the collector", stack.ready, 20)
    sampled_after(stack, uuid)

    def columns():
        done = graph(stack, "vm", uuid)
        return json.loads(done.stdout)["series"] if done.returncode == 0 else {}
    found = wait_for("the columns", lambda: (c := columns()) and all(
        any(v is not None for v in c.get(n, ())) for n in ("up", "cpu", "mem", "rx", "rd", "phys", "mem_rss")) and c, 40)
    assert max(v for v in found["mem"] if v is not None) == 96 << 20
    assert 0 < max(v for v in found["cpu"] if v is not None) <= 110
    for kind, begin in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        now = int(time.time())
        picture = subprocess.run([BIN / "jeoul-graph", stack.state / "rrd", "vm", uuid, str(now - 300), str(now), "1",
                                  kind, "cpu", "500", "150", "web1"], capture_output=True, timeout=30)
        assert picture.returncode == 0 and picture.stdout.startswith(begin) and len(picture.stdout) > 1000


def test_perf_counters_where_they_are_on(stack):
    uuid = stack.vms["db1"]
    name = stack.sql("select instance_name from vm where uuid = %s", uuid)[0][0]
    events = ("page_faults", "context_switches")
    try:
        for event in events:
            stack.virsh("perf", name, "--live", "--enable", event)
    except AssertionError as refused:
        pytest.skip(f"this machine counts nothing of a process: {str(refused).strip()[-80:]}")

    def columns():
        done = graph(stack, "vm", uuid)
        return json.loads(done.stdout)["series"] if done.returncode == 0 else {}
    wait_for("the columns", lambda: any(columns().get("page_faults", ())) or any(columns().get("switches", ())), 40)
    for event in events:
        stack.virsh("perf", name, "--live", "--disable", event)


# ---- what happens between two steps

def test_events_make_a_sample():
    """With steps of a minute: a balloon, a stop by us and a stop by the guest itself are seen when they happen."""
    s = Stack(**{"meter.step": "60s", "meter.guarded_step": "60s"})
    try:
        s.start()
        run(BIN / "jeoul-first-admin", env=s.env)
        vms = s.demo(("ours", "its"))
        names = {n: s.sql("select instance_name from vm where uuid = %s", u)[0][0] for n, u in vms.items()}

        def memory(uuid):
            return s.sql("""select w.memory_bytes, w.through from usage_window w join vm v on v.id = w.resource_id
                where v.uuid = %s order by through desc limit 1""", uuid)
        wait_for("first samples", lambda: all(memory(u) for u in vms.values()), 70)
        s.virsh("setmem", names["ours"], "92160", "--live")
        begun = time.monotonic()
        wait_for("the balloon", lambda: memory(vms["ours"])[0][0] < 96 << 20, 20)
        print(f"the balloon was seen after {time.monotonic() - begun:.1f} s")

        def final(name, stop):
            assert s.guest(vms[name], f"write {3 << 20}")["ok"] and s.guest(vms[name], f"send {1 << 20}")["ok"]
            its = s.guest(vms[name], "report")["total"]
            stop()
            wait_for("the stop", lambda: s.sql("select state from vm where uuid = %s", vms[name])[0][0] == "Stopped", 40)
            wait_for("its last row", lambda: usage(s, vms[name])["tx"] > 0, 5)
            mine = usage(s, vms[name])
            return its["wr_bytes"] - mine["wr"], its["tx_bytes"] - mine["tx"]
        disk, net = final("ours", lambda: s.jeoul("vm", "stop", "ours", "--forced", "true"))
        assert disk == 0 and abs(net) <= 4096, "a stop by us loses nothing"
        disk, net = final("its", lambda: s.virsh("shutdown", names["its"]))
        print(f"a guest that ends by itself: {disk} bytes of disk and {net} of network after the last look")
    finally:
        s.remove()
