# SPDX-License-Identifier: Apache-2.0
"""Runs seeds and files through the driver and the judge, and shrinks what fails.

  sim.py check                                      what make check runs
  sim.py soak-sim                                   what make soak runs
  sim.py mutants [NAME...]                          whether seeds find each planted defect
  sim.py run [--jobs N] FIRST COUNT                 seeds FIRST to FIRST+COUNT-1
  sim.py together FIRST COUNT                       the same of collectors side by side (a seed: together:SEED)
  sim.py file FILE...                               scenarios as text (cases/*.sim)
  sim.py outage [GUESTS]                            database away, two deaths: the same totals
  sim.py month [GUESTS [STEP]]                      a month of a crowd with all troubles
  sim.py show SEED                                  the scenario, and all that the driver says
  sim.py shrink SEED|FILE [OUT]                     the smallest scenario that still fails
"""
import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import big  # noqa: E402
import make  # noqa: E402
import mutants  # noqa: E402
import oracle  # noqa: E402
import scenario  # noqa: E402
import shrink  # noqa: E402
import together  # noqa: E402

TOP = HERE.parent.parent
PLAY = os.environ.get("SIM_PLAY") or str(TOP / os.environ.get("BUILD", "build") / "sim/play")
DEADLINE = 300  # s, for one scenario; those of big.py have an hour


def play(s, program=None, deadline=DEADLINE):
    """What the driver says of a scenario, and how it ended."""
    r = subprocess.run([program or PLAY], input=s.text(), capture_output=True, text=True,
                       timeout=deadline)
    return r.stdout, r.returncode, r.stderr


def play_big(s):
    return play(s, deadline=3600)


def verdict(s, program=None):
    try:
        out, status, err = play(s, program)
    except subprocess.TimeoutExpired:
        v = oracle.Verdict()
        v.say(f"the driver takes longer than {DEADLINE} s")
        return v
    if status != 0:
        v = oracle.Verdict()
        v.say(f"the driver ends with status {status}: {err[-500:]}")
        return v
    return (together if s.settings.get("collectors", 1) > 1 else oracle).judge(s, out)


def one(seed, program=None, maker=make):
    begun = time.process_time()
    v = verdict(maker.make(seed), program)
    return seed, v.complaints[:1], v.rows, v.readings, v.gaps, time.process_time() - begun


def tell(name, complaints, again):
    print(f"FAILED: {name}")
    for c in complaints:
        print("  " + c.replace("\n", "\n  ").replace("\t", " "))
    print(f"  again: {again}")


def one_together(seed, program=None):
    return one(seed, program, together)


def run_seeds(first, count, jobs, play_one=one):
    passed = failed = rows = readings = gaps = 0
    begun = time.monotonic()
    with ProcessPoolExecutor(jobs) as pool:
        for r in pool.map(play_one, range(first, first + count), chunksize=4):
            seed, complaints = r[:2]
            passed, failed = passed + (not complaints), failed + bool(complaints)
            rows, readings, gaps = rows + r[2], readings + r[3], gaps + r[4]
            if complaints and failed <= 5:
                name = f"together:{seed}" if play_one is one_together else str(seed)
                tell(f"seed {name}", complaints, f"tests/sim/sim.py shrink {name}")
    took = time.monotonic() - begun
    kind = "seeds of collectors side by side" if play_one is one_together else "seeds"
    print(f"# {count} {kind} from {first}: {rows} windows, {readings} readings of resources, "
          f"{gaps} gaps in {took:.1f} s")
    return passed, failed


def run_files(files):
    passed = failed = 0
    for f in files:
        v = verdict(scenario.parse(Path(f).read_text()))
        passed, failed = passed + (not v.complaints), failed + bool(v.complaints)
        if v.complaints:
            tell(f, v.complaints[:3], f"tests/sim/sim.py file {f}")
    return passed, failed


def report(name, complaints, again, what):
    print(f"# {name}: {what}")
    if complaints:
        tell(name, complaints[:3], again)
    return (0, 1) if complaints else (1, 0)


def run_outage(guests):
    begun = time.monotonic()
    complaints, count = big.outage_changes_nothing(guests, play_big, oracle.judge)
    return report(f"database away for 30 minutes, {guests} guests, two deaths", complaints,
                  f"tests/sim/sim.py outage {guests}",
                  f"totals of {count} resources beside the calm run, "
                  f"{time.monotonic() - begun:.1f} s")


def run_month(guests, step):
    begun = time.monotonic()
    s = big.month(guests, step)
    out, status, err = play_big(s)
    played = time.monotonic() - begun
    v = oracle.judge(s, out)
    if status != 0:
        v.say(f"the driver ends with status {status}: {err[-300:]}")
    return report(f"a month of {guests} guests, a look every {step} s", v.complaints,
                  f"tests/sim/sim.py month {guests} {step}",
                  f"{v.rows} windows, {v.readings} readings, {v.gaps} gaps; played in "
                  f"{played:.1f} s, judged in {time.monotonic() - begun - played:.1f} s")


def cases():
    return sorted(map(str, (HERE / "cases").glob("*.sim")))


def check(jobs):
    yield run_files(cases())
    yield run_seeds(0, 1000, jobs)
    yield run_seeds(0, 200, jobs, one_together)
    yield run_outage(300)
    yield mutants.run_all(jobs)


def soak(jobs):
    yield run_files(cases())
    yield run_seeds(0, 10000, jobs)
    yield run_seeds(0, 2000, jobs, one_together)
    yield run_outage(10000)
    yield run_month(1000, 3600)
    yield mutants.run_all(jobs)


def load(what):
    if what.startswith("together:"):
        return together.make(int(what.split(":")[1]))
    return make.make(int(what)) if what.isdigit() else scenario.parse(Path(what).read_text())


def main():
    p = argparse.ArgumentParser()
    sub = p.add_subparsers(dest="what", required=True)
    for name in ("check", "soak-sim"):
        sub.add_parser(name)
    sub.add_parser("mutants").add_argument("names", nargs="*")
    for name in ("run", "together"):
        run = sub.add_parser(name)
        run.add_argument("--jobs", type=int, default=os.cpu_count())
        run.add_argument("first", type=int)
        run.add_argument("count", type=int)
    sub.add_parser("outage").add_argument("guests", type=int, nargs="?", default=10000)
    crowd = sub.add_parser("month")
    crowd.add_argument("guests", type=int, nargs="?", default=1000)
    crowd.add_argument("step", type=int, nargs="?", default=3600)
    files = sub.add_parser("file")
    files.add_argument("files", nargs="+")
    show = sub.add_parser("show")
    show.add_argument("seed")
    small = sub.add_parser("shrink")
    small.add_argument("seed")
    small.add_argument("out", nargs="?")
    a = p.parse_args()
    if a.what == "show":
        s = load(a.seed)
        print(s.text(), end="")
        print(play(s)[0], end="")
        return 0
    if a.what == "shrink":
        return shrink.main(load(a.seed), verdict, a.out)
    jobs = os.cpu_count()
    parts = {"check": lambda: check(jobs), "soak-sim": lambda: soak(jobs),
             "mutants": lambda: [mutants.run_all(jobs, names=a.names)],
             "run": lambda: [run_seeds(a.first, a.count, a.jobs)],
             "together": lambda: [run_seeds(a.first, a.count, a.jobs, one_together)],
             "outage": lambda: [run_outage(a.guests)],
             "month": lambda: [run_month(a.guests, a.step)],
             "file": lambda: [run_files(a.files)]}[a.what]
    passed = failed = 0
    for good, bad in parts():
        passed, failed = passed + good, failed + bad
        sys.stdout.flush()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
