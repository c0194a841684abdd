# SPDX-License-Identifier: Apache-2.0
"""How a planted defect becomes a program: one file is patched and compiled, the rest is linked as it is."""
import os
import re
import shlex
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
BUILD = os.environ.get("BUILD", "build")


def run(*words):
    r = subprocess.run(words, cwd=TOP, capture_output=True, text=True)
    if r.returncode != 0:
        raise RuntimeError((r.stdout + r.stderr)[-1500:])
    return r.stdout


class Recipe:
    """How make builds the driver: the flags, and the words of its link as a target of make prints them."""

    def __init__(self, link="print-sim-link"):
        self.flags = shlex.split(run("make", "-s", "print-flags", f"BUILD={BUILD}"))
        self.link = shlex.split(run("make", "-s", link, f"BUILD={BUILD}"))

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
