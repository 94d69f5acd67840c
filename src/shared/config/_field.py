"""How a setting is declared, and what the rest of the room knows about it."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    NoReturn,
    Union,
    get_args,
    get_origin,
)

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretBytes,
    SecretStr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from shared.config._types import ConnectionUrl
from shared.constants import Environment
from shared.errors import ConfigurationError
from shared.security import MASK, is_secret_name, mask_text

_EXTRA: Final = "x-shared"
_MAPPINGS: Final = (dict, Mapping)
_SEQUENCES: Final = (list, tuple, set, frozenset)


def setting(
    default: Any,
    description: str,
    *,
    profiles: Mapping[str, Any] | None = None,
    aliases: tuple[str, ...] = (),
    secret: bool | None = None,
    generated: bool = False,
    expects: str | None = None,
    **constraints: Any,
) -> Any:
    """Declare one setting of a :class:`Section`.

    Args:
        default: The value when nothing is set; ``...`` makes the setting required.
        description: One sentence with the unit; it becomes the comment in
            ``.env.example``, the row of the docs table and the JSON schema.
        profiles: Defaults that differ by environment, such as
            ``{"production": "json"}``.
        aliases: Further names of the same variable. Two names with different
            values in one source are an error.
        secret: Whether the value is hidden wherever settings are shown. By default
            true for ``SecretStr`` and for text whose name says so.
        generated: In development and testing, an absent value is replaced by a
            random one that lives as long as the process.
        expects: What a value looks like, in words, where the type does not say it;
            used in errors and documents.
        constraints: Passed on to ``pydantic.Field``: ``ge``, ``le``, ``min_length``,
            ``pattern`` and so on.

    Returns:
        The field, for use as the default in the class body.

    Example:
        >>> class OrdersSection(Section):
        ...     ORDER_TTL: float = setting(900.0, "Life of an unpaid order, in seconds.", gt=0)
        >>> OrdersSection().ORDER_TTL
        900.0
    """
    known = {
        "aliases": list(aliases),
        "profiles": {str(name): value for name, value in (profiles or {}).items()},
        "secret": secret,
        "generated": generated or None,
        "expects": expects,
    }
    kept = {key: value for key, value in known.items() if value not in (None, [], {})}
    extra: dict[str, Any] = {_EXTRA: kept}
    return Field(default, description=description, json_schema_extra=extra, **constraints)


class Section(BaseModel):
    """A group of settings: ``settings.database`` is one.

    Subclass it to give a service its own; field names are the names of the
    environment variables, in capitals. Sections cannot be changed after they are
    built, show no secret in ``repr`` and refuse to be pickled.

    Example:
        >>> class Mail(Section):
        ...     MAIL_TOKEN: SecretStr | None = setting(None, "Token of the mail service.")
        >>> Mail(MAIL_TOKEN="t0p")
        Mail(MAIL_TOKEN='***')
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        str_strip_whitespace=True,
        validate_default=True,
        protected_namespaces=(),
    )

    if not TYPE_CHECKING:  # type checkers know only the main names, which is what code should use

        def __getattr__(self, name: str) -> Any:
            """Return the setting that has *name* as an alias."""
            for spec in specs_of_section(type(self)).values():
                if name in spec.aliases:
                    return self.__dict__[spec.name]
            return super().__getattr__(name)

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        for name, spec in specs_of_section(type(self)).items():
            yield name, shown(spec, self.__dict__.get(name))

    @model_serializer(mode="wrap")
    def _without_secrets(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """Mask secrets that are plain text when the section becomes JSON."""
        data: dict[str, Any] = handler(self)
        if info.mode == "json":
            hidden = (name for name, spec in specs_of_section(type(self)).items() if spec.secret)
            data.update((name, shown(None, MASK)) for name in hidden if data.get(name))
        return data

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            refuse_change(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        refuse_change(name)

    def __reduce__(self) -> NoReturn:
        refuse_pickle(type(self).__name__)


def refuse_change(name: str) -> NoReturn:
    """Raise the error for an assignment to *name*."""
    msg = f"settings are not changed in place ({name}): use override_settings() or reload_settings()"
    raise ConfigurationError(msg)


def refuse_pickle(name: str) -> NoReturn:
    """Raise the error that keeps secrets out of pickles."""
    msg = f"{name} holds secrets and is not pickled: build it anew where it is needed, or send to_dict()"
    raise ConfigurationError(msg)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """What the loader, the report and the generators know about one setting."""

    name: str
    section: str
    owner: type[Section]
    field: FieldInfo
    aliases: tuple[str, ...]
    profiles: Mapping[str, Any]
    secret: bool
    url: bool
    shape: Literal["scalar", "list", "mapping"]
    nullable: bool  # None is a value and the word "none" cannot be meant as text
    generated: bool
    expects: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its aliases."""
        return (self.name, *self.aliases)

    @property
    def description(self) -> str:
        """The sentence given to :func:`setting`."""
        return self.field.description or ""

    def default(self, environment: str) -> Any:
        """Return the default in *environment*, or ``PydanticUndefined`` when the setting is required."""
        if environment in self.profiles:
            return self.profiles[environment]
        return self.class_default()

    def class_default(self) -> Any:
        """Return the default of the class; ``PydanticUndefined`` when it needs the other values."""
        try:
            return self.field.get_default(call_default_factory=True)
        except Exception:  # noqa: BLE001 - the factory of a service: pydantic will call it and report
            return PydanticUndefined

    @property
    def required(self) -> bool:
        """Whether there is no default in any profile."""
        return self.field.is_required() and not self.profiles


def shown(spec: FieldSpec | None, value: Any) -> Any:
    """Return *value* in a form that may be printed: plain data, secrets replaced by ``***``."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, SecretStr | SecretBytes):
        return MASK if value.get_secret_value() else ""
    if isinstance(value, Mapping):
        return {str(key): _member(spec, item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [shown(spec, item) for item in value]
    if isinstance(value, BaseModel):
        return {name: _member(spec, getattr(value, name), name) for name in type(value).model_fields}
    if isinstance(value, ConnectionUrl):
        return MASK if spec is not None and spec.secret else value.masked
    text = str(value)
    if spec is not None and spec.secret:
        return MASK if text else ""
    return mask_text(text)


def _member(spec: FieldSpec | None, value: Any, name: str) -> Any:
    if isinstance(value, str) and value and is_secret_name(name):
        return MASK
    return shown(spec, value)


@functools.cache
def specs_of_section(owner: type[Section], section: str = "") -> Mapping[str, FieldSpec]:
    """Return the settings of one section class by name."""
    return MappingProxyType(
        {name: _spec(name, section, owner, field) for name, field in owner.model_fields.items()}
    )


def _spec(name: str, section: str, owner: type[Section], field: FieldInfo) -> FieldSpec:
    extra = field.json_schema_extra
    known: Any = extra.get(_EXTRA, {}) if isinstance(extra, dict) else {}
    leaves = set(_leaves(field.annotation))
    secret = known.get("secret")
    if secret is None:
        hidden = any(isinstance(leaf, type) and issubclass(leaf, SecretStr | SecretBytes) for leaf in leaves)
        plain = any(
            isinstance(leaf, type) and issubclass(leaf, str) and not issubclass(leaf, ConnectionUrl)
            for leaf in leaves
        )
        secret = hidden or (plain and is_secret_name(name))
    return FieldSpec(
        name=name,
        section=section,
        owner=owner,
        field=field,
        aliases=tuple(known.get("aliases", ())),
        profiles=MappingProxyType(dict(known.get("profiles", {}))),
        secret=bool(secret),
        url=any(isinstance(leaf, type) and issubclass(leaf, ConnectionUrl) for leaf in leaves),
        shape=_shape(field.annotation),
        nullable=type(None) in leaves
        and not any(isinstance(leaf, type) and issubclass(leaf, str) for leaf in leaves),
        generated=bool(known.get("generated")),
        expects=known.get("expects"),
    )


def _leaves(annotation: Any) -> Iterator[Any]:
    """Yield the plain types inside unions, ``Annotated`` and containers."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _leaves(get_args(annotation)[0])
    elif origin is Literal:
        yield from (type(value) for value in get_args(annotation))
    elif origin is not None:
        for argument in get_args(annotation):
            yield from _leaves(argument)
    else:
        yield annotation


def _shape(annotation: Any) -> Literal["scalar", "list", "mapping"]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _shape(get_args(annotation)[0])
    if origin in (Union, UnionType):
        shapes = [_shape(argument) for argument in get_args(annotation) if argument is not type(None)]
        return next((shape for shape in shapes if shape != "scalar"), "scalar")
    kind = origin or annotation
    if isinstance(kind, type) and issubclass(kind, (*_MAPPINGS, BaseModel)):
        return "mapping"
    if isinstance(kind, type) and issubclass(kind, _SEQUENCES):
        return "list"
    return "scalar"


ENVIRONMENTS: Final = tuple(str(member) for member in Environment)
UNDEFINED: Final = PydanticUndefined
