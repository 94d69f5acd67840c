"""The block of a session that only reads."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from shared.database._core import Core
from shared.database._session import SharedSession

__all__ = ["Reading"]


class Reading:
    """The block of ``db.read()``; a class, because it is entered for every little query.

    Args:
        core: Of the database.
        bind: Gives the engine for a replica by its number, for the primary for None.
        replica: Whether a replica may answer.
    """

    __slots__ = ("_bind", "_core", "_number", "_replica", "_session")

    def __init__(self, core: Core, bind: Callable[[int | None], Any], *, replica: bool) -> None:
        self._core = core
        self._bind = bind
        self._replica = replica
        self._number: int | None = None
        self._session: SharedSession | None = None

    def __enter__(self) -> Session:
        core = self._core
        self._number = number = core.choose_replica(self._bind) if self._replica else None
        self._session = session = SharedSession(self._bind(number), read_only=True, sticky=core.stickiness)
        return session

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        session, self._session = self._session, None
        try:
            if session is not None:
                session.close()
        except Exception as late:  # noqa: BLE001 - translated, as those of statements are
            exc = late
        if isinstance(exc, Exception):
            ours = self._core.translated(exc, self._number)
            if ours is not exc:
                raise ours from exc
