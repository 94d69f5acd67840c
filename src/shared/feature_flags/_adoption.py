"""How far features have come: units that saw them, units that have them, what people think of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.database import utc_now
from shared.errors import InvalidArgumentError
from shared.feature_flags._feedback import FeedbackLog, FeedbackSummary
from shared.feature_flags._tables_adoption import FlagExposure, FlagUsage
from shared.feature_flags._unit_ids import UnitIds

if TYPE_CHECKING:
    from shared.database import Database
    from shared.feature_flags._model import Flag

__all__ = ["Adoption", "VariantAdoption", "adoption_report", "last_used"]

_OFF: frozenset[str] = frozenset({"off", "control", "default"})


@dataclass(frozen=True, slots=True)
class VariantAdoption:
    """One variant of a flag in the report.

    Attributes:
        variant: Its name.
        is_enabled: Whether having it means having the feature.
        units: Units that were shown it.
        evaluations: How often it was the result.
        feedback: What was said about it; None when nothing was.

    Example:
        >>> VariantAdoption("on", True, 250, 10_000, None).units
        250
    """

    variant: str
    is_enabled: bool
    units: int
    evaluations: int
    feedback: FeedbackSummary | None


@dataclass(frozen=True, slots=True)
class Adoption:
    """How far one feature has come.

    Attributes:
        flag: Its key.
        exposed: Units that were given a variant by a split; of a percentage rollout, those
            inside of it.
        enabled: Of those, the ones that were shown a variant with the feature.
        rate: *enabled* by *exposed*: for experiments; None before anybody was exposed.
        evaluations: Of all variants.
        share: Of the evaluations, the part that came to a variant with the feature: for
            rollouts; None without evaluations.
        last_evaluated: When; None when never.
        score: Mean of the scores given to variants with the feature; None without any.
        answers: Units that gave feedback on any variant.
        variants: One by one, by name.

    Example:
        >>> Adoption("new_menu", 1000, 250, 0.25, 40_000, 0.3, None, 4.4, 31, ()).share
        0.3
    """

    flag: str
    exposed: int
    enabled: int
    rate: float | None
    evaluations: int
    share: float | None
    last_evaluated: datetime | None
    score: float | None
    answers: int
    variants: tuple[VariantAdoption, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        data = asdict(self)
        data["last_evaluated"] = None if self.last_evaluated is None else self.last_evaluated.isoformat()
        data["variants"] = [
            {**asdict(each), "feedback": None if each.feedback is None else each.feedback.to_dict()}
            for each in self.variants
        ]
        return data


def adoption_report(
    database: "Database",
    flags: "Mapping[str, Flag] | None" = None,
    *,
    days: float = 30.0,
    clock: Callable[[], datetime] = utc_now,
) -> list[Adoption]:
    """Return how far each feature has come, sorted by key.

    Args:
        database: Where the tables of the room ``feature_flags`` are.
        flags: The flags in force, all of which are in the report: they tell which variants
            mean having the feature. Without them every variant does but ``off``,
            ``control`` and ``default``, and only flags somebody met are in the report.
        days: What is looked at, > 0: exposures, evaluations and feedback since then.
        clock: The moment, with a time zone.

    Raises:
        InvalidArgumentError: *days* is out of range.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> from shared.feature_flags import AdoptionLog, UnitIds
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("feature_flags"))
        ...     log = AdoptionLog(db, UnitIds(plain=True), interval=None)
        ...     for number in range(4):
        ...         log.exposed("new_menu", "on" if number == 0 else "off", number)
        ...     _ = log.flush()
        ...     [(each.flag, each.exposed, each.enabled, each.rate) for each in adoption_report(db)]
        [('new_menu', 4, 1, 0.25)]
    """
    if not 0 < days <= 100_000:
        msg = f"days: expected more than 0, got {days}"
        raise InvalidArgumentError(msg)
    since = clock() - timedelta(days=days)
    with database.read() as session:
        units, exposed = _units(session, since)
        usage = _usage(session, since)
    said = FeedbackLog(database, UnitIds(plain=True), clock=clock).summary(days=days)
    counts = _Counts(units, exposed, usage, {(each.flag, each.variant): each for each in said})
    keys = {key for key, _ in (*units, *usage, *counts.feedback)} | set(flags or ())
    enabled = {key: _enabled_in(flags, key) for key in keys}
    with database.read() as session:
        having = {key: _having(session, key, counts.names(key), enabled[key], since) for key in sorted(keys)}
    return [counts.adoption(key, enabled[key], having[key]) for key in sorted(keys)]


def last_used(database: "Database") -> dict[str, datetime]:
    """Return when each flag was last evaluated, by any process that counts into *database*.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("feature_flags"))
        ...     last_used(db)
        {}
    """
    row = FlagUsage
    with database.read() as session:
        found = session.execute(select(row.flag, func.max(row.last_at)).group_by(row.flag)).all()
    return {key: at for key, at in found}  # noqa: C416 - rows, which type checkers take for no pairs


def _units(session: Session, since: datetime) -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    row = FlagExposure
    by_variant = select(row.flag, row.variant, func.count(row.unit.distinct())).where(row.last_at >= since)
    by_flag = select(row.flag, func.count(row.unit.distinct())).where(row.last_at >= since)
    found = session.execute(by_variant.group_by(row.flag, row.variant)).all()
    totals = session.execute(by_flag.group_by(row.flag)).all()
    return {(flag, variant): count for flag, variant, count in found}, {
        key: int(count) for key, count in totals
    }


def _usage(session: Session, since: datetime) -> dict[tuple[str, str], tuple[int, datetime]]:
    row = FlagUsage
    query = select(row.flag, row.variant, func.sum(row.evaluations), func.max(row.last_at))
    found = session.execute(query.where(row.last_at >= since).group_by(row.flag, row.variant)).all()
    return {(flag, variant): (int(count), at) for flag, variant, count, at in found}


def _having(
    session: Session, key: str, names: Iterable[str], is_enabled: Callable[[str], bool], since: datetime
) -> int:
    """Count the units that were shown any variant with the feature; one that saw two counts once."""
    wanted = [name for name in names if is_enabled(name)]
    row = FlagExposure
    query = select(func.count(row.unit.distinct()))
    query = query.where(row.flag == key, row.variant.in_(wanted), row.last_at >= since)
    return (session.scalar(query) or 0) if wanted else 0


def _enabled_in(flags: "Mapping[str, Flag] | None", key: str) -> Callable[[str], bool]:
    flag = None if flags is None else flags.get(key)
    if flag is None:
        return lambda variant: variant not in _OFF
    if flag.type == "bool":
        return lambda variant: flag.variants.get(variant) is True
    return lambda variant: variant in flag.variants and variant != flag.off_variant


class _Counts:
    """What the tables say, put together by flag; pure."""

    def __init__(
        self,
        units: dict[tuple[str, str], int],
        exposed: dict[str, int],
        usage: dict[tuple[str, str], tuple[int, datetime]],
        feedback: dict[tuple[str, str], FeedbackSummary],
    ) -> None:
        self.units = units
        self.exposed = exposed
        self.usage = usage
        self.feedback = feedback

    def names(self, key: str) -> list[str]:
        """Return the variants of *key* that anything is known about."""
        known = (*self.units, *self.usage, *self.feedback)
        return sorted({variant for flag, variant in known if flag == key})

    def adoption(self, key: str, is_enabled: Callable[[str], bool], enabled: int) -> Adoption:
        """Return the line of *key*."""
        variants = tuple(self._variant(key, name, is_enabled(name)) for name in self.names(key))
        exposed = self.exposed.get(key, 0)
        answers = [each.feedback for each in variants if each.feedback is not None]
        liked = [each.feedback for each in variants if each.is_enabled and each.feedback is not None]
        scored = sum(each.scored for each in liked)
        total = sum(score * count for each in liked for score, count in each.scores.items())
        total_uses = sum(each.evaluations for each in variants)
        having = sum(each.evaluations for each in variants if each.is_enabled)
        moments = [self.usage[key, each.variant][1] for each in variants if (key, each.variant) in self.usage]
        return Adoption(
            key,
            exposed,
            enabled,
            enabled / exposed if exposed else None,
            total_uses,
            having / total_uses if total_uses else None,
            max(moments, default=None),
            total / scored if scored else None,
            sum(each.answers for each in answers),
            variants,
        )

    def _variant(self, key: str, name: str, is_enabled: bool) -> VariantAdoption:
        return VariantAdoption(
            name,
            is_enabled,
            self.units.get((key, name), 0),
            self.usage.get((key, name), (0, None))[0],
            self.feedback.get((key, name)),
        )
