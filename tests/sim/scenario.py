# SPDX-License-Identifier: Apache-2.0
"""A scenario: what really happened to hosts and guests, and what went wrong meanwhile.

It is a text of one statement a line, made from a seed (make.py), shrunk (shrink.py) or written
by hand, played by the driver (main.c over the collector's own code) and judged by oracle.py.
Times are integer ns of true time since 1970; the wall clock is true time plus the steps it took.
"""
from dataclasses import dataclass, field

S = 1_000_000_000
MS = 1_000_000
US = 1_000
HOUR = 3600 * S

# How many values a piece has before the vCPUs; the gauges among them may be missing ("-").
FIELDS = {"v": ("cpu", "memory_kib", "rss", "unused"),
          "n": ("rx", "tx"),
          "d": ("read", "write", "read_req", "write_req", "capacity", "allocation", "physical")}


@dataclass
class Piece:
    """From at on each value is v + rate * ms passed, cut to a whole number; None: no answer."""
    at: int
    values: list          # of (v, rate per ms) or None


@dataclass
class Part:
    """Counters of a guest's process (kind v), of a card (n) or disk (d), while it is there."""
    kind: str
    rid: int
    name: str             # the card's address, the disk's target, "-"
    port: str             # which plugging in of a card, "-"
    begin: int
    end: int
    pieces: list = field(default_factory=list)


@dataclass
class Run:
    """A process of the guest on a host: what libvirt there shows in [begin, end)."""
    host: int
    domid: int
    begin: int
    end: int
    parts: list = field(default_factory=list)


@dataclass
class Tx:
    """What the provisioning core commits at a time (later, if the database is away)."""
    at: int
    statements: list      # of tuples of words


@dataclass
class Guest:
    rid: int
    uuid: str
    runs: list = field(default_factory=list)
    txs: list = field(default_factory=list)
    others: list = field(default_factory=list)  # statements of its own: hint, event, busy


@dataclass
class Scenario:
    seed: int = 0
    start: int = 0
    until: int = 0
    settings: dict = field(default_factory=dict)   # step, guarded, deadline: ns
    zones: dict = field(default_factory=dict)      # name: [(since, shift in s)]
    accounts: list = field(default_factory=list)   # (id, zone)
    hosts: list = field(default_factory=list)      # (id, uuid, simulated)
    guests: list = field(default_factory=list)
    txs: list = field(default_factory=list)        # of no guest: cuts, grains
    faults: list = field(default_factory=list)     # tuples, first the word

    # ---- the wall clock

    def steps(self):
        return sorted((f[1], f[2]) for f in self.faults if f[0] == "clock")

    def wall(self, t):
        """The wall clock at true time t: a step is in force from its very instant on."""
        return t + sum(by for at, by in self.steps() if at <= t)

    def all_txs(self):
        """In the order in which they are committed; ties by guest."""
        every = [(tx.at, g.rid, i, tx) for g in self.guests for i, tx in enumerate(g.txs)]
        every += [(tx.at, 0, i, tx) for i, tx in enumerate(self.txs)]
        return [e[3] for e in sorted(every, key=lambda e: e[:3])]

    # ---- as text

    def lines(self):
        yield f"sim 1 {self.seed}"
        yield f"start {self.start}"
        yield f"until {self.until}"
        for key, value in self.settings.items():
            yield f"set {key} {value}"
        for name, shifts in self.zones.items():
            for since, shift in shifts:
                yield f"zone {name} {since} {shift}"
        for a in self.accounts:
            yield "account %d %s" % a
        for h in self.hosts:
            yield "host %d %s %d" % h
        for f in self.faults:
            yield " ".join(map(str, f))
        for tx in self.txs:
            yield from _tx_lines(tx)
        for g in self.guests:
            yield f"guest {g.rid} {g.uuid}"
            for r in g.runs:
                yield f"run {r.host} {r.domid} {r.begin} {r.end}"
                for p in r.parts:
                    yield f"part {p.kind} {p.rid} {p.name} {p.port} {p.begin} {p.end}"
                    for x in p.pieces:
                        yield "piece %d %d %s" % (x.at, len(x.values), " ".join(
                            "- 0" if v is None else f"{v[0]} {v[1]}" for v in x.values))
            for o in g.others:
                yield " ".join(map(str, o))
            for tx in g.txs:
                yield from _tx_lines(tx)

    def text(self):
        return "\n".join(self.lines()) + "\nend\n"


def _tx_lines(tx):
    yield f"tx {tx.at}"
    for s in tx.statements:
        yield ". " + " ".join(map(str, s))


def _word(w):
    """Numbers come back as numbers."""
    return int(w) if w.lstrip("-").isdigit() and w != "-" else w


OF_GUEST = ("hint", "event", "busy")


def parse(text):
    s = Scenario()
    guest = run = part = tx = None
    for line in text.splitlines():
        w = line.split()
        if not w or w[0].startswith("#") or w[0] == "end":
            continue
        verb = w[0]
        if verb == "sim":
            s.seed = int(w[2])
        elif verb in ("start", "until"):
            setattr(s, verb, int(w[1]))
        elif verb == "set":
            s.settings[w[1]] = int(w[2])
        elif verb == "zone":
            s.zones.setdefault(w[1], []).append((int(w[2]), int(w[3])))
        elif verb == "account":
            s.accounts.append((int(w[1]), w[2]))
        elif verb == "host":
            s.hosts.append((int(w[1]), w[2], int(w[3])))
        elif verb == "guest":
            guest = Guest(int(w[1]), w[2])
            s.guests.append(guest)
        elif verb == "run":
            run = Run(*map(int, w[1:5]))
            guest.runs.append(run)
        elif verb == "part":
            part = Part(w[1], int(w[2]), w[3], w[4], int(w[5]), int(w[6]))
            run.parts.append(part)
        elif verb == "piece":
            pairs = list(zip(w[3::2], w[4::2]))
            part.pieces.append(Piece(int(w[1]), [
                None if v == "-" else (int(v), int(r)) for v, r in pairs]))
        elif verb == "tx":
            tx = Tx(int(w[1]), [])
            (guest.txs if guest else s.txs).append(tx)
        elif verb == ".":
            tx.statements.append(tuple(map(_word, w[1:])))
        elif guest is not None:
            guest.others.append(tuple(map(_word, w)))
        else:
            s.faults.append(tuple(map(_word, w)))
    return s
