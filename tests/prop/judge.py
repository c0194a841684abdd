# SPDX-License-Identifier: Apache-2.0
"""A second judge: the billing rules anew, with fractions and Python's own zones.

judge.py FILE: a file of rating vectors goes to standard output with what each must give.  Written from
billing-rules section 0 and docs/decisions/021 alone, in another way than the C code: usage is cut at
every instant at which anything may change, and each piece is put where it belongs.
"""
import json
import sys
from bisect import bisect_right
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

MINOR = {"KRW": 0, "JPY": 0, "KWD": 3}
FIXED = {"second": 1, "minute": 60, "hour": 3600}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
NEVER, EVER = -1 << 60, 1 << 60


def seconds(text):
    return int((datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc) - EPOCH).total_seconds())


# ---------------------------------------------------------------- local time

class Local:
    def __init__(self, name):
        self.zone = ZoneInfo(name)

    def at(self, naive):
        """Of two the first; one that is not there has the offset before the gap (fold 0 does both)."""
        moment = naive.replace(tzinfo=self.zone, fold=0)
        return int((moment - EPOCH) / timedelta(seconds=1))

    def wall(self, t):
        return (EPOCH + timedelta(seconds=t)).astimezone(self.zone).replace(tzinfo=None)

    def unit(self, kind, t):
        """From and to of the local unit that holds an instant."""
        now = self.wall(t)
        if kind == "hour":
            begin = t - now.minute * 60 - now.second
            return begin, begin + 3600
        first = {"day": now.date(), "month": now.date().replace(day=1), "year": date(now.year, 1, 1)}[kind]
        after = {"day": first + timedelta(days=1), "month": (first + timedelta(days=31)).replace(day=1),
                 "year": date(first.year + 1, 1, 1)}[kind]
        return self.at(datetime(first.year, first.month, first.day)), self.at(datetime(after.year, after.month, after.day))

    def anniversary(self, anchor, t):
        y, m, d = map(int, anchor.split("-"))

        def begin(year):
            day = date(year, m, min(d, 28 if m == 2 and not (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)) else d))
            return self.at(datetime(day.year, day.month, day.day))
        year = self.wall(t).year
        while begin(year) > t:
            year -= 1
        while begin(year + 1) <= t:
            year += 1
        return begin(year), begin(year + 1)


# ---------------------------------------------------------------- versions and bands

def number(text):
    return Fraction(text)


def version_at(price, t, known):
    best = None
    for place, v in enumerate(price["versions"]):
        begin = seconds(v["from"]) if v.get("from") else NEVER
        end = seconds(v["to"]) if v.get("to") else EVER
        entered = seconds(v["recorded_at"]) if v.get("recorded_at") else NEVER
        if entered <= known and begin <= t < end and (best is None or (entered, begin, place) >= best[0]):
            best = (entered, begin, place), v
    return best[1] if best else None


def minutes(text):
    return int(text[:2]) * 60 + int(text[3:])


def band_spans(model, local, begin, end):
    """(from, to, place) of each band on each day that reaches into [begin, end)."""
    spans = []
    day = local.unit("day", local.unit("day", begin)[0] - 1)
    while True:
        midnight = datetime.combine(local.wall(day[0]).date(), datetime.min.time())
        for place, b in enumerate(model["bands"]):
            lo, hi = minutes(b["from"]), minutes(b["to"])
            if midnight.isoweekday() not in b.get("days", range(1, 8)):
                continue
            ends = midnight if hi > lo else datetime.combine(local.wall(day[1]).date(), datetime.min.time())
            span = local.at(midnight + timedelta(minutes=lo)), local.at(ends + timedelta(minutes=hi))
            if span[0] < span[1]:
                spans.append((*span, place))
        if day[1] >= end:
            return spans
        day = local.unit("day", day[1])


class Pieces:
    """The period of one price, cut where its version or band changes."""

    def __init__(self, price, begin, end, known, local):
        cuts = {begin, end}
        for v in price["versions"]:
            cuts |= {seconds(v[k]) for k in ("from", "to") if v.get(k)}
        self.begin, self.end = begin, end
        whole = sorted(c for c in cuts if begin <= c <= end)
        self.starts, self.of = [], []
        for lo, hi in zip(whole, whole[1:]):
            v = version_at(price, lo, known)
            if v is None or v["model"]["type"] != "tou":
                self.add(lo, v, None)
                continue
            spans = band_spans(v["model"], local, lo, hi)
            inner = sorted({lo} | {c for s in spans for c in s[:2] if lo < c < hi})
            for c in inner:
                holds = [place for a, b, place in spans if a <= c < b]
                self.add(c, v, min(holds) if holds else -1)

    def add(self, t, version, band):
        self.starts.append(t)
        self.of.append((version, band))

    def place(self, t):
        return bisect_right(self.starts, t) - 1 if self.begin <= t < self.end else None

    def ends(self, i):
        return self.starts[i + 1] if i + 1 < len(self.starts) else self.end


# ---------------------------------------------------------------- what was used when

def union(slices):
    """Slices (from, to, seq, qty): each moment once, the highest seq, then the largest quantity."""
    edges = sorted({t for s in slices for t in s[:2]})
    out = []
    for lo, hi in zip(edges, edges[1:]):
        alive = [(s[2], s[3]) for s in slices if s[0] <= lo and s[1] >= hi]
        if alive:
            out.append((lo, hi, *max(alive)))
    return out


def lengthened(slices, least):
    """A run is what touches; what it lacks is added behind it, beside whatever is there."""
    tails, start = [], None
    for i, (lo, hi, seq, qty) in enumerate(slices):
        start = lo if start is None else start
        if i + 1 < len(slices) and slices[i + 1][0] == hi:
            continue
        if hi < EVER and start + least > hi:
            tails.append((hi, start + least, seq, qty))
        start = None
    return slices + tails


def coarsened(slices, local, grain, begin, end):
    lo, hi = local.unit(grain, begin)[0], local.unit(grain, end - 1)[1]
    out = []
    for a, b, _, qty in slices:
        a, b = max(a, lo), min(b, hi)
        if a < b:
            out.append((local.unit(grain, a)[0], local.unit(grain, b - 1)[1], 0, qty))
    return union(out)


def measure(price, local, lo, hi):
    per = price["per"]
    if per in FIXED:
        return Fraction(hi - lo, FIXED[per])
    total = Fraction(0)
    while lo < hi:
        unit = local.anniversary(price["anchor"], lo) if price.get("anchor") else local.unit(per, lo)
        total += Fraction(min(hi, unit[1]) - lo, unit[1] - unit[0])
        lo = unit[1]
    return total


def counter_moves(u):
    """(time, delta) of each sample that counts."""
    last = None
    for t, v, epoch in ((seconds(s[0]), int(s[1]), s[2] if len(s) > 2 else None) for s in u["samples"]):
        if last is None:
            moved = v if u.get("baseline") == "zero" else None
        elif t <= last[0]:
            continue
        elif epoch != last[2]:
            moved = v
        elif v >= last[1]:
            moved = v - last[1]
        else:
            wrapped = v + 2 ** 32 - last[1]
            fits = u.get("width", 64) == 32 and "max_per_second" in u and wrapped <= int(u["max_per_second"]) * (t - last[0])
            moved = wrapped if fits else v
        last = t, v, epoch
        if moved is not None:
            yield t, moved


class Measured:
    def __init__(self, pieces):
        self.raw = [Fraction(0)] * len(pieces.starts)
        self.touched = [False] * len(pieces.starts)

    def post(self, i, raw):
        self.raw[i] += raw
        self.touched[i] = True


def resource_measure(m, price, items, pieces, local):
    """All items of one price and resource; returns unmetered seconds."""
    begin, end = pieces.begin, pieces.end
    slices, unmetered, peaks = [], 0, []
    for u in items:
        if u["kind"] == "interval":
            hi = seconds(u["to"]) if u.get("to") else EVER
            if seconds(u["from"]) < hi:
                slices.append((seconds(u["from"]), hi, u.get("seq", 0), number(u["qty"])))
        elif u["kind"] == "event":
            i = pieces.place(seconds(u["at"]))
            if i is not None:
                m.post(i, number(u["qty"]))
        elif u["kind"] == "counter":
            for t, moved in counter_moves(u):
                i = pieces.place(t - 1)
                if i is not None:
                    m.post(i, Fraction(moved))
        else:
            lo = seconds(u["from"]) if u.get("from") else NEVER
            hi = seconds(u["to"]) if u.get("to") else EVER
            expected = max(0, min(hi, end) - max(lo, begin))
            samples = sorted((seconds(t), number(v)) for t, v in u["samples"])
            for k, (t, v) in enumerate(samples):
                until = min(t + int(u["max_gap"]), samples[k + 1][0] if k + 1 < len(samples) else EVER)
                a, b = max(t, lo), min(until, hi)
                if a < b and price.get("aggregate", "sum") == "sum":
                    slices.append((a, b, 0, v))
                expected -= max(0, min(b, end) - max(a, begin))
                if begin <= t < end:
                    peaks.append(v)
            unmetered += expected
    if price.get("aggregate", "sum") != "sum" and peaks:
        peaks.sort()
        rank = len(peaks) if price["aggregate"] == "max" else -(-95 * len(peaks) // 100)
        m.post(len(pieces.starts) - 1, peaks[rank - 1])
    slices = lengthened(union(slices), int(price.get("min_seconds", 0)))
    if price.get("granularity"):
        slices = coarsened(slices, local, price["granularity"], begin, end)
    for a, b, _, qty in slices:
        a, b = max(a, begin), min(b, end)
        while a < b:
            i = pieces.place(a)
            stop = min(b, pieces.ends(i))
            m.post(i, qty * measure(price, local, a, stop))
            a = stop
    return unmetered


# ---------------------------------------------------------------- what it costs

def beyond_free(model, q):
    return max(Fraction(0), q - number(model.get("free_units", "0")))


def kept(model):
    return 1 - number(model.get("discount_pct", "0")) / 100


def tiered(model, q, whole):
    if whole:
        for t in model["tiers"]:
            if q > 0 and (t["up_to"] is None or q <= number(t["up_to"])):
                return q * number(t["price"]) + number(t.get("flat", "0"))
        return Fraction(0)
    total, lower = Fraction(0), Fraction(0)
    for t in model["tiers"]:
        if q <= lower:
            break
        upper = q if t["up_to"] is None else min(q, number(t["up_to"]))
        total += (upper - lower) * number(t["price"]) + number(t.get("flat", "0"))
        lower = upper
    return total


def total(model, q):
    """F(q): free units, model, discount, maximum."""
    q, kind = beyond_free(model, q), model["type"]
    if kind == "unit":
        cost = q * number(model["price"])
    elif kind in ("graduated", "volume"):
        cost = tiered(model, q, kind == "volume")
    elif kind == "package":
        cost = -(-q // number(model["size"])) * number(model["price"])
    else:
        units = number(model["units"])
        cost = units * number(model["price"]) + max(Fraction(0), q - units) * number(model["overage"])
    cost *= kept(model)
    if "maximum" in model:
        cost = min(cost, number(model["maximum"]))
    return cost


def window(model, band, a, b):
    if model["type"] != "tou":
        return total(model, b) - total(model, a)
    price = number(model["price"] if band < 0 else model["bands"][band]["price"])
    return (beyond_free(model, b) - beyond_free(model, a)) * price * kept(model)


def charge(price, m, pieces, resource, divisor):
    """Lines [version, band name, start, quantity, exact] in the order of time."""
    lines, position, committed = [], Fraction(0), False
    owed = None
    if price.get("group_by", "account") == "account":
        owed = next((i for i, (v, _) in enumerate(pieces.of) if v and v["model"]["type"] == "commit"), None)
    for i, (version, band) in enumerate(pieces.of):
        if version is None or not (m.touched[i] or i == owed):
            continue
        model = version["model"]
        name = None if model["type"] != "tou" else \
            model.get("default_name", "default") if band < 0 else model["bands"][band]["name"]
        line = next((x for x in lines if x["version"] is version and x["band"] == name), None)
        if line is None:
            first = next(k for k, (v, _) in enumerate(pieces.of) if v is version)
            line = {"version": version, "band": name, "start": pieces.starts[first], "quantity": Fraction(0),
                    "exact": Fraction(0)}
            lines.append(line)
        q = m.raw[i] / divisor
        if model["type"] == "commit" and not committed:
            committed = True
            line["exact"] += total(model, Fraction(0))
        line["exact"] += window(model, band, position, position + q)
        line["quantity"] += q
        position += q
    if lines:
        limit(lines)
    return lines


def limit(lines):
    model = lines[-1]["version"]["model"]
    if "minimum" in model:
        lines[-1]["exact"] += max(Fraction(0), number(model["minimum"]) - sum(x["exact"] for x in lines))
    if "maximum" in model and ("minimum" in model or model["type"] == "tou"):
        excess = sum(x["exact"] for x in lines) - number(model["maximum"])
        for line in reversed(lines):
            taken = min(excess, line["exact"])
            if taken > 0:
                line["exact"] -= taken
                excess -= taken


# ---------------------------------------------------------------- the whole

def rounded(value, step, mode):
    sign, n = (-1 if value < 0 else 1), abs(value) / step
    whole = n.numerator // n.denominator
    rest = n - whole
    if mode == "up" and rest > 0 or mode == "half_up" and rest >= Fraction(1, 2) or \
            mode == "half_even" and (rest > Fraction(1, 2) or rest == Fraction(1, 2) and whole % 2 == 1):
        whole += 1
    return sign * whole * step


def decimal(value, places):
    n = value * 10 ** places
    assert n.denominator == 1
    sign, digits = ("-" if n < 0 else ""), str(abs(n.numerator)).rjust(places + 1, "0")
    return sign + (digits if places == 0 else digits[:-places] + "." + digits[-places:])


def fraction(value):
    return f"{value.numerator}/{value.denominator}" if value.denominator != 1 else str(value.numerator)


def known_items(usage, known):
    """What counts, and ids that came with other content."""
    kept_items, rejected, seen = [], [], []
    order = sorted(range(len(usage)), key=lambda i: (seconds(usage[i]["received_at"]) if "received_at" in usage[i] else NEVER, i))
    for i in order:
        u = usage[i]
        if "received_at" in u and seconds(u["received_at"]) > known:
            continue
        content = {k: v for k, v in u.items() if k not in ("id", "received_at")}
        before = [c for ident, c in seen if (ident == u["id"] if "id" in u else ident is None and u["kind"] == "counter" and c == content)]
        if before:
            if "id" in u and before[0] != content:
                rejected.append(u["id"])
            continue
        seen.append((u.get("id"), content))
        kept_items.append((i, u))
    return [u for _, u in sorted(kept_items, key=lambda x: x[0])], rejected


def price_for(prices, u):
    tags = u.get("tags", {})
    fit = [p for p in prices if p["sku"] == u["sku"] and all(tags.get(k) == v for k, v in p.get("match", {}).items())]
    return max(fit, key=lambda p: (len(p.get("match", {})), p.get("priority", 0))) if fit else None


def touches(u, begin, end):
    if u["kind"] == "event":
        return begin <= seconds(u["at"]) < end
    if u["kind"] == "counter":
        return any(begin < seconds(s[0]) <= end for s in u["samples"])
    if u["kind"] == "gauge":
        return any(begin <= seconds(s[0]) < end for s in u["samples"])
    return max(begin, seconds(u["from"])) < min(end, seconds(u["to"]) if u.get("to") else EVER)


def judge(v):
    t, local = v["tariff"], Local(v["tariff"]["timezone"])
    begin, end = seconds(v["period"]["start"]), seconds(v["period"]["end"])
    known = seconds(v["period"]["as_of"]) if "as_of" in v["period"] else EVER
    invoiced = t.get("fx", {}).get("to", t["currency"])
    places = MINOR.get(invoiced, 2)
    minor = Fraction(1, 10 ** places)
    step, rate = number(t.get("increment", str(minor))), number(t.get("fx", {}).get("rate", "1"))
    for p in t["prices"]:
        p.setdefault("versions", [{"model": p.get("model")}])
    usage, rejected = known_items(v["usage"], known)
    unmetered, lines, sums, gaps = 0, [], {}, False
    priced = [(price_for(t["prices"], u), u) for u in usage]
    unrated = {u.get("id", u["sku"]) for p, u in priced if p is None and touches(u, begin, end)}
    for place, p in enumerate(t["prices"]):
        pieces = Pieces(p, begin, end, known, local)
        by_resource = {}
        gaps |= any(version is None for version, _ in pieces.of)
        for q, u in priced:
            if q is p:
                by_resource.setdefault(u["resource"], []).append(u)
        groups = [[r] for r in sorted(by_resource)] if p.get("group_by") == "resource" else [sorted(by_resource)]
        for group in groups:
            m = Measured(pieces)
            for r in group:
                unmetered += resource_measure(m, p, by_resource[r], pieces, local)
            for line in charge(p, m, pieces, None, number(p.get("divisor", "1"))):
                line.update(sku=p["sku"], resource=group[0] if p.get("group_by") == "resource" else None, place=place)
                line["exact"] *= rate
                line["amount"] = rounded(line["exact"], step, t["rounding"])
                sums[p.get("tax_class", "standard")] = sums.get(p.get("tax_class", "standard"), 0) + line["amount"]
                lines.append(line)
    lines.sort(key=lambda x: (x["sku"], x["resource"] or "", x["start"], x["band"] or "", x["place"]))
    subtotal, tax = sum(sums.values(), Fraction(0)), Fraction(0)
    for name, share in t.get("tax", {}).get("classes", {}).items():
        share = number(share)
        part = share / (1 + share) if t["tax"]["mode"] == "inclusive" else share
        tax += rounded(sums.get(name, Fraction(0)) * part, minor, t["tax"].get("rounding", t["rounding"]))
    if t.get("tax", {}).get("mode") == "inclusive":
        subtotal -= tax
    expect = {"lines": [{k: w for k, w in (("sku", x["sku"]), ("resource", x["resource"]), ("band", x["band"]),
                                         ("quantity", fraction(x["quantity"])), ("exact", fraction(x["exact"])),
                                         ("amount", decimal(x["amount"], places))) if w is not None} for x in lines],
            "subtotal": decimal(subtotal, places), "tax": decimal(tax, places), "total": decimal(subtotal + tax, places),
            "unrated": sorted(unrated), "rejected": sorted(rejected), "unmetered_seconds": str(unmetered)}
    if gaps:
        del expect["unrated"]  # of usage that overlaps where no version is in force either may be named
    return expect


def main():
    document = json.load(open(sys.argv[1]))
    for v in document["vectors"]:
        before = json.dumps(v)
        expect = judge(v)
        v.clear()
        v.update(json.loads(before), expect=expect)
    json.dump(document, sys.stdout)


if __name__ == "__main__":
    main()
