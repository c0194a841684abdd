# SPDX-License-Identifier: Apache-2.0
"""Usage records as others send them, and an oracle for what they cost.

The oracle follows the billing rules with fractions and Python's own time zones: nothing of the C
code or of its SQL is used.
"""
import csv
import http.client
import io
import json
import os
import signal
import subprocess
import time
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

from web_house import BIN, Client, House

UTC = timezone.utc
METERS = {"object.storage": ("GiB", "level"), "office.licence": ("seat", "level"), "support.hours": ("hour", "amount"),
          "mail.sent": ("mail", "amount")}


def iso(t):
    return t.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".") + "Z"


def month(zone, at, ahead=0):
    """The local month of an instant, or one before or after it."""
    local = at.astimezone(ZoneInfo(zone))
    index = local.year * 12 + local.month - 1 + ahead
    first = datetime(index // 12, index % 12 + 1, 1, tzinfo=ZoneInfo(zone))
    index += 1
    return first.astimezone(UTC), datetime(index // 12, index % 12 + 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def record(source, identity, account, sku, quantity, **more):
    return {"source": source, "id": str(identity), "account": account, "sku": sku, "unit": METERS[sku][0],
            "quantity": str(quantity), **{k.rstrip("_"): iso(v) if isinstance(v, datetime) else v for k, v in more.items()}}


def as_csv(records):
    columns = list(dict.fromkeys(k for r in records for k in r))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for r in records:
        tags = ";".join(f"{k}={v}" for k, v in r.get("tags", {}).items())
        writer.writerow({**r, "tags": tags} if "tags" in r else r)
    return out.getvalue()


# ---------------------------------------------------------------- the house

class ImportHouse(House):
    """With meters, and accounts that were there before this month."""

    def __init__(self):
        super().__init__()
        for sku, (unit, kind) in METERS.items():
            self.admin.rest("POST", "usage-meters", {"sku": sku, "unit": unit, "kind": kind}, expect=201)

    def customer(self, name, document=None, zone="UTC", days=0):
        """A tenant since so many days, with a price list since ever."""
        client = self.tenant(name, timezone=zone)
        client.zone = zone
        self.sql("update account set created = now() - %s * interval '1 day' where uuid = %s", days, client.account)
        if document:
            tariff = self.admin.rest("POST", "tariffs", {"name": f"tariff of {name}", "document": document}, expect=201)["id"]
            self.admin.rest("POST", f"tariffs/{tariff}/assignments", {"account": name, "startdate": "2020-01-01"}, expect=201)
        return client

    def push(self, records, expect=201, client=None, **query):
        path = "usage" + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
        return (client or self.admin).rest("POST", path, {"records": records}, expect=expect)

    def patient_push(self, records, deadline=60):
        """As a sender that never gives up: no answer, or one of the kind "later", is tried again."""
        end = time.monotonic() + deadline
        tries = 0
        while True:
            tries += 1
            try:
                answer = self.admin.rest("POST", "usage", {"records": records}, expect=201)
                return answer, tries
            except (OSError, http.client.HTTPException) as e:
                error = str(e)
            except AssertionError as e:
                error = str(e)
                if not any(f": {status} " in error for status in (500, 503)):
                    raise
            assert time.monotonic() < end, f"not taken within {deadline} s: {error}"
            time.sleep(0.02)

    def stored(self, source):
        return {r[0]: r[1:] for r in self.sql(
            "select record, quantity, used_from, used_to, corrects, seq from usage_import where source = %s", source)}

    def count(self):
        return self.sql("select (select count(*) from usage_import), (select count(*) from usage_import_key)")[0]

    def rate(self, at):
        done = subprocess.run([BIN / "jeoul-rate", *self.settings(), "--as-of", iso(at)], capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == 0, done.stderr
        assert " 0 failed" in done.stdout, done.stdout + done.stderr
        return done.stdout

    def check(self):
        done = self.command(program="jeoul-check", check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def command(self, *words, program="jeoul", check=True):
        env = {k: v for k, v in os.environ.items() if not k.startswith("JEOUL_")}
        env |= {"JEOUL_STATE": str(self.state), "JEOUL_URL": f"http://127.0.0.1:{self.port}"}
        done = subprocess.run([BIN / program, *map(str, words)], env=env, capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def audited(self):
        """Nothing of what is closed was changed, says the chain."""
        return self.command("verify", program="jeoul-audit").stdout

    # ---- trouble

    def web_killed(self):
        child = self.children.pop("jeoul-web")
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=10)
        self.web_start()

    def postgres_killed(self):
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(["pgrep", "-P", str(postmaster)], capture_output=True, text=True).stdout.split()
        os.kill(postmaster, signal.SIGKILL)
        end = time.monotonic() + 30
        for child in children:  # they end by themselves; the next start wants them gone
            while os.path.exists(f"/proc/{child}") and time.monotonic() < end:
                time.sleep(0.02)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        self.database_start()


    def settled(self):
        """Each connection of web finds out by itself that PostgreSQL was away."""
        good, end = 0, time.monotonic() + 30
        while good < 40:
            assert time.monotonic() < end, "web does not find its way back"
            answers = [self.admin.http("GET", "/v1/usage-meters", headers=self.admin.headers()).status,
                       self.patient_push([record("settled", "1", "admin", "mail.sent", "1", at=datetime.now(UTC).replace(
                           hour=0, minute=0, second=0, microsecond=0))])[1]]
            good = good + 1 if answers == [200, 1] else 0


# ---------------------------------------------------------------- the oracle

def effective(records):
    """Those that no other corrects, and that correct nothing unknown."""
    keys = {(r["account"], r["source"], r["id"]) for r in records}
    gone = {(r["account"], r["source"], r["corrects"]) for r in records if r.get("corrects")}
    return [r for r in records if (r["account"], r["source"], r["id"]) not in gone
            and (not r.get("corrects") or (r["account"], r["source"], r["corrects"]) in keys)]


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def alive(records, window):
    """[(from, to, quantity)] of one thing: the highest seq wins, among equals the largest quantity."""
    spans = []
    for r in records:
        seq = int(r.get("seq") or (1 if r.get("corrects") else 0))
        end = instant(r["to"]) if r.get("to") else window[1]
        spans.append((max(instant(r["from"]), window[0]), min(end, window[1]), seq, Fraction(r["quantity"])))
    edges = sorted({t for s in spans for t in s[:2]})
    out = []
    for begin, end in zip(edges, edges[1:]):
        there = [s for s in spans if s[0] <= begin and s[1] >= end]
        if there:
            out.append((begin, end, max(there, key=lambda s: (s[2], s[3]))[3]))
    return out


def micro(a, b):
    return Fraction((b - a) // timedelta(microseconds=1))


def units(begin, end, per, zone):
    """How many of a price's units of time a span is."""
    if per == "hour":
        return micro(begin, end) / 3_600_000_000
    total = Fraction(0)
    while begin < end:
        unit = month(zone, begin)
        piece = min(end, unit[1])
        total += micro(begin, piece) / micro(*unit)
        begin = piece
    return total


def cost(model, quantity):
    if model["type"] == "unit":
        return quantity * Fraction(model["price"])
    assert model["type"] == "graduated"
    total, below = Fraction(0), Fraction(0)
    for tier in model["tiers"]:
        top = Fraction(tier["up_to"]) if tier["up_to"] is not None else max(quantity, below)
        total += max(Fraction(0), min(quantity, top) - below) * Fraction(tier["price"])
        below = top
    return total


def rounded(value, places=2):
    scaled = abs(value) * 10**places
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    twice = 2 * rest - scaled.denominator
    whole += 1 if twice > 0 or (twice == 0 and whole % 2 == 1) else 0
    return Fraction(whole if value >= 0 else -whole, 10**places)


def expected(records, document, window, zone):
    """{(sku, name of the thing or None): (quantity, exact, amount)} of one account."""
    out = {}
    for price in document["prices"]:
        match = price.get("match", {})
        mine = [r for r in effective(records) if r["sku"] == price["sku"]
                and all(r.get("tags", {}).get(k) == v for k, v in match.items())]
        found = {}
        for r in mine:
            found.setdefault(r.get("resource"), []).append(r)
        quantities = {}
        for thing, list_ in found.items():
            if METERS[price["sku"]][1] == "amount":
                inside = [r for r in list_ if window[0] <= instant(r["at"]) < window[1]]
                if inside:
                    quantities[thing] = sum((Fraction(r["quantity"]) for r in inside), Fraction(0))
            else:
                pieces = alive(list_, window)
                if pieces:
                    quantities[thing] = sum((q * units(a, b, price["per"], zone) for a, b, q in pieces), Fraction(0))
        if price["group_by"] == "account" and quantities:
            quantities = {None: sum(quantities.values(), Fraction(0))}
        for thing, quantity in quantities.items():
            quantity /= Fraction(price.get("divisor", "1"))
            exact = cost(price["model"], quantity)
            out[price["sku"], thing] = (quantity, exact, rounded(exact))
    return out


def told(lines):
    """The same form, of lines of a preview or statement."""
    return {(line["sku"], line["resource"]["name"] if "resource" in line else None):
            (Fraction(line["quantity"]), Fraction(line["exact"]), Fraction(line["amount"])) for line in lines}


__all__ = ["Client", "Fraction", "ImportHouse", "METERS", "UTC", "as_csv", "effective", "expected", "instant", "iso", "json",
           "micro", "month", "record", "rounded", "told"]
