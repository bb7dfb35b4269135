#!/usr/bin/env python3
"""Runs tests that are registered in tests/meson.build, and counts what they count.

usage: tally.py BUILD [SUITE...]    all suites by default

Prints a line for each test, what it skipped, and the end of what it said if it failed; on a
terminal also, while they run, what meson says. The last line is `N passed, N failed`.
"""

import json
import re
import subprocess
import sys
from pathlib import Path


def count(test):
    """What the last line `N passed, N failed` says, or what TAP says, or else the status. A test that
    ran nothing failed, unless it was skipped."""
    text = test.get("stdout", "")
    lines = re.findall(r"^(\d+) passed, (\d+) failed$", text, re.M)
    tap = re.findall(r"^(?:not )?ok\b", text, re.M)
    if test["result"] == "SKIP":
        return 0, 0
    if lines:
        passed, failed = map(int, lines[-1])
    elif tap:
        passed, failed = tap.count("ok"), tap.count("not ok")
    else:
        passed, failed = int(test["result"] == "OK"), 0
    if test["result"] != "OK" or passed == 0:
        failed = max(failed, 1)
    return passed, failed


def report(build, test):
    passed, failed = count(test)
    name = test["name"].split(" / ")[-1].split(":")[-1]
    print(f"{build + ' ' + name:34} {passed:4} passed, {failed} failed {test['duration']:6.1f} s")
    text = test.get("stdout", "") + test.get("stderr", "")
    for line in re.findall(r"^(?!Ran ).*skipped.*$", text, re.M)[:5]:
        print("    " + line.lstrip("."))
    if failed:
        print("    " + "\n    ".join(text.splitlines()[-60:]))
    return passed, failed


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    build = sys.argv[1].rstrip("/")
    suites = [word for suite in sys.argv[2:] for word in ("--suite", suite)]
    log = Path(build, "meson-logs", "testlog.json")
    log.unlink(missing_ok=True)
    progress = sys.stderr if sys.stderr.isatty() else subprocess.PIPE
    done = subprocess.run(["meson", "test", "-C", build, "--no-rebuild", *suites],
                          stdout=progress, stderr=subprocess.STDOUT, text=True)
    tests = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    if not tests:
        sys.exit(done.stdout or "no tests ran")
    counts = [report(build, test) for test in tests]
    passed, failed = (sum(column) for column in zip(*counts))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
