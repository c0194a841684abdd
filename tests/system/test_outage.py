# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL is away while guests run on, and the collector is killed twice meanwhile: no total changes.

The whole program over libvirt's test driver: simulated guests, a real database, real deaths.  What a guest has
used is known without an undisturbed run beside it: its CPU time is the wall clock (crowd.py).  The same with all
rows to the byte, beside an undisturbed run, is tests/sim (sim.py outage)."""
import contextlib
import os
import signal
import time

import pytest

import crowd
from conftest import BIN, Stack, run, wait_for
from test_meter import kept

GUESTS = int(os.environ.get("OUTAGE_GUESTS", "500"))
AWAY_S = int(os.environ.get("OUTAGE_S", "20"))
STEP_S = 2 if GUESTS <= 1000 else 10


@pytest.fixture(scope="module")
def many():
    s = Stack("none", **{"meter.step": f"{STEP_S}s"})
    try:
        s.start()
        run(BIN / "jeoul-first-admin", env=s.env)
        s.held = [s.child(name)["pid"] for name in ("provision", "billing")]
        for pid in s.held:      # they would look for these hosts, and price their guests
            os.kill(pid, signal.SIGSTOP)
        yield s
    finally:
        for pid in s.held:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        s.remove()


@contextlib.contextmanager
def no_database(stack):
    """It crashes, and refuses to start again until the end: others may read its folder."""
    data = stack.state / "pg/data"
    data.chmod(0o755)
    os.kill(stack.child("postgres")["pid"], signal.SIGQUIT)
    try:
        yield
    finally:
        data.chmod(0o700)


def totals(stack):
    """Of each guest: what it used, its last counter, when that was read; ns."""
    return {rid: (int(used), int(raw), int(through)) for rid, used, raw, through in stack.sql("""
        select resource_id, sum(cpu_ns), (array_agg(raw_cpu_ns order by through desc))[1],
            extract(epoch from max(through)) * 1000000000
        from usage_window where simulated group by 1""")}


def sampled_since(stack, when, count):
    def new():
        rows = totals(stack)
        return len(rows) == count and all(r[2] > when for r in rows.values()) and rows
    return new


def kill_collector(stack):
    pid = stack.child("meter")["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for("another collector", lambda: stack.child("meter")["pid"] not in (0, pid), 30)


def newest(stack, count):
    """When the last of all was sampled, as this machine's disk has it."""
    rows = kept(stack)
    return min(rows.values()) if len(rows) == count else 0


def test_an_outage_changes_no_total(many):
    count = crowd.plant(many, GUESTS // crowd.PER_HOST)
    before = wait_for("all guests", sampled_since(many, time.time_ns(), count), 120)
    begun = time.monotonic()
    with no_database(many):
        for n in (1, 2):
            at = time.time_ns()
            wait_for("all to be sampled meanwhile", lambda t=at: newest(many, count) > t, 60)
            wait_for("the next death", lambda n=n: time.monotonic() - begun >= AWAY_S * n / 3, AWAY_S)
            kill_collector(many)
        at = time.time_ns()
        wait_for("all to be sampled once more", lambda: newest(many, count) > at, 60)
        wait_for("the end of the outage", lambda: time.monotonic() - begun >= AWAY_S, AWAY_S)
    wait_for("the database", many.ready, 60)
    after = wait_for("the rows", sampled_since(many, time.time_ns(), count), 60)
    for key, (used, raw, through) in after.items():
        assert used - before[key][0] == raw - before[key][1], f"{key}: what its counter shows, to the nanosecond"
        assert abs(raw - through) < 2 * 10**9, f"{key}: and that is the clock"
    assert many.sql("select count(*) from usage_window where resets > 0")[0][0] == 0
    assert many.sql("select count(*) from usage_window where not simulated")[0][0] == 0, "made up, and it says so"
    widest, gaps = many.sql("select max(gap_to - gap_from), count(*) from meter_gap")[0]
    samples = many.sql("select min(n), max(n) from (select sum(samples) n from usage_window group by resource_id) x")[0]
    print(f"\n{GUESTS} simulated guests, database away for {time.monotonic() - begun:.0f} s, two deaths: {count} totals exact; "
          f"{samples[0]} to {samples[1]} samples each, {gaps} gaps, the widest {widest}")
    assert not widest or widest.total_seconds() < 15, "a death costs samples for moments only"
