"""From the exceptions of SQLAlchemy and the drivers to ours."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import exc as sa
from sqlalchemy.orm import exc as orm

from shared.database._fingerprint import normalise
from shared.errors import (
    ConfigurationError,
    ConflictError,
    DatabaseError,
    DeadlineExceededError,
    InvalidArgumentError,
    LockTimeoutError,
    PoolExhaustedError,
    ResourceNotFoundError,
    ServiceUnavailableError,
    SharedError,
    TransactionConflictError,
    ValidationError,
)
from shared.security import mask_text

__all__ = ["conflict_reason", "hide_values", "translate", "translated"]

# Source: PostgreSQL documentation, appendix A (error codes).
_CONFLICTS: Final = {"40001": "serialization", "40P01": "deadlock"}
_LOGIN: Final = frozenset({"28P01", "28000", "3D000"})
_LOGIN_TEXT: Final = re.compile(
    r"authentication failed|no password supplied|(?:role|database) \"[^\"]*\" does not exist|no pg_hba"
)
_UNIQUE_SQLITE: Final = re.compile(r"UNIQUE constraint failed: ([\w., ]{1,200})")
# SQLite, PostgreSQL, MySQL.
_NO_TABLE: Final = re.compile(
    r"no such table: ([\w.]+)|relation \"([\w.]+)\" does not exist|Table '([\w.]+)' doesn't exist"
)
_ORIGIN_LENGTH: Final = 200
_READ_ONLY: Final = "this session only reads: use db.session() or db.transaction() to write"


def sqlstate(error: BaseException) -> str:
    """Return the SQLSTATE or the name of SQLite's code; empty when there is none."""
    origin = getattr(error, "orig", None) or error
    for each in (origin, getattr(origin, "__cause__", None), getattr(origin, "orig", None)):
        state = getattr(each, "sqlstate", None) or getattr(each, "sqlite_errorname", None)
        if state:
            return str(state)
    return ""


def conflict_reason(error: BaseException) -> str | None:
    """Return why the whole transaction may be run again, or None when it must not."""
    if isinstance(error, TransactionConflictError):
        return str(error.details.get("reason", "conflict"))
    if isinstance(error, orm.StaleDataError):
        return "stale"
    if isinstance(error, sa.DBAPIError):
        state = sqlstate(error)
        if state.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return "busy"
        return _CONFLICTS.get(state)
    return None


def is_lost(error: BaseException) -> bool:
    """Tell whether the connection was lost or never came about."""
    if isinstance(error, ServiceUnavailableError):
        return bool(error.details.get("connection"))
    if not isinstance(error, sa.DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    state = sqlstate(error)
    return state[:2] == "08" or state[:3] == "57P" or (not state and isinstance(error, sa.OperationalError))


def hide_values(error: sa.DBAPIError) -> None:
    """Cut the values out of a constraint's message: they may be personal data."""
    text = str(error.orig) if error.orig is not None else ""
    first = text.partition("\n")[0]
    if first != text and error.orig is not None:
        error.orig.args = (first, *error.orig.args[1:])
        error.args = tuple(
            part.replace(text, first) if isinstance(part, str) else part for part in error.args
        )


def translate(error: BaseException, *, where: str = "the database") -> SharedError | None:
    """Return the error of ours for *error*; None when it is none of the database's.

    Args:
        error: What was raised.
        where: Address without a password, for the message.
    """
    if isinstance(error, SharedError):
        return error
    reason = conflict_reason(error)
    if reason is not None:
        msg = {
            "busy": "another writer held the SQLite database for too long",
            "deadlock": "two transactions waited for each other",
            "stale": "the row was changed or deleted since it was read",
        }.get(reason, "the data was changed by somebody else at the same time")
        return TransactionConflictError(f"{msg}; the call may be repeated", details={"reason": reason})
    for kind, make in _RULES:
        if isinstance(error, kind):
            return make(error, where)
    return None


def _integrity(error: Any, where: str) -> SharedError:
    del where
    state = sqlstate(error)
    diag = getattr(error.orig, "diag", None)
    details: dict[str, Any] = {}
    constraint = getattr(diag, "constraint_name", None)
    columns = _UNIQUE_SQLITE.search(str(error.orig))
    if constraint:
        details["constraint"] = constraint
    elif columns:
        details["columns"] = [name.rpartition(".")[2] for name in columns.group(1).split(", ")]
    if state in {"23505", "23P01"} or "UNIQUE" in state or "PRIMARYKEY" in state:
        return ConflictError("an entry with these values exists already", details=details)
    if state == "23503" or "FOREIGNKEY" in state:
        return ConflictError(
            "the entry refers to one that does not exist, or is referred to", details=details
        )
    name = getattr(diag, "column_name", None)
    if name:
        details["column"] = name
    return ValidationError("a rule of the table refuses these values", details=details)


def _dbapi(error: Any, where: str) -> SharedError:
    state = sqlstate(error)
    text = mask_text(str(error.orig).partition("\n")[0])[:_ORIGIN_LENGTH]
    if state in _LOGIN or (not state and _LOGIN_TEXT.search(str(error.orig))):
        return ConfigurationError(f"{where} refused the login: {text}; check the user, password and name")
    if is_lost(error):
        msg = f"cannot reach {where}: {text}"
        return ServiceUnavailableError(msg, details={"connection": "lost"}, retry_after=1)
    if state == "55P03":
        return LockTimeoutError("the row is locked by somebody else")
    if state == "57014":
        return DeadlineExceededError("the statement ran longer than statement_timeout and was cancelled")
    if state == "25006" or state.startswith("SQLITE_READONLY"):
        return ConfigurationError(_READ_ONLY)
    if state == "SQLITE_CANTOPEN":
        return ConfigurationError(f"cannot open {where}: the directory is missing or not writable")
    if state[:3] in {"53P", "530", "531", "532", "533"}:
        return ServiceUnavailableError(f"{where} has no resources left: {text}", retry_after=1)
    if isinstance(error, sa.DataError):
        return ValidationError("a value does not fit its column")
    if missing := _NO_TABLE.search(text):
        table = next(name for name in missing.groups() if name)
        msg = f"{where} has no table {table!r}: run 'shared db upgrade', or the migrations of the service"
        return DatabaseError(msg, details={"code": state, "table": table})
    return DatabaseError(f"{where} refused the statement: {normalise(text)}", details={"code": state})


def _statement(error: Any, where: str) -> SharedError:
    origin = error.orig
    if isinstance(origin, SharedError):  # raised by one of our types
        return origin
    del where
    return InvalidArgumentError("a value does not fit the statement or its column")


def _other(error: Any, where: str) -> SharedError:
    if isinstance(error, sa.NoResultFound):
        return ResourceNotFoundError()
    if isinstance(error, sa.MultipleResultsFound):
        return ConflictError("more than one entry was found, one was expected")
    if isinstance(error, sa.TimeoutError):
        return PoolExhaustedError(f"no connection to {where} came free in time")
    return DatabaseError(f"{where}: the statement cannot be carried out ({type(error).__name__})")


_RULES: Final[tuple[tuple[type[BaseException], Callable[[Any, str], SharedError]], ...]] = (
    (sa.IntegrityError, _integrity),
    (sa.DBAPIError, _dbapi),
    (sa.StatementError, _statement),
    (sa.SQLAlchemyError, _other),
)


@contextmanager
def translated(where: str = "the database") -> Iterator[None]:
    """Let only errors of ours out of the block; the foreign one is the cause.

    For code that uses SQLAlchemy itself; sessions of :class:`Database` do it at their
    end, repositories in every method.

    Example:
        >>> from sqlalchemy.exc import NoResultFound
        >>> with translated():
        ...     raise NoResultFound
        Traceback (most recent call last):
            ...
        shared.errors.ResourceNotFoundError: Resource not found
    """
    try:
        yield
    except SharedError:
        raise
    except Exception as exc:
        ours = translate(exc, where=where)
        if ours is None:
            raise
        raise ours from exc
