"""Guard a call by the name of what it calls."""

import contextlib
import weakref
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar, cast

from shared.errors import InvalidArgumentError
from shared.resilience._blocks import enter_block, leave_block
from shared.resilience._bulkhead import Bulkhead
from shared.resilience._compile import compile_late
from shared.resilience._fallback import Fallback
from shared.resilience._hedge import Hedge
from shared.resilience._policy import Policy
from shared.resilience._registry import get_policies
from shared.resilience._retry import RetryPolicy
from shared.runtime import Runtime, current

__all__ = ["Guard", "guard"]

P = ParamSpec("P")
R = TypeVar("R")


class _Default:
    """Marks an option that was not given, where None means "without"."""

    def __repr__(self) -> str:
        return "<as set for the dependency>"


_AS_SET: Final = _Default()


class Guard:
    """The policy of a dependency, found when a call is made; see :func:`guard`.

    Example:
        >>> guard("storage").policy.name
        'storage'
    """

    __slots__ = ("__weakref__", "_changes", "_made", "name")

    def __init__(self, name: str, changes: dict[str, Any]) -> None:
        if not name or not isinstance(name, str):
            msg = f"a guard needs the name of its dependency, got {name!r}"
            raise InvalidArgumentError(msg)
        self.name: str = name
        self._changes = changes
        self._made: weakref.WeakKeyDictionary[Runtime, Policy] = weakref.WeakKeyDictionary()

    @property
    def policy(self) -> Policy:
        """The policy in the current runtime."""
        runtime = current()
        policy = self._made.get(runtime)
        if policy is None:
            base = get_policies().get(self.name)
            policy = base.replace(**self._changes) if self._changes else base
            policy = self._made.setdefault(runtime, policy)  # of two at once, one stays
        return policy

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Guard *function*, synchronous or asynchronous.

        Nothing is looked up before the first call, so decorating at import time reads
        no settings.

        Raises:
            UnsupportedCallableError: *function* is a generator function or not callable.
        """
        compiled: weakref.WeakKeyDictionary[Runtime, Callable[..., Any]] = weakref.WeakKeyDictionary()
        first = ["take me"]  # whoever pops it binds the short cut: atomic, and no lock to fork with

        def elsewhere(*args: Any, **kwargs: Any) -> Any:
            runtime = current()
            made = compiled.get(runtime)
            if made is None:
                policy = self.policy
                made = compiled.setdefault(runtime, policy(function))
                if policy.breaker is not None and policy.only_tries:
                    with contextlib.suppress(IndexError):
                        first.pop()
                        bind(policy.breaker, policy.retry, runtime)
            return made(*args, **kwargs)

        call, bind = compile_late(function, elsewhere)
        return cast("Callable[P, R]", call)

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call *function* under the policy; a decorated function is cheaper."""
        return self.policy.call(function, *args, **kwargs)

    async def acall(self, function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Await *function* under the policy; a decorated function is cheaper."""
        return await self.policy.acall(function, *args, **kwargs)

    def __enter__(self) -> Self:
        policy = self.policy
        policy.__enter__()
        enter_block(self, policy)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        policy: Policy = leave_block(self) or self.policy
        return policy.__exit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        policy = self.policy
        await policy.__aenter__()
        enter_block(self, policy)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        policy: Policy = leave_block(self) or self.policy
        return await policy.__aexit__(kind, error, trace)

    def explain(self) -> list[str]:
        """Return the guards from the outside in, one line each."""
        return self.policy.explain()

    def __repr__(self) -> str:
        return f"<Guard {self.name!r}>"


def guard(
    name: str,
    *,
    fallback: Fallback | _Default | None = _AS_SET,
    deadline: float | _Default | None = _AS_SET,
    retry: RetryPolicy | _Default | None = _AS_SET,
    hedge: Hedge | _Default | None = _AS_SET,
    bulkhead: Bulkhead | _Default | None = _AS_SET,
    timeout: float | _Default | None = _AS_SET,
) -> Guard:
    """Guard a call to the dependency *name*: a decorator, a block, ``.call`` and ``.acall``.

    Everybody who guards the same name in the same runtime shares its circuit breaker
    and retry budget; thresholds and tries come from the settings. Options change the
    other guards for this use; None does without one.

    Args:
        name: The dependency, such as ``"payments"``: a name from code, not a value.
        fallback: What to answer when all else has failed.
        deadline: Seconds for all tries together.
        retry: Other retries than those of the settings.
        hedge: Copies of slow calls; asynchronous functions only.
        bulkhead: Calls at once.
        timeout: Seconds for one try.

    Raises:
        InvalidArgumentError: *name* is empty; on first use, a value is out of range.

    Example:
        >>> from shared.resilience import fallback
        >>> @guard("payments", timeout=2.0, fallback=fallback("pending"))
        ... def charge(amount):
        ...     raise ConnectionError("no route")
        >>> from shared.resilience.testing import no_backoff
        >>> with no_backoff():
        ...     charge(5)
        'pending'
    """
    given = {
        "fallback": fallback,
        "deadline": deadline,
        "retry": retry,
        "hedge": hedge,
        "bulkhead": bulkhead,
        "timeout": timeout,
    }
    return Guard(name, {key: value for key, value in given.items() if not isinstance(value, _Default)})
