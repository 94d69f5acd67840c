"""The base of our own operations: Alembic carries them out, the linter reads them."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from alembic import op
from alembic.operations import Operations
from alembic.operations.ops import MigrateOperation
from sqlalchemy import text

from shared.database.migrations._alembic import own_transactions, transaction
from shared.database.migrations._options import MigrationOptions, MigrationProgress

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SafeOperation", "Work"]


class SafeOperation(MigrateOperation):
    """An operation that takes the safe way by itself.

    Attributes:
        name: What it is called in reports.
        table_name: The table it changes.
    """

    name: ClassVar[str] = ""
    table_name: str

    def carry_out(self, work: "Work") -> None:
        """Do it."""
        raise NotImplementedError

    def invoke(self) -> None:
        """Hand it to the operations that are installed: those that run, or those that read."""
        op.get_context()  # the error of Alembic outside of a revision
        op.invoke(self)


@Operations.implementation_for(SafeOperation)
def _carried_out(operations: Operations, operation: SafeOperation) -> None:
    operation.carry_out(Work(operations))


class Work:
    """What a safe operation works with.

    Args:
        operations: Alembic's, for plain DDL.
    """

    def __init__(self, operations: Operations) -> None:
        self.op = operations
        self.context: Any = operations.migration_context

    @property
    def system(self) -> str:
        """``postgresql``, ``sqlite`` and so on."""
        return str(self.context.dialect.name)

    @property
    def is_postgres(self) -> bool:
        """Whether the safe ways of PostgreSQL are needed and there."""
        return self.system == "postgresql"

    @property
    def as_sql(self) -> bool:
        """Whether SQL is printed instead of run."""
        return bool(self.context.as_sql)

    @property
    def options(self) -> MigrationOptions:
        """Times and limits of the run."""
        found = self._attributes.get("options")
        return found if isinstance(found, MigrationOptions) else MigrationOptions()

    @property
    def _attributes(self) -> dict[str, Any]:
        config = self.context.config
        return {} if config is None else dict(config.attributes)

    def tell(self, note: str) -> None:
        """Tell how the work goes on."""
        progress: Callable[[MigrationProgress], object] | None = self._attributes.get("progress")
        if progress is not None:
            progress(MigrationProgress("working", note=note))

    def execute(self, sql: str, **values: Any) -> Any:
        """Run one statement, or print it."""
        # A colon in SQL that takes no values is no parameter.
        statement = text(sql).bindparams(**values) if values else text(sql.replace(":", "\\:"))
        if self.as_sql:
            return self.context.execute(statement)
        return self.context.connection.execute(statement)

    def scalar(self, sql: str, **values: Any) -> Any:
        """Return the first value of a query; not for printed SQL."""
        with self.transaction():  # a query alone would leave one open
            return self.context.connection.execute(text(sql), values).scalar()

    def quote(self, name: str) -> str:
        """Return *name* as SQL."""
        return str(self.context.dialect.identifier_preparer.quote(name))

    def own_transactions(self) -> AbstractContextManager[None]:
        """Commit what went before, and let the block have its own transactions."""
        return own_transactions(self.context)

    def transaction(self) -> AbstractContextManager[None]:
        """One transaction within :meth:`own_transactions`."""
        return transaction(self.context)
