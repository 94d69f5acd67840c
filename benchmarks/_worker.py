"""The process of one row: builds the case, then measures a sample for every line it reads.

Rows do not share a process, because logging set-up, patched classes and the size of
the heap of one would change the cost of another.
"""

import gc
import json
import os
import sys
import time
import traceback
from typing import TextIO

from benchmarks import _registry
from benchmarks._model import Run


def main(arguments: list[str]) -> int:
    """Serve the row given as ``table row seconds`` until the standard input ends."""
    table_name, case_name, seconds = arguments
    replies = _private_stdout()
    try:
        case = _registry.table(table_name).case(case_name)
        with case.open() as run:
            loops = calibrate(run, case.seconds or float(seconds))
            _reply(replies, {"loops": loops})
            for _ in sys.stdin:
                _reply(replies, {"sample": sample(run, loops)})
    except Exception as exc:  # noqa: BLE001 - the parent shows it in the row
        traceback.print_exc()
        _reply(replies, {"error": f"{type(exc).__name__}: {exc}"})
        return 1
    return 0


def calibrate(run: Run, seconds: float) -> int:
    """Warm up, and return how many loops take about *seconds*."""
    loops = 1
    while True:
        started = time.perf_counter()
        run(loops)
        took = time.perf_counter() - started
        if took >= seconds or loops >= 1 << 22:
            return loops
        # At most tenfold a step: the first call may be slow because it is the first.
        loops = max(loops + 1, min(loops * 10, int(loops * seconds / max(took, 1e-9) * 1.05)))


def sample(run: Run, loops: int) -> list[float]:
    """Return the cost of one operation, in seconds."""
    gc.collect()
    gc.disable()
    try:
        started = time.thread_time_ns()
        own = run(loops)
        spent = time.thread_time_ns() - started
    finally:
        gc.enable()
    return list(own) if own is not None else [spent / loops / 1e9]


def _private_stdout() -> TextIO:
    """Keep the pipe to the parent for replies alone: what a case prints goes to stderr."""
    replies = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return replies


def _reply(replies: TextIO, message: dict[str, object]) -> None:
    replies.write(json.dumps(message) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
