"""Carry the context into threads, where Python does not carry it by itself."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from typing import ParamSpec, TypeVar

__all__ = ["ContextThreadPoolExecutor", "with_context"]

P = ParamSpec("P")
R = TypeVar("R")


def with_context(function: Callable[P, R]) -> Callable[P, R]:
    """Return *function* bound to the context of this moment.

    For ``threading.Thread(target=with_context(work))`` and
    ``loop.run_in_executor(None, with_context(work))``. Each call runs in its own
    copy, so the result may be called many times and from many threads.

    Example:
        >>> import threading
        >>> from shared.context import get_correlation_id, request_context
        >>> with request_context(correlation_id="c-1"):
        ...     work = with_context(lambda: print(get_correlation_id()))
        >>> thread = threading.Thread(target=work)
        >>> thread.start(); thread.join()
        c-1
    """
    captured = copy_context()

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return captured.copy().run(function, *args, **kwargs)

    return run


class ContextThreadPoolExecutor(ThreadPoolExecutor):
    """A thread pool whose tasks see the context of the code that submitted them.

    Example:
        >>> from shared.context import get_correlation_id, request_context
        >>> with ContextThreadPoolExecutor(1) as pool, request_context(correlation_id="c-1"):
        ...     pool.submit(get_correlation_id).result()
        'c-1'
    """

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Schedule the call; see :meth:`concurrent.futures.Executor.submit`.

        Example:
            >>> with ContextThreadPoolExecutor(1) as pool:
            ...     pool.submit(max, 1, 2).result()
            2
        """
        return super().submit(partial(copy_context().run, fn, *args, **kwargs))
