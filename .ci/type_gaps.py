"""Print the names of the public API whose type is not declared; end with 1 when there are any.

Usage: ``basedpyright --verifytypes shared --ignoreexternal --outputjson | type_gaps.py``. One undeclared
attribute makes every signature that mentions its class "partially unknown"; only the roots are printed.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

FOLLOWS = "partially unknown"
# An attribute that a base class of another library prescribes, such as the `impl` of
# SQLAlchemy's types, and a base class of a library that declares no types, such as factory-boy.
PRESCRIBED = ("Ambiguous base class override", "Type of base class unknown", "Type of metaclass unknown")

# The verifier reads no types of a namespace package, which openfeature-sdk is; mypy does.
UNREAD = ("shared.feature_flags.openfeature.",)


def place_of(found: dict) -> str:
    """File and line; some findings concern a name as a whole."""
    if "range" not in found:
        return "src"
    return f"{Path(found['file']).relative_to(Path.cwd())}:{found['range']['start']['line'] + 1}"


def main() -> int:
    """Read the report from standard input."""
    report = json.load(sys.stdin)["typeCompleteness"]
    gaps: dict[str, set[str]] = defaultdict(set)
    for symbol in report["symbols"]:
        if symbol["name"].startswith(UNREAD):
            continue
        for found in symbol["diagnostics"]:
            message = found["message"].splitlines()[0]
            if found["severity"] == "error" and FOLLOWS not in message and not message.startswith(PRESCRIBED):
                gaps[place_of(found)].add(f"{symbol['name']}: {message}")
    for place, messages in sorted(gaps.items()):
        print(f"{place}: {'; '.join(sorted(messages))}")
    score = report["completenessScore"]
    print(f"{score:.1%} of the public API has a declared type")
    return 1 if gaps or not report["exportedSymbolCounts"]["withKnownType"] else 0


if __name__ == "__main__":
    sys.exit(main())
