"""Run small programs that log, as processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[3] / "src"


def environment(**variables: str) -> dict[str, str]:
    """An environment in which the package is found and no setting of ours is set."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
    }
    return {**kept, "PYTHONPATH": str(SOURCE), "ENV_FILE": "off", **variables}


def run(
    code: str, *, env: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run *code* to its end and return what it wrote."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment(**(env or {})),
        capture_output="stdout" not in options,
        timeout=60,
        check=False,
        **options,
    )


def events(output: bytes) -> list[dict[str, Any]]:
    """Parse *output*, every line of which must be JSON."""
    return [json.loads(line) for line in output.splitlines()]
