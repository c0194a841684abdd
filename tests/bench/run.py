#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tests/bench/run.py PART...: the parts meter, rating, web, snmp; see README.md."""
import importlib
import sys
import time

import measure


def main(parts):
    measure.machine()
    for part in parts:
        began = time.monotonic()
        importlib.import_module(f"part_{part}").main()
        measure.note(f"{part}: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:] or ["meter", "rating", "web", "snmp"])
