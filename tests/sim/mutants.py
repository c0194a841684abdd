# SPDX-License-Identifier: Apache-2.0
"""Plants each defect of mutants/*.patch in a scratch copy of its file and sees that seeds find it:
a simulator that finds nothing proves nothing.  Those of leases (lease-*) are for collectors side by side."""
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import scenario
from recipe import Recipe

PATCHES = Path(__file__).resolve().parent / "mutants"


def hunt(program, seeds, together):
    """The case or seed that finds it first, and its complaint; or None."""
    import sim      # which runs us too
    for f in sim.cases():
        v = sim.verdict(scenario.parse(Path(f).read_text()), program)
        if v.complaints:
            return f"case {Path(f).stem}", v.complaints[0]
    play_one, kind = (sim.one_together, "together:") if together else (sim.one, "")
    for seed in range(seeds):
        complaints = play_one(seed, program)[1]
        if complaints:
            return f"seed {kind}{seed}", complaints[0]
    return None


def one(recipe, patch, seeds):
    """Whether it was found, and what is to be told of it."""
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="jeoul-mutant-") as folder:
            found = hunt(recipe.build(patch, folder), seeds, patch.stem.startswith("lease-"))
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
