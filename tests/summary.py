"""Turns meson's testlog.json into one line a test, the logs of those that failed, and "N passed, N failed".

A doctest executable counts with its cases, any other test as one. A crash, a time-out, a sanitizer's report or a leak at the end of an
executable counts as one more failure.
"""
import json
import re
import sys

CASES = re.compile(r"^\[doctest\] test cases: *\d+ \| *(\d+) passed \| *(\d+) failed", re.MULTILINE)
LOG_LIMIT = 40000  # characters of one test's log that are printed


def count(test):
    """count returns what one entry of the log adds: passed, failed."""
    out = test.get("stdout", "")
    good = test["result"] in ("OK", "EXPECTEDFAIL")
    if test["result"] == "SKIP":
        return 0, 0
    summary = CASES.search(out)
    if summary:
        passed, failed = int(summary[1]), int(summary[2])
        return passed, failed if good or failed else 1
    begun = re.findall(r": (ok|FAILED) \(\d+ ms\)$", out, re.MULTILINE)
    if begun or "[doctest]" in out:  # cut short: what ended counts, and the one that ended it
        return begun.count("ok"), begun.count("FAILED") + 1
    return (1, 0) if good else (0, 1)


def main(path):
    with open(path, encoding="utf-8", errors="replace") as log:
        tests = [json.loads(line) for line in log if line.strip()]
    total_passed = total_failed = 0
    for test in tests:
        passed, failed = count(test)
        total_passed += passed
        total_failed += failed
        name = test["name"].split(" / ")[-1]
        note = "" if test["result"] in ("OK", "FAIL") else " (" + test["result"].lower() + ")"
        print(f"{name:24} {passed:4} passed {failed:4} failed {test['duration']:8.1f} s{note}")
        if failed:
            text = test.get("stdout", "") + test.get("stderr", "")
            print(text if len(text) <= LOG_LIMIT else text[: LOG_LIMIT // 2] + "\n[...]\n" + text[-LOG_LIMIT // 2 :])
    print(f"{total_passed} passed, {total_failed} failed")
    return 0 if total_failed == 0 and total_passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
