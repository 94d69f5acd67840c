"""Run the doctests of modules, each in its own namespace.

Usage: ``python run_doctests.py shared.errors shared.errors._base ...``; prints how many examples ran.
"""

import doctest
import importlib
import sys


def run(names: list[str]) -> tuple[int, int]:
    """Return (failed, attempted) over the modules *names*."""
    failed = attempted = 0
    for name in names:
        result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
        failed += result.failed
        attempted += result.attempted
    return failed, attempted


if __name__ == "__main__":
    wrong, ran = run(sys.argv[1:])
    print(ran)
    sys.exit(1 if wrong else 0)
