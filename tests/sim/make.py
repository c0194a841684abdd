# SPDX-License-Identifier: Apache-2.0
"""Makes a scenario out of a seed: guests with their true counters, what the provisioning core
knew of them and when, and faults.  Each seed draws which kinds of trouble it has and how much
of each, not only when ("swarm"), so that rare mixes come up.  Same seed, same scenario."""
import random
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from scenario import HOUR, MS, S, US, Guest, Part, Piece, Run, Scenario, Tx

DAY = 24 * HOUR
# Zones whose hours begin inside a UTC hour, one of them with a half-hour summer time, and others.
ZONES = ("UTC", "UTC", "UTC", "Asia/Seoul", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu",
         "Australia/Lord_Howe", "America/St_Johns", "Pacific/Chatham")
HALF_HOUR = "Australia/Lord_Howe"
TROUBLES = ("churn", "unseen", "migrate", "reset", "reboot", "resize", "plug", "owner", "idreuse", "late_tx", "storm", "sharp", "summer",
            "down", "hang", "slow", "twice", "swap", "busy", "clock", "db", "db_lost", "db_slow", "kill",
            "full", "torn", "huge", "cuts", "grain", "adopted", "remove", "pause", "ticks", "burst")
# How large a seed is: (weight, guests, hosts, looks, steps in s); looks: how often each host is
# asked, which with the step makes the time; the last are a month and a crowd.
SIZES = ((620, (1, 4), (1, 2), (40, 400), (10, 10, 30, 60)),
         (340, (1, 6), (1, 3), (100, 500), (60, 120, 300)),
         (30, (1, 3), (1, 2), (800, 2000), (120, 300)),
         (7, (1, 2), (1, 2), (8064, 8928), (300,)),
         (3, (100, 200), (2, 9), (20, 60), (60, 300)))


def uuid_of(kind, n):
    return f"{kind:08x}-0000-4000-8000-{n:012x}"


class Maker:
    def __init__(self, seed, size=None, troubles=None):
        self.rng = random.Random(f"jeoul {seed}")
        self.s = Scenario(seed=seed)
        self.has = self._troubles(troubles)
        self._frame(size)

    def _troubles(self, only):
        share = self.rng.choice((15, 30, 50, 80))
        drawn = {t for t in TROUBLES if self.rng.randrange(100) < share}
        return drawn if only is None else set(only)

    def _frame(self, size):
        r, s = self.rng, self.s
        drawn = r.choices(SIZES, [x[0] for x in SIZES])[0][1:]
        guests, hosts, looks, steps = size or drawn
        s.settings = {"step": r.choice(steps) * S}
        s.settings["guarded"] = s.settings["step"] * r.choice((1, 1, 2, 6))
        s.settings["deadline"] = min(r.choice((2, 5, 15)) * S, s.settings["step"] // 2)
        first = datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(days=r.randrange(1100))
        s.start = int(first.timestamp()) * S + r.randrange(DAY // US) * US
        span = r.randint(*looks) * s.settings["step"]
        names = {z: None for z in r.choices(ZONES, k=r.randint(1, 3))}
        if "summer" in self.has:
            # The one zone whose summer time moves the begin of its hours within the UTC hour.
            names = {HALF_HOUR: None, **names}
            s.start = summer_near(s.start) - r.randrange(US, span) // US * US
        s.until = s.start + span
        self.guest_count = r.randint(*guests)
        for i in range(r.randint(*hosts)):
            s.hosts.append((i + 1, uuid_of(0xA0, i + 1), 0))
        for i in range(r.randint(1, 3)):
            s.accounts.append((1001 + i, r.choice(list(names))))
        for name in {z for _, z in s.accounts}:
            s.zones[name] = shifts(name, s.start - 2 * DAY, s.until + 50 * DAY)

    def make(self):
        self._clock()
        for i in range(self.guest_count):
            self.s.guests.append(GuestMaker(self, i).make())
        self._accounts()
        self._faults()
        return self.s

    # ---- trouble

    def _spans(self, count, shortest, longest, latest=None):
        """So many intervals inside the scenario, their lengths spread over magnitudes."""
        r, s = self.rng, self.s
        latest = latest or s.until
        longest = max(shortest + 1, min(longest, (latest - s.start) // 2))
        for _ in range(count):
            length = shortest
            while length < longest and r.random() < 0.8:
                length = length * 3 // 2 + 1
            at = s.start + r.randrange(max(1, latest - s.start))
            yield at, min(at + min(length, longest), latest)

    def _count(self, most):
        return self.rng.randint(1, most)

    def _clock(self):
        """Before all else: stamps depend on it."""
        if "clock" not in self.has:
            return
        r = self.rng
        for at, _ in self._spans(self._count(3), 1, 2):
            by = r.choice((1, -1)) * r.choice((3 * MS, 700 * MS, 2 * S, 90 * S, 1800 * S, HOUR))
            self.s.faults.append(("clock", at // US * US, by))

    def _accounts(self):
        r, s = self.rng, self.s
        if "cuts" in self.has:
            for _ in range(self._count(6)):
                at = s.start + r.randrange(s.until - s.start)
                # Entered ahead of its time, or late: then it can cut nothing any more.
                known = at - r.choice((30 * S, 2 * HOUR, DAY, -100 * S, -HOUR))
                known = max(known, s.start)
                cut = s.wall(at) // S * S + r.choice((0, 0, 250 * MS))
                s.txs.append(Tx(known, [("cut", r.choice(s.accounts)[0], cut)]))
        if "grain" in self.has:
            at = s.start + r.choice((0, r.randrange(s.until - s.start)))
            s.txs.append(Tx(at, [("grain", r.choice(s.accounts)[0],
                                  r.choice((300, 900, 1800)))]))

    def _faults(self):
        r, s, f = self.rng, self.s, self.s.faults
        hosts = [h[0] for h in s.hosts]
        step = s.settings["step"]
        if "storm" in self.has:
            for _ in range(self._count(3)):
                self._storm()
        if "slow" in self.has:
            for a, b in self._spans(self._count(6), step, 6 * HOUR):
                f.append(("slow", r.choice(hosts), a, b, r.choice((1, 50)), r.choice((900, 4900))))
        for word in ("down", "hang"):
            if word in self.has:
                for a, b in self._spans(self._count(6), step // 3, 12 * HOUR):
                    f.append((word, r.choice(hosts), a, b))
        for word in ("twice", "swap", "sharp"):
            if word in self.has:
                for a, b in self._spans(self._count(8), step, 4 * HOUR):
                    f.append((word, r.choice(hosts), a, b))
        for word in ("db", "db_lost", "db_slow"):
            if word in self.has:
                for a, b in self._spans(self._count(5), 1 * S, 10 * HOUR):
                    f.append((word, a, b))
        if "kill" in self.has:
            for a, b in self._spans(self._count(8), 1 * MS, 2 * HOUR):
                # Dies at so many-th touch of disk, database or host after that instant.
                f.append(("kill", 1, a, r.choice((0, 1, 2, 3, 5, 8, 20, 60)), b - a))
        if "full" in self.has:
            for a, b in self._spans(self._count(4), step, 6 * HOUR):
                f.append(("full", 1, a, b))
        if "torn" in self.has:
            for a, b in self._spans(self._count(2), 1 * MS, HOUR):
                f.append(("kill", 1, a, r.randrange(30), b - a))
                f.append(("torn", 1, a, r.choice(("power", "power", "head", "garbage", "gone", "inventory"))))


    def _storm(self):
        """Much at once, within a few steps: what each alone would not show."""
        r, s = self.rng, self.s
        step = r.choice((1, 5, 20)) * s.settings["step"]
        begin = s.start + r.randrange(s.until - s.start)
        for word in ("full", "full", "db", "db", "db_lost", "db_slow", "kill", "kill", "kill",
                     "torn", "down", "hang", "twice"):
            if r.random() < 0.4:
                continue
            a = begin + r.randrange(12 * step)
            b = a + r.randrange(1, 6 * step)
            if word == "kill":
                s.faults.append(("kill", 1, a, r.choice((0, 1, 3, 8, 20)),
                                 r.choice((MS, S, 9 * S, 3 * step, 6 * step))))
            elif word == "torn":
                s.faults.append(("kill", 1, a, r.randrange(12), 5 * MS))
                s.faults.append(("torn", 1, a, "power"))
            elif word in ("down", "hang", "twice"):
                s.faults.append((word, r.choice(s.hosts)[0], a, b))
            else:
                s.faults.append((word, 1, a, b) if word == "full" else (word, a, b))


def summer_near(t):
    """The next change of the half-hour zone after t."""
    found = shifts(HALF_HOUR, t, t + 200 * DAY)
    return found[1][0]


def shifts(name, begin, end):
    """When local hours begin within UTC hours: [(since, seconds after the UTC hour)]."""
    zone, out = ZoneInfo(name), []
    hour = begin // HOUR * HOUR
    while hour < end:
        local = datetime.fromtimestamp(hour // S, zone)
        shift = (3600 - local.minute * 60) % 3600
        if not out or out[-1][1] != shift:
            out.append((hour, shift))
        hour += HOUR
    return out


class GuestMaker:
    """One guest's life, from what it is made of to its last piece."""

    def __init__(self, maker, index):
        self.m, self.s, self.r, self.has = maker, maker.s, maker.rng, maker.has
        self.index = index
        self.g = Guest(10000 + 20 * index, uuid_of(0xB0, index))
        self.account = self.r.choice(self.s.accounts)[0]
        self.vcpus = self.r.choice((1, 1, 2, 4, 9))
        self.memory = self.r.choice((65536, 1048576, 8388608))
        self.cards = [(self.g.rid + 1 + i, f"52:54:00:00:{index % 256:02x}:{i:02x}")
                      for i in range(self.r.choice((0, 1, 1, 1, 2)))]
        self.disks = [(self.g.rid + 11 + i, f"vd{'abcd'[i]}")
                      for i in range(self.r.choice((0, 1, 1, 2)))]
        self.runs = 0
        self.pace = self.r.choice((10, 60, 240, 1440)) * 60 * S   # how often its load changes
        self.huge = "huge" in self.has and self.r.random() < 0.3

    def tx(self, at, *statements):
        at = max(at, self.s.start)
        self.g.txs.append(Tx(at, list(statements)))
        return at

    def stamp(self, t):
        return self.s.wall(t) // US * US

    def make(self):
        s, r = self.s, self.r
        t = s.start + r.choice((0, 0, 1)) * r.randrange(1 + (s.until - s.start) // 2)
        host = r.choice(s.hosts)
        adopted = "adopted" in self.has and r.random() < 0.5
        if adopted:
            self._adopt(t, host)
        else:
            self._create(t, host)
        return self.g

    # ---- its rows

    def _rows(self, account, host, created):
        g = self.g
        out = [("vm", g.rid, account, g.uuid, host[0])]
        out += [("nic", rid, account, g.rid, mac, created) for rid, mac in self.cards]
        out += [("vol", rid, account, g.rid, target, created) for rid, target in self.disks]
        return out

    def _epoch(self, host, domid):
        return f"{host[1]}/{domid}"

    def _delay(self):
        """How long until the provisioning core has seen it and committed."""
        if "late_tx" in self.has and self.r.random() < 0.3:
            return self.r.randrange(1, 1800) * S
        return self.r.randrange(1, 3000) * MS

    def _adopt(self, t, host):
        begin = self.s.start - self.r.randrange(1, 3000 * 3600) * S
        domid = self._domid()
        self._seen = t
        seen = t + self._delay()
        self.tx(seen, *self._rows(self.account, host, self.stamp(seen)),
                ("at", self.g.rid, host[0], self._epoch(host, domid)),
                ("open", self.g.rid, self.stamp(seen), "adopted"))
        self._live(begin, host, domid, since=seen)

    def _create(self, t, host):
        self.tx(t, *self._rows(self.account, host, self.stamp(t)))
        begin = t + self.r.randrange(200, 9000) * MS
        self._begin(begin, host, "started")

    def _begin(self, begin, host, reason):
        domid = self._domid()
        seen = begin + self._delay()
        self.tx(seen, ("at", self.g.rid, host[0], self._epoch(host, domid)),
                ("open", self.g.rid, self.stamp(begin + 100 * MS), reason))
        self._live(begin, host, domid, since=seen)

    def _domid(self):
        """libvirt counts from 1 on each host; here unique, or the same again after a reboot."""
        self.runs += 1
        if "idreuse" in self.has and self.r.random() < 0.5:
            return self.index * 1000 + 1
        return self.index * 1000 + self.runs

    # ---- a run, and how it ends

    def _live(self, begin, host, domid, since):
        """since: the provisioning core knows it; nothing else is done to it before."""
        s, r = self.s, self.r
        run = Run(host[0], domid, begin, s.until + 3650 * DAY)
        self.g.runs.append(run)
        self._parts(run)
        end = since
        while True:
            end += self._stay()
            if end >= s.until:
                break
            what = r.choice(self._fates())
            if what in ("resize", "owner", "pause", "plug"):
                end = getattr(self, "_" + what)(run, end)
                continue
            self._close(run, end)
            getattr(self, "_" + what)(run, host, end)
            return
        self._close(run, s.until + 3650 * DAY)

    def _stay(self):
        span = self.s.until - self.s.start
        return self.r.randrange(1, 2 + span // self.r.choice((1, 2, 4, 10)))

    def _fates(self):
        names = [t for t in ("resize", "owner", "pause", "plug") if t in self.has]
        for trouble, fates in (("churn", ["stop", "crash"]), ("unseen", ["unseen"]),
                               ("migrate", ["migrate", "migrate"]), ("remove", ["remove"]),
                               ("reboot", ["reboot"])):
            if trouble in self.has:
                names += fates
        return names or ["stop"]

    def _notice(self, end):
        if self.r.random() < 0.5:
            self.g.others.append(("event", end + self.r.randrange(0, 400) * MS,
                                  self.g.runs[-1].host, self.g.uuid))

    def _stop(self, run, host, end):
        """We drive it: a last sample is asked for and waited for, then the power goes."""
        self.g.others.append(("hint", end - 1500 * MS, self.g.uuid))
        self._ended(run, host, end, "stopped")

    def _crash(self, run, host, end):
        self._notice(end)
        self._ended(run, host, end, "crashed")

    def _ended(self, run, host, end, why):
        seen = self.tx(end + self._delay(), ("close", self.g.rid, self.stamp(end), why))
        # A host that numbers its guests from 1 again has been away for a while.
        again = seen + 3 * S + self.r.randrange(1, 4000) * self.r.choice((MS, S))
        if again < self.s.until and self.r.random() < 0.8:
            self._begin(again, self.r.choice((host, self.r.choice(self.s.hosts))), "started")

    def _unseen(self, run, host, end):
        """Stopped and started again between two looks: told as one change, bounded by proof."""
        begin = end + self.r.randrange(1, 2000) * MS
        domid = self._domid()
        while domid == run.domid:
            domid = self._domid()
        seen = begin + self._delay()
        self.tx(seen, ("close", self.g.rid, self.stamp(end), "restarted unseen"),
                ("open", self.g.rid, self.stamp(seen), "started"),
                ("at", self.g.rid, host[0], self._epoch(host, domid)))
        self._live(begin, host, domid, since=seen)

    def _reboot(self, run, host, end):
        """The host restarts and numbers its guests as before: nobody writes anything down."""
        begin = end + self.r.randrange(1, 900) * self.r.choice((MS, S))
        self._live(begin, host, run.domid, since=begin)

    def _migrate(self, run, host, switch):
        """Both hosts show it for a while; only one at a time consumes."""
        r = self.r
        to = r.choice([h for h in self.s.hosts if h != host] or [host])
        domid = self._domid()
        while domid == run.domid:
            domid = self._domid()
        begin = switch - r.randrange(0, 5000) * MS
        run.end = switch + r.randrange(1, 3000) * MS
        for p in run.parts:
            if p.end == switch:     # it stands still there until it goes
                p.end = run.end
                p.pieces.append(Piece(switch, [v and (v[0], 0)
                                               for v in values_at(p.pieces[-1], switch)]))
        seen = switch + self._delay()
        self.tx(seen, ("close", self.g.rid, self.stamp(switch), "migrated"),
                ("at", self.g.rid, to[0], self._epoch(to, domid)),
                ("open", self.g.rid, self.stamp(switch), "migrated"))
        # On one host there is one process of it at a time, also if it comes back at once.
        begin = max([begin] + [r.end for r in self.g.runs if r.host == to[0]])
        self._live(begin, to, domid, since=max(seen, begin))

    def _remove(self, run, host, end):
        self.tx(end + self._delay(), ("close", self.g.rid, self.stamp(end), "destroyed"),
                ("end", self.g.rid, self.stamp(end)))

    def _resize(self, run, at):
        """vCPUs come or go while it runs."""
        part = run.parts[0]
        old = self.vcpus
        self.vcpus = self.r.choice((1, 2, 4, 9))
        self._split(part, at)
        values = part.pieces[-1].values
        values[4 + self.vcpus:] = []
        values.extend((0, self._rate("cpu")) for _ in range(self.vcpus - old))
        seen = at + self._delay()
        self.tx(seen, ("close", self.g.rid, self.stamp(at), "resized"),
                ("open", self.g.rid, self.stamp(at), "resized"))
        return seen

    def _owner(self, run, at):
        self.account = self.r.choice(self.s.accounts)[0]
        return self.tx(at, ("own", self.g.rid, self.account, self.stamp(at)))

    def _pause(self, run, at):
        """Its disk's pool was full: not the tenant's fault; the same process goes on later."""
        back = at + self.r.randrange(1, 3600) * S
        self.tx(at + 100 * MS, ("close", self.g.rid, self.stamp(at),
                                "paused by a fault of the provider"))
        self.tx(back + 100 * MS, ("open", self.g.rid, self.stamp(back), "started"))
        return back + 200 * MS

    def _plug(self, run, at):
        """A card is pulled out and put in again: another plugging in, counters from zero."""
        cards = [p for p in run.parts if p.kind == "n" and p.end >= self.s.until]
        if not cards or self.r.random() < 0.3:
            return self._plug_new(run, at)
        card = self.r.choice(cards)
        self._cut(card, at)
        back = at + self.r.randrange(1, 600) * self.r.choice((MS, S))
        self._part(run, "n", card.rid, card.name, back)
        return back

    def _plug_new(self, run, at):
        if len(self.cards) >= 4:
            return at
        n = len(self.cards)
        card = (self.g.rid + 1 + n, f"52:54:00:00:{self.index % 256:02x}:{n:02x}")
        self.cards.append(card)
        self._part(run, "n", *card, at)
        return self.tx(at + self._delay(), ("nic", card[0], self.account, self.g.rid, card[1],
                                            self.stamp(at)))

    # ---- counters

    def _parts(self, run):
        begin = run.begin
        part = Part("v", self.g.rid, "-", "-", begin, run.end)
        used = self._used(begin)
        part.pieces = [Piece(begin, [(used, self._rate("cpu")), (self.memory, 0),
                                     self._gauge(self.memory), self._gauge(self.memory)] +
                             [(used // self.vcpus, self._rate("cpu"))
                              for _ in range(self.vcpus)])]
        run.parts.append(part)
        self._pieces(part, begin)
        for rid, mac in self.cards:
            self._part(run, "n", rid, mac, begin)
        for rid, target in self.disks:
            self._part(run, "d", rid, target, begin)

    def _part(self, run, kind, rid, name, begin):
        port = "-"
        if kind == "n" and self.r.random() < 0.7:
            port = uuid_of(0xC0 + self.runs, rid * 100 + len(run.parts))
        part = Part(kind, rid, name, port, begin, run.end)
        used = self._used(begin)
        if kind == "n":
            values = [(used, self._rate("net")), (used // 3, self._rate("net"))]
        else:
            values = [(used, self._rate("disk")), (used // 2, self._rate("disk")),
                      (used // 4096, self._rate("req")), (used // 8192, self._rate("req")),
                      (10 << 30, 0), self._gauge(1 << 33), self._gauge(1 << 33)]
        part.pieces = [Piece(begin, values)]
        run.parts.append(part)
        self._pieces(part, begin)

    def _used(self, begin):
        """Counters of an adopted guest have come far already."""
        if self.huge:
            return 2 ** 63 - self.r.choice((1, 10 ** 6, 10 ** 12))
        return self.r.randrange(1 << 40) if begin < self.s.start else 0

    def _gauge(self, around):
        return None if self.r.random() < 0.2 else (self.r.randrange(1 + around), 0)

    def _rate(self, of):
        fast = {"cpu": 1000000, "net": 1250000, "disk": 500000, "req": 50}[of]
        return self.r.choice((0, self.r.randrange(1 + fast // 1000), self.r.randrange(1 + fast)))

    def _pieces(self, part, begin):
        """Its load changes now and then; a counter may fall back to nothing, or jump."""
        t = max(begin, self.s.start)
        resets = self.r.randrange(0, 30) if "reset" in self.has else 0
        bursts = self.r.randrange(0, 30) if "burst" in self.has else 0
        while True:
            t += self.r.randrange(1, 2 * self.pace)
            if t >= self.s.until:
                return
            values = values_at(part.pieces[-1], t)
            one = self.r.randrange(4 if part.kind == "v" else 0, len(values))
            for i, v in enumerate(values):
                if v is None or v[1] == 0 and self.r.random() < 0.5:
                    continue
                of = {"v": "cpu", "n": "net"}.get(part.kind, "req" if i in (2, 3) else "disk")
                if _is_gauge(part.kind, i):
                    continue
                values[i] = (v[0], self._rate(of))
            if self.r.randrange(100) < resets:
                # CPU time falls with the process only: that is a reboot.
                every = self.r.random() < 0.5 and part.kind != "v"
                for i, v in enumerate(values):
                    if v is not None and not _is_gauge(part.kind, i) and (every or i == one):
                        values[i] = (self.r.choice((0, self.r.randrange(1 + v[0]))), v[1])
            if self.r.randrange(100) < bursts and not _is_gauge(part.kind, one):
                v = values[one]
                values[one] = (v[0] + self.r.randrange(1 << 36), v[1])
            if self.r.random() < 0.2:
                values = [self._gauge(1 << 30) if _is_gauge(part.kind, i) and i != 1 else v
                          for i, v in enumerate(values)]
            part.pieces.append(Piece(t, values))

    def _split(self, part, at):
        """Begins a piece at that time, in place of those after it."""
        keep = [p for p in part.pieces if p.at < at]
        part.pieces = keep + [Piece(at, values_at(keep[-1], at))]

    def _cut(self, part, at):
        part.end = at
        part.pieces = [p for p in part.pieces if p.at < at] or part.pieces[:1]

    def _close(self, run, end):
        run.end = min(run.end, end)
        for p in run.parts:
            if p.end > end:
                self._cut(p, end)
        run.parts = [p for p in run.parts if p.begin < p.end]


def _is_gauge(kind, i):
    return kind == "v" and 1 <= i <= 3 or kind == "d" and i >= 4


def values_at(piece, t):
    """As (value, rate): what the counters show at t if this piece still holds."""
    return [None if v is None else (v[0] + v[1] * (t - piece.at) // MS, v[1])
            for v in piece.values]


def make(seed, size=None, troubles=None):
    return Maker(seed, size, troubles).make()


if __name__ == "__main__":
    import sys
    print(make(int(sys.argv[1])).text(), end="")
