# SPDX-License-Identifier: Apache-2.0
"""Makes a failing scenario smaller as long as it fails: an earlier end, fewer guests, faults,
transactions, devices and pieces."""
import copy
import sys

from scenario import S


def drops(count):
    """Halves first, then quarters, down to one by one: (from, to) to leave out."""
    size = count
    while size >= 1:
        for i in range(0, count, size):
            yield i, min(i + size, count)
        size //= 2


def thinner(s, lists):
    """Scenarios that lack a part of the lists that `lists` finds, after so many that stay."""
    for n, (every, stay) in enumerate(lists(s)):
        for a, b in drops(len(every) - stay):
            t = copy.deepcopy(s)
            found, _ = list(lists(t))[n]
            del found[a + stay:b + stay]
            yield t


def earlier(s):
    for share in (2, 4, 8):
        t = copy.deepcopy(s)
        t.until = s.until - (s.until - s.start) // share
        if t.until - t.start > 60 * S:
            yield t


def candidates(s):
    yield from earlier(s)
    yield from thinner(s, lambda x: [(x.guests, 0)])
    yield from thinner(s, lambda x: [(x.faults, 0)])
    yield from thinner(s, lambda x: [(x.txs, 0)])
    yield from thinner(s, lambda x: [(g.others, 0) for g in x.guests])
    yield from thinner(s, lambda x: [(g.runs, 0) for g in x.guests])
    yield from thinner(s, lambda x: [(r.parts, 1) for g in x.guests for r in g.runs])
    yield from thinner(s, lambda x: [(p.pieces, 1)
                                     for g in x.guests for r in g.runs for p in r.parts])


def smaller(s, fails):
    """The first candidate that still fails, or None."""
    for t in candidates(s):
        if fails(t):
            return t
    return None


def main(s, verdict, out):
    def fails(t):
        try:
            return bool(verdict(t).complaints)
        except Exception as e:  # a scenario that makes no sense any more is not smaller
            print(f"# left out: {e!r}", file=sys.stderr)
            return False

    if not fails(s):
        print("it does not fail", file=sys.stderr)
        return 1
    while (t := smaller(s, fails)) is not None:
        s = t
        print(f"# {len(s.text().splitlines())} lines", file=sys.stderr)
    text = s.text()
    for c in verdict(s).complaints[:3]:
        print("# " + c.replace("\n", "\n# "))
    if out:
        with open(out, "w", encoding="utf-8") as f:
            f.write(text)
    else:
        print(text, end="")
    return 0
