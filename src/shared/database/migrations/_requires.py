"""A service's revision that needs one of the library's."""

from shared.database.migrations._alembic import applied_of
from shared.database.migrations._chain import MigrationChain
from shared.database.migrations._locate import VERSION_TABLE
from shared.database.migrations._record import is_recording
from shared.errors import MigrationError

__all__ = ["requires"]


def requires(revision: str) -> None:
    """Refuse to go on unless the library's *revision* is applied; first line of a service's ``upgrade()``.

    Args:
        revision: Such as ``commerce_0003``; one that came after it will do.

    Raises:
        MigrationError: It is not applied, or this library does not know it.

    Example:
        >>> from alembic.migration import MigrationContext
        >>> from alembic.operations import Operations
        >>> from shared.database import Database
        >>> with Database("sqlite://") as db, db.engine.connect() as connection:
        ...     with Operations.context(MigrationContext.configure(connection)):
        ...         requires("database_0001")
        Traceback (most recent call last):
            ...
        shared.errors.MigrationError: the library's revision 'database_0001' is not applied here: ...
    """
    if is_recording():
        return
    from alembic import op
    from sqlalchemy import inspect, text

    context = op.get_context()
    if context.as_sql:
        context.impl.static_output(f"-- requires {revision} of the library")
        return
    script = MigrationChain.library().script()
    wanted = script.get_revision(revision)
    connection = op.get_bind()
    heads: list[str] = []
    if inspect(connection).has_table(VERSION_TABLE):
        heads = list(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars())  # noqa: S608 - a constant
    if wanted.revision not in applied_of(script, heads):
        msg = (
            f"the library's revision {revision!r} is not applied here: "
            "run 'shared db upgrade' before the service's own"
        )
        raise MigrationError(msg)
