"""The collector over real guests: cards, disks, hung guests, hosts that go away."""
import contextlib
import os
import pathlib
import signal
import sqlite3
import time

from conftest import BIN, TOP, Stack, run, wait_for
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

def test_a_stopped_guest_delays_itself_alone():
    """SIGSTOP one of four for two minutes, at the steps that are shipped."""
    s = Stack(**{"alarm.host_after": "30s"})
    try:
        s.start()
        run(BIN / "jeoul-first-admin", env=s.env)
        vms = s.demo(("one", "two", "three", "four"))
        names = {n: s.sql("select instance_name from vm where uuid = %s", u)[0][0] for n, u in vms.items()}
        for uuid in vms.values():
            wait_for("samples of its disk", lambda u=uuid: s.sql("""select 1 from usage_window w join vm v
                on v.id = w.vm_id where v.uuid = %s and w.resource_kind = 'volume'""", u), 70)
        assert s.guest(vms["two"], f"write {1 << 20}")["ok"]
        pid = int((s.state / f"libvirt/run/qemu/{names['two']}.pid").read_text())
        seen = {uuid: [] for uuid in vms.values()}
        slowest, alarm, disks, start = 0, None, {}, time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        try:
            while time.monotonic() - start < 120:
                for uuid, kind, through in s.sql("""select v.uuid, w.resource_kind, max(w.through) from usage_window w
                        join vm v on v.id = w.vm_id where resource_kind <> 'nic' group by 1, 2"""):
                    if kind == "vm" and seen[uuid][-1:] != [through]:
                        seen[uuid].append(through)
                    if kind == "volume":
                        disks.setdefault(uuid, set()).add(through)
                if alarm is None and s.sql("""select 1 from alarm where rule = 'vm.monitor.blocked'
                        and object_name = %s and cleared_at is null""", vms["two"]):
                    alarm = time.monotonic() - start
                begun = time.monotonic()
                run("timeout", "5", "virsh", "-q", "-c",
                    f"qemu+unix:///system?socket={s.state}/libvirt/run/libvirt-sock", "dominfo", names["three"])
                slowest = max(slowest, time.monotonic() - begun)
                time.sleep(0.5)
        finally:
            os.kill(pid, signal.SIGCONT)
        worst = max((b - a).total_seconds() for list_ in seen.values() for a, b in zip(list_, list_[1:]))
        print(f"alarm after {alarm:.1f} s; slowest answer of libvirtd {slowest:.2f} s; widest step between two "
              f"samples of a guest {worst:.1f} s; samples {[len(x) for x in seen.values()]}")
        assert alarm is not None and alarm <= 15
        assert slowest < 2
        assert worst < 15 and min(len(x) for x in seen.values()) >= 12, "no fast sample is missed, not even its own"
        assert min(len(disks[u]) for n, u in vms.items() if n != "two") >= 2, "the others' disks go on"
        assert len(disks[vms["two"]]) == 1, "no answer is never zero"
        wait_for("the end of the alarm", lambda: s.sql("""select 1 from alarm where rule = 'vm.monitor.blocked'
            and object_name = %s and cleared_at is not null""", vms["two"]), 15)
        wait_for("its disk to catch up", lambda: s.sql("""select max(w.through) > now() - interval '20 s'
            from usage_window w join vm v on v.id = w.vm_id where v.uuid = %s
            and w.resource_kind = 'volume'""", vms["two"])[0][0], 20)
        its = s.guest(vms["two"], "report")["total"]["wr_bytes"]
        wait_for("its bytes", lambda: s.sql("""select sum(disk_write_bytes) from usage_window w
            join vm v on v.id = w.vm_id where v.uuid = %s""", vms["two"])[0][0] == its, 70)
    finally:
        s.remove()


class Frozen:
    """All processes of the private cluster stand still."""

    def __init__(self, stack):
        top = stack.child("postgres")["pid"]
        children = pathlib.Path(f"/proc/{top}/task/{top}/children").read_text().split()
        self.pids = [top] + [int(p) for p in children]

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)
        return self

    def __exit__(self, *unused):
        for pid in reversed(self.pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


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
    with Frozen(stack):
        for what in ("the collector goes on", "a new one goes on"):
            begun = time.time_ns()
            wait_for(what, lambda b=begun: (k := kept(stack)) and all(k.get(i, 0) > b + 4 * 10**9 for i in ids), 12)
            if stack.child("meter")["pid"] == meter:
                os.kill(meter, signal.SIGKILL)
                wait_for("another collector", lambda: stack.child("meter")["pid"] not in (0, meter), 10)
        assert stack.guest(uuid, f"write {1 << 20}")["ok"] and stack.guest(uuid, f"send {1 << 20}")["ok"]
        begun = time.time_ns()
        wait_for("a last look", lambda: all(kept(stack).get(i, 0) > begun for i in ids), 12)
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
