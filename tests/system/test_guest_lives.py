"""Real guests are started, stopped, resized, moved, saved, restored and crashed, in any order.

Each is compared with its own account of what it did, with the host's scheduler and with libvirt's
events.  GUEST_LIVES=30 makes as many (`make soak`), GUEST_SEED=N begins with another."""
import concurrent.futures
import json
import os
from fractions import Fraction

import pytest

from cloud import Cloud, Host
from conftest import BIN, TOP, run, wait_for
from guest_life import DISK, LINK, Events, Life, move
from test_meter import foreign, graph
from test_slice import sampled_after, usage

LIVES = int(os.environ.get("GUEST_LIVES", "3"))
SEED = int(os.environ.get("GUEST_SEED", "1"))
DEEDS = 5 if LIVES <= 4 else 10


@pytest.fixture(scope="module")
def cloud():
    c = Cloud(**{"provision.stop_grace": "10s"})
    events = None
    try:
        c.begin()
        run(BIN / "jeoul", "tariff", "import", TOP / "billing/presets/small-hoster.json", env=c.env)
        c.jeoul("tariff", "assign", "small-hoster", "--account", "acme")
        for n, memory in ((1, 96), (2, 224)):
            c.jeoul("offering", "create", f"life{n}", "--vcpus", n, "--memory", memory, "--rootdisksize", "1")
        c.places = {"vm": f"qemu+unix:///system?socket={c.state}/libvirt/run/libvirt-sock"}
        c.first = c.jeoul("host", "list")[0]["id"]
        second = c.host("h2")
        c.places["h2"] = second.uri
        (c.state / "move").mkdir(mode=0o755)
        for h in (c.first, second.id):
            c.jeoul("host", "update", h, "--migrateuri", f"unix://{c.state}/move")
        c.jeoul("host", "update", c.first, "--name", "vm")
        events = Events(c.state, c.places)
        c.events = events
        yield c
    finally:
        if events:
            events.close()
        c.remove()


def test_whatever_is_done_to_guests_they_are_metered_right(cloud):
    wrong, worst = [], 0

    def one(seed):
        life = Life(cloud, cloud.events, seed)
        life.live(DEEDS)
        return life
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for life in pool.map(one, range(SEED, SEED + LIVES)):
            found = life.compare()
            times, apart = life.compare_times()
            worst = max(worst, apart)
            print(f"{life.name}: {' '.join(life.story)}: {life.processes} processes, {life.boots} boots, its account "
                  f"{life.expect}, metered {life.metered_now}, lost at most {life.lost}; times apart {apart:.3f} s")
            wrong += [f"{life.name} ({' '.join(life.story)}): {w}" for w in found + times]
    assert not wrong, "\n".join(wrong)


def test_they_are_billed_for_their_lives(cloud):
    """Running time by size, to the millisecond."""
    shown = cloud.jeoul("bill", "preview", "--account", "acme")
    for name, seconds in cloud.sql("""select resource_name,
            sum(extract(epoch from least(valid_to, %s) - least(valid_from, %s)) * vcpus)::text
            from lifetime where kind = 'running' and resource_name like 'life%%' group by 1""", *[shown["as_of"]] * 2):
        line = next(l for l in shown["lines"] if l["sku"] == "vcpu" and l["resource"]["name"] == name)
        assert abs(Fraction(line["quantity"]) * 3600 - Fraction(seconds)) < Fraction(1, 1000), name


def test_no_graph_of_them_has_a_spike(cloud):
    most = {"cpu": 210, "rx": LINK, "tx": LINK, "rd": DISK, "wr": DISK, "up": 1}
    for name, uuid in cloud.sql("select name, uuid from vm where name like 'life%%'"):
        done = wait_for("its graph", lambda u=uuid: (d := graph(cloud, "vm", u, seconds=3600)).returncode == 0 and d or print(d.stderr), 20)
        shown = json.loads(done.stdout)["series"]
        for column, limit in most.items():
            values = [v for v in shown[column] if v is not None]
            assert values and 0 <= min(values) and max(values) <= limit, (name, column, max(values, default=None))


def test_a_guest_that_is_moved_behind_our_back_is_followed(cloud):
    """The one that others made keeps its number and its run; where nobody looks it has ended when it left."""
    uuid = "33333333-bbbb-4333-8444-555555555555"
    foreign(cloud, "nomad", uuid)
    number = cloud.sql("select id from vm where uuid = %s and removed is null", uuid)
    move(cloud.state, "nomad", cloud.places["vm"], cloud.places["h2"])
    wait_for("it to be known there", lambda: cloud.sql("""select 1 from vm v join host h on h.id = v.host_id
        where v.uuid = %s and h.name = 'h2' and v.state = 'Running'""", uuid), 20)
    sampled_after(cloud, uuid)
    assert cloud.sql("select id from vm where uuid = %s and removed is null", uuid) == number
    runs = [r[:4] for r in cloud.intervals(uuid, "running")]
    assert [r[3] for r in runs] == ["migrated", None] and runs[1][2] == "migrated" and runs[0][1] == runs[1][0]
    assert usage(cloud, uuid)["cpu_ns"] > 0
    abroad = Host(cloud, "abroad")
    try:
        begun = cloud.sql("select clock_timestamp()")[0][0]
        move(cloud.state, "nomad", cloud.places["h2"], abroad.uri)
        left = cloud.sql("select clock_timestamp()")[0][0]
        wait_for("its end here", lambda: not cloud.sql("select 1 from vm where uuid = %s and removed is null", uuid), 25)
        assert begun < cloud.intervals(uuid, "running")[-1][1] < left
        abroad.virsh("destroy", "nomad")
    finally:
        abroad.stop()
