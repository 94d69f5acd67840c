"""Tables for people, data for programs, bars for the documentation."""

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable
from html import escape
from typing import Any

from benchmarks._harness import Result
from benchmarks._model import Goal

_UNITS = {"us": (1e6, "µs"), "ms": (1e3, "ms")}
_SHOWN_LIBRARIES = (
    "asgi-correlation-id",
    "fastapi",
    "flask",
    "loguru",
    "orjson",
    "prometheus-client",
    "prometheus-fastapi-instrumentator",
    "pydantic",
    "pytest",
    "python-json-logger",
    "starlette",
    "structlog",
    "uvicorn",
    "werkzeug",
)


def verdicts(result: Result) -> list[tuple[Goal, float | None, bool]]:
    """Return each goal with the ratio seen and whether it is met; not measured is not met."""
    costs = result.costs()
    values = [(goal, goal.value(costs)) for goal in result.table.goals]
    return [(goal, value, value is not None and goal.is_met(value)) for goal, value in values]


def text_table(result: Result) -> str:
    """Return *result* as a table that is readable as it is and as Markdown."""
    table = result.table
    factor, unit = _UNITS[table.unit]
    header = [
        "",
        unit,
        *(f"x {table.base}" + (f", {m}" if len(table.metrics) > 1 else "") for m in table.metrics),
        "middle half",
    ]
    rows = [_row(result, case.name, factor) for case in table.cases]
    lines = [f"{table.name}: {table.title}  ({result.rounds} rounds)", "", *aligned([header, *rows])]
    if table.goals:
        goals = [[*_goal_row(goal, value), "yes" if met else "NO"] for goal, value, met in verdicts(result)]
        lines += ["", *aligned([["goal", "seen", "met"], *goals])]
    return "\n".join([*lines, *(f"\n{note}" for note in table.notes)])


def _row(result: Result, name: str, factor: float) -> list[str]:
    if name in result.absent:
        return [name, result.absent[name], *([""] * len(result.table.metrics)), ""]
    cost = result.summary(name).q1 * factor
    ratios = [result.ratio(name, metric) for metric in range(len(result.table.metrics))]
    shown = [f"{ratio[1]:.2f}" if ratio else "" for ratio in ratios]
    first = ratios[0]
    spread = f"{first[0]:.2f} to {first[2]:.2f}" if first and name != result.table.base else ""
    return [name, f"{cost:.3g}" if cost < 1000 else f"{cost:.0f}", *shown, spread]


def _goal_row(goal: Goal, value: float | None) -> list[str]:
    return [str(goal), "not measured" if value is None else f"{value:.2f}"]


def aligned(rows: list[list[str]]) -> list[str]:
    """Return *rows*, the first one the header, as the lines of a Markdown table."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    cells = [
        [
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]
    rule = ["-" * width if column == 0 else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return [f"| {' | '.join(line)} |" for line in [cells[0], rule, *cells[1:]]]


def as_data(results: Iterable[Result]) -> dict[str, Any]:
    """Return everything measured, for programs; seconds per operation."""
    return {"environment": _environment(), "tables": [_table_data(result) for result in results]}


def _table_data(result: Result) -> dict[str, Any]:
    rows: dict[str, Any] = {name: {"absent": why} for name, why in result.absent.items()}
    for name in result.samples:
        summary, ratio = result.summary(name), result.ratio(name)
        rows[name] = {
            "kind": result.table.case(name).kind,
            "q1": summary.q1,
            "median": summary.median,
            "q3": summary.q3,
            "ratio": ratio[1] if ratio else None,
            "ratio_q1": ratio[0] if ratio else None,
            "ratio_q3": ratio[2] if ratio else None,
        }
    goals = [{"goal": str(goal), "seen": value, "met": met} for goal, value, met in verdicts(result)]
    return {
        "name": result.table.name,
        "title": result.table.title,
        "base": result.table.base,
        "rounds": result.rounds,
        "rows": {case.name: rows[case.name] for case in result.table.cases},
        "goals": goals,
    }


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "libraries": {name: version for name in _SHOWN_LIBRARIES if (version := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


_COLOURS = {"floor": "#8c959f", "ours": "#1f883d", "peer": "#bc4c00"}


def svg(result: Result) -> str:
    """Return the ratios of *result* as horizontal bars; long ones are cut and say so."""
    rows = [(name, ratio[1]) for name in result.samples if (ratio := result.ratio(name))]
    left, width, step, top = 300, 420, 26, 44
    longest = max((ratio for _, ratio in rows), default=1.0)
    # One giant would flatten the rest: bars end at twelve times the base.
    scale = width / min(longest, 12.0)
    height = top + step * len(rows) + 12
    title = f"{result.table.title}: cost over {result.table.base}, less is better"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 90} {height}" role="img"',
        'font-family="system-ui, sans-serif" font-size="13" fill="#6e7781">',
        f"<title>{escape(title)}</title>",
        f'<text x="10" y="24" font-size="14" font-weight="600">{escape(title)}</text>',
    ]
    for number, (name, ratio) in enumerate(rows):
        y, length = top + number * step, max(2.0, min(ratio * scale, float(width)))
        colour = _COLOURS[result.table.case(name).kind]
        label = f"{ratio:.2f}x" + (" (cut)" if ratio * scale > width + 1 else "")
        parts += [
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{step - 8}" rx="3" fill="{colour}"/>',
            f'<text x="{left + length + 6:.1f}" y="{y + 14}">{label}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
