"""``rate_limit(...)``: the limit of a route as decorator, dependency and check."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar, overload

from shared.api._current import exchange_at_hand
from shared.api._limit_keys import KeyPart
from shared.api._limit_policy import Cost, LimitPolicy, parse_policies
from shared.api._limits import RateLimits
from shared.cache import OnStoreFailure
from shared.errors import ConfigurationError, UnsupportedCallableError

__all__ = ["RateLimitRule", "rate_limit"]

F = TypeVar("F", bound=Callable[..., Any])

_NOT_GIVEN: Final = object()
_NO_PARAMETERS: Final = inspect.Signature()

#: Where a limited function keeps its rules, outermost first; documents of the API read it.
RULES: Final = "__shared_rate_limits__"


class RateLimitRule:
    """The limit of a route; made by :func:`rate_limit`.

    - ``@rule`` on an endpoint or view, synchronous or asynchronous, *below* the
      route's own decorator;
    - ``Depends(rule.acheck)`` (or ``Depends(rule)``) in FastAPI;
    - ``rule.check()`` or ``await rule.acheck()`` in the middle of code.

    Example:
        >>> rule = rate_limit("5/minute", name="search")
        >>> rule
        <RateLimitRule search: 5/60s by principal, route>
    """

    __slots__ = ("__weakref__", "on_failure", "policies", "where")

    def __init__(self, policies: tuple[LimitPolicy, ...], on_failure: OnStoreFailure | None) -> None:
        self.policies: tuple[LimitPolicy, ...] = policies
        self.on_failure = on_failure
        self.where: str = policies[0].name

    # FastAPI asks for the signature of a dependency; a decorator is never asked.
    @property
    def __signature__(self) -> inspect.Signature:
        return _NO_PARAMETERS

    @overload
    def __call__(self) -> None: ...
    @overload
    def __call__(self, function: F) -> F: ...
    def __call__(self, function: Any = _NOT_GIVEN) -> Any:
        """Limit *function*, or check now.

        Raises:
            RateLimitError: The permits are used up (checking).
            UnsupportedCallableError: *function* is a class, a generator, or cannot be called.
        """
        if function is _NOT_GIVEN:
            return self.check()
        if isinstance(function, type) or not callable(function) or _is_generator(function):
            msg = f"only functions and coroutine functions can be limited, got {function!r}"[:200]
            raise UnsupportedCallableError(msg)
        made = self._wrapper(function)
        setattr(made, RULES, (self, *getattr(function, RULES, ())))
        self.where = getattr(function, "__qualname__", self.where)
        return made

    def _wrapper(self, function: Any) -> Any:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                await self.acheck()
                return await function(*args, **kwargs)

            return run_async

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            self.check()
            return function(*args, **kwargs)

        return run

    def check(self) -> None:
        """Take the permits of the request at hand.

        Raises:
            RateLimitError: They are used up.
            ServiceUnavailableError: The store is down and the policy is ``"closed"``.
            ConfigurationError: There is no request, or no :class:`RateLimits` in its layer.
        """
        job, exchange = self._at_hand()
        refusal = job.ask(job.plan_of(self), exchange)
        if refusal is not None:
            raise refusal

    async def acheck(self) -> None:
        """As :meth:`check`, without blocking the event loop.

        Raises:
            RateLimitError: As :meth:`check`.
            ServiceUnavailableError: As :meth:`check`.
            ConfigurationError: As :meth:`check`.
        """
        job, exchange = self._at_hand()
        refusal = await job.aask(job.plan_of(self), exchange)
        if refusal is not None:
            raise refusal

    def _at_hand(self) -> Any:
        exchange = exchange_at_hand()
        job = None if exchange is None else exchange.job(RateLimits)
        if job is None:
            msg = (
                f"the limit {self.where!r} was asked outside of a request, or without a RateLimits job: "
                "call install(app), or install_layer(app, jobs=[RateLimits()])"
            )
            raise ConfigurationError(msg)
        return job, exchange

    def __repr__(self) -> str:
        limits = "; ".join(
            f"{policy.tier.limit} by {', '.join(map(_shown, policy.parts))}" for policy in self.policies
        )
        return f"<RateLimitRule {self.where}: {limits}>"


def rate_limit(
    limits: str | LimitPolicy | Iterable[str | LimitPolicy],
    *,
    by: KeyPart | Iterable[KeyPart] = ("principal", "route"),
    name: str = "route",
    algorithm: str = "sliding_window",
    cost: Cost = 1,
    on_failure: OnStoreFailure | None = None,
) -> RateLimitRule:
    """Limit one route.

    Args:
        limits: ``"5/minute"``, ``"1/second; 100/day by client"``, or policies; several are
            one decision.
        by: What the permits are counted by where *limits* do not say; see
            :class:`LimitPolicy`. Rules with the same name, limit and key count together.
        name: Of the limit, in the ``RateLimit`` fields.
        algorithm: As :class:`LimitPolicy`.
        cost: As :class:`LimitPolicy`.
        on_failure: What happens while the store is down; as the :class:`RateLimits` job says when None.

    Raises:
        ConfigurationError: A value makes no sense.

    Example:
        >>> @rate_limit("5/minute", by="client", on_failure="closed")
        ... def login():
        ...     return "welcome"
        >>> login()
        Traceback (most recent call last):
            ...
        shared.errors.ConfigurationError: the limit 'login' was asked outside of a request...
    """
    policies = parse_policies(limits, by=by, name=name, algorithm=algorithm, cost=cost)
    if not policies:
        raise ConfigurationError("a limit is needed, such as rate_limit('5/minute')")
    return RateLimitRule(policies, on_failure)


def _is_generator(function: Any) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _shown(part: KeyPart) -> str:
    return part if isinstance(part, str) else getattr(part, "__name__", "a function")
