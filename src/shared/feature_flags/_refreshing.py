"""How ``Flags`` follow a store."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Self

from shared.feature_flags._compile import SnapshotState
from shared.feature_flags._engine import Engine
from shared.feature_flags._last_known_good import LastKnownGood
from shared.feature_flags._model import FlagDocument
from shared.feature_flags._refresher import FlagRefresher, RefreshStatus
from shared.feature_flags._store import FlagStore
from shared.runtime import Events

__all__ = ["Refreshing"]


class Refreshing:
    """The part of ``Flags`` that looks whether there is something newer."""

    events: Events
    _engine: Engine
    _fast: Mapping[str, Any]
    _refresher: FlagRefresher | None = None
    _owned: FlagStore | None = None
    _stops: list[Callable[[], object]]
    swap: Callable[..., tuple[str, ...]]

    def _opened(self, store: FlagStore | str, *, owned: bool) -> FlagStore:
        if isinstance(store, str):
            from shared.feature_flags._store_url import flag_store

            store, owned = flag_store(store), True
        self._owned = store if owned else None
        return store

    def _follow(
        self,
        store: FlagStore,
        *,
        every: float,
        kept: LastKnownGood | str | None,
        threads: bool,
    ) -> None:
        """Begin to follow *store*; the first look comes with the first evaluation."""
        refresher = FlagRefresher(
            store,
            self._install_stored,
            every=every,
            last_known_good=LastKnownGood(kept) if isinstance(kept, str) else kept,
            threads=threads,
            events=self.events,
            on_thread=self._watch,
        )
        self._refresher = refresher
        self._watch(needed=True)

    def _watch(self, *, needed: bool) -> None:
        """Look at every evaluation whether somebody must look at the store, or at scopes only."""
        refresher = self._refresher
        if refresher is not None:
            self._engine.pulse = refresher.check
            self._engine.watch = refresher.check if needed else None
            self._fast = {} if self._engine.is_careful else self._engine.snapshot.fast

    def _install_stored(
        self, document: FlagDocument, *, state: SnapshotState, actor: str | None, reason: str | None
    ) -> None:
        self.swap(document, state=state, actor=actor, reason=reason)

    @property
    def is_following(self) -> bool:
        """Whether there is a store."""
        return self._refresher is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def refresh(self) -> bool:
        """Look at the store now; tell whether something else is in force. Never raises.

        Example:
            >>> from shared.feature_flags import Flag, FlagAdmin, Flags, MemoryFlagStore
            >>> store = MemoryFlagStore()
            >>> with Flags([Flag("beta")], store=store) as flags:
            ...     _ = FlagAdmin(store, declared=[Flag("beta")]).rollout("beta", 100, actor="ada")
            ...     flags.refresh(), flags.is_enabled("beta", "u-1")
            (True, True)
        """
        return self._refresher is not None and self._refresher.refresh()

    async def arefresh(self) -> bool:
        """As :meth:`refresh`, on a worker thread.

        Example:
            >>> import asyncio
            >>> from shared.feature_flags import Flags
            >>> asyncio.run(Flags({"beta": True}).arefresh())
            False
        """
        return await asyncio.to_thread(self.refresh)

    def refresh_status(self) -> RefreshStatus:
        """Return how new what is in force is; without a store, what is declared counts as new.

        Example:
            >>> from shared.feature_flags import Flags
            >>> Flags({"beta": True}).refresh_status().source
            'none'
        """
        return RefreshStatus() if self._refresher is None else self._refresher.status()

    def check(self) -> dict[str, Any]:
        """Return how the flags are, for a health report: degraded while the store cannot be read.

        Example:
            >>> from shared.feature_flags import Flags
            >>> Flags({"beta": True}).check()
            {'status': 'healthy', 'revision': 0}
        """
        refresher, snapshot = self._refresher, self._engine.snapshot
        is_well = refresher is None or (snapshot.state == "live" and refresher.status().is_current)
        return {"status": "healthy" if is_well else "degraded", "revision": snapshot.revision}

    def on_close(self, end: Callable[[], object]) -> None:
        """Call *end* with :meth:`close`, for what was begun on behalf of the flags.

        Example:
            >>> from shared.feature_flags import Flags
            >>> flags = Flags({"beta": True})
            >>> flags.on_close(lambda: print("ended")); flags.close()
            ended
        """
        self._stops.append(end)

    def close(self) -> None:
        """Stop following the store; what is in force stays so. Safe to call twice.

        Example:
            >>> from shared.feature_flags import Flags
            >>> flags = Flags({"beta": True}); flags.close(); flags.is_enabled("beta")
            True
        """
        if self._refresher is not None:
            self._refresher.close()
            self._engine.pulse = self._engine.watch = None
            self._fast = {} if self._engine.is_careful else self._engine.snapshot.fast
        while self._stops:
            self._stops.pop()()
        owned, self._owned = self._owned, None
        if owned is not None:
            owned.close()
