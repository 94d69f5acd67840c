"""Which models there are."""

import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from shared.runtime import after_fork_in_child

__all__ = ["KNOWN_MODELS", "ModelStatus", "ModelStatuses"]

#: Names that need no question at OpenAI itself. Not complete: the others are asked for.
KNOWN_MODELS: Final = frozenset(
    {
        "gpt-3.5-turbo",
        "gpt-4",
        "gpt-4-turbo",
        "gpt-4.1",
        "gpt-4.1-mini",
        "gpt-4.1-nano",
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-5",
        "gpt-5-mini",
        "gpt-5-nano",
        "o1",
        "o3",
        "o3-mini",
        "o4-mini",
        "text-embedding-3-large",
        "text-embedding-3-small",
        "text-embedding-ada-002",
    }
)
_TTL: Final = 300.0  # seconds an answer is believed
_MOST: Final = 256


class ModelStatus(StrEnum):
    """Whether a model can be used; false only when it certainly cannot.

    Example:
        >>> bool(ModelStatus.AVAILABLE), bool(ModelStatus.UNKNOWN), bool(ModelStatus.UNAVAILABLE)
        (True, True, False)
    """

    AVAILABLE = "available"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"

    def __bool__(self) -> bool:
        return self is not ModelStatus.UNAVAILABLE


class ModelStatuses:
    """Remembers what the supplier said about models, for a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, ModelStatus]] = {}
        self._lock = threading.Lock()
        after_fork_in_child(self)

    def get(self, model: str) -> ModelStatus | None:
        """Return what was said lately, or None."""
        found = self._known.get(model)
        return found[1] if found is not None and self._clock() - found[0] < _TTL else None

    def put(self, model: str, status: ModelStatus) -> ModelStatus:
        """Remember *status*; what nobody knows is asked again."""
        if status is not ModelStatus.UNKNOWN:
            with self._lock:
                while len(self._known) >= _MOST:
                    del self._known[next(iter(self._known))]
                self._known[model] = (self._clock(), status)
        return status

    def after_fork(self) -> None:
        """Take a new lock; the parent may have held the old one."""
        self._lock = threading.Lock()
