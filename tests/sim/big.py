# SPDX-License-Identifier: Apache-2.0
"""Scenarios that are large in place of mixed: many guests on many hosts."""
import random

from make import GuestMaker, Maker, uuid_of, values_at
from scenario import Piece, S

PER_HOST = 25
OF_GUESTS = {"churn", "unseen", "migrate", "reboot", "resize", "plug", "owner", "pause", "remove"}


class Crowd(Maker):
    """So many guests, 25 a host, each with a card and a disk, all there from the start."""

    def __init__(self, seed, guests, step, looks, troubles=(), guarded=6):
        super().__init__(seed, ((1, 1), (1, 1), (looks, looks), (step,)), troubles)
        s = self.s
        s.settings.update(guarded=guarded * step * S, deadline=min(5 * S, step * S // 2))
        s.hosts = [(i + 1, uuid_of(0xA0, i + 1), 0) for i in range(-(-guests // PER_HOST))]
        s.accounts = [(1001 + i, "UTC") for i in range(8)]
        s.zones = {"UTC": s.zones.get("UTC", [(s.start, 0)])}
        self.guest_count = guests

    def make(self):
        for i in range(self.guest_count):
            g = Settled(self, i)
            self.s.guests.append(g.make_at(self.s.start, self.s.hosts[i // PER_HOST]))
        self._accounts()
        self._faults()
        return self.s


class Settled(GuestMaker):
    def __init__(self, maker, index):
        super().__init__(maker, index)
        self.vcpus, self.pace = 2, 3600 * S
        self.cards = [(self.g.rid + 1, "52:54:%02x:%02x:%02x:00" % (
            index >> 16 & 255, index >> 8 & 255, index & 255))]
        self.disks = [(self.g.rid + 11, "vda")]

    def _stay(self):
        """Without troubles of its own it runs on and on."""
        return super()._stay() if self.has & OF_GUESTS else 3650 * 86400 * S

    def make_at(self, t, host):
        self._create(t, host)
        return self.g


def outage(guests=10000, step=10, away=1800, calm=300, disturbed=True):
    """The database is away for half an hour, the collector is killed twice meanwhile."""
    s = Crowd(7, guests, step, (2 * calm + away) // step).make()
    # At the end they stand still: what is compared is not which second was looked at last.
    for part in (p for g in s.guests for r in g.runs for p in r.parts):
        rest = s.until - calm * S // 2
        part.pieces = [p for p in part.pieces if p.at < rest]
        part.pieces.append(Piece(rest, [v and (v[0], 0)
                                        for v in values_at(part.pieces[-1], rest)]))
    if disturbed:
        a, b = s.start + calm * S, s.start + (calm + away) * S
        r = random.Random(guests)
        s.faults += [("db", a, b)]
        s.faults += [("kill", 1, a + away * S * n // 3 + r.randrange(step * S), r.randrange(40),
                      r.randrange(1, 5000) * 1_000_000) for n in (1, 2)]
    return s


def month(guests=1000, step=3600, seed=1):
    """A month of a thousand guests with troubles of all kinds but those of single rows."""
    return Crowd(seed, guests, step, 31 * 86400 // step,
                 ("churn", "unseen", "migrate", "reset", "reboot", "resize", "plug", "owner", "down",
                  "hang", "slow", "twice", "swap", "clock", "db", "db_lost", "db_slow", "kill", "full",
                  "torn", "cuts", "grain", "pause"), guarded=1).make()


def totals(text):
    """What each resource used, all its rows together."""
    out = {}
    for line in text.splitlines():
        if line.startswith("W "):
            w = line[2:].split("\t")
            have = out.setdefault(w[1], [0] * 8)
            out[w[1]] = [a + int(b) for a, b in zip(have, w[8:16])]
    return out


def outage_changes_nothing(guests, play, judge):
    """Complaints, and how much was compared: the disturbed run beside the calm one."""
    calm, storm = outage(guests, disturbed=False), outage(guests)
    texts = [play(s)[0] for s in (calm, storm)]
    complaints = [c for s, t in zip((calm, storm), texts) for c in judge(s, t).complaints]
    a, b = map(totals, texts)
    complaints += [f"resource {rid} used {a.get(rid)}, and {b.get(rid)} with the outage"
                   for rid in sorted(set(a) | set(b)) if a.get(rid) != b.get(rid)]
    if texts[1].count("\nK ") != 2:
        complaints.append("the collector was not killed twice")
    if len(a) < 2 * guests:
        complaints.append(f"only {len(a)} resources were metered")
    return complaints, len(a)
