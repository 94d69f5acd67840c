"""Which flags have had their day: expiry, state, use and code put together. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from shared.feature_flags._code_scan import CodeScan

if TYPE_CHECKING:
    from shared.feature_flags._model import Flag

__all__ = ["StaleFlag", "StaleReport", "stale_flags"]

CodeState: TypeAlias = Literal["used", "unused", "cannot tell", "not looked at"]
StaleReason: TypeAlias = Literal["expired", "old", "settled", "unused", "not in code"]

#: Days that flags of a kind are meant to live; the others stay for good.
_LIFETIMES: Final[Mapping[str, int]] = {"release": 40, "experiment": 40, "ops": 7}
#: Kinds that are done when everybody gets the same; a kill switch always looks like that.
_TEMPORARY: Final = frozenset({"release", "experiment"})
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class StaleFlag:
    """One flag in the report.

    Attributes:
        key: Its name.
        kind: What it is for.
        owner: Who answers for it.
        reasons: Why it is stale; empty when it is not.
        code: Whether the code asks for it.
        places: Where the code does, or might; the first few.
        advice: What to do; empty when nothing is.

    Example:
        >>> StaleFlag("menu", "release", None, ("expired",), "used", ("app.py:3",), "…").is_stale
        True
    """

    key: str
    kind: str
    owner: str | None
    reasons: tuple[StaleReason, ...]
    code: CodeState
    places: tuple[str, ...]
    advice: str

    @property
    def is_stale(self) -> bool:
        """Whether it should go."""
        return bool(self.reasons)


@dataclass(frozen=True, slots=True)
class StaleReport:
    """All flags, and what the code asks for that is no flag.

    Attributes:
        flags: Every flag, by key.
        unknown: Keys the code asks for that nobody defines, with the first places.
        dynamic: Places whose key only running tells.
        unread: Files that could not be read, with the reason.

    Example:
        >>> StaleReport().to_dict()
        {'stale': 0, 'flags': [], 'unknown': [], 'dynamic': [], 'unread': []}
    """

    flags: tuple[StaleFlag, ...] = ()
    unknown: tuple[tuple[str, tuple[str, ...]], ...] = ()
    dynamic: tuple[str, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()

    @property
    def stale(self) -> tuple[StaleFlag, ...]:
        """Those that should go."""
        return tuple(flag for flag in self.flags if flag.is_stale)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "stale": len(self.stale),
            "flags": [{**asdict(flag), "is_stale": flag.is_stale} for flag in self.flags],
            "unknown": [{"key": key, "places": list(places)} for key, places in self.unknown],
            "dynamic": list(self.dynamic),
            "unread": [{"path": path, "reason": reason} for path, reason in self.unread],
        }


def stale_flags(
    flags: "Mapping[str, Flag]",
    *,
    now: datetime,
    scan: CodeScan | None = None,
    last_used: Mapping[str, datetime] | None = None,
    created: Mapping[str, datetime] | None = None,
    changed: Mapping[str, datetime] | None = None,
    unused_days: float = 30.0,
    settled_days: float = 30.0,
) -> StaleReport:
    """Return which flags have had their day, and why.

    A flag is stale when it has **expired**; when it is **old**: no ``expires``, and longer
    there than its kind is meant to live (release and experiment 40 days, ops 7); when it is
    **settled**: a release or an experiment that gives everybody the same and was not
    changed for *settled_days*; when it is **unused**: not evaluated for *unused_days*; when
    it is **not in code**. What is not known is not held against a flag.

    Args:
        flags: Key to flag.
        now: The moment, with a time zone.
        scan: What the code asks for; see :func:`scan_code`.
        last_used: When flags were last evaluated, of all processes; one that is missing
            never was. None when nobody counted.
        created: When flags came into the store.
        changed: When flags were last changed in the store.
        unused_days: How long a flag may go without evaluation.
        settled_days: How long a flag may give everybody the same.

    Example:
        >>> from datetime import UTC
        >>> from shared.feature_flags import Flag
        >>> report = stale_flags(
        ...     {"menu": Flag("menu", expires="2026-01-31"), "prices": Flag("prices")},
        ...     now=datetime(2026, 11, 20, tzinfo=UTC),
        ... )
        >>> [(flag.key, flag.reasons) for flag in report.stale]
        [('menu', ('expired',))]
    """
    judge = _Judge(
        now=now,
        scan=scan,
        last_used=last_used,
        created=created or {},
        changed=changed or {},
        unused=timedelta(days=unused_days),
        settled=timedelta(days=settled_days),
    )
    found = tuple(judge.flag(flags[key]) for key in sorted(flags))
    if scan is None:
        return StaleReport(found)
    return StaleReport(found, tuple(_unknown(scan, flags)), tuple(map(str, scan.dynamic)), scan.unread)


class _Judge:
    def __init__(
        self,
        *,
        now: datetime,
        scan: CodeScan | None,
        last_used: Mapping[str, datetime] | None,
        created: Mapping[str, datetime],
        changed: Mapping[str, datetime],
        unused: timedelta,
        settled: timedelta,
    ) -> None:
        self.now = now
        self.scan = scan
        self.last_used = last_used
        self.created = created
        self.changed = changed
        self.unused = unused
        self.settled = settled

    def flag(self, flag: "Flag") -> StaleFlag:
        code, places = self._code(flag.key)
        reasons = tuple(self._reasons(flag, code))
        return StaleFlag(
            flag.key, flag.kind, flag.owner, reasons, code, places, _advice(reasons, code, places)
        )

    def _code(self, key: str) -> tuple[CodeState, tuple[str, ...]]:
        if self.scan is None:
            return "not looked at", ()
        calls, mentions = self.scan.of(key, "call"), self.scan.of(key, "mention")
        places = tuple(map(str, (calls or mentions)[:_SHOWN]))
        if calls:
            return "used", places
        return ("cannot tell" if self.scan.may_be_used(key) else "unused"), places

    def _reasons(self, flag: "Flag", code: CodeState) -> Iterator[StaleReason]:
        today = self.now.date()
        lifetime = _LIFETIMES.get(flag.kind)
        if flag.expires is not None:
            if flag.expires < today:
                yield "expired"
        elif lifetime is not None and self._since(self.created, flag.key) > timedelta(days=lifetime):
            yield "old"
        is_quiet = self._since(self.changed, flag.key) > self.settled
        if flag.kind in _TEMPORARY and is_quiet and _is_settled(flag):
            yield "settled"
        if self.last_used is not None and self._was_unused(flag.key):
            yield "unused"
        if code == "unused":
            yield "not in code"

    def _since(self, moments: Mapping[str, datetime], key: str) -> timedelta:
        moment = moments.get(key)
        return timedelta() if moment is None else self.now - moment

    def _was_unused(self, key: str) -> bool:
        used = (self.last_used or {}).get(key)
        if used is not None:
            return self.now - used > self.unused
        # One that came yesterday had no time to be asked for.
        born = self.created.get(key)
        return born is None or self.now - born > self.unused


def _is_settled(flag: "Flag") -> bool:
    """Tell whether everybody gets the same, wherever they are."""
    places = [flag, *(flag.in_environment(name) for name in flag.environments)]
    return all(
        not each.enabled or (not each.rules and not each.prerequisites and each.rollout in (None, 0, 100))
        for each in places
    )


def _advice(reasons: Iterable[StaleReason], code: CodeState, places: tuple[str, ...]) -> str:
    found = set(reasons)
    if not found:
        return ""
    if code == "unused":
        return "remove it from the store: no code asks for it"
    if code == "cannot tell":
        return "look at the places that may use it, then remove it from the store"
    if found & {"expired", "old", "settled"}:
        where = f" ({places[0]})" if places else ""
        return f"keep the variant everybody gets, remove the flag from the code{where}, then from the store"
    return "find out why nobody evaluates it, then remove it"


def _unknown(scan: CodeScan, flags: "Mapping[str, Flag]") -> Iterator[tuple[str, tuple[str, ...]]]:
    asked = sorted({use.key for use in scan.uses if use.how == "call" and use.key is not None})
    for key in asked:
        if key not in flags and not scan.of(key, "declared"):
            yield key, tuple(map(str, scan.of(key, "call")[:_SHOWN]))
