"""Turn a breaker and a retry policy into one closure around a function.

The closures of the happy path do nothing that could be done once: they read one
attribute to learn that calls may pass, call, and read another to learn that there
is nothing to write down. All else goes through the methods of the breaker and the
policy, which are always right and slower.
"""

from collections.abc import Callable
from functools import partial, wraps
from types import CoroutineType
from typing import Any, Final, NamedTuple, ParamSpec, Protocol, TypeVar, cast

from shared.resilience._budget import ALWAYS, Budget
from shared.resilience._checks import call_name, is_async, no_coroutine
from shared.resilience._windows import GOOD, CountWindow, Window
from shared.runtime import current

__all__ = ["compile_call", "compile_late"]

P = ParamSpec("P")
R = TypeVar("R")
Function = Callable[..., Any]

_MARK: Final = "__shared_breaker__"

# A plain function that returns a coroutine looks synchronous; guarding it would
# report a success before anything has run.
_ASYNC_DEF: Final = "an async def function"


class Gate(Protocol):
    """What a closure needs of a circuit breaker."""

    door: Window | None
    """Where to count while every call may pass, else None."""

    window_kind: type | None
    """The kind of window whose happy path is inlined, or None."""

    @property
    def ok(self) -> Function:
        """Reports an answer."""

    @property
    def error(self) -> Function:
        """Reports an exception."""

    @property
    def call(self) -> Function:
        """Calls through the breaker."""

    @property
    def acall(self) -> Function:
        """Awaits through the breaker."""


class Retrier(Protocol):
    """What a closure needs of a retry policy."""

    budget: Budget

    @property
    def simple(self) -> bool:
        """Whether a good first try needs no look at the clock or the result."""

    @property
    def wants(self) -> Callable[[BaseException], bool]:
        """Tells whether an error is worth another try."""

    @property
    def again(self) -> Function:
        """Goes on after a failed first try."""

    @property
    def aagain(self) -> Function:
        """The same, awaited."""

    @property
    def call(self) -> Function:
        """Calls with retries."""

    @property
    def acall(self) -> Function:
        """Awaits with retries."""

    def check(self, function: Function) -> None:
        """Refuses what cannot be retried."""


def compile_call(
    function: Callable[P, R], *, breaker: "Gate | None" = None, retry: "Retrier | None" = None
) -> Callable[P, R]:
    """Return *function* guarded by *retry* around *breaker*.

    A retry around a function that a breaker has already wrapped becomes one closure,
    too; the outcome is the same, one call layer cheaper.
    """
    asynchronous = is_async(function)
    beneath = getattr(function, _MARK, None)
    if breaker is None and beneath is not None and beneath[0] is function:
        return wraps(function)(compile_call(beneath[1], breaker=beneath[2], retry=retry))
    if retry is not None:
        retry.check(function)
    if breaker is None:
        assert retry is not None  # noqa: S101 - one of the two is always given
        made = _async_retry(function, retry) if asynchronous else _sync_retry(function, retry)
        return cast("Callable[P, R]", made)
    if not _inlined(breaker, retry):
        made = _named(function, breaker, retry, asynchronous=asynchronous)
    else:
        made, bind = (_async_fast if asynchronous else _sync_fast)(function, None)
        bind(_links(function, breaker, retry, asynchronous=asynchronous), None)
    if retry is None:
        # The closure itself comes first: functools.wraps of a decorator in between
        # copies the mark, and that decorator must not be skipped.
        setattr(made, _MARK, (made, function, breaker))
    return cast("Callable[P, R]", made)


def _named(function: Function, breaker: Gate, retry: Retrier | None, *, asynchronous: bool) -> Function:
    """Return the general form as a function that looks like *function*."""
    if asynchronous:
        inner = _async_careful(function, breaker, retry)

        @wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            return await inner(*args, **kwargs)

        return acall
    careful = _sync_careful(function, breaker, retry)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return careful(*args, **kwargs)

    return call


def compile_late(
    function: Function, elsewhere: Function
) -> tuple[Function, Callable[[Gate, "Retrier | None", object], bool]]:
    """Return a closure whose guards are known only when it is first called, and its ``bind``.

    Until ``bind(breaker, retry, runtime)`` has answered True, and in every other
    runtime, calls go to *elsewhere*; False means that these guards have no short cut.
    """
    asynchronous = is_async(function)
    made, bind_links = (_async_fast if asynchronous else _sync_fast)(function, elsewhere)

    def bind(breaker: Gate, retry: Retrier | None, runtime: object) -> bool:
        if not _inlined(breaker, retry):
            return False
        bind_links(_links(function, breaker, retry, asynchronous=asynchronous), runtime)
        return True

    return made, bind


def _inlined(breaker: Gate, retry: Retrier | None) -> bool:
    return breaker.window_kind is not None and (retry is None or retry.simple)


class _Links(NamedTuple):
    """What a fast closure is bound to."""

    breaker: Any
    ring: bool
    careful: Function
    once: Function
    wants: Callable[[BaseException], bool]
    again: Function
    budget: Budget


def _links(function: Function, breaker: Gate, retry: Retrier | None, *, asynchronous: bool) -> _Links:
    careful = _async_careful if asynchronous else _sync_careful
    once = careful(function, breaker, None)
    return _Links(
        breaker=breaker,
        ring=breaker.window_kind is CountWindow,
        careful=once if retry is None else careful(function, breaker, retry),
        once=once,
        wants=_never if retry is None else retry.wants,
        again=once if retry is None else (retry.aagain if asynchronous else retry.again),
        budget=ALWAYS if retry is None else retry.budget,
    )


def _never(_error: BaseException) -> bool:
    return False


# --- the general form: always right ----------------------------------------------------


def _once(function: Function, through: Function) -> Function:
    """Return one try through the breaker: no Python frame of its own, but a name."""
    once = partial(through, function)
    vars(once)["__qualname__"] = call_name(function)
    return once


def _sync_careful(function: Function, breaker: Gate, retry: Retrier | None) -> Function:
    once = _once(function, breaker.call)
    return once if retry is None else _sync_retry(once, retry)


def _async_careful(function: Function, breaker: Gate, retry: Retrier | None) -> Function:
    once = _once(function, breaker.acall)
    return once if retry is None else _async_retry(once, retry)


# --- retry alone -------------------------------------------------------------------------


def _sync_retry(function: Function, retry: "Retrier") -> Function:
    if not retry.simple:

        @wraps(function)
        def general(*args: Any, **kwargs: Any) -> Any:
            return retry.call(function, *args, **kwargs)

        return general
    wants, again, budget = retry.wants, retry.again, retry.budget
    limited = budget is not ALWAYS

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            result = function(*args, **kwargs)
        except Exception as exc:
            if not wants(exc):
                raise
            first = exc
        else:
            if type(result) is CoroutineType:
                no_coroutine(result, function, _ASYNC_DEF)
            if limited and not budget.full:
                budget.success()
            return result
        try:
            return again(function, args, kwargs, first)
        finally:
            del first  # its traceback refers to this frame: do not leave a cycle behind

    return call


def _async_retry(function: Function, retry: "Retrier") -> Function:
    if not retry.simple:

        @wraps(function)
        async def general(*args: Any, **kwargs: Any) -> Any:
            return await retry.acall(function, *args, **kwargs)

        return general
    wants, again, budget = retry.wants, retry.aagain, retry.budget
    limited = budget is not ALWAYS

    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            result = await function(*args, **kwargs)
        except Exception as exc:
            if not wants(exc):
                raise
            first = exc
        else:
            if limited and not budget.full:
                budget.success()
            return result
        try:
            return await again(function, args, kwargs, first)
        finally:
            del first

    return call


# --- breaker, with or without retry, on the happy path of the two common windows ----------
# The guards are cells that bind() fills: at once for a decorator, at the first call
# for a guard by name, whose runtime is not known before.

Bind = Callable[[_Links, object], None]


def _sync_fast(function: Function, elsewhere: Function | None) -> tuple[Function, Bind]:
    home: Any = None
    breaker = ring = careful = once = wants = again = budget = ok = error = limited = cast("Any", None)

    def bind(links: _Links, runtime: object) -> None:
        nonlocal home, breaker, ring, careful, once, wants, again, budget, ok, error, limited
        breaker, ring, careful, once, wants, again, budget = links
        ok, error, limited = breaker.ok, breaker.error, budget is not ALWAYS
        home = runtime  # last: from here on other threads use the rest

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if elsewhere is not None and current() is not home:
            return elsewhere(*args, **kwargs)
        window = breaker.door
        if window is None:
            return careful(*args, **kwargs)
        try:
            result = function(*args, **kwargs)
        except Exception as exc:
            error(window, exc)
            if not wants(exc):
                raise
            first = exc
        else:
            if type(result) is CoroutineType:
                no_coroutine(result, function, _ASYNC_DEF)
            if window.failures:
                ok(window)
            elif ring:
                window.append(GOOD)
            if limited and not budget.full:
                budget.success()
            return result
        try:
            return again(once, args, kwargs, first)
        finally:
            del first

    return call, bind


def _async_fast(function: Function, elsewhere: Function | None) -> tuple[Function, Bind]:
    home: Any = None
    breaker = ring = careful = once = wants = again = budget = ok = error = limited = cast("Any", None)

    def bind(links: _Links, runtime: object) -> None:
        nonlocal home, breaker, ring, careful, once, wants, again, budget, ok, error, limited
        breaker, ring, careful, once, wants, again, budget = links
        ok, error, limited = breaker.ok, breaker.error, budget is not ALWAYS
        home = runtime

    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        if elsewhere is not None and current() is not home:
            return await elsewhere(*args, **kwargs)
        window = breaker.door
        if window is None:
            return await careful(*args, **kwargs)
        try:
            result = await function(*args, **kwargs)
        except Exception as exc:
            error(window, exc)
            if not wants(exc):
                raise
            first = exc
        else:
            if window.failures:
                ok(window)
            elif ring:
                window.append(GOOD)
            if limited and not budget.full:
                budget.success()
            return result
        try:
            return await again(once, args, kwargs, first)
        finally:
            del first

    return call, bind
