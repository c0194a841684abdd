# SPDX-License-Identifier: Apache-2.0
"""A database of its own, accounts with a made-up past, and an oracle for their bills.

The oracle computes the same charges from the same rows once more, with fractions and Python's
own time zones, straight from the billing rules: nothing of the C code or of its SQL is used.
"""
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

import psycopg2
import psycopg2.extras
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = TOP / os.environ.get("BUILD", "build") / "bin"
PG = pathlib.Path(os.environ.get("JEOUL_DATABASE_BIN", "/usr/lib/postgresql/15/bin"))
UTC = timezone.utc
GIB = 1 << 30
WAIT_S = 60


# ---------------------------------------------------------------- a private database

def unprivileged():
    """PostgreSQL refuses root: run it as whoever of these exists."""
    if os.getuid() != 0:
        return []
    import pwd
    for name in ("jeoul-db", "postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    raise RuntimeError("no user to run PostgreSQL as")


def environment(state):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JEOUL_")}
    return {**clean, "JEOUL_STATE": str(state)}


def database_start(folder):
    subprocess.run([*unprivileged(), PG / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "data" / "log", "-o",
                    f"-c listen_addresses='' -k {folder}/pg -c fsync=off", "start"],
                   check=True, cwd="/", stdout=subprocess.DEVNULL)


def books_check(folder):
    """What is closed and posted fits together at the end; the made-up usage need not."""
    done = subprocess.run([BIN / "jeoul-check", "--config", "/dev/null", "accrual_sum", "accrual_rounding", "accrual_bounds",
                           "period_order", "statement_sum", "statement_number", "ledger_statement", "ledger_balance"],
                          env=environment(folder), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def state():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="jeoul-oracle.", dir="/tmp"))
    (folder / "pg").mkdir()
    for f in (folder, folder / "pg"):
        f.chmod(0o777)
    user = unprivileged()
    subprocess.run([*user, PG / "initdb", "-D", folder / "data", "-U", "jeoul_owner", "-A", "trust",
                    "-E", "UTF8", "--locale=C", "-N"], check=True, cwd="/", stdout=subprocess.DEVNULL)
    database_start(folder)
    try:
        subprocess.run(["psql", "-q", "-h", folder / "pg", "-U", "jeoul_owner", "-d", "postgres",
                        "-c", "create database jeoul"], check=True)
        subprocess.run([BIN / "jeoul-migrate", "--config", "/dev/null"], check=True, env=environment(folder))
        yield folder
        books_check(folder)
    finally:
        subprocess.run([*user, PG / "pg_ctl", "-D", folder / "data", "-w", "-m", "immediate", "stop"],
                       cwd="/", stdout=subprocess.DEVNULL, check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def db(state):
    link = psycopg2.connect(host=str(state / "pg"), user="jeoul_owner", dbname="jeoul",
                            options="-c search_path=jeoul,public -c TimeZone=UTC")
    link.autocommit = True
    yield link
    link.close()


def rows(db, sql, *args):
    with db.cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
        cursor.execute(sql, args)
        return cursor.fetchall() if cursor.description else []


def one(db, sql, *args):
    return rows(db, sql, *args)[0][0]


# ---------------------------------------------------------------- what was used

def hourly(price, **more):
    return {"per": "hour", "group_by": "resource", "model": {"type": "unit", "price": price}, **more}


def counted(price, divisor, **more):
    return {"divisor": divisor, "group_by": "resource", "model": {"type": "unit", "price": price}, **more}


PLAIN = {
    "currency": "USD", "tax": {"mode": "exclusive", "classes": {"standard": "0.19"}},
    "prices": [
        {"sku": "vm.running", **hourly("0.0011")},
        {"sku": "vcpu", **hourly("0.0137")},
        {"sku": "memory.gib", **hourly("0.0049")},
        {"sku": "volume.gib", "per": "month", "group_by": "account", "model": {"type": "unit", "price": "0.09"}},
        {"sku": "cpu.time", **counted("0.031", "3600")},
        {"sku": "disk.write.bytes", **counted("0.02", str(GIB))},
        {"sku": "net.tx.bytes", "divisor": "1000000", "group_by": "account",
         "model": {"type": "unit", "price": "0.000777"}},
    ],
}
LICENCES = {
    "currency": "USD",
    "prices": [
        {"sku": "host.socket", "per": "year", "group_by": "resource", "model": {"type": "unit", "price": "765"}},
    ],
}
SEOUL = {
    "currency": "KRW", "timezone": "Asia/Seoul",
    "tax": {"mode": "exclusive", "classes": {"standard": "0.10"}, "rounding": "down"},
    "prices": [{"sku": "vcpu", **hourly("17.3")}, {"sku": "memory.gib", **hourly("6.1")}],
}


class Site:
    """A few accounts with a past, made up from a seed and written as the roles write it."""

    def __init__(self, db, seed, now=None, created=None):
        self.db = db
        self.random = random.Random(seed)
        self.now = now or datetime.now(UTC)
        self.created = created or self.now
        self.accounts = {}

    def account(self, name, zone, document):
        account = one(self.db, "insert into account (domain_id, uuid, name, timezone, created) "
                      "select id, %s, %s, %s, %s from domain where path = 'ROOT' returning id",
                      self.uuid(), name, zone, self.created)
        tariff = one(self.db, "insert into tariff (uuid, name) values (%s, %s) returning id", self.uuid(), "tariff of " + name)
        text = json.dumps(document)
        rows(self.db, "insert into tariff_version (tariff_id, version, document, sha256, recorded_at) values (%s, 1, %s, %s, %s)",
             tariff, text, hashlib.sha256(text.encode()).hexdigest(), self.created)
        rows(self.db, "insert into account_tariff values (%s, '2020-01-01', %s)", account, tariff)
        self.accounts[account] = (zone, document)
        return account

    def uuid(self):
        return str(uuid.UUID(int=self.random.getrandbits(128)))

    def ago(self, days):
        return self.now - timedelta(days=days) + timedelta(microseconds=self.random.randrange(10**6))

    def lifetime(self, account, resource, identity, name, kind, begin, end, **columns):
        keys = "".join(", " + k for k in columns)
        marks = ", %s" * len(columns)
        rows(self.db, "insert into lifetime (account_id, resource_id, kind, valid_from, valid_to, resource_uuid, "
             f"resource_name, open_reason, recorded_at{keys}) values (%s, %s, %s, %s, %s, %s, %s, 'test', %s{marks})",
             account, resource, kind, begin, end, identity, name, begin, *columns.values())

    def vm(self, account, name, changes):
        """changes: [(days ago, vcpus or None for off, MiB)], the last one still holds."""
        identity = self.uuid()
        resource = one(self.db, "insert into vm (account_id, uuid, name, instance_name, vcpus, memory_bytes) "
                       "values (%s, %s, %s, %s, 1, 1) returning id", account, identity, name, "i-" + name)
        edges = [self.ago(days) for days, _, _ in changes] + [None]
        for (_, vcpus, mib), begin, end in zip(changes, edges, edges[1:]):
            if vcpus:
                self.lifetime(account, resource, identity, name, "running", begin, end,
                              vm_id=resource, vcpus=vcpus, memory_bytes=mib << 20)
        self.lifetime(account, resource + 100000, self.uuid(), name + "-root",
                      "volume", edges[0], None, vm_id=resource, size_bytes=self.random.randrange(GIB, 80 * GIB))
        self.windows(account, resource, edges[0])
        return resource

    def windows(self, account, vm, begin):
        """Consumption of each hour since begin, spread over the VM, a disk and a card."""
        hour = begin.replace(minute=0, second=0, microsecond=0)
        while hour < self.now:
            end = hour + timedelta(hours=1)
            for kind, offset, columns in (("vm", 0, ("vcpu_ns",)),
                                          ("volume", 100000, ("disk_write_bytes", "disk_read_bytes")),
                                          ("nic", 200000, ("net_tx_bytes",))):
                amounts = [self.random.randrange(10**self.random.randrange(1, 13)) for _ in columns]
                rows(self.db, "insert into usage_window (account_id, resource_id, window_from, window_to, "
                     f"resource_kind, vm_id, through, epoch, {', '.join(columns)}) "
                     f"values (%s, %s, %s, %s, %s, %s, %s, 'e'{', %s' * len(columns)})",
                     account, vm + offset, hour, end, kind, vm, min(end, self.now), *amounts)
            hour = end


# ---------------------------------------------------------------- the oracle

def local_unit(zone, unit, at):
    """The calendar unit of a zone that holds an instant, as two instants."""
    local = at.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    begin = {"day": local, "month": local.replace(day=1), "year": local.replace(day=1, month=1)}[unit]
    end = {"day": begin + timedelta(days=1),
           "month": (begin + timedelta(days=32)).replace(day=1),
           "year": begin.replace(year=begin.year + 1)}[unit]
    return (begin.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC), end.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC))


def microseconds(span):
    return Fraction((span[1] - span[0]) // timedelta(microseconds=1))


def cut(a, b):
    begin, end = max(a[0], b[0]), min(a[1], b[1])
    return (begin, end) if begin < end else None


def share(span, per, zone):
    """How many units of `per` a span is."""
    if per == "hour":
        return microseconds(span) / 3_600_000_000
    total, at = Fraction(0), span[0]
    while at < span[1]:
        unit = local_unit(zone, per, at)
        total += microseconds(cut((at, span[1]), unit)) / microseconds(unit)
        at = unit[1]
    return total


def used(db, account, sku, period, price, zone):
    """{resource uuid: quantity} of a sku in [begin, through)."""
    out = {}
    intervals = {"vm.running": ("running", lambda r: Fraction(1)),
                 "vcpu": ("running", lambda r: Fraction(r["vcpus"])),
                 "memory.gib": ("running", lambda r: Fraction(r["memory_bytes"], GIB)),
                 "volume.gib": ("volume", lambda r: Fraction(r["size_bytes"], GIB)),
                 "host.socket": ("host", lambda r: Fraction(r["sockets"]))}
    if sku in intervals:
        kind, quantity = intervals[sku]
        for r in rows(db, "select * from lifetime where account_id = %s and kind = %s", account, kind):
            span = cut((r["valid_from"], r["valid_to"] or period[1]), period)
            if span:
                out.setdefault(r["resource_uuid"], Fraction(0))
                out[r["resource_uuid"]] += quantity(r) * share(span, price["per"], zone)
        return out
    column, scale = {"cpu.time": ("vcpu_ns", 10**9)}.get(sku, (sku.replace(".", "_"), 1))
    for r in rows(db, f"select v.uuid, w.{column} as n from usage_window w join vm v on v.id = w.vm_id "
                  "where w.account_id = %s and w.window_from >= %s and w.window_from < %s", account, *period):
        out.setdefault(r["uuid"], Fraction(0))
        out[r["uuid"]] += Fraction(r["n"], scale) / Fraction(price.get("divisor", "1"))
    return out


def rounded(value, places, down=False):
    scaled = abs(value) * 10**places
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    twice = 2 * rest - scaled.denominator
    if not down and (twice > 0 or (twice == 0 and whole % 2 == 1)):
        whole += 1
    return Fraction(whole if value >= 0 else -whole, 10**places)


def expected(db, account, zone, document, period):
    places = 0 if document["currency"] == "KRW" else 2
    lines = {}
    for price in document["prices"]:
        quantities = used(db, account, price["sku"], period, price, document.get("timezone", "UTC"))
        if price["group_by"] == "account" and quantities:
            quantities = {None: sum(quantities.values())}
        for resource, quantity in quantities.items():
            exact = quantity * Fraction(price["model"]["price"])
            lines[price["sku"], resource] = (quantity, exact, rounded(exact, places))
    subtotal = sum((line[2] for line in lines.values()), Fraction(0))
    tax = document.get("tax", {})
    rate = Fraction(tax.get("classes", {}).get("standard", "0"))
    return lines, subtotal, rounded(subtotal * rate, places, tax.get("rounding") == "down")


def compare(db, site):
    for account, (zone, document) in site.accounts.items():
        run = rows(db, "select * from accrual_run where account_id = %s order by period_from desc", account)[0]
        assert (run["period_from"], run["period_to"]) == local_unit(zone, "month", run["through"])
        lines, subtotal, tax = expected(db, account, zone, document, (run["period_from"], run["through"]))
        got = {(r["sku"], r["resource_uuid"]): (Fraction(r["quantity"]), Fraction(r["exact"]), Fraction(r["amount"]))
               for r in rows(db, "select * from accrual where account_id = %s and period_from = %s "
                             "and generation = %s", account, run["period_from"], run["generation"])}
        assert got == lines
        assert len(lines) >= 2
        assert (Fraction(run["subtotal"]), Fraction(run["tax"])) == (subtotal, tax)
        assert Fraction(run["total"]) == subtotal + tax
        assert run["currency"] == document["currency"]


# ---------------------------------------------------------------- the rater

class Rater:
    def __init__(self, state):
        self.process = subprocess.Popen([BIN / "jeoul-billing", "--config", "/dev/null", "--set", "billing.interval=1s"],
                                        env=environment(state), stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        self.process.communicate(timeout=10)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=10)


def until(condition):
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"not so within {WAIT_S} s")


def generations(db):
    return {r[0]: r[1] for r in rows(db, "select account_id, max(generation) from accrual_run group by 1")}


def rate(state, *flags, check=True):
    """One round of the rater by hand; answers what it said of itself."""
    done = subprocess.run([BIN / "jeoul-rate", "--config", "/dev/null", *flags], env=environment(state),
                          capture_output=True, text=True, timeout=WAIT_S)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout if check else done


def lease_runs_out(db):
    """What 20 seconds of waiting would do."""
    rows(db, "update lease set expires = now() - interval '1 second' where name like 'rater%%' or name = 'numbering'")
