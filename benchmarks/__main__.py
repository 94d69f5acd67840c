"""``python -m benchmarks [name…]``: measure the tables and say which goals are met."""

import argparse
import json
import random
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks import _registry
from benchmarks._harness import ROOT, Result, measure, process_row
from benchmarks._model import Table
from benchmarks._report import as_data, svg, text_table, verdicts


class Progress:
    """One line that changes on a terminal; elsewhere a line every few seconds."""

    def __init__(self, stream=sys.stderr, *, clock=time.monotonic, every: float = 10.0) -> None:
        self._stream = stream
        self._clock = clock
        self._every = every
        self._due = 0.0

    def __call__(self, text: str) -> None:
        if self._stream.isatty():
            self._stream.write(f"\r\033[K{text}")
        elif self._clock() >= self._due:
            self._due = self._clock() + self._every
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def clear(self) -> None:
        if self._stream.isatty():
            self._stream.write("\r\033[K")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Ours, the bare floor and the peers, side by side."
    )
    made.add_argument("names", nargs="*", metavar="name", help="tables to measure; all when absent")
    made.add_argument("--list", action="store_true", help="show the tables and stop")
    made.add_argument(
        "--quick", action="store_true", help="few short rounds: shows that it works, proves nothing"
    )
    made.add_argument("--rounds", type=int, help="samples of each row")
    made.add_argument("--seed", type=int, default=0, help="of the order of the rows")
    made.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    made.add_argument(
        "--svg", nargs="?", type=Path, const=ROOT / "docs" / "assets", metavar="DIR", help="write bars"
    )
    made.add_argument("--check", action="store_true", help="exit with 1 when a goal is not met")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, 1 (with ``--check``: a goal is not met) or 2 (it could not be measured)."""
    options = parser().parse_args(arguments)
    # This checkout is measured, whatever is installed.
    sys.path.insert(0, str(ROOT / "src"))
    tables = _registry.tables()
    if options.list:
        print("\n".join(f"{table.name:14} {table.title}" for table in tables.values()))
        return 0
    if unknown := [name for name in options.names if name not in tables]:
        print(f"no table {', '.join(map(repr, unknown))}; there are: {', '.join(tables)}", file=sys.stderr)
        return 2
    if options.rounds is not None and options.rounds < 1:
        print(f"--rounds must be 1 or more, got {options.rounds}", file=sys.stderr)
        return 2
    results = [_measured(tables[name], options) for name in options.names or tables]
    _write_files(results, options)
    missed = [goal for result in results for goal, _, met in verdicts(result) if not met]
    goals = sum(len(result.table.goals) for result in results)
    print(f"{goals - len(missed)} of {goals} goals met")
    if any(result.failed for result in results):
        return 2
    return 1 if options.check and missed else 0


def _measured(table: Table, options: argparse.Namespace) -> Result:
    progress = Progress()
    rounds = options.rounds or table.rounds[options.quick]
    result = measure(
        table,
        partial(process_row, table, seconds=0.005 if options.quick else 0.03),
        rounds=rounds,
        rng=random.Random(options.seed),
        progress=lambda text: progress(f"{table.name}: {text}"),
    )
    progress.clear()
    print(f"\n{text_table(result)}\n", flush=True)
    return result


def _write_files(results: list[Result], options: argparse.Namespace) -> None:
    if options.json:
        options.json.write_text(json.dumps(as_data(results), indent=2) + "\n", encoding="utf-8")
    if options.svg:
        options.svg.mkdir(parents=True, exist_ok=True)
        for result in results:
            (options.svg / f"bench-{result.table.name}.svg").write_text(svg(result), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
