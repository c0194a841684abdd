# SPDX-License-Identifier: Apache-2.0
"""Kept sums change nothing: after whatever comes late, twice or corrected, the books are those of a rating from nothing.

Usage is written by the collector's own statement, price lists change, hours and months go by, raters are killed;
after every step the rater's books, made with the sums that it kept, are compared byte for byte with those that it
makes with all sums deleted.  SUMS_SEED and SUMS_STEPS repeat and lengthen it; SUMS_MUTANTS=all plants every defect.
"""
import json
import os
import random
import re
import stat
import subprocess
import time
from datetime import datetime, timedelta

import psycopg2
import pytest

from billing_house import BIN, GIB, TOP, UTC, Site, counted, environment, hourly, lease_runs_out, one, rows, state  # noqa: F401

SEED = int(os.environ.get("SUMS_SEED", random.randrange(10**9)))
STEPS = int(os.environ.get("SUMS_STEPS", "25"))
HOUR = timedelta(hours=1)
BEGIN = datetime(2024, 3, 1, tzinfo=UTC)
SOURCE = {name: (TOP / f"sql/query/{name}.sql").read_text() for name in ("meter", "billing")}

# What must be alike: of periods that are not drawn up yet all that the rater says.
BOOKS = {
    "accrual": "select a.* from accrual a join accrual_run r using (account_id, period_from, generation) join billing_period p "
               "on p.account_id = a.account_id and p.starts = a.period_from and p.drawn_at is null order by 1, 2, 3",
    "accrual_run": "select r.* from accrual_run r join billing_period p on p.account_id = r.account_id "
                   "and p.starts = r.period_from and p.drawn_at is null order by 1, 2",
    "usage_balance": "select b.* from usage_balance b join accrual_run r using (account_id, period_from, generation) "
                     "join billing_period p on p.account_id = b.account_id and p.starts = b.period_from and p.drawn_at is null "
                     "order by 1, 2, 3",
    # A period that was drawn up in this round is not charged any more.
    "account_standing": "select * from account_standing s where not exists (select from billing_period p "
                        "where p.account_id = s.account_id and p.drawn_at = s.through) order by 1",
}
RESULTS = ("accrual", "accrual_run", "usage_balance", "account_standing")
SUMS = ("usage_sum", "usage_sum_run")

# Defects of what makes a sum stale, as texts of statements: whose, what it says, what is said instead.
MUTANTS = {
    "late windows are not told": ("meter", "where window_from < now() - interval '90 minutes'", "where false"),
    "what is told is not looked at": ("billing", "and t.window_from >= $2::timestamptz and t.window_from < r.through)", "and false)"),
    "late sums are added to the old ones": ("billing", "delete from usage_sum s using usage_touched t\nwhere s.account_id = $1",
                                            "delete from usage_sum s using usage_touched t\nwhere s.account_id < 0"),
    "only new hours of what came late": ("billing", "set unread_from = period_from where", "set unread_from = through where"),
    "another resource is read again": ("billing", "and resource_id = any (array(select t.resource_id from",
                                       "and resource_id = any (array(select t.number from"),
    "hours are added again": ("billing", "set unread_from = through, through = $3", "set unread_from=period_from,through=$3"),
    "hours are left out": ("bill_usage", "window_from >= greatest(since, summed)", "window_from > greatest(since, summed)"),
    "read from rows and from sums": ("bill_usage", "window_from >= greatest(since, summed)", "window_from >= since"),
    "other stretches are not seen": ("billing", "and r.starts = ($4::timestamptz[])[1:cardinality(r.starts)]", ""),
    "another band is not seen": ("billing", "and r.sum_in = ($5::integer[])[1:cardinality(r.sum_in)]", "and $5::integer[] is not null"),
    "a new edge is not seen": ("billing", "or ($4::timestamptz[])[cardinality(r.starts) + 1] >= r.through)", "or true)"),
    "old sums stay": ("billing", "\0delete from usage_sum where account_id = $1", "\0delete from usage_sum where account_id < $1"),
    "made up is forgotten": ("billing", "simulated = usage_sum.simulated or excluded.simulated,", "simulated = usage_sum.simulated,"),
    "other windows are counted": ("usage_received",
                                  "account_id = account and window_from >= greatest(since, summed)", "account_id = account and window_from >= since"),
    "what is told is taken out and not read": ("billing", "and resource_id = any (array(select t.resource_id from usage_touched t\n    where t.account_id = $1",
                                      "and resource_id = any (array(select t.resource_id from usage_touched t\n    where false"),
}

# These need a rare meeting: they are planted with SUMS_MUTANTS=all only, or by name.
RARE = {"other stretches are not seen", "another band is not seen", "a new edge is not seen"}


def bands(dice):
    """A price of CPU time that depends on the hour; with free units it matters in which order the hours were."""
    begin, length = dice.randrange(24), dice.randrange(1, 12)
    model = {"type": "tou", "price": "0.011", "default_name": "night",
             "bands": [{"name": "day", "days": sorted(dice.sample(range(1, 8), 4)), "from": f"{begin:02}:00",
                        "to": f"{(begin + length) % 24:02}:30", "price": "0.023"}]}
    if dice.random() < 0.4:
        model["free_units"] = str(dice.randrange(1, 500))
    return model


def document(dice):
    model = bands(dice)
    cpu = {"sku": "cpu.time", "divisor": "3600", "group_by": dice.choice(["account", "resource"])}
    if dice.random() < 0.4:
        cut = BEGIN + dice.randrange(60 * 24) * HOUR
        cpu["versions"] = [{"to": cut.strftime("%Y-%m-%dT%H:%M:%SZ"), "model": model},
                           {"from": cut.strftime("%Y-%m-%dT%H:%M:%SZ"), "model": {"type": "unit", "price": "0.017"}}]
    else:
        cpu["model"] = model
    return {"currency": "USD", "timezone": dice.choice(["Europe/Berlin", "Asia/Seoul", "UTC"]),
            "tax": {"mode": "exclusive", "classes": {"standard": "0.19"}},
            "prices": [{"sku": "vcpu", **hourly("0.0137")}, {"sku": "vm.running", **hourly("0.0011")}, cpu,
                       {"sku": "cpu.time", "match": {"simulated": "true"}, **counted("0.0007", "3600")},
                       {"sku": "disk.write.bytes", **counted("0.02", str(GIB))},
                       {"sku": "net.tx.bytes", "divisor": "1000000", "group_by": "account", "model": {
                           "type": "graduated", "free_units": "1", "tiers": [{"up_to": "100", "price": "0.003"},
                                                                             {"up_to": None, "price": "0.001"}]}},
                       {"sku": "volume.gib", "per": "month", "group_by": "account", "model": {"type": "unit", "price": "0.09"}}]}


class World:
    """Accounts whose past changes under the rater's hands."""

    def __init__(self, state, name, dice, put):
        self.state, self.name, self.dice = state, name, dice
        self.db, self.meter = self.connected("owner"), self.connected("meter")
        rows(self.meter, "prepare put as " + put.replace("%", "%%"))
        rows(self.db, "update account set created = %s; "
             "insert into usage_meter (sku, unit, kind) values ('x', 'x', 'amount')", BEGIN)
        self.now = BEGIN + timedelta(days=5, hours=dice.randrange(24))
        self.site = Site(self.db, dice.randrange(10**9), now=self.now, created=BEGIN)
        self.things = []  # (account, resource, kind, vm)
        for n, zone in enumerate(("Europe/Berlin", "Asia/Seoul", "UTC")):
            account = self.site.account(f"a{n}", zone, document(dice))
            for v in range(2):
                identity, number = self.site.uuid(), account * 1000 + v * 100
                rows(self.db, "insert into vm (account_id, id, uuid, name, instance_name, vcpus, memory_bytes) "
                     "values (%s, %s, %s, %s, %s, 1, 1)", account, number, identity, f"vm{v}", f"i{number}")
                self.site.lifetime(account, number, identity, f"vm{v}", "running", BEGIN + 13.37 * HOUR, None,
                                   vm_id=number, vcpus=2, memory_bytes=GIB)
                self.things += [(account, number, "vm", number), (account, number + 1, "volume", number),
                                (account, number + 2, "nic", number)]
        self.accounts = list(self.site.accounts)
        rows(self.db, "insert into billing_terms (account_id, issuer_id, credit_limit, policy, grace_hours) values "
             "(%s, 1, %s, 'warn', 240), (%s, 1, null, 'warn', 24)", self.accounts[0], dice.randrange(1, 20), self.accounts[1])
        for thing in self.things:
            for h in range(2 * 24, 5 * 24):
                if dice.random() < 0.9:
                    self.window(thing, BEGIN + h * HOUR)

    def connected(self, role):
        link = psycopg2.connect(host=str(self.state / "pg"), user="jeoul_" + role, dbname=self.name,
                                options="-c search_path=jeoul,public -c TimeZone=UTC")
        link.autocommit = True
        return link

    def window(self, thing, begin, through=None, simulated=False):
        account, resource, kind, vm = thing
        n = [self.dice.randrange(10**self.dice.randrange(1, 14)) for _ in range(7)]
        cpu = n[0] if kind == "vm" else 0
        net = n[1:3] if kind == "nic" else [0, 0]
        disk = n[3:] if kind == "volume" else [0] * 4
        self.written(account, resource, begin, begin + HOUR, kind, vm, through or begin + self.dice.random() * HOUR, "e",
                     cpu, cpu, *net, *disk, *[None] * 8, 1, 0, simulated, *[None] * 6, 1)

    def written(self, *values):
        rows(self.meter, "execute put (" + ", ".join(["%s"] * len(values)) + ")", *values)

    def some_window(self):
        return self.dice.choice(rows(self.db, "select * from usage_window where window_from > %s order by 1, 2, 3",
                                     self.now - 35 * 24 * HOUR))

    # ---- what may happen

    def late(self):
        hours = int((self.now - BEGIN) / HOUR)
        self.window(self.dice.choice(self.things), BEGIN + self.dice.randrange(max(0, hours - 700), hours) * HOUR,
                    simulated=self.dice.random() < 0.03)

    def corrected(self):
        w = self.some_window()
        self.window((w["account_id"], w["resource_id"], w["resource_kind"], w["vm_id"]), w["window_from"],
                    w["through"] + timedelta(seconds=1), self.dice.random() < 0.03)

    def twice(self):
        w = self.some_window()
        names = re.search(r"insert into usage_window \((.*?)\)", SOURCE["meter"], re.S)[1].replace("\n", " ").split(",")
        self.written(*[w[name.strip()] for name in names])

    def outdated(self):
        w = self.some_window()
        self.window((w["account_id"], w["resource_id"], w["resource_kind"], w["vm_id"]), w["window_from"],
                    w["through"] - timedelta(seconds=1))

    def ahead(self):
        """A clock that is ahead: a window that begins after what is charged so far."""
        self.window(self.dice.choice(self.things), self.now.replace(minute=0, second=0) + 2 * HOUR)

    def attached_elsewhere(self):
        """A disk goes over to the account's other VM: its windows from then on are that one's."""
        n = self.dice.randrange(len(self.things))
        account, resource, kind, vm = self.things[n]
        if kind != "vm":
            other = self.dice.choice([t[3] for t in self.things if t[0] == account])
            self.things[n] = (account, resource, kind, other)
            self.late()

    def lives_change(self):
        r = self.dice.choice(rows(self.db, "select * from lifetime where valid_to is null and kind = 'running' order by 1, 2"))
        if r["valid_from"] < self.now - 3 * HOUR:
            end = r["valid_from"] + (self.now - r["valid_from"]) * self.dice.random()
            rows(self.db, "update lifetime set valid_to = %s where account_id = %s and resource_id = %s and kind = 'running' "
                 "and valid_to is null", end, r["account_id"], r["resource_id"])
            self.site.lifetime(r["account_id"], r["resource_id"], r["resource_uuid"], r["resource_name"], "running",
                               end + HOUR, None, vm_id=r["vm_id"], vcpus=self.dice.randrange(1, 9), memory_bytes=GIB)

    def told(self):
        account = self.dice.choice(self.accounts)
        old = rows(self.db, "select source, record from usage_import i where account_id = %s and not exists (select from "
                   "usage_import c where c.account_id = i.account_id and c.corrects = i.record) order by number", account)
        rows(self.db, "insert into usage_import (account_id, source, record, sku, unit, kind, used_from, quantity, resource_uuid, "
             "resource_name, corrects) values (%s, 's', %s, 'net.tx.bytes', 'byte', 'amount', %s, %s, %s, 'x', %s)", account,
             self.site.uuid(), self.now - self.dice.randrange(1, 200) * HOUR, self.dice.randrange(10**9), self.site.uuid(),
             self.dice.choice(old)["record"] if old and self.dice.random() < 0.5 else None)

    def retariffed(self):
        """The list's next version, or another list for a part of the month."""
        account = self.dice.choice(self.accounts)
        if self.dice.random() < 0.3:
            rows(self.db, "insert into account_tariff select %s, %s, tariff_id from account_tariff where account_id = %s limit 1 "
                 "on conflict do nothing", account, self.now - self.dice.randrange(1, 100) * HOUR, self.dice.choice(self.accounts))
            return
        self.version_add(account, document(self.dice))

    def hours_shift(self):
        """The list's bands at other hours, or the same hours with free units, in which their order matters."""
        account = self.dice.choice(self.accounts)
        list_ = json.loads(one(self.db, "select document from tariff_version join account_tariff using (tariff_id) "
                               "where account_id = %s order by valid_from desc, version desc limit 1", account))
        for p in list_["prices"]:
            for model in [v["model"] for v in p.get("versions", [])] + [p.get("model", {})]:
                if model.get("type") != "tou":
                    continue
                if self.dice.random() < 0.5:
                    model["free_units"] = "0" if model.get("free_units", "0") != "0" else str(self.dice.randrange(1, 500))
                else:
                    for band in model["bands"]:
                        for end in ("from", "to"):
                            band[end] = f"{(int(band[end][:2]) + 1) % 24:02}{band[end][2:]}"
        self.version_add(account, list_)

    def version_add(self, account, list_):
        text = json.dumps(list_)
        rows(self.db, "insert into tariff_version (tariff_id, version, document, sha256, recorded_at) select tariff_id, max(version) + 1, "
             "%s, encode(sha256(%s), 'hex'), %s from tariff_version join account_tariff using (tariff_id) where account_id = %s "
             "and valid_from = (select max(valid_from) from "
             "account_tariff where account_id = %s) group by tariff_id", text, text.encode(), self.now, account, account)

    def time_goes_on(self):
        before = self.now
        self.now += timedelta(seconds=self.dice.choice([1, 3600, 7200, 86400, 5 * 86400]) * (0.2 + self.dice.random()))
        self.now = self.now.replace(microsecond=0) + timedelta(seconds=1)
        for thing in self.things:
            at = before.replace(minute=0, second=0)
            while at <= self.now:
                if self.dice.random() < 0.9:
                    self.window(thing, at, min(at + HOUR, self.now), self.dice.random() < 0.01)
                at += HOUR

    def happens(self):
        deeds = [self.late] * 3 + [self.corrected] * 3 + [self.twice, self.outdated, self.ahead, self.attached_elsewhere, self.lives_change,
                                                         self.told, self.retariffed, self.hours_shift, self.hours_shift]
        chosen = [self.dice.choice(deeds) for _ in range(self.dice.randrange(1, 4))] + [self.time_goes_on]
        for deed in chosen:
            deed()
        return ", ".join(d.__name__ for d in chosen)

    # ---- the rater

    def rate(self, program, *flags):
        done = subprocess.run(self.command(program, *flags), env=environment(self.state), capture_output=True, text=True,
                              timeout=120)
        return done.returncode == 0 and " 0 failed" in done.stdout, done.stderr

    def command(self, program, *flags):
        url = f"postgresql://jeoul_billing@/{self.name}?host={self.state}/pg"
        return [program, "--config", "/dev/null", "--set", "database.url=" + url, "--as-of", self.now.strftime("%Y-%m-%dT%H:%M:%SZ"), *flags]

    def killed(self, program):
        """A round is killed at a moment that the dice choose; the next one finishes it."""
        doomed = subprocess.Popen(self.command(program, "--kept"), env=environment(self.state), stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        time.sleep(self.dice.random() * 0.6)  # not waiting for anything: the moment is the dice's
        doomed.kill()
        doomed.wait(60)
        lease_runs_out(self.db)

    def books(self):
        return {name: [tuple(r) for r in rows(self.db, sql)] for name, sql in BOOKS.items()}

    def from_nothing(self):
        """The books of a rating that knows no sum; the kept ones are there again after."""
        for name in RESULTS:
            rows(self.db, f"delete from {name}")
        for name in SUMS:
            rows(self.db, f"drop table if exists kept_{name}; create table kept_{name} as select * from {name}; delete from {name}")
        good, said = self.rate(BIN / "jeoul-rate")
        assert good, said
        for name in SUMS:
            rows(self.db, f"delete from {name}; insert into {name} select * from kept_{name}; drop table kept_{name}")
        return self.books()


def differ(world, program, kills, functions=()):
    """One step: something happens, the rater makes its books; how they differ from those made of nothing, or None."""
    said = world.happens()
    if kills and world.dice.random() < 0.4:
        world.killed(program)
        said += ", killed"
    for text in functions[1:]:
        rows(world.db, text.replace("%", "%%"))
    good, trouble = world.rate(program, "--kept")
    for text in functions[:1]:
        rows(world.db, text.replace("%", "%%"))
    if not good:
        return said, trouble
    got, want = world.books(), world.from_nothing()
    for name in BOOKS:
        if got[name] != want[name]:
            wrong = [(g, w) for g, w in zip(got[name], want[name]) if g != w]
            return said, f"{name}: {len(got[name])} rows, should be {len(want[name])}; {wrong[:2]}"
    assert len(want["accrual"]) >= 10
    assert not rows(world.db, "select * from usage_balance b join accrual_run using (account_id, period_from, generation) "
                    "where b.received <> b.rated + b.unrated + b.rejected + b.pending"), said
    return said, None


def statement(text, name):
    return re.search(rf"^-- name: {name}\n(.*?)(?=^-- name: |\Z)", text, re.S | re.M)[1].strip().rstrip(";")


@pytest.fixture
def world(state):
    """world(): each in a database of its own."""
    keeper = psycopg2.connect(host=str(state / "pg"), user="jeoul_owner", dbname="postgres")
    keeper.autocommit = True
    made = []

    def make(seed=SEED, put=statement(SOURCE["meter"], "meter_window_put")):
        name = f"world{len(made)}"
        rows(keeper, f"create database {name} template jeoul")
        made.append(World(state, name, random.Random(seed), put))
        return made[-1]
    yield make
    for w in made:
        w.db.close()
        w.meter.close()
        rows(keeper, f"drop database {w.name} with (force)")
    keeper.close()


def test_books_with_kept_sums_are_those_of_a_rating_from_nothing(world):
    print(f"SUMS_SEED={SEED} SUMS_STEPS={STEPS}")
    w = world()
    used = 0
    for n in range(STEPS):
        said, wrong = differ(w, BIN / "jeoul-rate", kills=True)
        assert wrong is None, f"step {n} as of {w.now}: {said}: {wrong}"
        # The sums are there and in use, not thrown away each time.
        used += one(w.db, "select count(*) from usage_sum_run where made_at < now() - interval '1 ms' and through > period_from")
    assert used > STEPS and one(w.db, "select count(*) from usage_sum") > 0


def mutated(folder, name):
    """The rater with another text in the place of one of its statements, as long as it was; or the collector's
    statement; or a function for the database."""
    whose, old, new = MUTANTS[name]
    put = statement(SOURCE["meter"], "meter_window_put")
    program = folder / "jeoul-rate"
    image = (BIN / "jeoul-rate").read_bytes()
    if whose == "meter":
        assert old in put
        put = put.replace(old, new)
    elif whose == "billing":
        assert image.count(old.encode()) == 1, name
        assert len(new) <= len(old)
        image = image.replace(old.encode(), new.ljust(len(old)).encode())
    program.write_bytes(image)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program, put


def planted(w, name):
    """The mutated function, where it is one, for the rounds with sums only."""
    function, old, new = MUTANTS[name]
    if function not in ("bill_usage", "usage_received"):
        return []
    text = one(w.db, "select pg_get_functiondef(%s::regproc)", function)
    assert text.count(old) == 1
    return [text, text.replace(old, new)]


def test_a_defect_in_what_makes_sums_stale_is_found(world, tmp_path):
    dice = random.Random(SEED)
    wanted = os.environ.get("SUMS_MUTANTS", "")
    names = list(MUTANTS) if wanted == "all" else wanted.split(",") if wanted else dice.sample(
        [name for name in MUTANTS if name not in RARE], 3)
    print(f"SUMS_SEED={SEED}")
    missed = []
    for name in names:
        program, put = mutated(tmp_path, name)
        w = world(put=put)
        functions = planted(w, name)
        for n in range(200):
            said, wrong = differ(w, program, kills=False, functions=functions)
            if wrong:
                print(f"found after {n + 1} steps: {name}: {said}: {wrong[:150]}")
                break
        else:
            missed.append(name)
    assert not missed


def test_a_window_that_was_changed_past_everybody_is_found_when_sums_are_old(world):
    w = world()
    assert w.rate(BIN / "jeoul-rate", "--kept")[0]
    assert one(w.db, "select count(*) from usage_sum") > 0
    rows(w.db, "update usage_window set vcpu_ns = vcpu_ns + 10::bigint^15 where resource_kind = 'vm' and window_from < %s", w.now - 24 * HOUR)
    before = w.books()
    rows(w.db, "update usage_sum_run set made_at = made_at - interval '7 hours'")
    w.now += timedelta(seconds=1)
    assert w.rate(BIN / "jeoul-rate", "--kept")[0]
    assert w.books()["accrual"] != before["accrual"]
    got = w.books()
    assert got == w.from_nothing()
