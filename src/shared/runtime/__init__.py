"""The one place that holds process-wide instances.

A :class:`Runtime` maps a type to its lazily built instance. ``install(app)`` and
``worker()`` make one; accessors such as ``get_settings()`` are
``current().get(Settings, factory)``. Two applications in one process have two
runtimes and do not see each other; tests override. Standard library only.

Example:
    >>> class Mailer:
    ...     pass
    >>> runtime = Runtime("docs")
    >>> runtime.provide(Mailer, lambda rt: Mailer())
    >>> runtime.get(Mailer) is runtime.get(Mailer)
    True
    >>> runtime.close()
"""

from shared.runtime._current import current, enter_runtime, leave_runtime, reset_default, use
from shared.runtime._events import Events
from shared.runtime._fork import ForkAware, after_fork_in_child
from shared.runtime._runtime import Runtime

__all__ = [
    "Events",
    "ForkAware",
    "Runtime",
    "after_fork_in_child",
    "current",
    "enter_runtime",
    "leave_runtime",
    "reset_default",
    "use",
]
