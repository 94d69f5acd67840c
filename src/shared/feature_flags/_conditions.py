"""Conditions as functions of the context, and the same step by step for explanations."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from shared.feature_flags._detail import TraceStep
from shared.feature_flags._operators import Context, Test, build_test, getter, is_text_in, text_values
from shared.feature_flags._rules import Condition
from shared.security import is_secret_name

__all__ = ["build_condition", "compile_segments", "trace_condition", "two_texts"]

A = TypeVar("A")

_DEEPEST: Final = 40
_SHOWN: Final = 60


def build_condition(
    condition: Condition, segments: Mapping[str, Test], where: str, faults: list[str]
) -> Test:
    """Return *condition* as a function; what is wrong with it goes to *faults*."""
    if condition.op is not None and condition.attr is not None:
        try:
            return build_test(condition.attr, condition.op, condition.value)
        except ValueError as exc:
            faults.append(f"{where}: {condition.attr} {condition.op}: {exc}")
            return _never
    if condition.segment is not None:
        found = segments.get(condition.segment)
        if found is None:
            faults.append(f"{where}: segment {condition.segment!r} does not exist")
        return found or _never
    if condition.not_ is not None:
        return _negated(build_condition(condition.not_, segments, f"{where}.not", faults))
    word = "all" if condition.all is not None else "any"
    parts = condition.all if condition.all is not None else condition.any or ()
    if (both := two_texts(condition, yes=True, no=False)) is not None:
        return both
    tests = [build_condition(part, segments, f"{where}.{word}.{n}", faults) for n, part in enumerate(parts)]
    return _all(tests) if word == "all" else _any(tests)


def two_texts(condition: Condition, yes: A, no: A) -> Callable[[Context], A] | None:
    """Return two comparisons with texts, the commonest rule, as one function; None for others."""
    parts = condition.all or ()
    found = [text_values(part.attr, part.op, part.value) for part in parts]
    if len(found) != 2 or found[0] is None or found[1] is None:
        return None
    (first, ones), (second, others) = found[0], found[1]

    def both(ctx: Context) -> A:
        one, other = ctx.get(first), ctx.get(second)
        if type(one) is str and type(other) is str:
            return yes if one in ones and other in others else no
        return yes if is_text_in(one, ones) and is_text_in(other, others) else no

    return both


def _never(ctx: Context) -> bool:
    del ctx
    return False


def _negated(test: Test) -> Test:
    return lambda ctx: not test(ctx)


def _all(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda ctx: first(ctx) and second(ctx)

    def every(ctx: Context) -> bool:
        for test in tests:  # noqa: SIM110 - a generator would double the cost
            if not test(ctx):
                return False
        return True

    return every


def _any(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def some(ctx: Context) -> bool:
        for test in tests:  # noqa: SIM110 - a generator would double the cost
            if test(ctx):
                return True
        return False

    return some


# --- segments ------------------------------------------------------------------------------


def compile_segments(segments: Mapping[str, Condition], faults: list[str]) -> dict[str, Test]:
    """Return every segment as a function; segments may use each other, not in a circle."""
    done: dict[str, Test] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in done:
            return
        if name in path or len(path) >= _DEEPEST:
            faults.append(f"segments.{name}: a circle: {' -> '.join((*path, name))}")
            done[name] = _never
            return
        for used in _segments_of(segments[name]):
            if used in segments:
                visit(used, (*path, name))
        if name not in done:
            done[name] = build_condition(segments[name], done, f"segments.{name}", faults)

    for name in segments:
        visit(name, ())
    return done


def _segments_of(condition: Condition) -> list[str]:
    if condition.segment is not None:
        return [condition.segment]
    parts = [*(condition.all or ()), *(condition.any or ()), *([condition.not_] if condition.not_ else ())]
    return [name for part in parts for name in _segments_of(part)]


# --- in words ------------------------------------------------------------------------------


def trace_condition(
    condition: Condition, ctx: Context, segments: Mapping[str, Condition], steps: list[TraceStep], depth: int
) -> bool:
    """Evaluate *condition* in full and note each part, the whole before its parts."""
    at = len(steps)
    if condition.op is not None and condition.attr is not None:
        result = build_test(condition.attr, condition.op, condition.value)(ctx)
        text = f"{condition.attr} {condition.op} {_show(condition.attr, condition.value)}"
        text += f" (it is {_seen(condition.attr, ctx)})"
        steps.append(TraceStep("clause", text, result, depth))
        return result
    text, parts = _parts(condition, segments)
    results = [trace_condition(part, ctx, segments, steps, depth + 1) for part in parts]
    result = any(results) if condition.any is not None else all(results)
    if condition.not_ is not None:
        result = not result
    steps.insert(at, TraceStep("clause", text, result, depth))
    return result


def _parts(condition: Condition, segments: Mapping[str, Condition]) -> tuple[str, tuple[Condition, ...]]:
    if condition.segment is not None:
        return f"segment {condition.segment!r}", (segments[condition.segment],)
    if condition.not_ is not None:
        return "not", (condition.not_,)
    if condition.all is not None:
        return "all of", condition.all
    return "any of", condition.any or ()


def _seen(attr: str, ctx: Context) -> str:
    try:
        found = getter(attr)(ctx)
    except Exception:  # noqa: BLE001 - the context may be anything
        return "unreadable"
    return "missing" if found is None else _show(attr, found)


def _show(attr: str, value: Any) -> str:
    if is_secret_name(attr):
        return "***"
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a stranger's repr
        return f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
