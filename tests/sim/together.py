# SPDX-License-Identifier: Apache-2.0
"""Collectors side by side: scenarios in which they die, stand still or are cut off from the database, and
their judge.

It asks the tables and the truth only: of each run of a guest's process each counter must be counted once, from
its begin to what it showed when anybody looked at it last, to the byte, in however many rows; what lay on a
collector's disk must be among it, however late that came back; no row may reach into another; and a host is
asked by one collector, and by another soon when that one is gone."""
import random
from bisect import bisect_right

from make import Maker, values_at
from scenario import MS, S, US

TAKE_OVER = 15 * S
SLACK = 4 * S
NOTHING = "\\N"
TROUBLES = ("churn", "migrate", "owner", "remove", "pause", "cuts", "grain", "burst", "down", "slow", "twice",
            "db", "db_lost")
FAULTS = ("kill", "stop", "cut", "outage", "join")
CALM = 150 * S              # at the end all is well, so that all comes together
SIZES = ((1, 5), (2, 5), (60, 150), (10, 10, 20))


class Together(Maker):
    """So many collectors, and what becomes of them."""

    def __init__(self, seed):
        drawn = random.Random(f"together {seed}")
        share = drawn.choice((20, 40, 70))
        super().__init__(seed, SIZES, {t for t in TROUBLES if drawn.randrange(100) < share})
        self.s.settings["collectors"] = drawn.choice((2, 2, 3))
        self.fates = {f for f in FAULTS if drawn.randrange(100) < 55} or {"kill"}
        self.s.until += CALM

    def _faults(self):
        s, end = self.s, self.s.until
        s.until = end - CALM
        super()._faults()
        for fate in sorted(self.fates):
            getattr(self, "_" + fate)()
        s.until = end

    def _span(self, longest):
        """Begin and end of something that holds for a while."""
        r, s = self.rng, self.s
        length = r.choice((1, 3, 7, 9, 11, 14, 20, 45, 90, 200, 600)) * S + r.randrange(S)
        begin = s.start + r.randrange(max(1, s.until - s.start - 5 * S))
        return begin, min(begin + min(length, longest), s.until)

    def _who(self):
        return self.rng.randint(1, self.s.settings["collectors"])

    def _kill(self):
        for _ in range(self._count(3)):
            a, b = self._span(900 * S)
            self.s.faults.append(("kill", self._who(), a, self.rng.choice((0, 1, 2, 3, 5, 8, 20)), b - a))

    def _stop(self):
        for _ in range(self._count(3)):
            self.s.faults.append(("stop", self._who(), *self._span(300 * S)))

    def _cut(self):
        for _ in range(self._count(3)):
            self.s.faults.append(("cut", self._who(), *self._span(600 * S)))

    def _outage(self):
        """Nobody has the database; some die meanwhile, and come back after the others."""
        a, b = self._span(900 * S)
        self.s.faults.append(("db", a, b))
        for who in range(1, self.s.settings["collectors"] + 1):
            if self.rng.random() < 0.5:
                at = a + self.rng.randrange(max(1, b - a))
                back = self.rng.choice((S, b - at + 5 * S, b - at + 12 * S, b - at + 40 * S, b - at + 120 * S))
                self.s.faults.append(("kill", who, at, self.rng.choice((0, 1, 5)), back))

    def _join(self):
        """One is not there at first."""
        self.s.faults.append(("kill", self._who(), self.s.start + MS, 0, self._span(600 * S)[1] - self.s.start))


def make(seed):
    return Together(seed).make()


# ---------------------------------------------------------------- the driver's log

class Log:
    """What all collectors together were told, whose disk had what, and the tables at the end."""

    def __init__(self, text):
        self.asks, self.reads, self.durable, self.rows = {}, {}, [], []
        self.refused, self.deaths, self.births, self.whole, self.who = [], [], [], False, 1
        now = disk = False
        for line in text.splitlines():
            w = line.split()
            if w[0] == "C":
                self.who = int(w[1])
            elif w[0] == "A":
                self._read(int(w[2]), w[3], w[4])
                if w[-1] != ".":
                    self.asks.setdefault(int(w[2]), []).append((int(w[1]), self.who))
            elif w[0] == "G":
                self._read(int(w[3]), w[4], w[5])
            elif w[0] in "BU":
                now, disk = int(w[1]), True
                if w[0] == "B":
                    self.births.append((now, self.who))
            elif w[0] == "K":
                self.deaths.append((int(w[1]), self.who))
            elif w[0] == "D" and disk and w[3] == "disk":
                self.durable.append((int(w[1]), int(w[2]) // US, now, self.who))
            elif w[0] == "R":
                disk = False
            elif w[0] == "W":
                self.rows.append(line[2:].split("\t"))
            elif w[0] == "X":
                self.refused.append(line[2:])
            elif w[0] == "E":
                self.whole = True

    def _read(self, host, read, at):
        self.reads.setdefault((host, int(at) // US), int(read))


# ---------------------------------------------------------------- what rows say

COUNTED = {"vm": ("v", ((8, 16), (9, 17))), "nic": ("n", ((10, 18), (11, 19))),
           "volume": ("d", ((12, 20), (13, 21), (14, 22), (15, 23)))}


class Row:
    def __init__(self, w):
        self.words = w
        self.rid, self.begin, self.end, self.through = int(w[1]), int(w[2]), int(w[3]), int(w[6])
        self.kind, pairs = COUNTED[w[4]]
        self.vm, self.epoch, self.turn = int(w[5]), w[7], int(w[-1])
        self.counted = [int(w[a]) for a, _ in pairs]
        self.shown = [sum(map(int, w[b].split(","))) for _, b in pairs]

    def text(self):
        return " ".join(self.words)


def part_of(guest, hosts, row):
    """Host and part that a row tells of."""
    uuid, domid, _, *port = row.epoch.split("/")
    port = port[0] if port else "-"
    for run in guest.runs:
        if hosts[run.host] != uuid or run.domid != int(domid):
            continue
        for p in run.parts:
            if p.kind == row.kind and p.rid == row.rid and p.port == port and p.begin <= row.through * US + US and (
                    row.through * US < p.end):
                return run.host, p
    return None, None


def truth(part, at):
    """What its counters show then: as the row adds them up."""
    ats = [x.at for x in part.pieces]
    now = [v[0] if v else None for v in values_at(part.pieces[max(0, bisect_right(ats, at) - 1)], at)]
    return [now[0], sum(now[4:])] if part.kind == "v" else now[:2] if part.kind == "n" else now[:4]


def truth_of(part, at):
    return tuple(truth(part, at))


def overlaps(rows, say):
    """Windows of a resource follow each other; but two hosts show a guest while it migrates, each to its collector."""
    rows = sorted(rows, key=lambda r: r.begin)
    for a, b in zip(rows, rows[1:]):
        if (b.begin < a.end or b.through <= a.through) and (a.turn == b.turn or a.epoch == b.epoch):
            say(f"rows reach into each other:\n  {a.text()}\n  {b.text()}")


def judge_guest(guest, hosts, log, rows, say):
    """Each counter of each run once; answers the newest reading of each part: {id: us}."""
    parts, newest = {}, {}
    for row in rows:
        host, part = part_of(guest, hosts, row)
        if part is None:
            say(f"a row of no run: {row.text()}")
        else:
            parts.setdefault(id(part), (host, part, []))[2].append(row)
    for key, (host, part, some) in parts.items():
        last = max(some, key=lambda r: r.through)
        read = log.reads.get((host, last.through))
        if read is None:
            say(f"nobody looked then: {last.text()}")
            continue
        shown = truth(part, read)
        if last.shown != shown:     # what a migrated guest's first host showed last goes with the row before
            later = {truth_of(part, r) for (h, at), r in log.reads.items() if h == host and last.through < at < last.through + 300 * 10 ** 6
                     and r < part.end}
            shown = last.shown if tuple(last.shown) in later else shown
        counted = [sum(f) for f in zip(*(r.counted for r in some))]
        if last.shown != shown:
            say(f"the counter did not show that: {last.text()}")
        if counted != shown:
            say(f"counted {counted} of {shown} of resource {part.rid} on host {host}:\n  " + "\n  ".join(
                r.text() for r in sorted(some, key=lambda r: r.through)))
        newest[key] = last.through
    return newest


def judge_durable(s, log, newest, say):
    """What lay on a disk when its collector came back is in the tables."""
    every = {}
    for g in s.guests:
        last = max((tx for tx in g.txs if tx.at <= s.until), key=lambda tx: tx.at, default=None)
        if last and any(w[0] == "close" and str(w[3]).startswith("paused") for w in last.statements):
            continue        # its run may go on: what only one disk knows waits for that
        for run in g.runs:
            for p in run.parts:
                every.setdefault(p.rid, []).append(p)
    for rid, through, at, who in log.durable:
        shown = [p for p in every.get(rid, ()) if p.begin <= through * US < p.end]  # two while it migrates
        if shown and not any(has_all(p, through, newest.get(id(p), 0)) for p in shown):
            say(f"resource {rid}: its reading of {through} lay on the disk of collector {who} at {at}, and only those "
                f"up to {[newest.get(id(p)) for p in shown]} are counted")


def has_all(part, through, have):
    return have >= through or truth(part, through * US) == (truth(part, have * US) if have else [0, 0, 0, 0][:len(truth(part, through * US))])


# ---------------------------------------------------------------- who asks

class Presence:
    """When each collector lives, moves and has the database."""

    def __init__(self, s, log):
        self.s = s
        self.gone = {c: [] for c in range(1, s.settings["collectors"] + 1)}
        for at, who in log.deaths:
            back = min([b for b, w in log.births if w == who and b >= at], default=s.until)
            self.gone[who].append((at, back))
        for f in s.faults:
            if f[0] in ("stop", "cut"):
                self.gone[f[1]].append((f[2], f[3]))
            if f[0] in ("db", "db_lost"):
                for one in self.gone.values():
                    one.append((f[1], f[2]))

    def anybody(self, a, b):
        """One was there all the time."""
        return any(all(y <= a or b <= x for x, y in gone) for gone in self.gone.values())

    def calm(self, a, b):
        return all(y <= a or b <= x for gone in self.gone.values() for x, y in gone)


def judge_asks(s, log, say):
    presence = Presence(s, log)
    most = TAKE_OVER + 2 * s.settings["step"] + SLACK
    births = [b for b, _ in log.births]
    for host, _, _ in s.hosts:
        down = [(f[2], f[3]) for f in s.faults if f[0] in ("down", "hang", "slow") and f[1] == host]
        asks = [(s.start, 0)] + [a for a in log.asks.get(host, ()) if a[0] < s.until] + [(s.until, 0)]
        for (a, one), (b, other) in zip(asks, asks[1:]):
            # Somebody must have been there for so long, a lease's time to settle before.
            excused = any(x < b and a < y + 90 * S for x, y in down)
            if b - a > most and not excused and presence.anybody(a - 12 * S, a + most):
                say(f"host {host} was not asked for {(b - a) / S:.1f} s from {a}")
            if 0 < one != other > 0 and not any(x < b and a - 60 * S < y + 90 * S for x, y in down) and presence.calm(b - 60 * S, b) and not any(b - 60 * S < x <= b for x in births):
                say(f"host {host} was taken from collector {one} by {other} at {b} without need")


def judge(s, text):
    import oracle
    v, log = oracle.Verdict(), Log(text)
    if not log.whole:
        v.say("the driver did not come to its end")
        return v
    hosts = {h[0]: h[1] for h in s.hosts}
    rows = [Row(w) for w in log.rows]
    newest = {}
    for g in s.guests:
        newest.update(judge_guest(g, hosts, log, [r for r in rows if r.vm == g.rid], v.say))
    for rid in {r.rid for r in rows}:
        overlaps([r for r in rows if r.rid == rid], v.say)
    judge_durable(s, log, newest, v.say)
    judge_asks(s, log, v.say)
    for line in log.refused:
        v.say(f"put aside without need: {line[:200]}")
    v.rows, v.readings = len(rows), sum(map(len, log.asks.values()))
    return v
