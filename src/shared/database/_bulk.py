"""Many rows at once: bulk insert, COPY and upsert."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import insert
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from shared.database._faults import hide_values
from shared.database._mixins import TenantScoped
from shared.database._scope import ALL_TENANTS, require_tenant
from shared.database._statements import Statements
from shared.database._watch import refusal
from shared.errors import AuthorizationError, ConflictError, InvalidArgumentError, ValidationError

__all__ = ["bulk_insert", "copy_from", "upsert"]

_CHUNK: Final = 1000  # rows sent at once
Row = Mapping[str, Any]


def _prepared(statements: Statements, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return *rows* by column names, with the tenant; all of them must name the same columns.

    Raises:
        ValidationError: A name is none of the columns, or rows name different ones.
        AuthorizationError: A row is of another tenant.
    """
    found = [dict(row) for row in rows]
    names = found[0].keys() if found else set()
    unknown = sorted(set(names) - statements.fields.columns.keys())
    if unknown:
        msg = f"{statements.fields.model} has no column {str(unknown[0])[:60]!r}"
        raise ValidationError(msg)
    tenant = require_tenant() if statements.needs_tenant else None
    for number, row in enumerate(found, start=1):
        if row.keys() != names:
            msg = f"row {number} names other columns than the first"
            raise ValidationError(msg)
    if tenant is not None:
        for row in found:
            if row.setdefault("tenant_id", tenant) != tenant:
                msg = f"a {statements.fields.model} of another tenant cannot be written here"
                raise AuthorizationError(msg)
    elif issubclass(statements.model, TenantScoped) and found and "tenant_id" not in names:
        raise ValidationError("rows across tenants must name their tenant_id")
    column_of = {name: statements.mapper.columns[name].key for name in (found[0] if found else ())}
    if all(name == column for name, column in column_of.items()):
        return found
    return [{column_of[name]: value for name, value in row.items()} for row in found]


def bulk_insert(statements: Statements, session: Session, rows: Iterable[Row]) -> int:
    """Insert *rows* with as few statements as the driver allows; return how many."""
    prepared = _prepared(statements, rows)
    if prepared:
        statement = statements.once("bulk", lambda: insert(statements.table))
        session.execute(statement, prepared)
    return len(prepared)


def copy_from(statements: Statements, session: Session, rows: Iterable[Row]) -> int:
    """Insert *rows* by ``COPY`` on PostgreSQL, and by bulk insert elsewhere; return how many."""
    bind = session.get_bind()
    if bind.dialect.name != "postgresql":
        return bulk_insert(statements, session, rows)
    if getattr(session, "read_only", False):
        raise refusal("COPY")
    prepared = _prepared(statements, rows)
    if not prepared:
        return 0
    session._wrote = True  # type: ignore[attr-defined]  # noqa: SLF001 - the session sees no statement
    connection = session.connection()
    names, encode = _encoder(statements, prepared[0], connection.dialect)
    preparer = connection.dialect.identifier_preparer
    columns = ", ".join(preparer.quote(name) for name in names)
    statement = f"COPY {preparer.format_table(statements.table)} ({columns}) FROM STDIN"
    with _wrapping(connection, statement) as driver:
        if connection.dialect.is_async:
            from sqlalchemy.util import await_only

            await_only(_acopy(driver, statement, prepared, encode))
        else:
            with driver.cursor() as cursor, cursor.copy(statement) as copy:
                for row in prepared:
                    copy.write_row(encode(row))
    return len(prepared)


@contextmanager
def _wrapping(connection: Connection, statement: str) -> Iterator[Any]:
    """Give the driver's connection, and turn its errors into SQLAlchemy's, which sees nothing of COPY."""
    import psycopg

    driver: Any = connection.connection.driver_connection
    try:
        yield driver
    except psycopg.Error as exc:
        lost = bool(driver.closed)
        if lost:
            connection.invalidate(exc)
        wrapped = DBAPIError.instance(
            statement, None, exc, psycopg.Error, hide_parameters=True, connection_invalidated=lost,
            dialect=connection.dialect,
        )  # fmt: skip
        hide_values(wrapped)  # type: ignore[arg-type]
        raise wrapped from exc


async def _acopy(driver: Any, statement: str, rows: list[dict[str, Any]], encode: Any) -> None:
    async with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            await copy.write_row(encode(row))


def _encoder(statements: Statements, first: Row, dialect: Any) -> tuple[list[str], Any]:
    """Return the columns of a row and the function that puts its values in their order."""
    steps: list[tuple[str, Any, Any]] = []
    for column in statements.table.columns:
        given = column.key in first
        default = column.default
        if not given and (default is None or not (default.is_scalar or default.is_callable)):
            continue
        processor = column.type.dialect_impl(dialect).bind_processor(dialect)
        make = None if given else (lambda arg=default.arg: arg) if default.is_scalar else default.arg
        steps.append((column.key, processor, (make, default is not None and default.is_callable)))

    def encode(row: Row) -> list[Any]:
        values = []
        for name, processor, (make, with_context) in steps:
            value = row[name] if make is None else make(None) if with_context else make()
            values.append(processor(value) if processor is not None else value)
        return values

    names = [statements.table.columns[name].name for name, _, _ in steps]
    return names, encode


def upsert(
    statements: Statements,
    session: Session,
    rows: Iterable[Row],
    *,
    on: Sequence[str],
    update: Sequence[str] | None,
) -> list[Any]:
    """Insert *rows*; where one with the same *on* exists, change its *update* columns; return all.

    Raises:
        InvalidArgumentError: *on* or *update* names no column.
        ConflictError: The existing row belongs to another tenant.
    """
    prepared = _prepared(statements, rows)
    if not prepared:
        return []
    names = tuple(prepared[0])
    changed = tuple(update) if update is not None else tuple(name for name in names if name not in on)
    for name in (*on, *changed):
        if name not in statements.fields.columns:
            msg = f"upsert: {statements.fields.model} has no column {str(name)[:60]!r}"
            raise InvalidArgumentError(msg)
    dialect = session.get_bind().dialect.name
    key = ("upsert", names, tuple(on), changed, dialect)
    statement = statements.once(key, lambda: _upsert(statements, dialect, tuple(on), changed))
    options = {"populate_existing": True, ALL_TENANTS: True}
    found: list[Any] = []
    for begin in range(0, len(prepared), _CHUNK):
        chunk = prepared[begin : begin + _CHUNK]
        found += session.scalars(statement, chunk, execution_options=options).all()
    if len(found) != len(prepared):
        raise ConflictError("an entry with these values exists already, out of reach")
    return found


def _upsert(statements: Statements, dialect: str, on: tuple[str, ...], changed: tuple[str, ...]) -> Any:
    from sqlalchemy.dialects import postgresql, sqlite

    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    table = statements.table
    statement: Any = make(statements.model)
    values = {name: statement.excluded[name] for name in changed}
    for column in table.columns:  # what an UPDATE would set by itself
        if column.onupdate is not None and column.onupdate.is_callable and column.name not in values:
            values[column.name] = statement.excluded[column.name]
    if statements.is_versioned:
        values["version"] = table.c.version + 1
    if not values:  # something must be set, or no row is returned
        values = {on[0]: statement.excluded[on[0]]}
    where = table.c.tenant_id == statement.excluded.tenant_id if statements.needs_tenant else None
    statement = statement.on_conflict_do_update(index_elements=list(on), set_=values, where=where)
    return statement.returning(statements.model, sort_by_parameter_order=False)
