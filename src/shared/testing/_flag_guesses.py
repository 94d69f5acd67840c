"""Contexts that may fulfil a condition: guesses, which evaluation judges."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice, product
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shared.feature_flags import Condition

__all__ = ["leaves", "near", "satisfying"]

_MOST: Final = 64  # of one condition
_DEEPEST: Final = 12


def satisfying(
    condition: "Condition", segments: "Mapping[str, Condition]", depth: int = 0
) -> list[dict[str, Any]]:
    """Return contexts that may fulfil *condition*, at most 64."""
    data = condition.to_dict()
    return list(islice(_of(data, segments, depth), _MOST))


def _of(data: Mapping[str, Any], segments: "Mapping[str, Condition]", depth: int) -> Iterator[dict[str, Any]]:
    if depth > _DEEPEST:
        return
    if "all" in data:
        parts = [list(islice(_of(each, segments, depth + 1), 4)) or [{}] for each in data["all"]]
        for chosen in islice(product(*parts), _MOST):
            yield {name: value for part in chosen for name, value in part.items()}
    elif "any" in data:
        for each in data["any"]:
            yield from _of(each, segments, depth + 1)
    elif "not" in data:
        yield {}
        for attr, _, value in leaves(data["not"], segments):
            yield from ({attr: other} for other in ("somebody else", 0, *near(value)))
    elif "segment" in data:
        found = segments.get(data["segment"])
        if found is not None:
            yield from _of(found.to_dict(), segments, depth + 1)
    elif data.get("attr") is not None:
        yield from (_placed(data["attr"], value) for value in _values(data.get("op"), data.get("value")))


def _placed(attr: str, value: Any) -> dict[str, Any]:
    return {attr: value}


def leaves(
    data: Mapping[str, Any], segments: "Mapping[str, Condition]", depth: int = 0
) -> Iterator[tuple[str, str, Any]]:
    """Yield attribute, operator and value of every comparison in *data*."""
    if depth > _DEEPEST:
        return
    for each in (*data.get("all", ()), *data.get("any", ()), *([data["not"]] if "not" in data else [])):
        yield from leaves(each, segments, depth + 1)
    if "segment" in data and data["segment"] in segments:
        yield from leaves(segments[data["segment"]].to_dict(), segments, depth + 1)
    if data.get("attr") is not None:
        yield data["attr"], str(data.get("op")), data.get("value")


def _values(op: Any, value: Any) -> Iterator[Any]:
    """Yield what may fulfil one comparison."""
    if op == "exists":
        yield from (("anything", 1) if value is not False else (None,))
    elif op in ("in", "between") and isinstance(value, list):
        yield from value
        yield from (_middle(value),) if op == "between" else ()
    elif op == "cidr":
        for network in value if isinstance(value, list) else [value]:
            yield str(network).partition("/")[0]
    elif op in ("ne", "not_in"):
        yield from ("somebody else", -1, True)
    elif op in ("before", "after") and isinstance(value, str):
        yield from _moments(value)
    elif op in ("starts", "ends", "contains") and isinstance(value, list):
        yield from value
    else:
        yield from near(value)


def _middle(value: list[Any]) -> Any:
    try:
        return (value[0] + value[1]) / 2
    except (TypeError, IndexError):
        return value[:1]


def _moments(text: str) -> Iterator[str]:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return
    for days in (-1, 1):
        yield (moment + timedelta(days=days)).isoformat()


def near(value: Any) -> Iterator[Any]:
    """Yield *value* and its neighbours: one more and one less, a version up and down, a list with it."""
    yield value
    if isinstance(value, list):
        yield from value[:8]
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from (value + 1, value - 1)
    elif isinstance(value, str):
        yield from _versions(value)
        yield [value]


def _versions(text: str) -> Iterator[str]:
    parts = text.lstrip("v").split(".")
    if 1 < len(parts) <= 3 and all(part.isdecimal() for part in parts):
        numbers = [*map(int, parts), 0][:3]
        yield f"{numbers[0] + 1}.0.0"
        yield f"{max(numbers[0] - 1, 0)}.0.0"
        yield f"{numbers[0]}.{numbers[1] + 1}.0"
