"""Hosts: what may be promised, who may go where and why not, maintenance, what a host was like."""
import concurrent.futures
import contextlib
import json

import psycopg2
import pytest

from cloud import Cloud
from conftest import run, wait_for


@pytest.fixture(scope="module")
def cloud():
    c = Cloud(**{"provision.stop_grace": "2s", "provision.expunge_after": "1s"})
    try:
        c.begin()
        c.first = c.jeoul("host", "list")[0]
        c.second = c.host("h2")
        yield c
    finally:
        c.remove()


@pytest.fixture(autouse=True)
def empty(cloud):
    """Each test leaves no VM behind."""
    yield
    for v in cloud.jeoul("vm", "list"):
        wait_for("its job", lambda v=v: cloud.sql(
            "select count(*) from job where object_uuid = %s and state in ('pending', 'running')", v["id"])[0][0] == 0, 60)
        cloud.jeoul("vm", "destroy", v["id"], "--expunge", "true")


def host_of(cloud, uuid):
    return cloud.sql("select h.name from vm v join host h on h.id = v.host_id where v.uuid = %s", uuid)[0][0]


def room(cloud, host, mib):
    """Leaves the host that much memory to promise."""
    total = cloud.sql("select memory_bytes >> 20 from host where uuid = %s", host)[0][0]
    cloud.jeoul("host", "update", host, "--reservedmemory", total - mib)


def refused(cloud, name, *words):
    done = cloud.jeoul("vm", "create", name, "--account", "acme", "--offering", "tiny", "--template", "empty", *words, check=False)
    assert done.returncode != 0, done.stdout
    return done.stderr


def test_memory_is_promised_once_and_the_refusal_says_why(cloud):
    room(cloud, cloud.first["id"], 200)
    room(cloud, cloud.second.id, 100)
    try:
        # Two tiny ones (96 MiB) on the first, one on the second, and no more.
        vms = [cloud.vm(f"fit{i}") for i in range(3)]
        assert sorted(host_of(cloud, u) for u in vms) == sorted([cloud.first["name"]] * 2 + ["h2"])
        why = refused(cloud, "toomuch")
        assert "no host has room for 1 virtual CPUs and 96 MiB of memory: 2 hosts: 2 without enough memory free" in why
        listed = cloud.jeoul("capacity", "list", "--type", "0")[0]
        assert int(listed["capacityallocated"]) == 3 * 96 << 20 and 300 <= int(listed["capacitytotal"]) >> 20 <= 301
        # What stops gives its room back; what starts takes it again, or is told.
        stopped = next(u for u in vms if host_of(cloud, u) == "h2")
        cloud.jeoul("vm", "stop", stopped, "--forced", "true")
        cloud.vm("heir")
        done = cloud.jeoul("vm", "start", stopped, check=False)
        assert done.returncode != 0 and "host h2, which has the disks of" in done.stderr and "has no room" in done.stderr
        # Memory may be overcommitted where the provider says so.
        cluster = cloud.jeoul("cluster", "list")[0]["id"]
        cloud.jeoul("cluster", "update", cluster, "--memoryovercommitratio", "1.5")
        cloud.jeoul("vm", "start", stopped)
        cloud.jeoul("cluster", "update", cluster, "--memoryovercommitratio", "1")
        assert cloud.check("provision_capacity") == []
        done = cloud.jeoul("cluster", "update", cluster, "--memoryovercommitratio", "0.5", check=False)
        assert done.returncode != 0 and "1 to 100" in done.stderr
    finally:
        for h in (cloud.first["id"], cloud.second.id):
            cloud.jeoul("host", "update", h, "--reservedmemory", "512")


def test_the_last_room_is_taken_once(cloud):
    """Sixteen deploys at once for four places: four run, twelve are told, no host is promised more than it has."""
    room(cloud, cloud.first["id"], 200)
    room(cloud, cloud.second.id, 200)
    try:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            done = list(pool.map(lambda i: cloud.jeoul(
                "vm", "create", f"race{i}", "--account", "acme", "--offering", "tiny", "--template", "empty", check=False).returncode,
                range(16)))
        assert done.count(0) == 4, done
        used = cloud.sql("select name, memory_used >> 20, memory_room >> 20 from host where removed is null order by 1")
        assert all(u == 192 and r == 200 for _, u, r in used), used
    finally:
        for h in (cloud.first["id"], cloud.second.id):
            cloud.jeoul("host", "update", h, "--reservedmemory", "512")


def test_strategies(cloud):
    def three(planner):
        uuids = []
        for i in range(3):
            uuids.append(cloud.vm(f"{planner}{i}", deploymentplanner=planner))
        hosts = [host_of(cloud, u) for u in uuids]
        for u in uuids:
            cloud.jeoul("vm", "destroy", u, "--expunge", "true")
        return hosts
    first, second = cloud.first["name"], "h2"
    assert three("firstfit") == [first] * 3
    assert len(set(three("pack"))) == 1
    assert len(set(three("spread")[:2])) == 2
    assert len(set(three("simple")[:2])) == 2
    assert set(three("filter")) == {first, second}


def test_tags_of_hosts_and_offerings(cloud):
    cloud.jeoul("offering", "create", "fast", "--vcpus", "1", "--memory", "96", "--rootdisksize", "1", "--hosttags", "ssd")
    done = cloud.jeoul("vm", "create", "x", "--account", "acme", "--offering", "fast", "--template", "empty", check=False)
    assert "2 hosts: 2 without the tags of the offering" in done.stderr
    cloud.jeoul("host", "update", "h2", "--hosttags", "big,ssd")
    uuid = cloud.jeoul("vm", "create", "x", "--account", "acme", "--offering", "fast", "--template", "empty")["id"]
    assert host_of(cloud, uuid) == "h2"
    cloud.jeoul("host", "update", "h2", "--hosttags", " ")
    assert "hosttags" not in cloud.jeoul("host", "list", "--name", "h2")[0]


def test_dedication(cloud):
    cloud.jeoul("account", "create", "other", "--username", "other", "--password", "a long password")
    cloud.jeoul("host", "dedicate", "h2", "--account", "other")
    cluster = cloud.jeoul("cluster", "list")[0]["id"]
    try:
        assert cloud.jeoul("host", "list", "--name", "h2")[0]["dedicatedaccount"] == "other"
        assert [host_of(cloud, cloud.vm(f"d{i}")) for i in range(3)] == [cloud.first["name"]] * 3
        mine = cloud.jeoul("vm", "create", "mine", "--account", "other", "--offering", "tiny", "--template", "empty",
                           "--deploymentplanner", "spread", "--host", "h2")["id"]
        assert host_of(cloud, mine) == "h2"
        cloud.jeoul("host", "release", "h2")
        run_as = cloud.jeoul("account", "list", "--name", "other")[0]
        assert run_as
        cloud.sql("update cluster set dedicated_account = (select id from account where name = 'other') where uuid = %s", cluster)
        assert "2 hosts: 2 dedicated to others" in refused(cloud, "none")
    finally:
        cloud.sql("update cluster set dedicated_account = null")
        cloud.jeoul("host", "release", "h2")


def test_affinity(cloud):
    apart = cloud.jeoul("affinity", "create", "apart", "--type", "host anti-affinity", "--account", "acme")
    near = cloud.jeoul("affinity", "create", "near", "--type", "host affinity", "--account", "acme")
    a = cloud.vm("a", affinitygroupids=apart["id"])
    b = cloud.vm("b", affinitygroupnames="apart")
    assert host_of(cloud, a) != host_of(cloud, b)
    assert "2 hosts: 2 against its affinity groups" in refused(cloud, "c", "--affinitygroupids", apart["id"])
    n = [cloud.vm(f"n{i}", affinitygroupids=near["id"]) for i in range(3)]
    assert len({host_of(cloud, u) for u in n}) == 1
    shown = cloud.jeoul("vm", "list", "--name", "a")[0]["affinitygroup"]
    assert [g["name"] for g in shown] == ["apart"]
    listed = cloud.jeoul("affinity", "list", "--name", "apart")[0]
    assert sorted(listed["virtualmachineIds"]) == sorted([a, b])
    for u in (a, b):
        cloud.jeoul("vm", "destroy", u, "--expunge", "true")
    # Eight at once that keep apart, two hosts: two of them run, and not on one host.
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda i: cloud.jeoul(
            "vm", "create", f"race{i}", "--account", "acme", "--offering", "tiny", "--template", "empty",
            "--affinitygroupids", apart["id"], check=False).returncode, range(8)))
    assert done.count(0) == 2, done
    hosts = cloud.sql("select host_id from vm where removed is null and name like 'race%%' and state = 'Running'")
    assert len({h for h, in hosts}) == 2
    for g in (apart, near):
        cloud.jeoul("affinity", "delete", g["id"])


def test_disabled_and_maintained_hosts_get_nothing_new(cloud):
    cloud.jeoul("host", "update", "h2", "--allocationstate", "Disable")
    assert [host_of(cloud, cloud.vm(f"d{i}")) for i in range(2)] == [cloud.first["name"]] * 2
    cloud.jeoul("host", "update", "h2", "--allocationstate", "Enable")
    h = cloud.jeoul("host", "maintain", "h2")
    assert h["resourcestate"] == "Maintenance"
    assert [host_of(cloud, cloud.vm(f"m{i}")) for i in range(2)] == [cloud.first["name"]] * 2
    h = cloud.jeoul("host", "resume", "h2")
    assert h["resourcestate"] == "Enabled"
    assert host_of(cloud, cloud.vm("back")) == "h2"


def test_inventory_tree(cloud):
    cloud.jeoul("zone", "create", "zone2")
    pod = cloud.jeoul("pod", "list", "--zone", "zone2")[0]
    c = cloud.jeoul("cluster", "add", "big", "--pod", pod["id"], "--cpuovercommitratio", "4")[0]
    assert c["cpuovercommitratio"] == "4.000" and c["zonename"] == "zone2"
    third = cloud.jeoul("host", "add", "test:///default", "--name", "sim", "--cluster", c["id"], "--hosttags", "toy")[0]
    assert third["zonename"] == "zone2" and third["clustername"] == "big" and third["hosttags"] == "toy"
    assert third["vcpusallocatable"] == third["cpunumber"] * 4
    done = cloud.jeoul("cluster", "delete", c["id"], check=False)
    assert done.returncode != 0 and "it has hosts" in done.stderr
    assert "1 elsewhere than asked for, 1 simulated" in refused(cloud, "x", "--cluster", c["id"]) or \
        "2 elsewhere than asked for, 1 simulated" in refused(cloud, "x", "--cluster", c["id"])
    cloud.jeoul("host", "remove", third["id"])
    cloud.jeoul("cluster", "delete", c["id"])
    for k in cloud.jeoul("cluster", "list", "--zone", "zone2"):
        cloud.jeoul("cluster", "delete", k["id"])
    cloud.jeoul("pod", "delete", pod["id"])


def test_what_is_adopted_while_its_host_is_removed_goes_with_it(cloud):
    brief = cloud.host("brief")
    (cloud.state / "found.xml").write_text("<domain type='qemu'><name>found</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>")
    waits = "select count(*) from pg_stat_activity where usename = 'jeoul_provision' and wait_event_type = 'Lock'"
    with contextlib.closing(psycopg2.connect(cloud.dsn("owner"))) as link, concurrent.futures.ThreadPoolExecutor(1) as pool:
        # Whoever adopts waits here: what is found belongs to that account first.
        link.cursor().execute("select 1 from account where name = 'unassigned' for update")
        brief.virsh("define", cloud.state / "found.xml")
        wait_for("an adoption", lambda: cloud.sql(waits)[0][0] == 1)
        removal = pool.submit(cloud.jeoul, "host", "remove", brief.id)
        wait_for("its removal", lambda: removal.done() or cloud.sql(waits)[0][0] == 2)
        link.rollback()
        removal.result(30)
    wait_for("the adoption", lambda: cloud.sql(waits)[0][0] == 0)
    assert cloud.check("vm_without_host") == []


def test_history_of_a_host(cloud):
    """Other facts, another row; the licence interval turns at the same instant."""
    rows = cloud.jeoul("host", "history", "h2")
    real = cloud.sql("select sockets, cores, memory_bytes, numa_cells from host where name = 'h2' and removed is null")[0]
    assert [(r["cpusockets"], r["cpucores"], r["memorytotal"], r["numacells"]) for r in rows] == [real]
    assert "enddate" not in rows[0] and len(rows[0]["capabilitieschecksum"]) == 64
    # As if the host had had one socket more until now.
    cloud.sql("update host set sockets = sockets + 1 where name = 'h2'")
    cloud.sql("update host_history set sockets = sockets + 1 where host_id = (select id from host where name = 'h2')")
    run("kill", "-9", str(cloud.child("provision")["pid"]))
    rows = wait_for("the facts to be read again", lambda: [r for r in [cloud.jeoul("host", "history", "h2")] if len(r) == 2], 30)[0]
    assert rows[0]["enddate"] == rows[1]["startdate"] and rows[1]["cpusockets"] == real[0]
    licence = cloud.sql("""select valid_from, valid_to, sockets from lifetime where kind = 'host' and resource_name = 'h2'
        order by valid_from""")
    assert licence[-1][1] is None and licence[-1][2] == real[0] and licence[-2][1] == licence[-1][0]
