"""Print bandit's findings that no line answers; end with 1 when there are any.

Usage: ``bandit -r src -f json --exit-zero | bandit_findings.py``. ruff has the same rules under ``S``: a
line that says ``# noqa: S104 - why`` answers bandit's B104 too, so that one reason serves both tools.
"""

import json
import linecache
import sys


def answered(finding: dict) -> bool:
    """Tell whether the line of *finding* gives its reason."""
    line = linecache.getline(finding["filename"], finding["line_number"])
    return "S" + finding["test_id"][1:] in line.partition("# noqa:")[2]


def main() -> int:
    """Read the report from standard input."""
    report = json.load(sys.stdin)
    findings = [finding for finding in report["results"] if not answered(finding)]
    for found in findings:
        place = f"{found['filename']}:{found['line_number']}"
        print(f"{place}: {found['test_id']} {found['issue_severity'].lower()}: {found['issue_text']}")
    for error in report["errors"]:
        print(f"{error['filename']}: {error['reason']}")
    return 1 if findings or report["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
