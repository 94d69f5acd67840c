"""Every store of flags, on real files, SQLite, PostgreSQL and Redis."""

import itertools
import os

import pytest
from sqlalchemy import text

from shared.database import Base, Database
from shared.feature_flags import (
    CodeFlagStore,
    FileFlagStore,
    FlagHistoryRecord,
    FlagRecord,
    FlagRevision,
    LayeredFlagStore,
    MemoryFlagStore,
    RedisFlagStore,
    SqlFlagStore,
)

TABLES = [FlagRevision.__table__, FlagRecord.__table__, FlagHistoryRecord.__table__]
KINDS = ["memory", "json", "yaml", "toml", "sqlite", "postgres", "redis", "layered"]
SHARED = ["json", "sqlite", "postgres", "redis"]
_numbers = itertools.count()


@pytest.fixture(scope="session")
def flags_postgres_url(shared_postgres):
    """A schema of its own: the database is shared with every other test of the worker."""
    with Database(shared_postgres) as db, db.transaction() as session:
        session.execute(text("create schema if not exists flag_stores"))
    url = f"{shared_postgres}{'&' if '?' in shared_postgres else '?'}schema=flag_stores"
    with Database(url) as db:
        Base.metadata.create_all(db.engine, tables=TABLES)
    return url


class Maker:
    """Makes stores over one place, each as another process would."""

    def __init__(self, kind, request, directory):
        self.kind = kind
        self._request = request
        self._directory = directory
        self.namespace = f"test-{os.getpid()}-{next(_numbers)}"
        self._open = []

    def __call__(self):
        store = self._make()
        self._open.append(store)
        return store

    def _make(self):
        if self.kind in ("json", "yaml", "toml"):
            return FileFlagStore(self._directory / f"flags.{self.kind}", look_every=0.02)
        if self.kind == "sqlite":
            return self._sql(f"sqlite:///{self._directory}/flags.db", create=True)
        if self.kind == "postgres":
            return self._sql(self._request.getfixturevalue("flags_postgres_url"), create=False)
        if self.kind == "redis":
            url = self._request.getfixturevalue("shared_redis")
            return RedisFlagStore(url, namespace=self.namespace, timeout=10.0)
        if self.kind == "layered":
            return LayeredFlagStore([MemoryFlagStore(), CodeFlagStore()])
        return MemoryFlagStore()

    def _sql(self, url, *, create):
        database = Database(url, name="flags")
        if create:
            Base.metadata.create_all(database.engine, tables=TABLES)
        return SqlFlagStore(database, namespace=self.namespace, owns_database=True)

    def close(self):
        for store in self._open:
            store.close()


@pytest.fixture(params=KINDS)
def make_store(request, tmp_path):
    """Makes a store; each call gives another one over the same place, where there is one."""
    maker = Maker(request.param, request, tmp_path)
    yield maker
    maker.close()


@pytest.fixture
def store(make_store):
    return make_store()


@pytest.fixture(params=SHARED)
def make_shared(request, tmp_path):
    """As `make_store`, over what several processes can share."""
    maker = Maker(request.param, request, tmp_path)
    yield maker
    maker.close()
