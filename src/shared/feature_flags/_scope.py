"""What holds for a block of code: a snapshot that stays, and values that are forced."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final

from shared.context import current_context

if TYPE_CHECKING:
    from shared.feature_flags._operators import Context
    from shared.feature_flags._outcome import Entry, Outcome
    from shared.feature_flags._snapshot import Snapshot

__all__ = [
    "BlockState",
    "ambient",
    "block_of",
    "current_block",
    "enter_block",
    "enter_block_around",
    "leave_block",
    "override_of",
]

_NOTHING: Final[Mapping[str, Any]] = {}


class BlockState:
    """What is pinned and forced in a block, for one ``Flags``; blocks of others are further up."""

    __slots__ = ("context", "fast", "flags", "memo", "now", "overrides", "owner", "parent", "snapshot", "who")

    def __init__(
        self,
        owner: object,
        parent: "BlockState | None",
        snapshot: "Snapshot | None",
        context: "Context | None",
        overrides: "Mapping[str, Outcome]",
    ) -> None:
        self.owner = owner
        self.parent = parent
        self.snapshot = snapshot
        self.context = context
        self.overrides = overrides
        # What can be answered by the snapshot alone.
        self.fast: Mapping[str, Entry] = _NOTHING if snapshot is None or overrides else snapshot.fast
        self.flags: Any = None  # the Flags itself, where the block is a request
        self.memo: dict[str, Outcome] = {}
        self.now: float | None = None  # read once, when a schedule first asks
        self.who: Any = None  # for whom the memo is


_state: Final[ContextVar[BlockState | None]] = ContextVar("shared_flags", default=None)

current_block: Final[Callable[[], BlockState | None]] = _state.get


def block_of(owner: object) -> BlockState | None:
    """Return the innermost block of *owner*, or None."""
    state = _state.get()
    while state is not None and state.owner is not owner:
        state = state.parent
    return state


def override_of(owner: object, key: str) -> "Outcome | None":
    """Return what *key* is forced to in the block at hand, or None."""
    state = block_of(owner)
    return None if state is None else state.overrides.get(key)


def enter_block(state: BlockState) -> "Token[BlockState | None]":
    """Make *state* the innermost block."""
    return _state.set(state)


def leave_block(token: "Token[BlockState | None]", state: BlockState) -> None:
    """End the block, also where it ends in another context than it began."""
    try:
        _state.reset(token)
    except ValueError:
        if _state.get() is state:
            _state.set(state.parent)


def enter_block_around(state: BlockState) -> None:
    """Make what surrounds *state* the innermost block."""
    _state.set(state.parent)


def ambient() -> dict[str, Any]:
    """Return what the request at hand says about whom it is for.

    ``user_id`` and ``roles`` of the principal, and ``tenant``, where they are known.
    """
    request = current_context()
    if request is None:
        return {}
    try:
        found = subject(request.principal)
    except Exception:  # noqa: BLE001 - a principal may be a stranger's object
        found = {}
    if request.tenant is not None:
        found["tenant"] = request.tenant
    return found


def subject(principal: Any) -> dict[str, Any]:
    """Return what a principal says about itself: a text is its id."""
    if principal is None:
        return {}
    if isinstance(principal, (str, int)):
        return {"user_id": principal}
    user_id = getattr(principal, "user_id", None) or getattr(principal, "id", None)
    found: dict[str, Any] = {} if user_id is None else {"user_id": user_id}
    roles = getattr(principal, "roles", None)
    if roles:
        found["roles"] = sorted(map(str, roles))
    tenant = getattr(principal, "tenant", None)
    if tenant is not None:
        found["tenant"] = tenant
    return found
