# SPDX-License-Identifier: Apache-2.0
"""Plants each defect of mutants/*.patch in a scratch copy of its file and sees that seeds find it:
a simulator that finds nothing proves nothing.

  mutants.py [--seeds N] [--jobs N] [--sample N] [NAME...]
"""
import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import scenario

TOP = Path(__file__).resolve().parent.parent.parent
BUILD = os.environ.get("BUILD", "build")
PATCHES = Path(__file__).resolve().parent / "mutants"


def run(*words):
    r = subprocess.run(words, cwd=TOP, capture_output=True, text=True)
    if r.returncode != 0:
        raise RuntimeError((r.stdout + r.stderr)[-1500:])
    return r.stdout


class Recipe:
    """How make builds the driver: the flags, and the words of its link."""

    def __init__(self):
        self.flags = shlex.split(run("make", "-s", "print-flags", f"BUILD={BUILD}"))
        self.link = shlex.split(run("make", "-s", "print-sim-link", f"BUILD={BUILD}"))

    def build(self, patch, folder):
        """A driver with the defect: only the file that has it is compiled."""
        name = re.search(r"^--- a/(\S+)", patch.read_text(), re.M)[1]
        copy = Path(folder) / name
        copy.parent.mkdir(parents=True)
        copy.write_bytes((TOP / name).read_bytes())
        run("patch", "-s", "-p1", "-d", folder, "-i", str(patch), "--no-backup-if-mismatch")
        run("gcc", *self.flags, "-Wno-error", "-c", "-o", f"{folder}/mutant.o", str(copy))
        # Of what the object has the archive's own copy is not taken.
        run("gcc", "-o", f"{folder}/play", f"{folder}/mutant.o", *self.link)
        return f"{folder}/play"


def hunt(program, seeds, jobs):
    """The case or seed that finds it first, and its complaint; or None."""
    import sim      # which runs us too
    for f in sim.cases():
        v = sim.verdict(scenario.parse(Path(f).read_text()), program)
        if v.complaints:
            return f"case {Path(f).stem}", v.complaints[0]
    with ProcessPoolExecutor(jobs) as pool:
        for first in range(0, seeds, 8 * jobs):
            some = [pool.submit(sim.one, n, program)
                    for n in range(first, min(seeds, first + 8 * jobs))]
            for f in as_completed(some):
                seed, complaints = f.result()[:2]
                if complaints:
                    pool.shutdown(wait=True, cancel_futures=True)
                    return f"seed {seed}", complaints[0]
    return None


def one(recipe, patch, seeds, jobs):
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="jeoul-mutant-") as folder:
            found = hunt(recipe.build(patch, folder), seeds, jobs)
    except RuntimeError as e:
        print(f"FAILED: {patch.stem}: can't be planted:\n  " + str(e).replace("\n", "\n  "))
        return False
    took = time.monotonic() - begun
    if found is None:
        print(f"FAILED: {patch.stem}: {seeds} seeds don't find it ({took:.1f} s)", flush=True)
        return False
    print(f"found {patch.stem} by {found[0]} in {took:.1f} s: "
          f"{found[1].splitlines()[0][:60]}", flush=True)
    return True


def run_some(jobs, sample=None, names=(), seeds=400):
    patches = [x for x in sorted(PATCHES.glob("*.patch")) if not names or x.stem in names]
    if sample:      # evenly from all, so that each file has its turn
        patches = patches[::max(1, len(patches) // sample)][:sample]
    recipe = Recipe()
    good = sum(one(recipe, x, seeds, jobs) for x in patches)
    return good, len(patches) - good


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seeds", type=int, default=400)
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--sample", type=int)
    p.add_argument("names", nargs="*")
    a = p.parse_args()
    good, bad = run_some(a.jobs, a.sample, a.names, a.seeds)
    print(f"{good} passed, {bad} failed, 0 skipped")
    return 0 if good and not bad else 1


if __name__ == "__main__":
    sys.exit(main())
