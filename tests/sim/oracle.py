# SPDX-License-Identifier: Apache-2.0
"""The judge: says from the rules what the tables must hold, and compares.

Written from billing-rules 2.4 to 2.6 and the contracts of the tables, never from the collector's
code, and by another way: the collector goes from sample to sample and adds up; this takes what
really happened (the scenario) and what could be seen of it (the driver's log: which answers came
when, what was known by then, what a death left durable), and telescopes between instants.
"""
from bisect import bisect_left, bisect_right
from datetime import datetime, timezone

import promises
from make import values_at
from scenario import HOUR, MS, S, US

INT64 = 2 ** 63 - 1
GAP_STEPS = 3               # so many steps without a sample are a gap
LATE_END = 2 * S            # a sample taken just before a stop may be stamped after it
NOTHING = "\\N"
TURN = "1"                  # of a collector that is alone; of several: together.py


# ---------------------------------------------------------------- the driver's log

class Life:
    """From a start of the collector to its death."""

    def __init__(self, index, at):
        self.index, self.at = index, at
        self.durable = {}       # resource: us, through and end of its newest row anywhere
        self.durable_disk = set()
        self.kept = None        # version of the snapshot on its disk
        self.snapshots = []     # (index, version)
        self.loads = []         # (index, set of resources)
        self.away = []          # (index, raised)
        self.end_index = self.end = None


class Log:
    def __init__(self, text):
        self.lives, self.fast, self.guarded = [], {}, {}
        self.windows, self.gaps, self.refused, self.alerts = [], {}, {}, []
        self.applied = []       # (index, true time, how many transactions are committed)
        self.left = None        # {resource: rows on the disk at the end}
        self.whole = False
        self.when = {}          # index: true time, of what may be waited for
        for i, line in enumerate(text.splitlines()):
            getattr(self, "_" + line[0])(i, line)
        if self.lives:
            last = self.lives[-1]
            last.end_index = last.end_index if last.end_index is not None else 1 << 60

    def _B(self, i, line):
        self.lives.append(Life(i, int(line.split()[1])))

    def _R(self, i, line):
        self.left = {}

    def _D(self, i, line):
        _, rid, through, where, end = line.split()
        if self.left is not None:
            self.left[int(rid)] = self.left.get(int(rid), 0) + 1
            return
        # On the disk a row that is over comes after the same row while it was open; of two that
        # say the same the database's counts.
        life, in_db = self.lives[-1], where == "db"
        row = (int(through) * (US if in_db else 1), in_db, int(end))
        life.durable[int(rid)] = max(life.durable.get(int(rid), row), row)
        if where == "disk":
            life.durable_disk.add(int(rid))

    def _V(self, i, line):
        version = int(line.split()[1])
        self.lives[-1].kept = version if version >= 0 else None
        self.lives[-1].index = i

    def _K(self, i, line):
        life = self.lives[-1]
        life.end_index, life.end = i, int(line.split()[1])

    def _T(self, i, line):
        _, at, version = line.split()
        self.applied.append((i, int(at), int(version)))

    def _I(self, i, line):
        self.when[i] = int(line.split()[1])
        self.lives[-1].snapshots.append((i, int(line.split()[2])))

    def _L(self, i, line):
        self.lives[-1].loads.append((i, set(map(int, line.split()[2].split(",")))))

    def _A(self, i, line):
        w = line.split()
        rids = None if w[-1] != "." else set(map(int, w[5:-1]))
        self.fast.setdefault(int(w[2]), []).append(
            (i, int(w[3]), int(w[4]) // US * US, rids, int(w[1])))

    def _G(self, i, line):
        w = line.split()
        self.guarded.setdefault((int(w[2]), int(w[3])), []).append(
            (i, int(w[4]), int(w[5]) // US * US, None, int(w[1])))

    def _Y(self, i, line):
        w = line.split(" ", 5)
        self.alerts.append((i, int(w[1]), w[2], w[3], w[4] == "1"))
        if w[2] == "database.down" and self.lives:
            self.when[i] = int(w[1])
            self.lives[-1].away.append((i, w[4] == "1"))

    def _W(self, i, line):
        self.windows.append(line[2:])

    def _P(self, i, line):
        account, rid, begin, end, why = line[2:].split("\t")
        self.gaps[int(account), int(rid), int(begin)] = int(end)

    def _X(self, i, line):
        kind, key, row = line[2:].split("\t", 2)
        self.refused[kind, key] = row

    def _E(self, i, line):
        self.whole = True

    def refused_resources(self):
        return {int(line.split("\t")[1]) for (kind, _), line in self.refused.items()
                if kind == "window" and line.count("\t") > 8}


# ---------------------------------------------------------------- what the tables said

class View:
    """What a snapshot says of a guest: whose, where, which run of its process."""
    __slots__ = ("account", "host", "epoch", "begun", "ended", "fresh", "devices")

    def key(self):
        return (self.account, self.host, self.epoch, self.begun, self.ended, self.fresh,
                tuple(sorted(self.devices.items())))


class Tables:
    """The provisioning core's rows of one guest, and how they change."""

    def __init__(self, rid):
        self.rid, self.vm, self.devices, self.lifetimes = rid, None, {}, []

    def do(self, words):
        getattr(self, "do_" + words[0])(*words[1:])

    def do_vm(self, rid, account, uuid, host):
        self.vm = {"account": account, "host": host, "epoch": None}

    def do_nic(self, rid, account, vm, name, created):
        self.devices[rid] = ("n", name, created // US)

    def do_vol(self, rid, account, vm, name, created):
        self.devices[rid] = ("d", name, created // US)

    def do_at(self, rid, host, epoch):
        if self.vm:
            self.vm.update(host=host, epoch=epoch)

    def do_open(self, rid, at, *reason):
        if self.vm:
            self._open(at // US, " ".join(map(str, reason)))

    def _open(self, at, reason):
        """Two intervals of a resource and kind never overlap for one account."""
        account = self.vm["account"]
        if any(x["account"] == account and (x["to"] is None or x["to"] > at)
               for x in self.lifetimes):
            return
        self.lifetimes.append({"account": account, "from": at, "to": None, "open": reason,
                               "close": ""})

    def do_close(self, rid, at, *reason):
        for x in self.lifetimes:
            if x["to"] is None:
                x["to"] = max(at // US, x["from"] + 1)
                x["close"] = " ".join(map(str, reason))

    def do_own(self, rid, account, at):
        if not self.vm or self.vm["account"] == account:
            return
        open_ones = [x for x in self.lifetimes if x["to"] is None]
        self.do_close(rid, at, "assigned")
        self.vm["account"] = account
        for x in open_ones:
            self._open(x["to"], "assigned")

    def do_end(self, rid, at):
        self.vm, self.devices = None, {}

    def view(self):
        if not self.vm:
            return None
        v = View()
        v.account, v.host, v.epoch = self.vm["account"], self.vm["host"], self.vm["epoch"]
        lives = sorted(self.lifetimes, key=lambda x: x["from"])
        v.ended = lives[-1]["to"] if lives else None
        begin = None
        for i, x in enumerate(lives):
            # A pause after a fault and what only splits an interval begin no new run.
            goes_on = i > 0 and lives[i - 1]["close"].startswith("paused")
            if x["open"] in ("created", "started", "adopted") and not goes_on:
                begin = x
        v.begun = begin["from"] if begin else None
        v.fresh = not begin or begin["open"] != "adopted"
        v.devices = {rid: (kind, name, v.fresh or (v.begun is not None and made > v.begun))
                     for rid, (kind, name, made) in self.devices.items()}
        return v


def views_of(guest, txs):
    """[(version from which it holds, view or None)] of a guest, in order."""
    tables, out = Tables(guest.rid), [(0, None)]
    own = {id(tx) for tx in guest.txs}
    for n, tx in enumerate(txs, 1):
        if id(tx) in own:
            for words in tx.statements:
                tables.do(words)
            out.append((n, tables.view()))
    return out


# ---------------------------------------------------------------- windows (2.4)

class Rule:
    """How an account's time is cut: UTC hours or finer, its own hours, single instants."""

    def __init__(self, grain, shifts, cuts):
        self.grain, self.shifts, self.cuts = grain * S or HOUR, shifts, cuts
        self.plain = self.grain == HOUR and not cuts and all(x == 0 for _, x in shifts)

    def window(self, t):
        """start < t <= end"""
        begin = (t - 1) // self.grain * self.grain
        end = begin + self.grain
        for cut in self._near(begin // HOUR * HOUR):
            if begin < cut < t:
                begin = cut
            elif t <= cut < end:
                end = cut
        return begin, end

    def _near(self, hour):
        for h in (hour, hour + HOUR):
            for i, (since, shift) in enumerate(self.shifts):
                last = self.shifts[i + 1][0] if i + 1 < len(self.shifts) else 1 << 62
                if shift and since <= h + shift * S < last:
                    yield h + shift * S
        yield from self.cuts


class Rules:
    """Each account's rule as of a version of the tables."""

    def __init__(self, s, txs):
        self.changes = {}       # account: [(version, cuts, grain)]
        self.made = {}
        self.shifts = {a: s.zones.get(zone, []) for a, zone in s.accounts}
        state = {a: ((), 0) for a, _ in s.accounts}
        for a in state:
            self.changes[a] = [(0, (), 0)]
        own = {id(tx) for tx in s.txs}
        for n, tx in enumerate(txs, 1):
            if id(tx) not in own:
                continue
            for w in tx.statements:
                cuts, grain = state[w[1]]
                if w[0] == "cut" and w[2] % HOUR:
                    cuts = tuple(sorted(cuts + (w[2] // US * US,)))
                elif w[0] == "grain":
                    grain = w[2]
                state[w[1]] = (cuts, grain)
                self.changes[w[1]].append((n, cuts, grain))

    def versions(self, account):
        return [c[0] for c in self.changes.get(account, ())]

    def at(self, account, version):
        found = [c for c in self.changes[account] if c[0] <= version][-1]
        key = (account, found[1], found[2])
        if key not in self.made:
            self.made[key] = Rule(found[2], self.shifts[account], found[1])
        return self.made[key]


# ---------------------------------------------------------------- what was seen

class Stretch:
    """Readings in a row of one part under one state of knowledge."""
    __slots__ = ("first", "part", "run", "account", "turn", "rule", "epoch", "begun", "fresh",
                 "simulated")


class Series:
    """The readings of a resource that count, in the order in which they came."""

    def __init__(self, rid, kind, vm):
        self.rid, self.kind, self.vm = rid, kind, vm
        self.at, self.read, self.index, self.when = [], [], [], []
        self.stretches = []
        self.last = None        # ns of the wall clock, of the last that counted
        self.parted = 0         # turn whose last row was ended, since another owner was seen
        self.ends = {}          # ns of a reading: the end of its row, as a death left it

    def cut(self, through, end):
        """A death: all after `through` (us; None: everything) was never known, and whether
        the row up to there was ended says its end."""
        n = 0 if through is None else bisect_right(self.at, through * US + US - 1)
        for x in (self.at, self.read, self.index, self.when):
            del x[n:]
        while self.stretches and self.stretches[-1].first >= n:
            self.stretches.pop()
        self.last = through * US if n else None
        if n and end is not None:
            self.ends[self.at[-1]] = end * US
        self.parted = self.stretches[-1].turn if n and end == through else 0

    def add(self, stretch, answers, at_of=None):
        """Answers that hold this part; rule 1 of 2.6: not later than the last is nothing."""
        part = stretch.part
        first = len(self.at)
        last = self.last if self.last is not None else -1
        for i, read, at, _, when in answers:
            if at > last and part.begin <= read < part.end:
                self.when.append(when)
                self.at.append(at)
                self.read.append(read)
                self.index.append(i)
                last = at
        if len(self.at) > first:
            self.last = last
            stretch.first = first
            self.stretches.append(stretch)


class Watcher:
    """Works out, guest by guest, which readings counted and under which knowledge."""

    def __init__(self, s, log, say):
        self.s, self.log, self.say = s, log, say
        self.txs = s.all_txs()
        self.rules = Rules(s, self.txs)
        self.hosts = {h[0]: h for h in s.hosts}
        self.keys = {}
        self.turns = 0

    def guest(self, g):
        """{resource: Series} of a guest."""
        self.views = views_of(g, self.txs)
        self.versions = [v[0] for v in self.views]
        self.memory = []        # (index, run, true time) of its guarded answers that count
        out = {}
        for n, life in enumerate(self.log.lives):
            for series in out.values():
                ns, _, end = life.durable.get(series.rid, (None, None, None))
                through = None if ns is None else ns // US
                promises.durable_soon(self.s, series, self.log.lives[n - 1], through,
                                      self.log.refused_resources(), self.say)
                series.cut(through, end)
            self._life(g, life, out)
        return out

    def _knowledge(self, life):
        """[(index from which, view, version)] as far as it makes a difference."""
        known = [(life.index, life.kept)] if life.kept is not None else []
        known += life.snapshots
        out = []
        for index, version in known:
            view = self.views[bisect_right(self.versions, version) - 1][1]
            account = view.account if view else None
            marks = self.rules.versions(account) if view else []
            mark = bisect_right(marks, version)
            key = (view.key() if view else None, mark)
            if not out or out[-1][3] != key:
                out.append((index, view, version, key))
        return out

    def _loaded_at(self, life, rid, known_at):
        """From when on it is known where the resource left off."""
        best = None
        for index, rids in life.loads:
            if index > known_at and rid in rids:
                best = index
                break
        # While the database is away what this machine kept is enough, unless its disk had
        # failed before: then it has no snapshot.
        if rid in life.durable_disk and life.kept is not None:
            for n, (index, raised) in enumerate(life.away):
                end = life.away[n + 1][0] if n + 1 < len(life.away) else 1 << 60
                # An answer that brings the snapshot ends the absence in the same instant.
                later = self.log.when.get(end, 1 << 62) > self.log.when.get(known_at, 0)
                if raised and end > known_at and later:
                    at = max(index, known_at)
                    best = at if best is None else min(best, at)
                    break
        return best

    def _life(self, g, life, out):
        knowledge = self._knowledge(life)
        since = {}              # resource: (index of its first listing, loaded from)
        owners = {}             # resource: (account, turn) as this life has it
        for n, (index, view, version, _) in enumerate(knowledge):
            end = knowledge[n + 1][0] if n + 1 < len(knowledge) else life.end_index
            if view is None:
                since = {}
                continue
            listed = {g.rid: ("v", "-", view.fresh), **view.devices}
            since = {rid: x for rid, x in since.items() if rid in listed}
            for rid in listed:
                if rid not in since:
                    since[rid] = self._loaded_at(life, rid, index)
                # Whose it was before that was known says nothing of where its row ends.
                if since[rid] is not None and since[rid] < end:
                    self._own(out.get(rid), owners, rid, view.account)
            if view.begun is None or view.epoch is None:
                continue
            self._see(g, view, version, (index, end), listed, since, owners, out)

    def _own(self, series, owners, rid, account):
        """Each change of the owner that was seen ends a row and begins a new one."""
        if rid not in owners:
            last = series.stretches[-1] if series and series.stretches else None
            if last and last.account == account and last.turn != series.parted:
                owners[rid] = (account, last.turn)
                return
        elif owners[rid][0] == account:
            return
        self.turns += 1
        owners[rid] = (account, self.turns)
        if series and series.stretches:
            series.parted = series.stretches[-1].turn

    def _see(self, g, view, version, span, listed, since, owners, out):
        """What came while this was known: of the run that is known, resource by resource."""
        host = self.hosts[view.host]
        runs = [r for r in g.runs if r.host == view.host and
                view.epoch == f"{host[1]}/{r.domid}"]
        if not runs:
            return
        lanes = {"f": self._answers(self.log.fast.get(view.host, ()), ("f", view.host), span),
                 "g": self._answers(self.log.guarded.get((g.rid, view.host), ()),
                                    ("g", g.rid, view.host), span)}
        for name, answers in lanes.items():
            lanes[name] = [a for a in answers if self._in_time(a, view)
                           and (a[3] is None or g.rid in a[3])]
        self.memory.extend((a[0], run, a[1]) for a in lanes["g"] for run in runs
                           if run.begin <= a[1] < run.end)
        for rid, (kind, name, fresh) in listed.items():
            parts = [(p, r) for r in runs for p in r.parts if p.kind == kind and p.name == name]
            # Which run it is stands in the guest's own row: its devices wait for that.
            known = [since.get(rid), since.get(g.rid)]
            if None in known or max(known) >= span[1] or not parts:
                continue
            answers = [a for a in lanes["g" if kind == "d" else "f"] if a[0] > max(known)]
            for part, run, some in by_part(parts, answers):
                x = Stretch()
                x.part, x.run, (x.account, x.turn) = part, run, owners[rid]
                x.rule = self.rules.at(x.account, version)
                x.begun, x.fresh, x.simulated = view.begun, fresh, bool(host[2])
                x.epoch = f"{host[1]}/{run.domid}"
                if rid not in out:
                    out[rid] = Series(rid, kind, g.rid)
                out[rid].add(x, some)

    def _answers(self, every, name, span):
        if name not in self.keys:
            self.keys[name] = [a[0] for a in every]
        keys = self.keys[name]
        return every[bisect_left(keys, span[0]):bisect_left(keys, span[1])]

    def _in_time(self, answer, view):
        return view.ended is None or answer[2] <= view.ended * US + LATE_END


def by_part(parts, answers):
    """The answers in their order, in stretches of one part: (part, run, answers)."""
    if len(parts) == 1:
        yield *parts[0], answers
        return
    at, some = None, []
    for a in answers:
        own = next((p for p in parts if p[0].begin <= a[1] < p[0].end), None)
        if own is not at and some:
            yield *at, some
            some = []
        at = own
        if own is not None:
            some.append(a)
    if some:
        yield *at, some


# ---------------------------------------------------------------- rows

class Reader:
    """The counters of a part at any instant, and where they fell."""

    def __init__(self, part):
        self.part = part
        self.ats = [p.at for p in part.pieces]
        self.falls = []
        for a, b in zip(part.pieces, part.pieces[1:]):
            before, after = values_at(a, b.at), b.values
            counters = COUNTERS[part.kind]
            pairs = list(zip(before, after))[:counters] + (
                list(zip(before[4:], after[4:])) if part.kind == "v" else [])
            if len(before) != len(after) or any(y[0] < x[0] for x, y in pairs):
                self.falls.append(b.at)

    def __call__(self, t):
        return values_at(self.part.pieces[max(0, bisect_right(self.ats, t) - 1)], t)


COUNTERS = {"v": 1, "n": 2, "d": 4}
KINDS = {"v": "vm", "n": "nic", "d": "volume"}


class Row:
    __slots__ = ("account", "begin", "end", "first", "last", "sums", "vcpu", "resets", "rule",
                 "turn")


class Rows:
    """The usage windows of a series."""

    def __init__(self, series, drops=(), memory=None, guest=None):
        self.x = series
        self.firsts = [st.first for st in series.stretches]
        self.drops = drops      # of the guest: (index, at) where its run turned out to be new
        self.memory = memory    # of the guest: what its guarded answers said of its memory
        self.readers = {}
        self.rows = []
        self.gaps = []
        self.new_runs = []
        self._turns()
        self.of_guest = guest if guest is not None else self if series.kind == "v" else None
        self._build()

    def reader(self, part):
        if id(part) not in self.readers:
            self.readers[id(part)] = Reader(part)
        return self.readers[id(part)]

    def _build(self):
        x, row = self.x, None
        for n, st in enumerate(x.stretches):
            end = x.stretches[n + 1].first if n + 1 < len(x.stretches) else len(x.at)
            i = st.first
            while i < end:
                row = self._row_for(row, st, i)
                j = bisect_right(x.at, row.end, i, end)
                if row.rule is not st.rule:
                    j = i + 1
                j = self._run_end(st, i, j)
                self._count(row, st, i, j)
                i = j
        if row is not None and row.turn == x.parted:
            row.end = self._through(row)

    def _run_end(self, st, i, j):
        """Up to where the readings from i on are of one run: a row is of no other."""
        k = i + 1
        while k < j:
            k = self._until_break(st, k, j)
            if k < j and self._new_run(st, k):
                return k
            k += 1
        return j

    def _new_run(self, st, i):
        """The reading i is of another run than the one before it."""
        before = self.stretch_of(i - 1)
        if not self._known_as_one(before, st, i) or self._drop_between(i - 1, i):
            return True
        return self.x.kind == "v" and self._shown(st, i)[0] < self._shown(before, i - 1)[0]

    def _known_as_one(self, before, st, i):
        # A run that was seen to be another one before it was told stays that one: its
        # begin is told late, and nothing counts twice.
        return (before.epoch, before.part.port) == (st.epoch, st.part.port) and (
            before.begun == st.begun or self._guess(i, st) is not None)

    def _shown(self, st, i):
        return [v[0] if v else None for v in self.reader(st.part)(self.x.read[i])]

    def _row_for(self, row, st, i):
        t, earliest = self.x.at[i], 0
        if row is not None:
            row.end = min(row.end, self.x.ends.get(self._through(row), row.end))
        if row is not None and row.turn == st.turn and self._new_run(st, i):
            earliest = t - US
            row.end = min(row.end, earliest)
            begin, _ = st.rule.window(t)
            if self._through(row) <= begin < row.end:
                row.end = begin
        elif row is not None and row.turn == st.turn:
            begin, _ = st.rule.window(t)
            through = self.x.at[row.last]
            split = begin > row.begin and begin >= through
            if t <= row.end and not split:
                return row
            # A border that was put into an open window after its last reading ends it.
            if through <= begin < row.end:
                row.end = begin
        elif row is not None:
            row.end = self._through(row)
        new = Row()
        new.account, new.turn, new.rule = st.account, st.turn, st.rule
        new.begin, new.end = st.rule.window(t)
        if row is not None:
            new.begin = max(new.begin, row.end, earliest)
        new.first = new.last = i
        new.sums, new.vcpu, new.resets = [0] * COUNTERS[self.x.kind], 0, 0
        self.rows.append(new)
        return new

    def _through(self, row):
        return self.x.at[row.last]

    def _count(self, row, st, i, j):
        """Readings i to j-1, all of one part, go into the row."""
        if i == 0 or not self._same_part(i - 1, st) or self._drop_between(i - 1, i):
            self._step(row, st, i)
            i += 1
        while i < j:
            k = self._until_break(st, i, j)
            if k > i:
                self._move(row, st, i - 1, k - 1)
                i = k
            else:
                self._step(row, st, i)
                i += 1
        row.last = j - 1

    def _same_part(self, i, st):
        before = self.stretch_of(i)
        return before.part is st.part and before.begun == st.begun

    def stretch_of(self, i):
        return self.x.stretches[bisect_right(self.firsts, i) - 1]

    def _until_break(self, st, i, j):
        """The first k > i-1 such that something fell between the readings k-1 and k."""
        x, falls = self.x, self.reader(st.part).falls
        n = bisect_right(falls, x.read[i - 1])
        k = j
        if n < len(falls):
            k = bisect_left(x.read, falls[n], i, j)
        for index, _ in self.drops:
            m = bisect_left(x.index, index, i, j)
            if m < k:
                k = m
        return k

    def _drop_between(self, a, b):
        """Its guest's run turned out to be another one, begun after the reading a."""
        return any(self.x.index[a] < index <= self.x.index[b] and self.x.at[a] // US < begun
                   for index, begun in self.drops)

    def _move(self, row, st, a, b):
        """Nothing fell between a and b: what one shows less than the other."""
        read = self.reader(st.part)
        va, vb = read(self.x.read[a]), read(self.x.read[b])
        for f in range(len(row.sums)):
            row.sums[f] += vb[f][0] - va[f][0]
        if self.x.kind == "v":
            row.vcpu += sum(v[0] for v in vb[4:]) - sum(v[0] for v in va[4:])

    def _step(self, row, st, i):
        """One reading against the one before it, by rules 2 to 5."""
        now = self._shown(st, i)
        if i == 0:
            if st.fresh:
                self._whole(row, now)
            return
        before = self.stretch_of(i - 1)
        then = self._shown(before, i - 1)
        if not self._known_as_one(before, st, i) or self._drop_between(i - 1, i):
            self._whole(row, now)
            return
        if self.x.kind == "v" and now[0] < then[0]:
            # Its process is another one, that nobody saw begin: all counts from zero.  It
            # is taken to have begun just after the last reading of the old one.
            begun = max(self.x.at[i - 1] // US, self._guess(i - 1, before) or before.begun)
            self.new_runs.append((self.x.index[i], begun + 1))
            self._whole(row, now)
            return
        fell = False
        for f in range(len(row.sums)):
            fell = fell or now[f] < then[f]
            row.sums[f] += now[f] - then[f] if now[f] >= then[f] else now[f]
        if self.x.kind == "v":
            for a, b in zip(then[4:], now[4:]):
                fell = fell or b < a
                row.vcpu += b - a if b >= a else b
            row.vcpu += sum(now[4 + len(then[4:]):])
        row.resets += fell

    def _whole(self, row, now):
        for f in range(len(row.sums)):
            row.sums[f] += now[f]
        if self.x.kind == "v":
            row.vcpu += sum(now[4:])

    # ---- as the table has it

    def _guess(self, i, st):
        """The begin of a run that was seen to be another one, as long as its id is the same."""
        found = None
        for index, at in self.drops or self.new_runs:
            if index <= self.x.index[i] and self._holds(index, st, self.x.index[i]):
                found = at
        return found

    def _holds(self, index, st, own):
        """A drop belongs to the id under which it was seen, until the guest has another."""
        if self.of_guest is None:
            return True
        name, turn = self.of_guest.place(index)
        return name == st.epoch and turn == self.of_guest.place(own)[1]

    def place(self, index):
        """Of the guest's own readings: which run the last one up to there was of, and how
        often that had changed by then."""
        n = bisect_right([self.x.index[f] for f in self.firsts], index) - 1
        return self.names[n], self.turns[n]

    def _turns(self):
        self.names, self.turns = [], []
        for st in self.x.stretches:
            changed = not self.names or st.epoch != self.names[-1]
            self.turns.append((self.turns[-1] if self.turns else 0) + changed)
            self.names.append(st.epoch)

    def line(self, row, upto=None):
        x, last = self.x, row.last if upto is None else upto
        st = self.stretch_of(last)
        now = self.reader(st.part)(x.read[last])
        guess = self._guess(last, st)
        epoch = f"{st.epoch}/{st.begun}" if guess is None else f"{st.epoch}/{guess}!"
        if st.part.port != "-":
            epoch += "/" + st.part.port
        words = [str(row.account), str(x.rid), str(row.begin // US), str(row.end // US),
                 KINDS[x.kind], str(x.vm), str(x.at[last] // US), epoch]
        words += self._counters(row, now)
        words += [str(last - row.first + 1), str(row.resets),
                  "t" if any(s.simulated for s in x.stretches if s.first <= last) else "f"]
        return "\t".join(words + self._gauges(st, last, now) + [TURN])

    def _counters(self, row, now):
        """Sums, then what was last shown: of each kind its own, the others nothing."""
        raw = [str(v[0]) for v in now[:COUNTERS[self.x.kind]]]
        sums = [str(v) for v in row.sums]
        if self.x.kind == "v":
            vcpus = ",".join(str(v[0]) for v in now[4:])
            return sums + [str(row.vcpu)] + ["0"] * 6 + raw + [vcpus] + [NOTHING] * 6
        if self.x.kind == "n":
            return (["0", "0"] + sums + ["0"] * 4 + [NOTHING] * 2 + raw + [NOTHING] * 4)
        return ["0"] * 4 + sums + [NOTHING] * 4 + raw

    def _gauges(self, st, last, now):
        if self.x.kind == "n":
            return [NOTHING] * 6
        if self.x.kind == "v":
            rss, unused = self.memory(self.x.index[last]) if self.memory else (None, None)
            return [str(now[1][0] * 1024), word(rss), word(unused)] + [NOTHING] * 3
        return [NOTHING] * 3 + [word(self._last_seen(last, f)) for f in (4, 5, 6)]

    def _last_seen(self, last, f):
        while last >= 0:
            v = self.reader(self.stretch_of(last).part)(self.x.read[last])[f]
            if v is not None:
                return v[0]
            last -= 1
        return None


def word(v):
    return NOTHING if v is None else str(v)


def iso(us):
    return datetime.fromtimestamp(us // 10 ** 6, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + \
        ".%06dZ" % (us % 10 ** 6)


# ---------------------------------------------------------------- the verdict

class Verdict:
    def __init__(self):
        self.complaints = []
        self.rows = self.readings = self.gaps = 0

    def say(self, what):
        self.complaints.append(what)


def judge(s, text):
    """Compares all; complaints say what differs."""
    v, log = Verdict(), Log(text)
    if not log.whole:
        v.say("the driver did not come to its end")
        return v
    watcher = Watcher(s, log, v.say)
    actual = {}
    for line in log.windows:
        account, rid, begin, _ = line.split("\t", 3)
        actual[int(account), int(rid), int(begin)] = line
    gaps, forgotten = {}, set()
    refused = log.refused_resources()
    for g in s.guests:
        # What the tables refuse has no memory: a death forgets it, and the guest's own row
        # is where a run that nobody saw begin is written down.  Its cards and disks then begin
        # a row for a run that is none.
        forgets = g.rid in refused
        for rows in rows_of_guest(s, g, watcher):
            if forgets:
                forgotten.add(rows.x.rid)
            v.readings += len(rows.x.at)
            for row in rows.rows:
                v.rows += 1
                compare_row(v, s, rows, row, actual, log, forgets)
            gaps_of(s, rows, gaps)
    for key, line in sorted(actual.items()):
        if key[1] not in forgotten:
            v.say(f"a row that must not be: {line}")
    compare_gaps(v, gaps, log.gaps, refused)
    for (kind, key), line in log.refused.items():
        if kind != "window" or line.count("\t") < 24 or not too_large(line):
            v.say(f"put aside without need: {kind} {key} {line[:200]}")
    promises.keep(s, log, v.say)
    for rid, count in log.left.items():
        if count > 1:
            v.say(f"{count} rows of resource {rid} lie on the disk, although the tables have all")
    return v


def rows_of_guest(s, g, watcher):
    every = watcher.guest(g)
    vm = every.get(g.rid)
    own = Rows(vm, memory=Memory(watcher, vm)) if vm is not None else None
    out = [own] if own else []
    for rid, series in sorted(every.items()):
        if rid != g.rid:
            out.append(Rows(series, own.new_runs if own else (), guest=own))
    return out


class Memory:
    """Gauges of the guest's memory: a guarded answer's ride with the next fast reading that
    counts, of the same life; what was last seen stays."""

    def __init__(self, watcher, vm):
        self.marks, self.values = [], []
        starts = [life.index for life in watcher.log.lives]
        last, readers = (None, None), {}
        for index, run, read in sorted(watcher.memory, key=lambda m: m[0]):
            n = bisect_right(vm.index, index)
            if n == len(vm.index) or bisect_right(starts, index) != bisect_right(
                    starts, vm.index[n]):
                continue
            if id(run) not in readers:
                readers[id(run)] = Reader(run.parts[0])
            now = readers[id(run)](read)
            last = tuple(x[0] if x else y for x, y in zip(now[2:4], last))
            self.marks.append(vm.index[n])
            self.values.append(last)

    def __call__(self, index):
        n = bisect_right(self.marks, index)
        return self.values[n - 1] if n else (None, None)


def compare_row(v, s, rows, row, actual, log, forgets):
    key = (row.account, rows.x.rid, row.begin // US)
    want, have = rows.line(row), actual.pop(key, None)
    if have == want or forgets:
        return
    if too_large(want):
        # A state of before may have been taken.
        if have is None and ("window", f"{row.account}/{rows.x.rid}/{iso(row.begin // US)}") not in log.refused:
            v.say(f"can't be stored and is not put aside: {want}")
        return
    v.say(f"row differs\n  must be {want}\n  is      {have}")


def too_large(line):
    words = line.split("\t")[8:24]
    return any(int(x) > INT64 for w in words if w != NOTHING for x in w.split(","))


def gaps_of(s, rows, out):
    x = rows.x
    if x.kind == "n":
        return              # its guest's row tells
    most = GAP_STEPS * s.settings["step" if x.kind == "v" else "guarded"]
    for i in range(1, len(x.at)):
        if x.at[i] - x.at[i - 1] <= most:
            continue
        b = rows.stretch_of(i)
        if x.at[i - 1] >= b.begun * US:
            out[b.account, x.rid, x.at[i - 1] // US] = x.at[i] // US


def compare_gaps(v, want, have, refused):
    v.gaps = len(want)
    for key in sorted(set(want) | set(have)):
        if key[1] in refused:
            continue
        if want.get(key) != have.get(key):
            v.say(f"gap of resource {key[1]} (account {key[0]}) from {iso(key[2])}: must end "
                  f"{want.get(key) and iso(want[key])}, ends {have.get(key) and iso(have[key])}")
