"""A flag, and the document that holds all of them."""

import datetime as dt
import math
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, StringConstraints, field_validator, model_validator

from shared.feature_flags._part import FlagPart, own_init
from shared.feature_flags._plan import Ramp
from shared.feature_flags._rules import Condition, Name, Prerequisite, Rule, Salt

__all__ = ["Flag", "FlagDocument", "FlagKind", "FlagType", "Overlay", "fits_flag", "type_of"]

FlagType: TypeAlias = Literal["bool", "str", "int", "float", "json"]
FlagKind: TypeAlias = Literal["release", "experiment", "ops", "kill", "permission", "config"]
_Percent = Annotated[float, Field(ge=0, le=100)]
_Text = Annotated[str, StringConstraints(max_length=4000)]
_TYPES: Final[dict[type, FlagType]] = {bool: "bool", str: "str", int: "int", float: "float"}
_MOST_RULES: Final = 500
_MOST_FLAGS: Final = 20_000
_BOOL: Final = {"on": True, "off": False}


def type_of(value: Any) -> FlagType:
    """Return the type of a flag whose value is *value*; True is no number."""
    return _TYPES.get(type(value), "json")


def fits_flag(value: Any, kind: str) -> bool:
    """Tell whether *value* may be one of a flag of this type; True is no number."""
    if kind == "float":
        return type(value) in (int, float) and math.isfinite(value)
    return _is_json(value) if kind == "json" else type_of(value) == kind


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or type(value) in (bool, str, int) or (type(value) is float and math.isfinite(value))


def _same(left: Any, right: Any) -> bool:
    return left == right and isinstance(left, bool) == isinstance(right, bool)


class Overlay(FlagPart):
    """What differs in one environment: each field that is given replaces the flag's, whole.

    Attributes:
        enabled: As the flag's.
        rules: As the flag's.
        prerequisites: As the flag's.
        variants: As the flag's.
        default_variant: As the flag's.
        off_variant: As the flag's.
        rollout: As the flag's.

    Example:
        >>> flag = Flag("new_menu", environments={"development": Overlay(default_variant="on")})
        >>> flag.environments["development"].default_variant
        'on'
    """

    enabled: bool | None = None
    rules: tuple[Rule, ...] | None = Field(default=None, max_length=_MOST_RULES)
    prerequisites: tuple[Prerequisite, ...] | None = Field(default=None, max_length=100)
    variants: dict[Name, Any] | None = None
    default_variant: Name | None = None
    off_variant: Name | None = None
    rollout: _Percent | None = None

    @own_init
    def __init__(
        self,
        *,
        enabled: bool | None = None,
        rules: Any = None,
        prerequisites: Any = None,
        variants: Any = None,
        default_variant: str | None = None,
        off_variant: str | None = None,
        rollout: float | None = None,
    ) -> None:
        given = {"enabled": enabled, "rules": rules, "prerequisites": prerequisites, "variants": variants}
        given |= {"default_variant": default_variant, "off_variant": off_variant, "rollout": rollout}
        self._build({name: item for name, item in given.items() if item is not None}, "overlay")


def _usual_type(data: dict[str, Any]) -> FlagType:
    return type_of(data["default"])


def _usual_variants(data: dict[str, Any]) -> dict[str, Any]:
    return dict(_BOOL) if data["type"] == "bool" else {"default": data["default"]}


def _usual_default(data: dict[str, Any]) -> str:
    """Return the variant that is the default; of several equal ones the first."""
    found = (name for name, value in data["variants"].items() if _same(value, data["default"]))
    return next(found, "")


def _usual_off(data: dict[str, Any]) -> str:
    return "off" if "off" in data["variants"] else str(data["default_variant"])


class Flag(FlagPart):
    """A feature flag: its values, and who gets which.

    Attributes:
        key: Its name; no spaces.
        default: Its value where nothing decides otherwise, also when flags cannot be loaded.
        type: ``bool``, ``str``, ``int``, ``float`` or ``json``; that of *default*.
        kind: What it is for: ``release``, ``experiment``, ``ops``, ``kill``, ``permission``
            or ``config``.
        variants: Name to value; ``{"on": True, "off": False}`` for a bool flag.
        default_variant: What it yields when no rule matches; the variant with the value *default*.
        off_variant: What it yields while it is not enabled or a prerequisite fails; ``off``
            where there is such a variant, else *default_variant*.
        enabled: False is the kill switch: no rule counts.
        rules: First match wins.
        prerequisites: Flags that must yield certain variants first.
        environments: What differs in which environment.
        required: Whether evaluation raises rather than falls back to *default* when the flag
            cannot be evaluated: for protections that must not be off by accident.
        owner: Who answers for it.
        description: What it does.
        tags: For searching.
        expires: When the code should have lost it.
        salt: What units are hashed with; made from the key when None. Renaming a flag with a
            salt does not shuffle its units.
        rollout: Percentage of users who get ``on``, 0 to 100, after all rules; only for flags
            with such a variant.
        ramp: A rollout in steps that is under way, and how far it has come.

    Raises:
        FlagDocumentError: It contradicts itself.

    Example:
        >>> flag = Flag("dynamic_pricing", owner="pricing", rollout=25)
        >>> flag.type, flag.variants, flag.default_variant
        ('bool', {'on': True, 'off': False}, 'off')
    """

    key: Name
    default: Any = False
    type: FlagType = Field(default_factory=_usual_type)
    kind: FlagKind = "release"
    variants: dict[Name, Any] = Field(default_factory=_usual_variants, min_length=1, max_length=1000)
    default_variant: str = Field(default_factory=_usual_default, max_length=200)
    off_variant: str = Field(default_factory=_usual_off, max_length=200)
    enabled: bool = True
    rules: tuple[Rule, ...] = Field(default=(), max_length=_MOST_RULES)
    prerequisites: tuple[Prerequisite, ...] = Field(default=(), max_length=100)
    environments: dict[Name, Overlay] = Field(default_factory=dict)
    required: bool = False
    owner: _Text | None = None
    description: _Text = ""
    tags: tuple[Name, ...] = Field(default=(), max_length=100)
    expires: dt.date | None = None
    salt: Salt | None = None
    rollout: _Percent | None = None
    ramp: Ramp | None = None

    @own_init
    def __init__(
        self,
        key: str,
        *,
        default: Any = False,
        type: FlagType | None = None,
        kind: FlagKind | None = None,
        variants: Any = None,
        default_variant: str | None = None,
        off_variant: str | None = None,
        enabled: bool = True,
        rules: Any = (),
        prerequisites: Any = (),
        environments: Any = None,
        required: bool = False,
        owner: str | None = None,
        description: str = "",
        tags: Any = (),
        expires: Any = None,
        salt: str | None = None,
        rollout: float | None = None,
        ramp: Any = None,
    ) -> None:
        given = {"key": key, "default": default, "type": type, "kind": kind, "variants": variants}
        given |= {"default_variant": default_variant, "off_variant": off_variant, "enabled": enabled}
        given |= {"rules": rules, "prerequisites": prerequisites, "environments": environments}
        given |= {"required": required, "owner": owner, "description": description, "tags": tags}
        given |= {"expires": expires, "salt": salt, "rollout": rollout, "ramp": ramp}
        self._build(
            {name: item for name, item in given.items() if not _is_usual(name, item)}, f"flag {key!r}"
        )

    def evolve(self, **changes: Any) -> "Flag":
        """Return this flag with *changes*, checked again; what followed from old fields follows anew.

        A change to None takes the field back to what is usual.

        Raises:
            FlagDocumentError: The result contradicts itself.

        Example:
            >>> Flag("new_menu").evolve(default=True).default_variant
            'on'
        """
        given = {name: getattr(self, name) for name in self.model_fields_set} | changes
        return Flag.from_dict({name: item for name, item in given.items() if not _is_usual(name, item)})

    def in_environment(self, environment: str | None) -> "Flag":
        """Return the flag as it is in *environment*.

        Raises:
            FlagDocumentError: The overlay does not fit the flag.

        Example:
            >>> flag = Flag("new_menu", environments={"development": {"default_variant": "on"}})
            >>> flag.in_environment("development").default_variant
            'on'
        """
        overlay = self.environments.get(environment or "")
        if overlay is None:
            return self
        return self.evolve(**{name: getattr(overlay, name) for name in overlay.model_fields_set})

    def variant_of(self, value: Any) -> str | None:
        """Return the first variant whose value is *value*, or None.

        Example:
            >>> Flag("new_menu").variant_of(True)
            'on'
        """
        return next((name for name, other in self.variants.items() if _same(value, other)), None)

    @field_validator("default", mode="after")
    @classmethod
    def _check_default(cls, value: Any) -> Any:
        if not _is_json(value):
            msg = f"a JSON value expected, got {type(value).__name__}"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _check(self) -> "Flag":
        wrong = [name for name, value in self.variants.items() if not fits_flag(value, self.type)]
        if wrong or not fits_flag(self.default, self.type):
            msg = f"{f'variant {wrong[0]!r}' if wrong else 'default'}: a value of type {self.type} expected"
            raise ValueError(msg)
        if not self.default_variant:
            msg = "default: no variant has this value; name default_variant"
            raise ValueError(msg)
        for name in sorted({self.default_variant, self.off_variant, *self._served()} - set(self.variants)):
            msg = f"variant {name!r} does not exist (variants: {', '.join(self.variants)})"
            raise ValueError(msg)
        return self

    def _served(self) -> set[str]:
        names = {"on"} if self.rollout is not None else set[str]()
        for rule in self.rules:
            if rule.serve is not None:
                names.add(rule.serve)
            if rule.split is not None:
                names.update(rule.split.weights)
        return names


class FlagDocument(FlagPart):
    """All flags and segments at one revision: what a store keeps and a file holds.

    Attributes:
        schema_: Version of the form, 1; ``schema`` in plain data.
        flags: Key to flag.
        segments: Name to condition, for :attr:`Condition.segment`.
        revision: Number of the change that led to it; 0 when nothing counts them.

    Example:
        >>> document = FlagDocument.from_dict({"flags": {"new_menu": {"rollout": 10}, "beta": True}})
        >>> document.flags["new_menu"].rollout, document.flags["beta"].default
        (10.0, True)
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    flags: dict[Name, Flag] = Field(default_factory=dict, max_length=_MOST_FLAGS)
    segments: dict[Name, Condition] = Field(default_factory=dict, max_length=_MOST_FLAGS)
    revision: int = Field(default=0, ge=0)

    @own_init
    def __init__(self, flags: Any = None, segments: Any = None, *, revision: int = 0) -> None:
        given = {"schema": 1, "flags": flags or {}, "segments": segments or {}, "revision": revision}
        self._build(given, "flag document")

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, data: Any) -> Any:
        """Give every flag its key, and let ``key: value`` stand for a flag with this default."""
        flags = data.get("flags") if isinstance(data, dict) else None
        if isinstance(flags, dict):
            return {**data, "flags": {key: _flag(key, value) for key, value in flags.items()}}
        return data

    @model_validator(mode="after")
    def _check(self) -> "FlagDocument":
        for key, flag in self.flags.items():
            if flag.key != key:
                msg = f"flags.{key}: its key is {flag.key!r}"
                raise ValueError(msg)
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the document as plain JSON data.

        Example:
            >>> FlagDocument({"beta": Flag("beta", default=True)}, revision=3).to_dict()
            {'schema': 1, 'flags': {'beta': {'default': True}}, 'segments': {}, 'revision': 3}
        """
        flags = {key: _without_key(flag.to_dict()) for key, flag in self.flags.items()}
        segments = {name: condition.to_dict() for name, condition in self.segments.items()}
        return {"schema": 1, "flags": flags, "segments": segments, "revision": self.revision}


def _flag(key: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return {"key": key, **value}
    return value if isinstance(value, Flag) else {"key": key, "default": value}


def _without_key(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "key"}


def _is_usual(name: str, item: Any) -> bool:
    """Tell whether a field need not be given."""
    if item is None:
        return name != "default"
    if name in ("rules", "prerequisites", "tags"):
        return isinstance(item, (tuple, list)) and not item
    if name in ("default", "required"):
        return item is False
    return (name == "enabled" and item is True) or (name == "description" and item == "")
