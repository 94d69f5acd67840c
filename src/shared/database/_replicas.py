"""Which replica answers: one that is there, not too far behind, and has what the request wrote."""

import itertools
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import text

from shared.database._session import Stickiness, Write

__all__ = ["Replicas"]

#: Seconds for which an answer about the lag of a replica holds.
_LAG_HOLDS: Final = 1.0
# Where the log of the primary has come to: not before the last commit, whatever synchronous_commit is.
_POSITION: Final = text("SELECT CAST(pg_current_wal_insert_lsn() AS text)")
# NULL on a server that replays nothing.
_REPLAYED: Final = text("SELECT pg_last_wal_replay_lsn() >= CAST(:position AS pg_lsn)")
# A standby that has replayed no transaction since it was started is behind since then.
_LAG: Final = text(
    "SELECT CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() "
    "THEN 0 ELSE extract(epoch FROM clock_timestamp() "
    "- coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) END"
)
#: Sends a query to a replica by its number, to the primary for None; None when it does not answer.
Ask = Callable[[int | None, Any, dict[str, Any]], Any]


class Replicas:
    """Decides; asks through a function, so that it serves threads and tasks alike.

    Args:
        count: How many there are.
        stickiness: Knows what the request wrote.
        max_lag: Seconds a replica may be behind; None is without limit.
        clock: Monotonic seconds.
        eject: Called with the number of a replica that is too far behind.
        positions: Whether the servers tell how far they have come.
    """

    def __init__(
        self,
        count: int,
        stickiness: Stickiness,
        *,
        max_lag: float | None,
        clock: Callable[[], float],
        eject: Callable[[int], object],
        positions: bool,
    ) -> None:
        self.ejected: dict[int, float] = {}
        self._count = count
        self._stickiness = stickiness
        self._max_lag = max_lag if positions else None
        self._clock = clock
        self._eject = eject
        self._positions = positions
        self._turn = itertools.count()
        self._near: dict[int, float] = {}  # until when a replica is taken to be near enough

    def choose(self, ask: Ask) -> int | None:
        """Return the number of the replica to read from, or None for the primary."""
        now, first = self._clock(), next(self._turn)
        write = self._stickiness.last()
        if write is not None and not self._positions:
            return None
        for number in (each % self._count for each in range(first, first + self._count)):
            if self.ejected.get(number, 0.0) > now or not self._is_near(number, now, ask):
                continue
            if write is None or self._has(number, write, ask):
                return number
        return None

    def _has(self, number: int, write: Write, ask: Ask) -> bool:
        if number in write.seen:
            return True
        if write.position is None:
            write.position = ask(None, _POSITION, {})
        if write.position is None or not ask(number, _REPLAYED, {"position": write.position}):
            return False
        write.seen.add(number)
        return True

    def _is_near(self, number: int, now: float, ask: Ask) -> bool:
        if self._max_lag is None or self._near.get(number, 0.0) > now:
            return True
        lag = ask(number, _LAG, {})
        if lag is None:  # it does not answer, and was ejected for that
            return False
        if float(lag) > self._max_lag:
            self._eject(number)
            return False
        self._near[number] = now + _LAG_HOLDS
        return True
