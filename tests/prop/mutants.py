# SPDX-License-Identifier: Apache-2.0
"""Plants each defect of mutants/*.patch in a scratch copy of its file and sees that the property it names
finds it; every property has a defect that it finds.  A property that nothing breaks proves nothing.

  mutants.py [NAME...]"""
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "sim"))
from recipe import BUILD, TOP, Recipe  # noqa: E402

SEED = "1"
TRIES = ("200", "1000", "5000")  # worlds


def breaks(patch):
    return re.search(r"^Breaks: (\w+)$", patch.read_text(), re.M)[1]


def found(program, name):
    """How many worlds it took, or None."""
    for worlds in TRIES:
        said = subprocess.run([program, worlds, SEED], capture_output=True, text=True, timeout=300).stdout
        if f"BROKEN: {name}\n" in said:
            return worlds
    return None


def one(recipe, patch):
    """Whether it was found, and what is to be told of it."""
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="jeoul-mutant-") as folder:
            worlds = found(recipe.build(patch, folder), breaks(patch))
    except RuntimeError as e:
        return False, f"FAILED: {patch.stem}: can't be planted:\n  " + str(e).replace("\n", "\n  ")
    if worlds is None:
        return False, f"FAILED: {patch.stem}: {breaks(patch)} holds in {TRIES[-1]} worlds"
    return True, f"found {patch.stem} by {breaks(patch)} in {worlds} worlds, {time.monotonic() - begun:.1f} s"


def main(names):
    patches = [x for x in sorted((HERE / "mutants").glob("*.patch")) if not names or x.stem in names]
    recipe = Recipe("print-prop-link")
    good = 0
    with ThreadPoolExecutor(2) as pool:
        for ok, text in pool.map(lambda patch: one(recipe, patch), patches):
            print(text, flush=True)
            good += ok
    listed = subprocess.run([TOP / BUILD / "prop" / "billing", "--list"], capture_output=True, text=True, check=True).stdout.split()
    lacking = [] if names else sorted(set(listed) - {breaks(p) for p in patches})
    for name in lacking:
        print(f"FAILED: no planted defect breaks {name}")
    bad = len(patches) - good + len(lacking)
    print(f"{good} passed, {bad} failed, 0 skipped")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
