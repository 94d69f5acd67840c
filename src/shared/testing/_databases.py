"""Prepared databases for tests: made once, copied for each test."""

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData

from shared.config import ConnectionUrl
from shared.database import Database
from shared.runtime import Events
from shared.testing import _postgres
from shared.testing._engine_fixtures import failing
from shared.testing._isolation import OneConnectionDatabase

__all__ = ["PostgresTemplates", "SqliteTemplates"]

Prepare = Callable[[Database], object]


class _Templates:
    """Makes a template when it is first asked for, and again when tables were added since.

    Args:
        metadata: Whose tables are created.
        prepare: Called with each new database, after that.
    """

    def __init__(self, metadata: "MetaData | Iterable[MetaData]", prepare: Prepare) -> None:
        self._metadata = [metadata] if isinstance(metadata, MetaData) else list(metadata)
        self._prepare = prepare
        self._tables: list[Any] | None = None

    def _is_stale(self) -> bool:
        """Tell whether the tables differ from those of the template; a module may be imported late."""
        tables = [table for metadata in self._metadata for table in metadata.tables.values()]
        known, self._tables = self._tables, tables
        return known is None or len(known) != len(tables) or any(map(_differ, known, tables))

    def _fill(self, url: str) -> None:
        with Database(url, events=Events()) as database:
            for metadata in self._metadata:
                metadata.create_all(database.engine)
            self._prepare(database)


def _differ(one: Any, other: Any) -> bool:
    return one is not other


class SqliteTemplates(_Templates):
    """A prepared database in memory."""

    _memory: sqlite3.Connection | None = None

    @contextlib.contextmanager
    def copy(self, events: Events) -> Iterator[Database]:
        """Give a copy that is gone afterwards."""
        if self._is_stale() or self._memory is None:
            self.close()
            self._memory = self._make()
        with Database("sqlite://", events=events) as database:
            path = database._core.memory.path  # type: ignore[union-attr]  # noqa: SLF001 - it stands in for memory
            with contextlib.closing(_opened(path)) as target:
                self._memory.backup(target)
            yield database

    def _make(self) -> sqlite3.Connection:
        with tempfile.TemporaryDirectory(prefix="shared-template-") as folder:
            path = str(Path(folder) / "template.db")
            self._fill(f"sqlite:///{path}")
            memory = sqlite3.connect(":memory:", check_same_thread=False)
            with contextlib.closing(sqlite3.connect(path)) as source:
                source.backup(memory)
        return memory

    def close(self) -> None:
        """Forget the template."""
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.close()


def _opened(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")  # gone after the test: nothing waits for the disk
    return connection


class PostgresTemplates(_Templates):
    """A prepared database nobody connects to, and one that every test leaves as it was.

    Args:
        url: A database of the server; its name begins those of the others.
        metadata: Whose tables are created.
        prepare: Called with each new database, after that.
    """

    def __init__(
        self, url: ConnectionUrl, metadata: "MetaData | Iterable[MetaData]", prepare: Prepare
    ) -> None:
        super().__init__(metadata, prepare)
        self._url = url
        self._base = _postgres.name_of(url)
        self._count = 0
        self._template: ConnectionUrl | None = None
        self._clean: ConnectionUrl | None = None
        self._made: list[str] = []

    @contextlib.contextmanager
    def taken_back(self, events: Events) -> Iterator[Database]:
        """Give a database whose work is one transaction that is rolled back."""
        with failing():
            template = self._current()
            if self._clean is None:
                self._clean = self._create("clean", template=template)
        database = OneConnectionDatabase(self._clean, events=events)
        with database:
            yield database

    @contextlib.contextmanager
    def copy(self, events: Events) -> Iterator[Database]:
        """Give a copy that is dropped afterwards."""
        with failing():
            url = self._create("copy", template=self._current())
        try:
            with Database(url, events=events) as database:
                yield database
        finally:
            with failing():
                self._drop(_postgres.name_of(url))

    def _current(self) -> ConnectionUrl:
        if self._is_stale() or self._template is None:
            self.close()
            url = self._create("template")
            self._fill(url)
            self._template = url
        return self._template

    def _create(self, kind: str, *, template: str | None = None) -> ConnectionUrl:
        self._count += 1
        name = f"{self._base}_{kind}_{self._count}"
        url = _postgres.create_database(self._url, name, template=template)
        self._made.append(name)
        return url

    def _drop(self, name: str) -> None:
        _postgres.drop_database(self._url, name)
        self._made.remove(name)

    def close(self) -> None:
        """Drop what was made."""
        self._template = self._clean = None
        with failing():
            for name in self._made.copy():
                self._drop(name)
