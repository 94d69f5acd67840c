"""Work across services, undone step by step when a later step fails."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

from shared.errors import WorkflowError

__all__ = ["AsyncSaga", "Saga"]


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    action: Callable[[dict[str, Any]], Any]
    compensate: Callable[[dict[str, Any]], Any] | None


def _failed(saga: str, step: str, undone: list[str], stuck: list[tuple[str, Exception]]) -> WorkflowError:
    """Return the error of a saga, saying what could not be undone."""
    done = f"undone: {', '.join(undone) or 'nothing'}"
    left = f"; NOT undone: {', '.join(name for name, _ in stuck)}" if stuck else ""
    error = WorkflowError(
        f"saga {saga!r}: step {step!r} failed; {done}{left}",
        details={"saga": saga, "step": step, "undone": undone, "stuck": [name for name, _ in stuck]},
    )
    for name, exc in stuck:
        error.add_note(f"compensation of {name!r} failed with {type(exc).__name__}")
    return error


class Saga:
    """Steps that commit each on their own, with what undoes them.

    There is no transaction across services. When a step fails, the compensations of the
    steps before it run, last first; all of them are tried. To survive the end of the
    process, let each step write its message with :class:`Outbox` and make the steps
    idempotent. Each step gets one dictionary that they share; what it returns is kept
    under its name.

    Args:
        name: For people.

    Example:
        >>> saga = Saga("checkout")
        >>> _ = saga.step("reserve", lambda shared: "r-1", lambda shared: print("release", shared["reserve"]))
        >>> _ = saga.step("charge", lambda shared: 1 / 0)
        >>> saga.run()
        Traceback (most recent call last):
            ...
        shared.errors.WorkflowError: saga 'checkout': step 'charge' failed; undone: reserve
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._steps: list[_Step] = []

    def step(
        self,
        name: str,
        action: Callable[[dict[str, Any]], Any],
        compensate: Callable[[dict[str, Any]], Any] | None = None,
    ) -> Self:
        """Add a step: *action* does it, *compensate* undoes it; both must be idempotent."""
        self._steps.append(_Step(name, action, compensate))
        return self

    def run(self, shared: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the steps and return what they shared.

        Raises:
            WorkflowError: A step failed; its exception is the cause, and ``details`` names
                what was undone and what is stuck.
        """
        found = dict(shared or {})
        done: list[_Step] = []
        for step in self._steps:
            try:
                found[step.name] = step.action(found)
            except Exception as exc:
                undone: list[str] = []
                stuck: list[tuple[str, Exception]] = []
                for each in reversed(done):
                    if each.compensate is None:
                        continue
                    try:
                        each.compensate(found)
                        undone.append(each.name)
                    except Exception as failure:  # noqa: BLE001 - the others must be undone too
                        stuck.append((each.name, failure))
                raise _failed(self.name, step.name, undone, stuck) from exc
            done.append(step)
        return found


class AsyncSaga:
    """A :class:`Saga` whose steps are coroutine functions.

    Args:
        name: For people.

    Example:
        >>> import asyncio
        >>> async def reserve(shared):
        ...     return "r-1"
        >>> asyncio.run(AsyncSaga("checkout").step("reserve", reserve).run())
        {'reserve': 'r-1'}
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._steps: list[_Step] = []

    def step(
        self,
        name: str,
        action: Callable[[dict[str, Any]], Awaitable[Any]],
        compensate: Callable[[dict[str, Any]], Awaitable[Any]] | None = None,
    ) -> Self:
        """See :meth:`Saga.step`."""
        self._steps.append(_Step(name, action, compensate))
        return self

    async def run(self, shared: dict[str, Any] | None = None) -> dict[str, Any]:
        """See :meth:`Saga.run`."""
        found = dict(shared or {})
        done: list[_Step] = []
        for step in self._steps:
            try:
                found[step.name] = await step.action(found)
            except Exception as exc:
                undone: list[str] = []
                stuck: list[tuple[str, Exception]] = []
                for each in reversed(done):
                    if each.compensate is None:
                        continue
                    try:
                        await each.compensate(found)
                        undone.append(each.name)
                    except Exception as failure:  # noqa: BLE001 - the others must be undone too
                        stuck.append((each.name, failure))
                raise _failed(self.name, step.name, undone, stuck) from exc
            done.append(step)
        return found
