"""Carries out the plans of a cache in the thread that asks."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from shared.cache._changes import Changes
from shared.cache._core import CacheCore
from shared.cache._redis import redis_client, redis_errors
from shared.cache._steps import Aside, Follow, Landing, Load, Pause, Plan, RunScript, Send
from shared.errors import ServiceUnavailableError
from shared.resilience import CircuitBreaker
from shared.runtime import after_fork_in_child

__all__ = ["Runner", "ping"]

T = TypeVar("T")


class Runner:
    """The connections and threads of one cache, and the synchronous way to carry out its plans.

    Both faces stand on one: what is changed in a hook of a commit is changed here, in
    the thread that commits. Thread-safe and fork-safe.
    """

    def __init__(self, core: CacheCore, url: str | None, breaker: CircuitBreaker | None) -> None:
        self.core = core
        self.url = url
        self.breaker = breaker or CircuitBreaker(
            "cache", failure_threshold=3, recovery_timeout=1.0, clock=core.clock
        )
        self.is_cluster: bool = url is not None and "+cluster" in url.partition(":")[0].lower()
        self._client: Any = None
        if url is not None:
            timeout = core.options.timeout
            self._client = redis_client(url, timeout=timeout, connect_timeout=timeout)
        self._changes: Changes | None = None
        self._behind: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._closed = False
        after_fork_in_child(self)

    def invalidate(self, keys: tuple[str, ...], tags: tuple[str, ...]) -> None:
        """Take keys and the entries of tags away, now."""
        self.run(self.core.invalidate(keys, tags))

    def hear(self) -> None:
        """Begin to listen to the other processes, once."""
        if self._changes is not None or not self.core.options.subscribe or self.url is None:
            return
        with self._lock:
            if not self._closed:
                self._changes = self._changes or Changes(self.core, self.url)  # type: ignore[redundant-expr]

    def settle(self) -> None:
        """Wait for what is loading behind."""
        with self._lock:
            behind, self._behind = self._behind, None
        if behind is not None:
            behind.shutdown(wait=True)

    def close(self) -> None:
        """End the connections and the threads; what is loading behind is waited for."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            changes, client = self._changes, self._client
        if changes is not None:
            changes.close()
        self.settle()
        if client is not None:
            client.close()

    def after_fork(self) -> None:
        """The parent's threads do not exist here; the client gives each process connections of its own."""
        self._lock = threading.Lock()
        self._changes = self._behind = None

    def run(self, plan: Plan[T]) -> T:
        """Carry out *plan*."""
        outcome: Any = None
        error: BaseException | None = None
        while True:
            try:
                step = plan.send(outcome) if error is None else plan.throw(error)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            outcome = error = None
            try:
                outcome = self._do(step)
            except BaseException as exc:  # noqa: BLE001 - the plan decides about every error
                error = exc

    def _do(self, step: Any) -> Any:
        match step:
            case Send():
                return self._trip(self._send, step)
            case RunScript():
                return self._trip(self._script, step)
            case Load():
                return step.loader()
            case Follow():
                return follow(step)
            case Pause():
                time.sleep(step.seconds)
            case Aside(behind=False):
                self.run(step.plan())
            case Aside():
                self._run_behind(step)
        return None

    def _trip(self, travel: Callable[[Any], Any], step: Any) -> Any:
        """Tell how long a round trip took, where somebody wants to know."""
        told, clock = self.core.on_trip, self.core.clock
        if told is None:
            return travel(step)
        began = clock()
        try:
            return travel(step)
        finally:
            told(clock() - began)

    def _send(self, step: Send) -> list[Any]:
        self.hear()
        with self.breaker, redis_errors(self.url):
            if len(step.commands) == 1:
                return [self._client.execute_command(*step.commands[0])]
            if self.is_cluster:
                return [self._client.execute_command(*command) for command in step.commands]
            with self._client.pipeline(transaction=False) as pipe:
                for command in step.commands:
                    pipe.execute_command(*command)
                return pipe.execute()  # type: ignore[no-any-return]

    def _script(self, step: RunScript) -> Any:
        with self.breaker, redis_errors(self.url):
            return self._client.register_script(step.text)(keys=step.keys, args=step.arguments)

    def _run_behind(self, step: Aside) -> None:
        with self._lock:
            if self._closed:
                return
            if self._behind is None:
                self._behind = ThreadPoolExecutor(4, "shared-cache")
            self._behind.submit(self._run_quietly, step)

    def _run_quietly(self, step: Aside) -> None:
        try:
            self.run(step.plan())
        except Exception as exc:  # noqa: BLE001 - a loader's; the next reader tries again
            tell_failure(exc)


def tell_failure(error: Exception) -> None:
    """Log that a load behind a reader failed; by its class alone, for its text may hold personal data."""
    from shared.logging import get_logger

    get_logger("shared.cache").warning("cache refresh failed", error_type=type(error).__name__)


def follow(step: Follow) -> Landing | None:
    """Wait for another thread's load; None when it takes too long."""
    future: Future[Landing] = step.flight.future
    try:
        return future.result(step.seconds)
    except FutureTimeoutError:
        if future.done():
            raise
        return None


def ping() -> Plan[None]:
    replies = yield Send((("PING",),))
    if not replies[0]:
        msg = "Redis did not answer PING"
        raise ServiceUnavailableError(msg)
