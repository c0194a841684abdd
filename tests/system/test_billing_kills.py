# SPDX-License-Identifier: Apache-2.0
"""Raters and PostgreSQL are killed while accounts are rated and closed; the books are the same to the byte.

Two databases with the same past: in one a rater works undisturbed, in the other several work side by side
and one of them, or PostgreSQL, is killed again and again.  `make soak-billing` does it at full size.
"""
import os
import random
import signal
import subprocess
import time
from datetime import datetime

import psycopg2
import pytest

from billing_house import BIN, PLAIN, SEOUL, UTC, Site, database_start, environment, one, rows, state  # noqa: F401

ACCOUNTS = int(os.environ.get("BILLING_ACCOUNTS", "200"))
KILLS = int(os.environ.get("BILLING_KILLS", "30"))
DAYS = ("2024-02-03T00:00:00Z", "2024-03-03T12:00:00Z")  # January is closed, then February with late usage

# What must be alike: all that says money, without the numbers that sequences give.
BOOKS = {
    "statement": "select account_id, uuid, kind, series, year, number, name, period_from, period_to, issued_at, currency, "
                 "subtotal, tax, total, due, document, sha256 from statement order by series, year, number",
    "statement_line": "select l.account_id, s.uuid, l.line_no, l.for_period, l.document from statement_line l "
                      "join statement s on s.account_id = l.account_id and s.id = l.statement_id order by 1, 2, 3",
    "ledger_entry": "select * from ledger_entry order by account_id, posting_key",
    "billing_period": "select account_id, starts, ends, zone, tzdata, drawn_at, draft, settled, closed_at "
                      "from billing_period order by 1, 2",
    "accrual": "select a.account_id, a.period_from, a.line_key, a.quantity, a.exact, a.amount from accrual a "
               "join accrual_run r using (account_id, period_from, generation) "
               "join billing_period p on p.account_id = a.account_id and p.starts = a.period_from and p.closed_at is null "
               "order by 1, 2, 3",
}


def connect(state, name):
    link = psycopg2.connect(host=str(state / "pg"), user="jeoul_owner", dbname=name,
                            options="-c search_path=jeoul,public -c TimeZone=UTC")
    link.autocommit = True
    return link


def past_make(db):
    """ACCOUNTS accounts: VMs that came, were resized and went, a week of windows, cards and disks."""
    site = Site(db, 90, created=datetime(2024, 1, 20, tzinfo=UTC))
    berlin = site.account("berlin", "Europe/Berlin", PLAIN)
    seoul = site.account("seoul", "Asia/Seoul", SEOUL)
    rows(db, "update issuer set legal_name = 'Weighbridge'")
    rows(db, "update account set created = '2024-01-20Z'")
    rows(db, "insert into account (domain_id, uuid, name, timezone, created) select 1, md5('account' || n)::uuid, 'tenant' || n, "
         "case n %% 2 when 0 then 'Europe/Berlin' else 'Asia/Seoul' end, '2024-01-20Z' from generate_series(1, %s) n", ACCOUNTS)
    rows(db, "insert into account_tariff (account_id, valid_from, tariff_id) select a.id, '2020-01-01Z', t.tariff_id "
         "from account a join account_tariff t on t.account_id = case a.timezone when 'Europe/Berlin' then %s else %s end "
         "where a.name like 'tenant%%'", berlin, seoul)
    rows(db, "insert into vm (account_id, id, uuid, name, instance_name, vcpus, memory_bytes) select a.id, a.id * 100 + v, "
         "md5('vm' || a.id || '/' || v)::uuid, 'vm' || v, 'i-' || a.id || '-' || v, 1, 1 << 30 "
         "from account a, generate_series(1, 3) v where a.name like 'tenant%%'")
    rows(db, "insert into lifetime (account_id, resource_id, kind, valid_from, valid_to, resource_uuid, resource_name, vm_id, "
         "vcpus, memory_bytes, size_bytes, open_reason, recorded_at) select v.account_id, v.id + k.o, k.kind, k.f + (v.id %% 977) * "
         "interval '37.000211 seconds', k.t + (v.id %% 977) * interval '37.000211 seconds', v.uuid, v.name, v.id, k.vcpus, "
         "k.memory, k.size, 'test', '2024-01-22Z' from vm v, (values (0, 'running', '2024-01-22Z'::timestamptz, "
         "'2024-01-27T11:00Z'::timestamptz, 2, 1 << 30, null::bigint), (0, 'running', '2024-01-27T11:00Z', null, 4, 3 << 29, null), "
         "(50, 'volume', '2024-01-22Z', null, null, null, 10737418240)) k (o, kind, f, t, vcpus, memory, size)")
    rows(db, "insert into usage_window (account_id, resource_id, window_from, window_to, resource_kind, vm_id, through, epoch, "
         "vcpu_ns, disk_write_bytes, net_tx_bytes) select v.account_id, v.id + k.o, h, h + interval '6 hours', k.kind, v.id, "
         "h + interval '6 hours', 'e', case k.o when 0 then x else 0 end, case k.o when 50 then x else 0 end, "
         "case k.o when 60 then x else 0 end from vm v, (values (0, 'vm'), (50, 'volume'), (60, 'nic')) k (o, kind), "
         "generate_series('2024-01-28Z'::timestamptz, '2024-02-05Z', interval '6 hours') h, "
         "lateral (select abs(hashtext(v.id || k.kind || h))::bigint * (1 + v.id %% 7919) as x) y")


def usage_comes_late(db):
    """The same in both: some windows grow, some lives turn out to have ended earlier."""
    rows(db, "update usage_window set net_tx_bytes = net_tx_bytes + 1000000007 * (account_id %% 5) "
         "where resource_kind = 'nic' and window_from = '2024-01-29T06:00Z' and account_id %% 3 = 0")
    rows(db, "update lifetime set valid_to = '2024-01-30T01:02:03Z' where valid_to is null and kind = 'running' "
         "and account_id %% 4 = 0")


def books(db):
    return {name: [tuple(r) for r in rows(db, sql)] for name, sql in BOOKS.items()}


class Rater:
    def __init__(self, state, name, day):
        url = f"postgresql://jeoul_billing@/{name}?host={state}/pg"
        self.process = subprocess.Popen([BIN / "jeoul-rate", "--config", "/dev/null", "--set", "database.url=" + url,
                                         "--as-of", day], env=environment(state), stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def done(self):
        out, err = self.process.communicate(timeout=400)
        return self.process.returncode, out, err


def postgres_killed(state, dice):
    """The server itself, or one of its processes, which makes it throw out all others and recover."""
    postmaster = int((state / "data/postmaster.pid").read_text().split()[0])
    children = [int(p) for p in subprocess.run(["pgrep", "-P", str(postmaster)], capture_output=True,
                                               text=True).stdout.split()]
    if dice.random() < 0.5 and children:
        try:
            os.kill(dice.choice(children), signal.SIGKILL)
        except ProcessLookupError:
            pass
    else:
        os.kill(postmaster, signal.SIGKILL)
        for child in children:  # they end by themselves; the next start wants them gone
            deadline = time.monotonic() + 30
            while os.path.exists(f"/proc/{child}") and time.monotonic() < deadline:
                time.sleep(0.02)
        (state / "data/postmaster.pid").unlink(missing_ok=True)
        database_start(state)


def asked(state, name, sql, *values):
    """A statement and its rows, again and again until PostgreSQL is over its crash."""
    deadline = time.monotonic() + 60
    while True:
        try:
            link = connect(state, name)
            try:
                return rows(link, sql, *values)
            finally:
                link.close()
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def leases_run_out(state, name):
    """What 20 seconds of waiting would do."""
    asked(state, name, "update lease set expires = now() - interval '1 second'")


def storm(state, day, dice, kills, pause_s):
    """Two raters side by side; after a moment that the dice choose, one of them or PostgreSQL is killed.

    Pauses grow or shrink with the work that is left, so that kills meet all of it."""
    reached = set()
    for n in range(kills):
        leases_run_out(state, "storm")
        raters = [Rater(state, "storm", day), Rater(state, "storm", day)]
        time.sleep(0.08 + dice.random() * 2 * pause_s)  # not waiting for anything: the moment is the dice's
        if dice.random() < 0.35:
            postgres_killed(state, dice)
        for r in raters:
            r.process.kill()
            r.process.communicate(timeout=120)
            time.sleep(dice.random() * pause_s / 2)  # the other one goes on alone for a moment
        drawn, closed, due = asked(
            state, "storm", "select count(*) filter (where drawn_at is not null), count(*) filter (where closed_at is not null), "
            "count(*) from billing_period where ends between %s::timestamptz - interval '33 days' and %s", day, day)[0]
        reached.add((drawn, closed))
        pause_s *= 0.8 if (drawn + closed) * kills > 2 * due * (n + 1) else 1.2
    leases_run_out(state, "storm")
    status, out, err = Rater(state, "storm", day).done()
    assert status == 0, err
    return len(reached)


@pytest.fixture(scope="module")
def past(state):
    db = connect(state, "jeoul")
    past_make(db)
    db.close()
    keeper = connect(state, "postgres")
    for name in ("calm", "storm"):
        rows(keeper, f"create database {name} template jeoul")
    keeper.close()


def test_the_books_of_a_storm_are_those_of_a_calm(state, past):
    seed = random.randrange(10**9)
    print(f"seed {seed}, {ACCOUNTS} accounts, {KILLS} kills")
    dice = random.Random(seed)
    moments = 0
    for n, day in enumerate(DAYS):
        began = time.monotonic()
        status, out, err = Rater(state, "calm", day).done()
        assert status == 0 and " 0 failed" in out, err
        moments += storm(state, day, dice, KILLS // 2, (time.monotonic() - began) / KILLS)
        if n == 0:
            for name in ("calm", "storm"):
                asked(state, name, "select 1")
                link = connect(state, name)
                usage_comes_late(link)
                link.close()
    asked(state, "calm", "select 1")
    calm, torn = connect(state, "calm"), connect(state, "storm")
    print(f"found at {moments} different moments")
    assert moments > KILLS // 6
    want, got = books(calm), books(torn)
    for name in BOOKS:
        assert got[name] == want[name], name
        assert len(want[name]) >= ACCOUNTS
    assert len(want["statement"]) == 2 * ACCOUNTS  # no charge lost or doubled, whatever was killed
    assert any('"kind":"adjustment"' in r[4] for r in want["statement_line"])
    for link in (calm, torn):
        assert rows(link, "select * from audit_verify()") == []
        assert [list(r) for r in rows(link, "select count(*), max(number) from statement_number")] == [[2 * ACCOUNTS] * 2]
        link.close()
