"""The documented success envelope, from data to bytes."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, TypeVar

from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import check, looped

KEYS = ["success", "data", "message", "timestamp", "version"]
T = TypeVar("T")


def plain(count: int) -> Any:
    """Return one item, or a list of *count*, as dicts."""
    items = [
        {"id": number, "name": f"item {number}", "price": 9.5, "tags": ["a", "b"], "in_stock": True}
        for number in range(count)
    ]
    return items[0] if count == 1 else items


def models(count: int) -> Any:
    """Return the same as pydantic models."""
    item = _item_class()
    data = plain(count)
    return item(**data) if count == 1 else [item(**entry) for entry in data]


def _item_class() -> Any:
    from pydantic import BaseModel

    class Item(BaseModel):
        id: int
        name: str
        price: float
        tags: list[str]
        in_stock: bool

    return Item


def _checked(operation: Callable[[], bytes], expected: Any) -> Run:
    answer = json.loads(operation())
    check(list(answer) == KEYS, f"keys are {list(answer)}")
    check(answer["data"] == expected, "data came out changed")
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer["timestamp"]), answer["timestamp"])
    return looped(operation)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _by_hand(data: Any, timestamp: Any) -> dict[str, Any]:
    return {
        "success": True,
        "data": data,
        "message": "Operation successful",
        "timestamp": timestamp,
        "version": "v1",
    }


@contextlib.contextmanager
def floor(count: int) -> Iterator[Run]:
    """A dict and orjson, which writes the time in the documented form by itself."""
    import orjson

    data = plain(count)
    option = orjson.OPT_OMIT_MICROSECONDS | orjson.OPT_UTC_Z
    yield _checked(lambda: orjson.dumps(_by_hand(data, datetime.now(UTC)), option=option), data)


@contextlib.contextmanager
def ours(make: Callable[[int], Any], count: int) -> Iterator[Run]:
    from shared.api import success_bytes

    data = make(count)
    yield _checked(lambda: success_bytes(data), plain(count))


@contextlib.contextmanager
def ours_mapping(count: int) -> Iterator[Run]:
    """The function of the documents, its mapping then written by orjson."""
    import orjson

    from shared.api import success_response

    data = plain(count)
    yield _checked(lambda: orjson.dumps(success_response(data)), data)


@contextlib.contextmanager
def pydantic_envelope(make: Callable[[int], Any], count: int) -> Iterator[Run]:
    """``Envelope[Item]`` built for each answer."""
    from pydantic import BaseModel

    item = _item_class()

    class Envelope(BaseModel, Generic[T]):
        success: bool = True
        data: T
        message: str = "Operation successful"
        timestamp: str
        version: str = "v1"

    data = make(count)
    if count == 1 and isinstance(data, BaseModel):
        item = type(data)
    elif count > 1 and isinstance(data[0], BaseModel):
        item = type(data[0])
    envelope = Envelope[item] if count == 1 else Envelope[list[item]]  # type: ignore[valid-type]
    dump = envelope.__pydantic_serializer__.to_json
    yield _checked(lambda: dump(envelope(data=data, timestamp=_now())), plain(count))


@contextlib.contextmanager
def jsonable(make: Callable[[int], Any], count: int) -> Iterator[Run]:
    """What FastAPI does with a dict of an undeclared type."""
    from fastapi.encoders import jsonable_encoder

    data = make(count)

    def operation() -> bytes:
        encoded = jsonable_encoder(_by_hand(data, _now()))
        return json.dumps(encoded, ensure_ascii=False, separators=(",", ":")).encode()

    yield _checked(operation, plain(count))


@contextlib.contextmanager
def stdlib_json(count: int) -> Iterator[Run]:
    data = plain(count)
    yield _checked(lambda: json.dumps(_by_hand(data, _now()), separators=(",", ":")).encode(), data)


FLOOR = "floor: dict + orjson"


def _table(name: str, count: int, what: str, *, models_at_most: float) -> Table:
    return Table(
        name=name,
        title=f"the success envelope around {what}, as bytes",
        base=FLOOR,
        cases=(
            Case(FLOOR, partial(floor, count), kind="floor"),
            Case("ours, plain data", partial(ours, plain, count), kind="ours", requires=("shared.api",)),
            Case(
                "ours, success_response + orjson",
                partial(ours_mapping, count),
                kind="ours",
                requires=("shared.api",),
            ),
            Case("ours, models", partial(ours, models, count), kind="ours", requires=("shared.api",)),
            Case("dict + json.dumps", partial(stdlib_json, count)),
            Case("pydantic Envelope[T], plain data", partial(pydantic_envelope, plain, count)),
            Case("pydantic Envelope[T], models", partial(pydantic_envelope, models, count)),
            Case("jsonable_encoder + json.dumps", partial(jsonable, models, count), requires=("fastapi",)),
        ),
        goals=(
            Goal("ours, plain data", FLOOR, at_most=1.2),
            Goal("ours, models", "pydantic Envelope[T], models", at_most=models_at_most),
        ),
    )


# Around one item the envelope is most of the work; around fifty models nearly all of it
# is pydantic's own writing of the data, which both rows pay.
TABLES = (
    _table("envelope", 1, "one item", models_at_most=0.5),
    _table("envelope-50", 50, "fifty items", models_at_most=1.0),
)
