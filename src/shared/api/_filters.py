"""One declared filter: what it is called, what its values are, how they are compared."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from shared.api._validation import describe_errors
from shared.errors import InvalidArgumentError

__all__ = ["Filter", "FilterTerm", "terms_of"]

_OPERATORS: Final = frozenset(
    {"eq", "ne", "lt", "le", "gt", "ge", "in", "not_in", "contains", "starts_with", "is_null"}
)
_LISTS: Final = frozenset({"in", "not_in"})
_TEXTS: Final = frozenset({"contains", "starts_with"})
_LONGEST_TEXT: Final = 200
_WORDS: Final = {
    "eq": "is",
    "ne": "is not",
    "lt": "is below",
    "le": "is at most",
    "gt": "is above",
    "ge": "is at least",
    "in": "is one of; the parameter may be repeated",
    "not_in": "is none of; the parameter may be repeated",
    "contains": "contains",
    "starts_with": "starts with",
    "is_null": "is empty",
}

Problem = Mapping[str, str]


class Filter:
    """What a list may be filtered by: a name, the type of its values, the comparisons.

    Args:
        kind: Type of the values, as pydantic reads it from text: ``str``, ``int``, an
            enumeration, ``Annotated[Decimal, Field(ge=0)]``. Without bounds of their own
            texts have at most 200 characters and integers 64 bits.
        operators: Comparisons: ``eq ne lt le gt ge in not_in contains starts_with is_null``.
        column: Name in the repository, where it is another.
        max_values: Most values of ``in`` and ``not_in``.
        description: For the OpenAPI document.

    Raises:
        InvalidArgumentError: An operator is unknown, there is none, or a number is below 1.

    Example:
        >>> Filter(int, ("eq", "ge")).operators
        ('eq', 'ge')
    """

    __slots__ = ("column", "description", "kind", "max_values", "operators")

    def __init__(
        self,
        kind: Any = str,
        operators: Iterable[str] = ("eq",),
        *,
        column: str | None = None,
        max_values: int = 50,
        description: str = "",
    ) -> None:
        self.kind: Any = kind
        self.operators: tuple[str, ...] = (operators,) if isinstance(operators, str) else tuple(operators)
        self.column: str | None = column
        self.max_values: int = max_values
        self.description: str = description
        unknown = [each for each in self.operators if each not in _OPERATORS]
        if unknown or not self.operators:
            shown = repr(unknown[0]) if unknown else "none"
            msg = f"operators are some of {', '.join(sorted(_OPERATORS))}, got {shown}"
            raise InvalidArgumentError(msg)
        if max_values < 1:
            msg = f"max_values is 1 or more, got {max_values!r}"
            raise InvalidArgumentError(msg)


class FilterTerm:
    """One parameter of the query: a filter and one of its comparisons."""

    __slots__ = ("_adapter", "_filter", "_is_list", "name", "where")

    def __init__(self, name: str, declared: Filter, operator: str) -> None:
        from pydantic import TypeAdapter

        column = declared.column or name
        self.name: Final = name if operator == "eq" else f"{name}__{operator}"
        self.where: Final = column if operator == "eq" else f"{column}__{operator}"
        self._filter = declared
        self._is_list = operator in _LISTS
        kind = bool if operator == "is_null" else str if operator in _TEXTS else declared.kind
        self._adapter: TypeAdapter[Any] = TypeAdapter(_bounded(kind))

    def read(self, values: list[str]) -> tuple[Any, list[Problem]]:
        """Return the value that *values* of the query stand for, and what is wrong with them."""
        if not self._is_list:
            if len(values) > 1:
                return None, [problem(self.name, "is given more than once", "repeated")]
            return self._one(values[0])
        if len(values) > (most := self._filter.max_values):
            return None, [problem(self.name, f"has {len(values)} values, at most {most} are allowed", "many")]
        found, problems = [], []
        for text in values:
            value, wrong = self._one(text)
            found.append(value)
            problems += wrong
        return found, problems

    def _one(self, text: str) -> tuple[Any, list[Problem]]:
        from pydantic import ValidationError

        try:
            value = self._adapter.validate_strings(text)
            # What the database will do later; only here it is the caller's fault.
            return (value.astimezone(UTC) if type(value) is datetime else value), []
        except ValidationError as exc:
            return None, [{**each, "field": self.name} for each in describe_errors(exc.errors())]
        except (OverflowError, ValueError):
            return None, [problem(self.name, "is out of range", "range")]

    def parameter(self) -> dict[str, Any]:
        """Return the parameter as the OpenAPI document describes it."""
        schema = self._adapter.json_schema(mode="validation", ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None) if "$ref" not in repr(schema) else _inline(schema)
        operator = self.name.rpartition("__")[2] if "__" in self.name else "eq"
        if self._is_list:
            schema = {"type": "array", "items": schema, "minItems": 1, "maxItems": self._filter.max_values}
        told = f"{self._filter.description} ".lstrip() + f"({_WORDS.get(operator, 'is')})"
        return {"name": self.name, "in": "query", "required": False, "description": told, "schema": schema}


def problem(field: str, message: str, kind: str) -> Problem:
    """Return one entry of the list of problems that a refusal carries."""
    return {"field": field[:64], "message": message, "type": kind}


def terms_of(filters: Mapping[str, Any]) -> dict[str, FilterTerm]:
    """Return every parameter that *filters* allow, by its name.

    Raises:
        InvalidArgumentError: A name is no name, or two filters ask for one parameter.
    """
    found: dict[str, FilterTerm] = {}
    for name, declared in filters.items():
        if not str(name).isidentifier():
            msg = f"a filter is called like a variable, got {name!r}"
            raise InvalidArgumentError(msg)
        known = declared if isinstance(declared, Filter) else Filter(declared)
        for operator in known.operators:
            term = FilterTerm(name, known, operator)
            if term.name in found:
                msg = f"two filters ask for the parameter {term.name!r}"
                raise InvalidArgumentError(msg)
            found[term.name] = term
    return found


def _bounded(kind: Any) -> Any:
    """Return *kind* with the bounds every store has, unless it has its own."""
    from pydantic import Field

    if kind is str:  # no store of text takes NUL
        return Annotated[str, Field(max_length=_LONGEST_TEXT, pattern=r"^[^\x00]*$")]
    if kind is int:
        return Annotated[int, Field(ge=-(2**63), lt=2**63)]
    if kind is float:
        return Annotated[float, Field(allow_inf_nan=False)]
    if kind is Decimal:
        return Annotated[Decimal, Field(allow_inf_nan=False, max_digits=30)]
    return kind


def _inline(schema: dict[str, Any]) -> None:
    """Put the definition that *schema* refers to in its place: parameters stand alone."""
    definitions = schema.pop("$defs", {})
    name = str(schema.pop("$ref", "")).rpartition("/")[2]
    schema.update(definitions.get(name, {}))
