"""Read what revisions do without a database: their operations are recorded, not carried out."""

import contextlib
import io
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from alembic import op
from alembic.operations import BatchOperations, Operations, ops
from alembic.runtime.migration import MigrationContext

from shared.database.migrations._chain import MigrationChain, alembic_alone

if TYPE_CHECKING:
    from alembic.script import Script

__all__ = ["Recorded", "Recording", "accepted_reason", "is_recording", "record", "safe", "tables_made"]

_REASON: Final[ContextVar[str | None]] = ContextVar("shared_migrations_safe", default=None)
_RECORDING: Final[ContextVar[bool]] = ContextVar("shared_migrations_recording", default=False)


def is_recording() -> bool:
    """Tell whether a revision is being read rather than run."""
    return _RECORDING.get()


def accepted_reason() -> str | None:
    """Return the reason of the block of :func:`safe` around the caller."""
    return _REASON.get()


@contextlib.contextmanager
def safe(reason: str) -> Iterator[None]:
    """Tell the linter that what the block does is all right here, and why.

    The finding is not dropped: it is reported as accepted, with the reason.

    Args:
        reason: For the reader of the report; not empty.

    Raises:
        MigrationError: There is no reason.

    Example:
        >>> with safe("the table has twelve rows"):
        ...     pass
    """
    from shared.errors import MigrationError

    if not reason.strip():
        msg = "safe() needs a reason, such as safe('the table has twelve rows')"
        raise MigrationError(msg)
    token = _REASON.set(reason)
    try:
        yield
    finally:
        _REASON.reset(token)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One operation of a revision.

    Attributes:
        operation: Alembic's object, or one of ours.
        line: Where in the file it is, or 0.
        accepted: The reason of the ``safe`` block around it.
        autocommit: Whether it runs outside of transactions.
        batch: Whether it stands in ``batch_alter_table``.
    """

    operation: ops.MigrateOperation
    line: int
    accepted: str | None
    autocommit: bool
    batch: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """What a function of a revision does.

    Attributes:
        operations: In order.
        stopped: Why reading ended early, or None: it asked the database something.
    """

    operations: tuple[Recorded, ...]
    stopped: str | None = None


def record(script: "Script", *, dialect: str = "postgresql", downgrade: bool = False) -> Recording:
    """Return what the ``upgrade`` or ``downgrade`` of *script* does on *dialect*.

    Args:
        script: The revision.
        dialect: ``postgresql``, ``sqlite`` or ``mysql``.
        downgrade: Whether to read the way back.
    """
    function = getattr(script.module, "downgrade" if downgrade else "upgrade", None)
    if function is None:
        return Recording(())
    context = MigrationContext.configure(
        dialect_name=dialect, opts={"as_sql": True, "output_buffer": io.StringIO(), "literal_binds": True}
    )
    recorder = _Recorder(context, str(script.path))
    stopped: str | None = None
    token = _RECORDING.set(True)
    try:
        with alembic_alone(), recorder.installed():
            function()
    except Exception as exc:  # noqa: BLE001 - a revision is any code
        stopped = f"{type(exc).__name__}: {str(exc).partition(chr(10))[0][:200]}"
    finally:
        _RECORDING.reset(token)
    return Recording(tuple(recorder.found), stopped)


class _Recorder(Operations):
    """Alembic's operations, written down instead of carried out."""

    def __init__(self, context: MigrationContext, path: str) -> None:
        super().__init__(context)
        self.found: list[Recorded] = []
        self._path = path
        self._autocommit = False
        context.autocommit_block = self._autocommit_block  # type: ignore[method-assign]

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        # Not Alembic's own way: that is bound to its class, and leaves nothing installed
        # where revisions are read in the middle of a run.
        names = vars(op)
        before = names.get("_proxy")
        names["_proxy"] = self
        try:
            yield
        finally:
            names["_proxy"] = before

    @contextlib.contextmanager
    def _autocommit_block(self) -> Iterator[None]:
        before, self._autocommit = self._autocommit, True
        try:
            yield
        finally:
            self._autocommit = before

    def invoke(self, operation: Any) -> Any:
        return self.note(operation, batch=False)

    def note(self, operation: Any, *, batch: bool) -> Any:
        line = _line_of(sys._getframe(1), self._path)  # noqa: SLF001 - the caller's place, as inspect does it
        self.found.append(Recorded(operation, line, _REASON.get(), self._autocommit, batch))
        if isinstance(operation, ops.CreateTableOp):
            return operation.to_table(self.migration_context)
        return None

    @contextlib.contextmanager
    def batch_alter_table(self, table_name: str, schema: str | None = None, **_options: Any) -> Iterator[Any]:  # type: ignore[override]
        yield _BatchRecorder(self, table_name, schema)

    def get_bind(self) -> Any:
        return _NoDatabase(self.migration_context.dialect)


class _BatchRecorder(BatchOperations):
    """The operations of one ``batch_alter_table`` block."""

    def __init__(self, recorder: _Recorder, table: str, schema: str | None) -> None:
        impl: Any = _BatchTarget(table, schema, recorder.migration_context.dialect)
        super().__init__(recorder.migration_context, impl=impl)
        self._recorder = recorder

    def invoke(self, operation: Any) -> Any:
        return self._recorder.note(operation, batch=True)


class _BatchTarget:
    """What operations ask of a batch: the table's name and the dialect."""

    def __init__(self, table_name: str, schema: str | None, dialect: Any) -> None:
        self.table_name, self.schema, self.dialect = table_name, schema, dialect


class _NoDatabase:
    """Stands where a connection would; knows its dialect and nothing else."""

    def __init__(self, dialect: Any) -> None:
        self.dialect = dialect

    def __getattr__(self, name: str) -> Any:
        msg = f"asks the database ({name}), which cannot be read from the file"
        raise LookupError(msg)


def _line_of(frame: FrameType | None, path: str) -> int:
    while frame is not None:
        if frame.f_code.co_filename == path:
            return frame.f_lineno
        frame = frame.f_back
    return 0


def tables_made(chain: MigrationChain) -> frozenset[str]:
    """Return the names of all tables the revisions of *chain* create or rename to."""
    found: set[str] = set()
    for script in filter(chain.owns, chain.script().walk_revisions()):
        for each in record(script).operations:
            if isinstance(each.operation, ops.CreateTableOp):
                found.add(each.operation.table_name)
            elif isinstance(each.operation, ops.RenameTableOp):
                found.add(each.operation.new_table_name)
    return frozenset(found)
