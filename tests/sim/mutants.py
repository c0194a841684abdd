# SPDX-License-Identifier: Apache-2.0
"""Plants each defect of mutants/*.patch in a scratch copy of its file and sees that seeds find it:
a simulator that finds nothing proves nothing."""
import os
import re
import shlex
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
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


def hunt(program, seeds):
    """The case or seed that finds it first, and its complaint; or None."""
    import sim      # which runs us too
    for f in sim.cases():
        v = sim.verdict(scenario.parse(Path(f).read_text()), program)
        if v.complaints:
            return f"case {Path(f).stem}", v.complaints[0]
    for seed in range(seeds):
        complaints = sim.one(seed, program)[1]
        if complaints:
            return f"seed {seed}", complaints[0]
    return None


def one(recipe, patch, seeds):
    """Whether it was found, and what is to be told of it."""
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="jeoul-mutant-") as folder:
            found = hunt(recipe.build(patch, folder), seeds)
    except RuntimeError as e:
        return False, f"FAILED: {patch.stem}: can't be planted:\n  " + str(e).replace("\n", "\n  ")
    took = time.monotonic() - begun
    if found is None:
        return False, f"FAILED: {patch.stem}: {seeds} seeds don't find it ({took:.1f} s)"
    return True, (f"found {patch.stem} by {found[0]} in {took:.1f} s: "
                  f"{found[1].splitlines()[0][:60]}")


def run_all(jobs, names=(), seeds=400):
    patches = [x for x in sorted(PATCHES.glob("*.patch")) if not names or x.stem in names]
    recipe = Recipe()
    good = 0
    with ProcessPoolExecutor(jobs) as pool:
        for ok, text in pool.map(one, repeat(recipe), patches, repeat(seeds)):
            print(text, flush=True)
            good += ok
    return good, len(patches) - good
