"""The parts of a rule: conditions, splits, schedules and prerequisites."""

from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from shared.feature_flags._part import FlagPart, own_init

__all__ = [
    "COVERAGE_PARTS",
    "HASH",
    "Condition",
    "Layer",
    "Name",
    "Op",
    "Prerequisite",
    "Rule",
    "Schedule",
    "Split",
]

COVERAGE_PARTS: Final = 100_000  # coverage and layer ranges count in parts of this
HASH: Final = "sha256-64/1"

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x20\x7f]+$")]
Attribute = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Salt = Annotated[str, StringConstraints(max_length=200)]
Part = Annotated[int, Field(ge=0, le=COVERAGE_PARTS, strict=True)]
Weight = Annotated[int, Field(ge=0, le=10**12, strict=True)]

Op = Literal[
    "eq",
    "ne",
    "in",
    "not_in",
    "lt",
    "le",
    "gt",
    "ge",
    "between",
    "starts",
    "ends",
    "contains",
    "regex",
    "semver_eq",
    "semver_ne",
    "semver_lt",
    "semver_le",
    "semver_gt",
    "semver_ge",
    "cidr",
    "before",
    "after",
    "exists",
]


class Condition(FlagPart):
    """What must hold: one comparison, or ``all``, ``any``, ``not`` of others, or a named segment.

    A missing attribute, None, or one of another type makes a comparison false, and its
    ``not`` true; nothing an attribute holds raises.

    Attributes:
        attr: Name of the attribute; ``"user.plan"`` is looked up as it is, then step by step.
        op: How it is compared.
        value: With what; True by default for ``exists``.
        all: Conditions that must all hold.
        any: Conditions of which one must hold.
        not_: A condition that must not hold; ``not`` in plain data.
        segment: Name of a condition of the document.

    Example:
        >>> Condition(attr="country", op="in", value=["DE", "AT"]).to_dict()
        {'attr': 'country', 'op': 'in', 'value': ['DE', 'AT']}
        >>> Condition.from_dict({"not": {"segment": "staff"}}).not_.segment
        'staff'
    """

    attr: Attribute | None = None
    op: Op | None = None
    value: Any = None
    all: tuple["Condition", ...] | None = Field(default=None, max_length=200)
    any: tuple["Condition", ...] | None = Field(default=None, max_length=200)
    not_: "Condition | None" = Field(default=None, alias="not")
    segment: Name | None = None

    @own_init
    def __init__(
        self,
        *,
        attr: str | None = None,
        op: str | None = None,
        value: Any = None,
        all: Any = None,
        any: Any = None,
        not_: Any = None,
        segment: str | None = None,
    ) -> None:
        given = {
            "attr": attr, "op": op, "value": value, "all": all, "any": any, "not": not_, "segment": segment
        }  # fmt: skip
        self._build({name: item for name, item in given.items() if item is not None}, "condition")

    @model_validator(mode="after")
    def _check(self) -> "Condition":
        forms = [self.op is not None or self.attr is not None]
        forms += [part is not None for part in (self.all, self.any, self.not_, self.segment)]
        if sum(forms) != 1:
            msg = "give exactly one of: attr with op, all, any, not, segment"
            raise ValueError(msg)
        if not forms[0] and self.value is not None:
            msg = "value belongs to attr and op"
            raise ValueError(msg)
        if forms[0] and (self.attr is None or self.op is None):
            msg = "attr and op belong together"
            raise ValueError(msg)
        return self


class Schedule(FlagPart):
    """From when until when a rule is in force; an end that is not given is open.

    Attributes:
        start: First moment, with a time zone.
        end: First moment after it, with a time zone.

    Example:
        >>> from datetime import UTC, datetime
        >>> Schedule(start=datetime(2026, 12, 1, tzinfo=UTC)).end is None
        True
    """

    start: AwareDatetime | None = None
    end: AwareDatetime | None = None

    @own_init
    def __init__(self, start: Any = None, end: Any = None) -> None:
        given = {"start": start, "end": end}
        self._build({name: item for name, item in given.items() if item is not None}, "schedule")

    @model_validator(mode="after")
    def _check(self) -> "Schedule":
        if self.start is None and self.end is None:
            msg = "give start, end or both"
            raise ValueError(msg)
        if self.start is not None and self.end is not None and self.end <= self.start:
            msg = "end must be after start"
            raise ValueError(msg)
        return self


class Layer(FlagPart):
    """A slice of a layer: flags that own different slices of one layer never meet in a unit.

    Attributes:
        id: Name of the layer.
        ranges: Slices ``[begin, end)`` this split owns, in parts of 100 000.

    Example:
        >>> Layer("checkout", [(0, 50_000)]).ranges
        ((0, 50000),)
    """

    id: Name
    ranges: tuple[tuple[Part, Part], ...] = Field(min_length=1, max_length=100)

    @own_init
    def __init__(self, id: str, ranges: Any = ((0, COVERAGE_PARTS),)) -> None:
        self._build({"id": id, "ranges": ranges}, "layer")

    @model_validator(mode="after")
    def _check(self) -> "Layer":
        last = 0
        for begin, end in sorted(self.ranges):
            if not last <= begin < end:
                msg = "ranges are [begin, end) with begin < end, and do not overlap"
                raise ValueError(msg)
            last = end
        return self


class Split(FlagPart):
    """Who of many gets what, by a hash of the unit's id: the same unit always gets the same.

    Every variant owns a fixed slot as wide as its weight, and *coverage* fills the slots from
    their beginnings: raising it adds units and never moves one to another variant. Units
    outside fall through to the next rule, and so do those without an id.

    Attributes:
        weights: Variant to weight, whole numbers; only their proportions count.
        unit: Attribute whose value is hashed.
        fallback_unit: Attribute to use where *unit* is missing.
        salt: What is hashed with the unit; that of the flag by default. Another salt is
            another, independent draw.
        hash: The way of hashing, fixed for ever once units depend on it.
        coverage: Parts of 100 000 that take part at all.
        layer: The slice of a layer it is confined to.
        sticky: Whether what a unit got first is kept in the assignment store.
        phase: Raised when weights or conditions of an experiment change.

    Example:
        >>> Split({"blue": 1, "green": 1}, coverage=10_000).to_dict()
        {'weights': {'blue': 1, 'green': 1}, 'coverage': 10000}
    """

    weights: dict[Name, Weight] = Field(default_factory=lambda: {"on": 1}, min_length=1, max_length=1000)
    unit: Attribute = "user_id"
    fallback_unit: Attribute | None = None
    salt: Salt | None = None
    hash: Literal["sha256-64/1"] = HASH
    coverage: Part = COVERAGE_PARTS
    layer: Layer | None = None
    sticky: bool = False
    phase: int = Field(default=1, ge=1, le=10**9)

    @own_init
    def __init__(
        self,
        weights: Any = None,
        *,
        unit: str = "user_id",
        fallback_unit: str | None = None,
        salt: str | None = None,
        hash: str = HASH,
        coverage: int = COVERAGE_PARTS,
        layer: Any = None,
        sticky: bool = False,
        phase: int = 1,
    ) -> None:
        given: dict[str, Any] = {} if weights is None else {"weights": weights}
        given |= _changed(fallback_unit=fallback_unit, salt=salt, layer=layer)
        pairs = (("unit", unit, "user_id"), ("hash", hash, HASH), ("coverage", coverage, COVERAGE_PARTS))
        given |= {name: item for name, item, usual in pairs if item != usual or type(item) is not type(usual)}
        given |= {"sticky": sticky} if sticky is not False else {}
        given |= {"phase": phase} if type(phase) is not int or phase != 1 else {}
        self._build(given, "split")

    @model_validator(mode="after")
    def _check(self) -> "Split":
        if not sum(self.weights.values()):
            msg = "weights: at least one must be above 0"
            raise ValueError(msg)
        return self


class Prerequisite(FlagPart):
    """Another flag that must yield one of some variants, or this one yields its off variant.

    Attributes:
        flag: Key of the other flag.
        variants: Those that will do.

    Example:
        >>> Prerequisite("new_checkout", ["on"]).variants
        ('on',)
    """

    flag: Name
    variants: tuple[Name, ...] = Field(default=("on",), min_length=1, max_length=100)

    @own_init
    def __init__(self, flag: str, variants: Any = ("on",)) -> None:
        self._build({"flag": flag, "variants": variants}, "prerequisite")


class Rule(FlagPart):
    """Who gets what; the first rule of a flag that matches decides.

    Attributes:
        serve: The variant it yields; either this or *split*.
        when: What must hold; always, when None.
        id: Name shown in reasons; ``rule-1`` and so on by default.
        split: How units are divided; one that gives a unit nothing falls through.
        schedule: When it is in force.

    Example:
        >>> Rule("on", when={"attr": "plan", "op": "eq", "value": "pro"}).when.attr
        'plan'
    """

    serve: Name | None = None
    when: Condition | None = None
    id: Name | None = None
    split: Split | None = None
    schedule: Schedule | None = None

    @own_init
    def __init__(
        self,
        serve: str | None = None,
        *,
        when: Any = None,
        id: str | None = None,
        split: Any = None,
        schedule: Any = None,
    ) -> None:
        self._build(_changed(serve=serve, when=when, id=id, split=split, schedule=schedule), "rule")

    @model_validator(mode="after")
    def _check(self) -> "Rule":
        if (self.serve is None) == (self.split is None):
            msg = "give either serve or split"
            raise ValueError(msg)
        return self


def _changed(**given: Any) -> dict[str, Any]:
    return {name: item for name, item in given.items() if item is not None}
