"""What every part of a flag document has in common: frozen, strict, and wrong only in our words."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic import ValidationError as Refused

from shared.errors import FlagDocumentError

__all__ = ["FlagPart", "own_init", "refuse_depth"]

F = TypeVar("F", bound=Callable[..., None])

_MOST_FAULTS: Final = 50
_DEEPEST: Final = 40
_LONGEST: Final = 300


class FlagPart(BaseModel):
    """The base of every part of a flag document: immutable, no unknown field, plain data both ways.

    Example:
        >>> from shared.feature_flags import Schedule
        >>> Schedule.from_dict({"start": "2026-12-01T00:00:00Z"}).to_dict()
        {'start': '2026-12-01T00:00:00Z'}
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False, protected_namespaces=()
    )

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the part that *data*, as read from JSON, YAML or TOML, describes.

        Raises:
            FlagDocumentError: It does not fit; ``faults`` lists everything that is wrong.

        Example:
            >>> from shared.feature_flags import Split
            >>> Split.from_dict({"weights": {"on": 1, "off": 3}}).unit
            'user_id'
        """
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping):
            msg = f"a mapping expected, got {type(data).__name__}"
            raise FlagDocumentError([msg], subject=cls.__name__)
        refuse_depth(data, cls.__name__)
        try:
            return cls.model_validate(dict(data))
        except Refused as exc:
            raise FlagDocumentError(faults(exc), subject=cls.__name__) from None
        except RecursionError:
            raise FlagDocumentError(["nested too deeply"], subject=cls.__name__) from None

    def to_dict(self) -> dict[str, Any]:
        """Return what was given as plain JSON data; what follows from it is left out.

        Example:
            >>> from shared.feature_flags import Flag
            >>> Flag("new_menu", owner="web").to_dict()
            {'key': 'new_menu', 'owner': 'web'}
        """
        return self.model_dump(mode="json", exclude_unset=True, by_alias=True)

    def __hash__(self) -> int:
        return hash((type(self), repr(self)))

    def _build(self, given: Mapping[str, Any], subject: str) -> None:
        """Validate *given* into this instance, as ``BaseModel.__init__`` does, with our errors."""
        refuse_depth(given, subject)
        try:
            self.__pydantic_validator__.validate_python(dict(given), self_instance=self)
        except Refused as exc:
            raise FlagDocumentError(faults(exc), subject=subject) from None


def own_init(function: F) -> F:
    """Mark a constructor that only adds positional arguments: nested validation goes past it."""
    function.__pydantic_base_init__ = True  # type: ignore[attr-defined]
    return function


def faults(exc: Refused) -> list[str]:
    """Return what *exc* complains about, one line each, without the values."""
    found = []
    for error in exc.errors(include_url=False, include_context=False, include_input=False)[:_MOST_FAULTS]:
        if error["type"] == "default_factory_not_called":  # it follows from a field that is wrong
            continue
        where = ".".join(_shown(step) for step in error["loc"])
        what = error["msg"].removeprefix("Value error, ")
        found.append(f"{where}: {what}" if where else what)
    return found


def refuse_depth(data: Any, subject: str) -> None:
    """Refuse data nested deeper than anything sensible, without recursion of our own."""
    level: list[Any] = [data]
    for _ in range(_DEEPEST):
        level = [item for value in level for item in _inside(value)]
        if not level:
            return
    raise FlagDocumentError([f"nested deeper than {_DEEPEST} levels"], subject=subject)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, (list, tuple)) else ()


def _shown(step: Any) -> str:
    return "".join(char for char in str(step)[:_LONGEST] if char.isprintable())
