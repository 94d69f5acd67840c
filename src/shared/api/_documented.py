"""What a view says about itself, for the OpenAPI document."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from shared.api._listing import Listing
from shared.errors import InvalidArgumentError, SharedError

__all__ = ["OPERATION", "Operation", "documented", "operation_of"]

F = TypeVar("F", bound=Callable[..., Any])

#: Where a function keeps what it says about itself.
OPERATION: Final = "__shared_operation__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What :func:`documented` was told."""

    returns: Any = Any
    status: int = 200
    body: Any = None
    query: Any = None
    path: Mapping[str, Any] = field(default_factory=dict)
    listing: Listing | None = None
    errors: tuple[int, ...] = ()
    summary: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    envelope: bool = True
    hidden: bool = False


def documented(
    *,
    returns: Any = Any,
    status: int = 200,
    body: Any = None,
    query: Any = None,
    path: Mapping[str, Any] | None = None,
    listing: Listing | None = None,
    errors: Iterable[int | type[SharedError]] = (),
    summary: str = "",
    description: str = "",
    tags: Iterable[str] = (),
    envelope: bool = True,
    hidden: bool = False,
) -> Callable[[F], F]:
    """Say of a view what it takes and gives, for the OpenAPI document.

    For Flask and Starlette, whose functions do not say it themselves: see ``add_openapi``.
    FastAPI reads it from the function; there *errors* and *listing* count alone. It
    stands below the route's own decorator and costs nothing per request.

    Args:
        returns: Type of the data; None for an answer without a body.
        status: Of the answer when all is well.
        body: Type of the JSON body, as ``load_model`` reads it.
        query: Pydantic model of the query's parameters.
        path: Types of path parameters that are more than their converter says.
        listing: What the view reads by ``page_request``.
        errors: Further errors that it raises, by class or status.
        summary: One line; the name of the function when empty.
        description: More; the function's docstring when empty.
        tags: Groups of the document.
        envelope: Whether the data are sent in the envelope of a success.
        hidden: Whether the document leaves it out.

    Raises:
        InvalidArgumentError: A status is none of a response.

    Example:
        >>> from shared.errors import ConflictError
        >>> @documented(returns=int, errors=[ConflictError])
        ... def answer():
        ...     return 42
        >>> answer()
        42
    """
    told = tuple(each if isinstance(each, int) else each.status for each in errors)
    for each in (status, *told):
        if not 200 <= each <= 599:
            msg = f"the status of a response is 200 to 599, got {each!r}"
            raise InvalidArgumentError(msg)
    operation = Operation(
        returns=returns,
        status=status,
        body=body,
        query=query,
        path=dict(path or {}),
        listing=listing,
        errors=told,
        summary=summary,
        description=description,
        tags=tuple(tags),
        envelope=envelope,
        hidden=hidden,
    )

    def mark(function: F) -> F:
        setattr(function, OPERATION, operation)
        return function

    return mark


def operation_of(function: Any) -> Operation | None:
    """Return what *function* says about itself, or None."""
    found = getattr(function, OPERATION, None)
    return found if isinstance(found, Operation) else None
