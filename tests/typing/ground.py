"""How the ground floor is used, as type checkers must understand it.

Checked by mypy and pyright in strict mode, never run. A line with an ignore comment must be an
error: when a checker accepts it, the unnecessary comment is the error.
"""

from typing import assert_type

import shared
from shared.constants import ErrorCode
from shared.context import ContextThreadPoolExecutor, RequestContext, current_context, with_context
from shared.errors import ConflictError, ErrorMap, MissingDependencyError, SharedError
from shared.runtime import Events, Runtime, current, use


class Mailer:
    """A thing of a service."""

    def send(self, to: str) -> bool:
        """Send."""
        return bool(to)


def make_mailer(runtime: Runtime) -> Mailer:
    """Build the mailer of *runtime*."""
    return Mailer()


def total(price: float, count: int) -> float:
    """A function with a precise signature."""
    return price * count


runtime = Runtime("orders")
runtime.provide(Mailer, make_mailer)
assert_type(runtime.get(Mailer), Mailer)
assert_type(runtime.find(Mailer), Mailer | None)
with use(runtime) as used, used.override(Mailer, Mailer()) as mailer:
    assert_type(used, Runtime)
    assert_type(mailer, Mailer)
    assert_type(current().get(Mailer).send("a@b.example"), bool)

events = Events()
events.subscribe(Mailer, lambda found: found.send("a@b.example"))

assert_type(with_context(total)(2.0, 3), float)
with_context(total)("2", 3)  # type: ignore[arg-type]
with ContextThreadPoolExecutor() as pool:
    assert_type(pool.submit(total, 2.0, 3).result(), float)
assert_type(current_context(), RequestContext | None)

error = ConflictError("changed", code=ErrorCode.CONFLICT, details={"order_id": "o-7"})
assert_type(error.status, int)
assert_type(ErrorMap().translate(OSError()), SharedError | None)
MissingDependencyError("redis")  # type: ignore[call-arg]

assert_type(shared.__version__, str)
misspelt = shared.__versoin__  # type: ignore[attr-defined]
