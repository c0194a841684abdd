# SPDX-License-Identifier: Apache-2.0
"""Properties that need the database: local time in every zone."""
import pathlib
import re
import zoneinfo
from datetime import datetime, timedelta, timezone

from billing_house import db, rows, state  # noqa: F401

UTC = timezone.utc


def changes(zone):
    """Instants at which the zone's offset changes."""
    info = zoneinfo.ZoneInfo(zone)
    day = datetime(2008, 1, 1, tzinfo=UTC)
    while day.year < 2026:
        after = day + timedelta(days=1)
        if day.astimezone(info).utcoffset() != after.astimezone(info).utcoffset():
            lo, hi = day, after
            while hi - lo > timedelta(seconds=1):
                middle = lo + (hi - lo) // 2
                middle = middle.replace(microsecond=0)
                if middle.astimezone(info).utcoffset() == day.astimezone(info).utcoffset():
                    lo = middle
                else:
                    hi = middle
            yield hi
        day = after


def test_a_clock_on_the_wall_means_the_first_of_two_instants_in_every_zone(db):
    """Around each change of each zone of this machine, quarter hour by quarter hour, against Python's own zones."""
    asked, folds, gaps = 0, set(), set()
    for zone in re.findall(r"^Z (\S+/\S+)", pathlib.Path("/usr/share/zoneinfo/tzdata.zi").read_text(), re.M):
        info = zoneinfo.ZoneInfo(zone)
        walls = []
        for change in changes(zone):
            before, after = ((change + timedelta(seconds=s)).astimezone(info).utcoffset() for s in (-1, 0))
            if abs(before - after) >= timedelta(hours=3):
                continue  # the date line was moved; such a day is not told apart by its clock
            (folds if after < before else gaps).add(abs(after - before))
            local = (change + before).replace(tzinfo=None, second=0)
            walls += [local + timedelta(minutes=15 * k) for k in range(-12, 13)]
        answers = rows(db, "select local_instant(w, %s) as at from unnest(%s::timestamp[]) with ordinality u (w, n) order by n", zone, walls)
        for wall, answer in zip(walls, answers, strict=True):
            wanted = wall.replace(tzinfo=info, fold=0).astimezone(UTC)
            assert answer["at"] == wanted, f"{zone} {wall}"
        asked += len(walls)
    assert asked > 50000 and {timedelta(minutes=30), timedelta(hours=1), timedelta(hours=2)} <= folds and gaps
