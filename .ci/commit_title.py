"""Check that commit titles read ``feat(room): what it does``.

Usage: ``commit_title.py FILE`` (the commit-msg hook) or ``git log --format=%s | commit_title.py -``.
"""

import re
import sys
from pathlib import Path

KINDS = ("build", "chore", "ci", "docs", "feat", "fix", "perf", "refactor", "revert", "style", "test")
TITLE = re.compile(rf"^({'|'.join(KINDS)})(\([a-z0-9_, -]+\))?!?: \S.*[^.\s]$")
GENERATED = ("Merge ", "Revert ", "fixup! ", "squash! ")
LONGEST = 100


def fault(title: str) -> str | None:
    """Say what is wrong with *title*; None when it is fine."""
    if title.startswith(GENERATED):
        return None
    if len(title) > LONGEST:
        return f"{len(title)} characters, at most {LONGEST}: {title!r}"
    if not TITLE.match(title):
        return f"not 'kind(room): what it does' without a full stop (kinds: {', '.join(KINDS)}): {title!r}"
    return None


def main(source: str) -> int:
    """Return 1 and print the faults of the titles in *source*."""
    lines = (
        sys.stdin.read().splitlines()
        if source == "-"
        else Path(source).read_text(encoding="utf-8").splitlines()[:1]
    )
    faults = [found for line in lines if line and (found := fault(line))]
    for found in faults:
        print(found, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
