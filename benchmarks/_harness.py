"""Measures the rows of a table in turns, in shuffled order, round after round."""

import contextlib
import json
import os
import random
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks._model import Case, Table
from benchmarks._stats import Summary, paired_ratio

# Seconds a row may take to be built or for one sample; what takes longer hangs.
PATIENCE = 180.0
ROOT = Path(__file__).resolve().parents[1]


class Row(Protocol):
    """Something that can be measured again and again."""

    def sample(self) -> list[float]:
        """Return the cost of one operation, in seconds, one number for each metric."""


@dataclass
class Result:
    """What was measured of one table."""

    table: Table
    rounds: int
    samples: dict[str, list[list[float]]] = field(default_factory=dict)  # row: round: metric
    absent: dict[str, str] = field(default_factory=dict)  # row: why it was not measured
    failed: bool = False

    def values(self, name: str, metric: int = 0) -> list[float]:
        """Return the samples of the row *name*."""
        return [sample[metric] for sample in self.samples[name]]

    def summary(self, name: str, metric: int = 0) -> Summary:
        """Return the quartiles of the row *name*."""
        return Summary.of(self.values(name, metric))

    def ratio(self, name: str, metric: int = 0) -> tuple[float, float, float] | None:
        """Return the quartiles of the row's ratios to the base, or None without one."""
        if name not in self.samples or self.table.base not in self.samples:
            return None
        return paired_ratio(self.values(name, metric), self.values(self.table.base, metric))

    def costs(self) -> dict[str, float]:
        """Return the median of each row's ratios to the base; what goals are checked against."""
        ratios = {name: self.ratio(name) for name in self.samples}
        return {name: ratio[1] for name, ratio in ratios.items() if ratio is not None}


def measure(
    table: Table,
    open_row: Callable[[Case], contextlib.AbstractContextManager[Row]],
    *,
    rounds: int,
    rng: random.Random,
    progress: Callable[[str], object] = str,
) -> Result:
    """Return the samples of every row of *table* that can be measured.

    Each round takes one sample of every row, in a new random order: no row is
    always the first after a pause or the one behind the most expensive.
    """
    result = Result(table, rounds)
    with contextlib.ExitStack() as stack:
        rows: dict[str, Row] = {}
        for number, case in enumerate(table.cases, start=1):
            if missing := case.missing():
                result.absent[case.name] = f"{missing} is not installed"
                continue
            progress(f"preparing {number}/{len(table.cases)}: {case.name}")
            try:
                rows[case.name] = stack.enter_context(open_row(case))
            except RowError as exc:
                result.absent[case.name], result.failed = f"failed: {exc}", True
        result.samples = {name: [] for name in rows}
        for number in range(1, rounds + 1):
            progress(f"round {number}/{rounds}")
            order = list(rows)
            rng.shuffle(order)
            for name in order:
                try:
                    result.samples[name].append(rows[name].sample())
                except RowError as exc:
                    del rows[name], result.samples[name]
                    result.absent[name], result.failed = f"failed: {exc}", True
    return result


class RowError(Exception):
    """A row cannot be built or measured."""


class ProcessRow:
    """A row in a process of its own; see ``_worker``."""

    def __init__(self, table: Table, case: Case, *, seconds: float) -> None:
        command = [sys.executable, "-m", "benchmarks._worker", table.name, case.name, str(seconds)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
        )
        try:
            self.loops: int = self._read("loops")
        except BaseException:
            self.close()
            raise

    def sample(self) -> list[float]:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._read("sample")

    def _read(self, key: str):
        stdout = self._process.stdout
        if not select.select([stdout], [], [], PATIENCE)[0]:
            self._process.kill()
            msg = f"no answer within {PATIENCE:.0f} s"
            raise RowError(msg)
        line = stdout.readline()
        message = json.loads(line) if line else {"error": f"exit status {self._process.wait()}"}
        if key not in message:
            raise RowError(message["error"])
        return message[key]

    def close(self) -> None:
        """End the process; it ends by itself when its input does."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]


def environment() -> dict[str, str]:
    """Return the environment of the rows: nothing of the caller's that changes what is measured."""
    kept = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
        if name in os.environ
    }
    # The same hashes everywhere: dict layouts are part of the cost.
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}


@contextlib.contextmanager
def process_row(table: Table, case: Case, *, seconds: float) -> Iterator[ProcessRow]:
    """Open *case* in a process of its own and end it afterwards."""
    row = ProcessRow(table, case, seconds=seconds)
    try:
        yield row
    finally:
        row.close()
