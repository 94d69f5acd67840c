"""Say what was checked, line by line, and sum it up."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Step:
    """One line of the tour."""

    title: str
    ok: bool
    facts: str
    seconds: float


@dataclass
class Report:
    """Collects the steps; prints them for people unless *as_json*."""

    as_json: bool = False
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Run one check; whatever it raises makes it fail. The list takes facts to show."""
        facts: list[str] = []
        begin = time.perf_counter()
        ok = True
        try:
            yield facts
        except Exception as exc:  # noqa: BLE001 - a failed expectation is a line of the report
            ok = False
            facts.append(f"{type(exc).__name__}: {exc}")
        self._add(Step(title, ok, "; ".join(facts), time.perf_counter() - begin))

    def _add(self, step: Step) -> None:
        self.steps.append(step)
        if not self.as_json:
            mark = _colour("ok  ", 32) if step.ok else _colour("FAIL", 31)
            print(f"  {mark} {step.title}", flush=True)
            if step.facts:
                for line in step.facts.splitlines():
                    print(f"         {line}", flush=True)

    def heading(self, text: str) -> None:
        """Begin a chapter."""
        if not self.as_json:
            print(f"\n{_colour(text, 1)}", flush=True)

    @property
    def failed(self) -> list[Step]:
        """The steps whose expectation did not hold."""
        return [step for step in self.steps if not step.ok]

    def summary(self, services: list[dict[str, Any]]) -> None:
        """Print the closing table."""
        if self.as_json:
            print(json.dumps({"services": services, "steps": [asdict(s) for s in self.steps]}, indent=2))
            return
        self.heading("Summary")
        rows = [("service", "server", "url", "lines of code", "start")]
        rows += [(s["name"], s["server"], s["url"], str(s["lines"]), f"{s['start']:.1f} s") for s in services]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for n, row in enumerate(rows):
            print(
                "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            )
            if n == 0:
                print("  " + "  ".join("-" * width for width in widths))
        total = sum(step.seconds for step in self.steps)
        print(f"\n  {len(self.steps) - len(self.failed)} of {len(self.steps)} checks hold ({total:.1f} s)")
        for step in self.failed:
            print(f"  {_colour('FAIL', 31)} {step.title}: {step.facts}")


def check(condition: object, message: str) -> None:
    """Raise AssertionError with *message* when *condition* does not hold."""
    if not condition:
        raise AssertionError(message)


def equal(found: object, wanted: object, what: str) -> None:
    """Raise AssertionError unless *found* is *wanted*."""
    check(found == wanted, f"{what}: wanted {wanted!r}, found {found!r}")


def _colour(text: str, code: int) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if sys.stdout.isatty() else text
