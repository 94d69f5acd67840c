"""The block of a session that only reads."""

from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from shared.database._session import SharedSession

if TYPE_CHECKING:
    from shared.database._database import Database

__all__ = ["Reading"]


class Reading:
    """The block of :meth:`Database.read`; a class, because it is entered for every little query.

    Args:
        database: Whose.
        replica: Whether a replica may answer.
    """

    __slots__ = ("_database", "_number", "_replica", "_session")

    def __init__(self, database: "Database", *, replica: bool) -> None:
        self._database = database
        self._replica = replica
        self._number: int | None = None
        self._session: SharedSession | None = None

    def __enter__(self) -> Session:
        database, core = self._database, self._database._core  # noqa: SLF001 - its other half
        self._number = number = core.choose_replica() if self._replica else None
        engines = database._main() if number is None else database._replica(number)  # noqa: SLF001
        bind = engines.bind(read_only=True, autocommit=True)
        self._session = session = SharedSession(bind, read_only=True, sticky=core.stickiness)
        return session

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        session, self._session = self._session, None
        try:
            if session is not None:
                session.close()
        except Exception as late:  # noqa: BLE001 - translated, as those of statements are
            exc = late
        if isinstance(exc, Exception):
            ours = self._database._core.translated(exc, self._number)  # noqa: SLF001
            if ours is not exc:
                raise ours from exc
