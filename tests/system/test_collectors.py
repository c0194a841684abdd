# SPDX-License-Identifier: Apache-2.0
"""Collectors side by side over one database: shares, deaths, stops, an outage whose rows come late.

The database, the collectors and what becomes of them are real; hosts and guests are libvirt's test driver's
(crowd.py), simulated and marked so: their CPU time is the wall clock, so what is counted twice or not shows to
the nanosecond.  The same with all kinds of counters and a thousand fates is tests/sim (together.py)."""
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import crowd
from conftest import BIN, Stack, run, wait_for
from test_outage import no_database

HOSTS, PER_HOST = 6, 4
TAKE_OVER_S = 15


class Collector:
    """A jeoul-meter alone, as on another machine: a state folder of its own and the same database."""

    def __init__(self, stack, name):
        self.stack, self.name, self.process = stack, name, None
        self.state = tempfile.mkdtemp(prefix=f"jeoul-{name}-", dir="/tmp")
        for folder in ("spool/meter", "rrd", "log"):
            os.makedirs(f"{self.state}/{folder}", exist_ok=True)

    def start(self):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("JEOUL_")}
        with open(f"{self.state}/log/meter.log", "ab") as log:
            self.process = subprocess.Popen(
                [BIN / "jeoul-meter", "--set", f"state={self.state}", "--set", f"meter.name={self.name}",
                 "--set", "meter.step=1s", "--set", "database.url=postgresql://jeoul_meter@/jeoul?host=" + str(self.stack.state / "pg")],
                env=clean, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def send(self, number):
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()
            self.process = None

    def log(self):
        with open(f"{self.state}/log/meter.log", encoding="utf-8") as f:
            return f.read()

    def remove(self):
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.send(signal.SIGCONT)
            self.send(signal.SIGKILL)
        shutil.rmtree(self.state, ignore_errors=True)


@pytest.fixture(scope="module")
def house():
    s = Stack("none", **{"meter.step": "1s", "meter.name": "one"})
    others = {name: Collector(s, name) for name in ("two", "three")}
    s.held = []
    try:
        s.start()
        run(BIN / "jeoul-first-admin", env=s.env)
        s.held = [s.child(name)["pid"] for name in ("provision", "billing")]
        for pid in s.held:
            os.kill(pid, signal.SIGSTOP)
        crowd.plant(s, HOSTS, PER_HOST)
        s.two, s.three = others["two"], others["three"]
        yield s
    finally:
        for c in others.values():
            print(c.log())
            c.remove()
        for pid in s.held:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        s.remove()


def shares(house):
    return dict(house.sql("""select c.name, count(l.host_id) from collector c left join host_lease l on l.turn = c.turn
        where not c.lost group by 1"""))


def hosts_of(house, name):
    return {r[0] for r in house.sql("""select l.host_id from host_lease l join collector c on c.turn = l.turn
        where c.name = %s""", name)}


def sampled(house, hosts=None):
    """Of each host the oldest of its guests' newest samples, in s."""
    rows = house.sql("""select v.host_id, min(w.t) from vm v join lateral (select extract(epoch from max(through)) as t
        from usage_window w where w.resource_id = v.id) w on true where v.removed is null and v.state = 'Running' group by 1""")
    return {h: float(t or 0) for h, t in rows if hosts is None or h in hosts}


def all_since(house, when, hosts=None):
    found = sampled(house, hosts)
    return len(found) == (HOSTS if hosts is None else len(hosts)) and min(found.values()) > when


def assert_exact(house):
    """Each counter is counted once, from where the first row began to where the last one ends."""
    rows = house.sql("""select resource_id, sum(cpu_ns)::bigint, max(raw_cpu_ns),
        (array_agg(raw_cpu_ns - cpu_ns order by through))[1] from usage_window group by 1""")
    assert len(rows) == HOSTS * PER_HOST
    for rid, counted, shown, begun in rows:
        assert counted == shown - begun, f"resource {rid}: {counted - (shown - begun)} ns too many"
    assert house.check("window_counters", "window_overlap", "window_bounds", "collector_hosts") == []
    assert house.sql("select count(*) from meter_refused")[0][0] == 0


def taken_over(house, hosts, since):
    """How long nobody sampled them, at most, after that."""
    wait_for("the take-over", lambda: all_since(house, since + 0.5, hosts), TAKE_OVER_S + 10)
    return max(float(t) for (t,) in house.sql("""select min(extract(epoch from w.window_from)) - %s from usage_window w
        join vm v on v.id = w.resource_id where v.host_id = any(%s) and w.window_from > to_timestamp(%s) group by v.id""",
        since, list(hosts), since))


def test_a_host_that_is_taken_out_costs_no_other_its_collector(house):
    wait_for("all guests", lambda: all_since(house, 1), 30)
    crowd.plant(house, 1, 0, HOSTS)
    wait_for("one more host", lambda: shares(house) == {"one": HOSTS + 1}, 20)
    house.sql("""with h as (update host set removed = now(), state = 'Removed' where name = %s returning id),
        y as (update host_history set valid_to = now() where host_id in (select id from h))
        update lifetime set valid_to = now(), close_reason = 'removed' where kind = 'host' and resource_id in (select id from h)""",
              f"made-up-{HOSTS}")
    wait_for("the lease to go", lambda: shares(house) == {"one": HOSTS}, 20)
    alive = "select seen from collector where name = 'one'"
    for _ in range(3):  # signs of life, each of which may give hosts away
        last = house.sql(alive)
        wait_for("a sign of life", lambda t=last: house.sql(alive) != t, 20)
    assert shares(house) == {"one": HOSTS}
    wait_for("all guests", lambda t=time.time(): all_since(house, t), 30)


def test_two_share_the_hosts_and_a_third_takes_its_part(house):
    assert shares(house) == {"one": HOSTS}
    house.two.start()
    wait_for("half of the hosts", lambda: shares(house) == {"one": 3, "two": 3}, 30)
    mine = hosts_of(house, "one")
    house.three.start()
    wait_for("a third of the hosts", lambda: shares(house) == {"one": 2, "two": 2, "three": 2}, 30)
    assert hosts_of(house, "one") < mine, "few hosts move"
    wait_for("all guests", lambda t=time.time(): all_since(house, t), 30)
    assert_exact(house)
    widest = house.sql("select max(gap_to - gap_from) from meter_gap")[0][0]
    print(f"widest gap of a host that changed hands: {widest}")
    assert not widest or widest.total_seconds() < TAKE_OVER_S


def test_one_that_is_killed_is_replaced_within_15_s(house):
    hosts = hosts_of(house, "three")
    at = time.time()
    house.three.send(signal.SIGKILL)
    took = taken_over(house, hosts, at)
    print(f"killed: its hosts were sampled again after {took:.1f} s")
    assert took < TAKE_OVER_S
    wait_for("even shares", lambda: shares(house) == {"one": 3, "two": 3}, 20)
    assert_exact(house)


def test_one_that_is_stopped_past_its_lease_counts_nothing_twice(house):
    hosts = hosts_of(house, "two")
    turn = house.sql("select turn from collector where name = 'two'")[0][0]
    at = time.time()
    house.two.send(signal.SIGSTOP)
    took = taken_over(house, hosts, at)
    print(f"stopped: its hosts were sampled again after {took:.1f} s")
    assert took < TAKE_OVER_S
    assert shares(house) == {"one": HOSTS}
    before = house.sql("select count(*), max(through) from usage_window where turn = %s", turn)
    house.two.send(signal.SIGCONT)
    wait_for("its part of the hosts", lambda: shares(house) == {"one": 3, "two": 3}, 30)
    assert house.sql("select turn from collector where name = 'two'")[0][0] != turn
    assert house.sql("select count(*), max(through) from usage_window where turn = %s", turn) == before
    wait_for("all guests", lambda t=time.time(): all_since(house, t), 30)
    assert_exact(house)


def test_rows_of_an_outage_that_come_late_count_once_and_the_end_of_a_run_is_not_lost(house):
    """Both go on without the database.  One dies then; when the database is back the other takes its hosts, and a
    guest of it has ended meanwhile.  What only the dead one's disk knows comes when it comes back."""
    hosts = hosts_of(house, "two")
    gone = house.sql("select id from vm where host_id = %s order by id", min(hosts))[0][0]
    with no_database(house):
        at = time.time()
        wait_for("some seconds of the outage", lambda: time.time() > at + 5, 10)
        ended = time.time()
        house.two.send(signal.SIGKILL)
    wait_for("the database", house.ready, 60)
    house.sql("""update lifetime set valid_to = to_timestamp(%s), close_reason = 'stopped'
        where resource_id = %s and kind = 'running' and valid_to is null""", ended, gone)
    house.sql("""with v as (update vm set state = 'Stopped', held_host_id = null, held_vcpus = 0, held_memory = 0 where id = %s returning host_id)
        update host set vcpus_used = vcpus_used - 2, memory_used = memory_used - 1073741824 where id = (select host_id from v)""", gone)
    wait_for("the take-over", lambda: all_since(house, ended + 1), 40)
    assert house.sql("select max(extract(epoch from through)) from usage_window where resource_id = %s", gone)[0][0] < ended - 3
    assert_exact(house)
    house.two.start()
    wait_for("even shares", lambda: shares(house) == {"one": 3, "two": 3}, 30)
    wait_for("the last part of the guest that ended", lambda: house.sql(
        "select max(extract(epoch from through)) from usage_window where resource_id = %s", gone)[0][0] > ended - 3, 80)
    wait_for("all guests", lambda t=time.time(): all_since(house, t), 30)
    assert_exact(house)
    assert "had counted too" in house.two.log()
