#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""failures.py JUNIT.XML: each test that failed, by name, with the last words of its failure."""
import sys
import xml.etree.ElementTree as tree

LINES = 5


def words(text):
    """The lines that say what went wrong: pytest marks them with an E; else the last ones."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (marked or lines)[:LINES] + lines[-1:]


def main():
    try:
        cases = tree.parse(sys.argv[1]).iter("testcase")
    except (OSError, tree.ParseError) as why:
        sys.exit(f"no results of the system tests: {why}")
    for case in cases:
        for bad in (*case.iter("failure"), *case.iter("error")):
            print(f"  {case.get('classname')}::{case.get('name')}")
            for line in words(bad.text or bad.get("message") or ""):
                print(f"      {line[:150]}")


main()
