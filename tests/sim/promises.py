# SPDX-License-Identifier: Apache-2.0
"""What the collector promises beside right rows: that it looks often enough, that what it took
in is durable soon, that trouble is told and taken back."""
from scenario import S

KEPT_WITHIN = int(2.5 * S)      # what was taken in is on the disk within a second
TOLD_WITHIN = 20 * S
SLACK = 3 * S


class Excuses:
    """Intervals of true time in which a host need not have been asked, or have answered."""

    def __init__(self, s):
        self.s = s
        step = s.settings["step"]
        # After a failure the next try waits: at most four steps and half a minute.
        self.tail = max(step, min(4 * step, 30 * S)) + 2 * step + s.settings["deadline"] + SLACK

    def of_host(self, host):
        out = [(f[2], f[3] + self.tail) for f in self.s.faults
               if f[0] in ("down", "hang", "slow") and f[1] == host]
        step = self.s.settings["step"]
        out += [(f[1] - 2 * step, f[1] + 2 * step) for f in self.s.faults if f[0] == "clock"]
        return out

    def of_disk(self):
        return [(f[2] - SLACK, f[3] + 15 * S) for f in self.s.faults if f[0] == "full"]


def excused(excuses, a, b):
    return any(x < b and a < y for x, y in excuses)


def times_of(log, index, until):
    """True times of the lives: [(first knowledge of the hosts, death or end)]."""
    out = []
    for life in log.lives:
        known = [life.at] if life.kept is not None else []
        known += [log.when[i] for i, _ in life.snapshots]
        if known:
            out.append((min(known), min(life.end or until, until)))
    return out


def look_often(s, log, say):
    """Each host that answers is asked every step, as long as a collector lives."""
    excuses, step = Excuses(s), s.settings["step"]
    most = 2 * step + SLACK
    for host, _, _ in s.hosts:
        own = excuses.of_host(host)
        told = [a[4] for a in log.fast.get(host, ()) if a[3] is None]
        for begin, end in times_of(log, None, s.until):
            points = [begin] + [t for t in told if begin <= t <= end] + [end]
            for a, b in zip(points, points[1:]):
                if b - a > most and not excused(own, a, b):
                    say(f"host {host} was not asked for {(b - a) / S:.1f} s from {a}")


def tell_trouble(s, log, say):
    """A database that is away is told, and all is taken back when all is well again."""
    raised = {}
    for _, at, rule, thing, up in log.alerts:
        if rule not in ("vm.unmetered", "vm.monitor.blocked"):   # no host answers at the end
            raised[rule, thing] = up
    for (rule, thing), up in raised.items():
        # A death forgets what it had told; its next life tells anew or not at all.
        if rule == "meter.row.refused" or rule == "spool.failing" and ends_full(s):
            continue        # until the next rows come, which do not after the end
        if up and not any(life.end for life in log.lives):
            say(f"the alarm {rule} of {thing} is still raised at the end")
    most = s.settings["step"] + TOLD_WITHIN
    # After an answer that took long the inventory is left alone twenty times as long.
    slow = [(f[1], f[2] + 450 * S) for f in s.faults if f[0] == "db_slow"]
    for f in s.faults:
        if f[0] != "db" or f[2] - f[1] <= most or excused(slow, f[1], f[1] + 1):
            continue
        for life in log.lives:
            end = life.end or s.until
            if life.at <= f[1] and end >= f[1] + most and not database_told(log, life, f, most):
                say(f"the database is away from {f[1]}, and nobody is told for "
                    f"{most / S:.0f} s")


def ends_full(s):
    return any(f[0] == "full" and f[3] > s.until - 2 * s.settings["guarded"] - 30 * S
               for f in s.faults)


def database_told(log, life, fault, most):
    told = False
    for index, up in life.away:
        if log.when[index] > fault[1] + most:
            break
        told = up
        if up and log.when[index] >= fault[1]:
            return True
    return told


def durable_soon(s, series, life, through, refused, say):
    """At a death: all that was taken in 2.5 s before is on the disk or in the database."""
    if life.end is None or series.rid in refused or any(f[0] == "torn" and f[3] != "power" for f in s.faults):
        return
    lost = [t for at, t in zip(series.at, series.when)
            if at > (through or 0) * 1000 + 999 and t <= life.end - KEPT_WITHIN]
    if lost and not excused(Excuses(s).of_disk(), lost[0], life.end):
        say(f"resource {series.rid}: what was taken in at {lost[0]} was lost by the death at "
            f"{life.end}")


def keep(s, log, say):
    look_often(s, log, say)
    tell_trouble(s, log, say)
