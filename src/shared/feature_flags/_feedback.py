"""What people say about a variant they were shown."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, delete, exists, func, select
from sqlalchemy.orm import Session

from shared.database import Repository, utc_now
from shared.errors import InvalidArgumentError
from shared.feature_flags._tables_adoption import (
    MAX_KEY,
    MAX_TEXT,
    MAX_VARIANT,
    FlagExposure,
    FlagFeedback,
)
from shared.feature_flags._unit_ids import UnitIds
from shared.runtime import current

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["FeedbackGiven", "FeedbackLog", "FeedbackSummary"]

_MOST_COMMENTS: Final = 1000
_ON: Final = ("flag", "unit", "variant")
_CHANGED: Final = ("score", "text", "updated_at")


@dataclass(frozen=True, slots=True)
class FeedbackGiven:
    """Somebody gave feedback; neither who nor the words.

    Attributes:
        flag: Key of the flag.
        variant: What they were shown.
        score: How they liked it; None when they only wrote.
        has_text: Whether they wrote something.

    Example:
        >>> FeedbackGiven("new_menu", "on", 5, has_text=False).score
        5
    """

    flag: str
    variant: str
    score: int | None
    has_text: bool


@dataclass(frozen=True, slots=True)
class FeedbackSummary:
    """What was said about one variant of a flag.

    Attributes:
        flag: Key of the flag.
        variant: The variant.
        answers: Units that said something.
        exposed: Of those, the ones that are known to have seen the variant.
        scored: Of those that said something, the ones that gave a score.
        mean: Of the scores; None without any.
        scores: Score to count.
        texts: Units that wrote something.

    Example:
        >>> FeedbackSummary("new_menu", "on", 2, 2, 2, 4.5, {4: 1, 5: 1}, 0).mean
        4.5
    """

    flag: str
    variant: str
    answers: int
    exposed: int
    scored: int
    mean: float | None
    scores: Mapping[int, int]
    texts: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {**asdict(self), "scores": {str(score): count for score, count in self.scores.items()}}


class FeedbackLog:
    """Keeps feedback in the service's database: one opinion per unit, flag and variant.

    Needs the tables of the room ``feature_flags``. What people write is cut of control
    characters, bounded, and never logged; it leaves by :meth:`texts` alone. Ids are
    written down as a keyed hash. Thread-safe.

    Args:
        database: Where the tables are.
        units: How ids are written; see :class:`UnitIds`.
        lowest: Least score, an integer.
        highest: Greatest score, above *lowest*.
        clock: The moment, with a time zone.

    Raises:
        InvalidArgumentError: The scale is empty.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("feature_flags"))
        ...     log = FeedbackLog(db, UnitIds(b"a secret of this service"))
        ...     log.give("new_menu", "on", unit="u-1", score=3)
        ...     log.give("new_menu", "on", unit="u-1", score=5, text="better now")
        ...     [(found.answers, found.mean) for found in log.summary("new_menu")]
        [(1, 5.0)]
    """

    def __init__(
        self,
        database: "Database",
        units: UnitIds,
        *,
        lowest: int = 1,
        highest: int = 5,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        if not -1000 <= lowest < highest <= 1000:
            msg = (
                f"a scale has a lowest score below its highest, both in -1000..1000, got {lowest}..{highest}"
            )
            raise InvalidArgumentError(msg)
        self._database = database
        self._units = units
        self._scale = (lowest, highest)
        self._clock = clock
        self._repository = Repository(FlagFeedback)

    def give(
        self,
        flag: str,
        variant: str | None = None,
        *,
        unit: object,
        score: int | None = None,
        text: str | None = None,
    ) -> None:
        """Keep what *unit* says; what it said of this variant before is replaced.

        Args:
            flag: Key of the flag.
            variant: What it was shown; the variant of its latest exposure when None.
            unit: Id of the user, account or device.
            score: Within the scale.
            text: Free text; longer ones are cut to 2000 characters.

        Raises:
            InvalidArgumentError: Neither a score nor a text is given, one is out of range,
                or no exposure tells the variant.
        """
        key, said = _name(flag, "flag", MAX_KEY), _cleaned(text)
        checked = self._checked(score)
        if checked is None and said is None:
            msg = "feedback is a score, a text or both: got neither"
            raise InvalidArgumentError(msg)
        who, now = self._units(unit), self._clock()

        def work(session: Session) -> str:
            shown = _latest(session, key, who) if variant is None else _name(variant, "variant", MAX_VARIANT)
            values: dict[str, Any] = {
                "flag": key,
                "unit": who,
                "variant": shown,
                "score": checked,
                "text": said,
            }
            values |= {"created_at": now, "updated_at": now}
            self._repository.upsert(session, values, on=_ON, update=_CHANGED)
            return shown

        shown = self._database.transaction(retry=True).run(work)
        current().events.emit(FeedbackGiven(key, shown, checked, has_text=said is not None))

    def _checked(self, score: Any) -> int | None:
        if score is None:
            return None
        lowest, highest = self._scale
        if isinstance(score, bool) or not isinstance(score, int) or not lowest <= score <= highest:
            msg = f"score: expected a whole number from {lowest} to {highest}"
            raise InvalidArgumentError(msg)
        return score

    def summary(self, flag: str | None = None, *, days: float | None = None) -> list[FeedbackSummary]:
        """Return what was said by variant, sorted by flag and variant.

        Args:
            flag: Of one flag only.
            days: What was said in so many days only.
        """
        columns = (FlagFeedback.flag, FlagFeedback.variant, FlagFeedback.score)
        seen = exists().where(
            and_(*(getattr(FlagExposure, name) == getattr(FlagFeedback, name) for name in _ON))
        )
        query = select(
            *columns, func.count(), func.count(FlagFeedback.text), func.count().filter(seen)
        ).group_by(*columns)
        if flag is not None:
            query = query.where(FlagFeedback.flag == flag)
        if days is not None:
            query = query.where(FlagFeedback.updated_at >= self._clock() - timedelta(days=days))
        with self._database.read() as session:
            rows = session.execute(query).all()
        return _summaries(tuple(row) for row in rows)

    def texts(
        self, flag: str, *, variant: str | None = None, limit: int = 100
    ) -> list[tuple[str, int | None, str, datetime]]:
        """Return variant, score, text and moment of what was written, newest first; personal data.

        Raises:
            InvalidArgumentError: *limit* is not 1 to 1000.
        """
        if not 1 <= limit <= _MOST_COMMENTS:
            msg = f"limit: expected 1 to {_MOST_COMMENTS}, got {limit}"
            raise InvalidArgumentError(msg)
        row = FlagFeedback
        query = select(row.variant, row.score, row.text, row.updated_at)
        query = query.where(row.flag == flag, row.text.is_not(None))
        if variant is not None:
            query = query.where(row.variant == variant)
        with self._database.read() as session:
            found = session.execute(query.order_by(row.updated_at.desc(), row.id.desc()).limit(limit)).all()
        return [(name, score, text or "", at) for name, score, text, at in found]

    def forget(self, unit: object) -> int:
        """Remove what *unit* said and was shown, for good; return the number of rows."""
        who = self._units(unit)
        with self._database.transaction() as session:
            gone: list[Any] = [
                session.execute(delete(table).where(table.unit == who))
                for table in (FlagFeedback, FlagExposure)
            ]
            return sum(int(result.rowcount) for result in gone)

    def prune(self, days: float) -> int:
        """Remove feedback older than *days*; return the number of rows."""
        before = self._clock() - timedelta(days=days)
        with self._database.transaction() as session:
            gone: Any = session.execute(delete(FlagFeedback).where(FlagFeedback.updated_at < before))
            return int(gone.rowcount)


def _latest(session: Session, flag: str, unit: str) -> str:
    row = FlagExposure
    query = select(row.variant).where(row.flag == flag, row.unit == unit)
    found = session.scalar(query.order_by(row.phase.desc(), row.last_at.desc()).limit(1))
    if found is None:
        msg = f"flag {flag!r}: no exposure of this unit is known; name the variant it was shown"
        raise InvalidArgumentError(msg)
    return found


def _name(value: object, what: str, limit: int) -> str:
    if isinstance(value, str) and 1 <= len(value) <= limit and value.isprintable():
        return value
    msg = f"{what}: expected a name of 1 to {limit} printable characters"
    raise InvalidArgumentError(msg)


def _cleaned(text: object) -> str | None:
    """Return the text without what no database keeps and no terminal should see; None when empty."""
    if text is None:
        return None
    if not isinstance(text, str):
        msg = f"text: expected a text, got {type(text).__name__}"
        raise InvalidArgumentError(msg)
    # Far more than is kept: nobody's megabytes are walked letter by letter.
    kept = "".join(letter for letter in text[: 4 * MAX_TEXT] if letter == "\n" or letter.isprintable())
    return kept.strip()[:MAX_TEXT] or None


def _summaries(rows: Iterable[tuple[Any, ...]]) -> list[FeedbackSummary]:
    """Put the counts of each score together; pure."""
    found: dict[tuple[str, str], list[tuple[int | None, int, int, int]]] = {}
    for flag, variant, score, answers, texts, exposed in rows:
        found.setdefault((flag, variant), []).append((score, answers, texts, exposed))
    return [_summary(flag, variant, parts) for (flag, variant), parts in sorted(found.items())]


def _summary(flag: str, variant: str, parts: list[tuple[int | None, int, int, int]]) -> FeedbackSummary:
    scores = {score: answers for score, answers, _, _ in sorted(parts, key=str) if score is not None}
    scored = sum(scores.values())
    total = sum(score * count for score, count in scores.items())
    return FeedbackSummary(
        flag,
        variant,
        answers=sum(part[1] for part in parts),
        exposed=sum(part[3] for part in parts),
        scored=scored,
        mean=total / scored if scored else None,
        scores=dict(sorted(scores.items())),
        texts=sum(part[2] for part in parts),
    )
