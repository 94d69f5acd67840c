"""What a health check is, and what may come out of it."""

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from shared.errors import InvalidArgumentError

CheckOutcome: TypeAlias = "bool | str | Mapping[str, Any] | None"
"""What a check returns: None or True when healthy, False when not, a status, or facts and a ``status``."""

CheckCallable: TypeAlias = "Callable[[], CheckOutcome | Awaitable[CheckOutcome]]"
"""A synchronous or asynchronous function without arguments; it may also raise."""

_NO_FACTS: Final[Mapping[str, Any]] = MappingProxyType({})
_MAX_ERROR: Final = 300  # characters of an exception's text that are kept
_MAX_ITEMS: Final = 50  # entries of a collection that are kept


class HealthStatus(StrEnum):
    """The three verdicts, of a check and of the whole.

    Example:
        >>> HealthStatus.DEGRADED.as_health_json
        'warn'
    """

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"

    @property
    def as_health_json(self) -> str:
        """The same verdict as ``pass``, ``warn`` or ``fail`` of ``application/health+json``."""
        return _HEALTH_JSON[self]


_HEALTH_JSON: Final = {
    HealthStatus.HEALTHY: "pass",
    HealthStatus.DEGRADED: "warn",
    HealthStatus.UNHEALTHY: "fail",
}

# Words that checks written for other libraries return.
_SPELLINGS: Final[Mapping[str, HealthStatus]] = {
    "healthy": HealthStatus.HEALTHY,
    "pass": HealthStatus.HEALTHY,
    "ok": HealthStatus.HEALTHY,
    "up": HealthStatus.HEALTHY,
    "degraded": HealthStatus.DEGRADED,
    "warn": HealthStatus.DEGRADED,
    "unhealthy": HealthStatus.UNHEALTHY,
    "fail": HealthStatus.UNHEALTHY,
    "down": HealthStatus.UNHEALTHY,
}


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A named check, as a room or a service declares it.

    Args:
        name: Key in the report: letters, digits, ``_``, ``-`` and ``.``, at most 64.
        check: Synchronous or asynchronous function without arguments. None, True
            and ``"healthy"`` pass; False, ``"unhealthy"`` and any exception fail;
            a mapping carries facts beside its ``status``.
        critical: Whether its failure makes the service unready; others only degrade.
        timeout: Seconds it may take, > 0; the registry's default when None.

    Raises:
        InvalidArgumentError: The name or the timeout is out of range.

    Example:
        >>> HealthCheck("search", lambda: True, critical=False).name
        'search'
    """

    name: str
    check: CheckCallable
    critical: bool = True
    timeout: float | None = None

    def __post_init__(self) -> None:
        allowed = self.name.replace("_", "").replace("-", "").replace(".", "")
        if not (0 < len(self.name) <= 64 and allowed.isalnum() and allowed.isascii()):
            msg = f"health check name {self.name[:80]!r} is not usable: 1 to 64 of A-Z a-z 0-9 _ - ."
            raise InvalidArgumentError(msg)
        check: object = self.check
        if not callable(check):
            msg = f"health check {self.name!r}: a function is needed, got {type(check).__name__}"
            raise InvalidArgumentError(msg)
        if self.timeout is not None and not 0 < self.timeout < float("inf"):
            msg = f"health check {self.name!r}: timeout is seconds above 0, got {self.timeout!r}"
            raise InvalidArgumentError(msg)


class HealthSource(Protocol):
    """Something that knows its own checks: a database, a cache, a queue.

    Example:
        >>> class Queue:
        ...     def health_checks(self):
        ...         return [HealthCheck("queue", lambda: True)]
        >>> from shared.monitoring import HealthRegistry
        >>> registry = HealthRegistry()
        >>> registry.include(Queue())
        >>> registry.names
        ('queue',)
    """

    def health_checks(self) -> Iterable[HealthCheck]:
        """Return the checks to register; called once, at registration."""
        ...


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one run of one check.

    Attributes:
        status: The verdict.
        facts: What the check measured, without ``status``.
        error: Why it failed, masked and cut to 300 characters; None when it passed.
        duration: Seconds the run took.

    Example:
        >>> CheckResult(HealthStatus.DEGRADED, {"free": 512}).public()
        {'status': 'degraded', 'free': 512}
    """

    status: HealthStatus
    facts: Mapping[str, Any] = field(default_factory=lambda: _NO_FACTS)
    error: str | None = None
    duration: float = 0.0

    def public(self) -> str | dict[str, Any]:
        """Return the value under ``checks``: the bare status, or an object when there is more."""
        if not self.facts and self.error is None:
            return str(self.status)
        value: dict[str, Any] = {"status": str(self.status), **self.facts}
        if self.error is not None:
            value["error"] = self.error
        return value


def result_of(outcome: object, duration: float) -> CheckResult:
    """Turn what a check returned into a result; an answer that means nothing is unhealthy."""
    if outcome is None or outcome is True:
        return CheckResult(HealthStatus.HEALTHY, duration=duration)
    if outcome is False:
        return CheckResult(HealthStatus.UNHEALTHY, duration=duration)
    if isinstance(outcome, str):
        status = _SPELLINGS.get(outcome.lower())
        if status is None:
            return failure(f"the check answered {outcome[:40]!r}, which is no status", duration)
        return CheckResult(status, duration=duration)
    if isinstance(outcome, Mapping):
        return _result_of_facts(outcome, duration)
    return failure(f"the check returned {type(outcome).__name__}, which is no outcome", duration)


def _result_of_facts(outcome: Mapping[Any, Any], duration: float) -> CheckResult:
    facts = {str(key): _plain(value) for key, value in outcome.items() if key not in {"status", "error"}}
    word = outcome.get("status", HealthStatus.HEALTHY)
    status = _SPELLINGS.get(word.lower()) if isinstance(word, str) else None
    if status is None:
        return failure(f"the check answered status {word!r:.40}, which is no status", duration)
    error = outcome.get("error")
    return CheckResult(status, facts, None if error is None else _masked(str(error)), duration)


def failure(error: str | BaseException, duration: float) -> CheckResult:
    """Return an unhealthy result whose text is safe to show to an operator."""
    text = _describe(error) if isinstance(error, BaseException) else error
    return CheckResult(HealthStatus.UNHEALTHY, error=_masked(text), duration=duration)


def _describe(exc: BaseException) -> str:
    text = _text(exc)
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def _plain(value: Any, depth: int = 3) -> Any:
    """Return *value* as plain JSON values: a report is never spoilt by what a check put in."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return _masked(value)
    if depth and isinstance(value, Mapping):
        return {str(key): _plain(item, depth - 1) for key, item in list(value.items())[:_MAX_ITEMS]}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth - 1) for item in list(value)[:_MAX_ITEMS]]
    return _masked(_text(value))


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a hostile __str__ must not break the report
        return f"<{type(value).__name__}>"


def _masked(text: str) -> str:
    # Drivers put DSNs, and thus passwords, into their messages.
    from shared.security import mask_text

    masked = mask_text(text[: 4 * _MAX_ERROR])
    return masked if len(masked) <= _MAX_ERROR else masked[: _MAX_ERROR - 1] + "…"
