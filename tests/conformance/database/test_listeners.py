"""Listeners of others are heard, and connections that died are replaced."""

import pytest
from sqlalchemy import event, text

from shared.database import Repository, SharedSession, _pool
from shared.errors import ServiceUnavailableError
from tests.conformance.database.models import Author, TestBase

AUTHORS = Repository(Author)


@pytest.fixture
def db(db):
    TestBase.metadata.create_all(db.engine)
    with db.transaction() as session:
        AUTHORS.add(session, Author(email="a@example.com", name="Ada"))
    return db


def first(session):
    return AUTHORS.list(session)[0]


def test_a_listener_of_the_engine_hears_what_sessions_send(db):
    heard = []
    event.listen(db.engine, "before_cursor_execute", lambda *given: heard.append(given[2]))

    with db.transaction() as session:
        session.execute(text("update authors set name = 'Grace'"))

    assert "update authors set name = 'Grace'" in heard


def test_a_listener_of_the_engine_hears_commits(db):
    heard = []
    event.listen(db.engine, "commit", lambda _connection: heard.append("commit"))

    with db.transaction() as session:
        session.execute(text("update authors set name = 'Grace'"))

    assert heard == ["commit"]


def test_a_listener_to_queries_hears_those_of_a_repository(db):
    heard = []

    def listen(state):
        heard.append(state.is_select)

    with db.read() as session:
        key = first(session).id
    event.listen(SharedSession, "do_orm_execute", listen)
    try:
        with db.read() as session:
            AUTHORS.get(session, key)
    finally:
        event.remove(SharedSession, "do_orm_execute", listen)

    assert heard == [True]


def end_connections(db):
    """What a restart of the server, or an operator, does to the idle connections."""
    end = text(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    with db.read() as one, db.read() as other:
        one.execute(text("select 1"))
        other.execute(end)


@pytest.mark.shared_engines("postgres")
def test_a_connection_that_died_while_idle_is_replaced_unseen(db, monkeypatch):
    monkeypatch.setattr(_pool, "_SURELY_ALIVE", 0.0)
    end_connections(db)

    for _ in range(3):
        with db.read() as session:
            assert first(session).name == "Ada"


@pytest.mark.shared_engines("postgres")
def test_a_connection_that_died_just_now_is_an_error_once(db, monkeypatch):
    monkeypatch.setattr(_pool, "_SURELY_ALIVE", 1e6)
    with db.read() as one, db.read() as other:
        pids = [session.scalar(text("select pg_backend_pid()")) for session in (one, other)]
    with db.read() as session:
        mine = session.scalar(text("select pg_backend_pid()"))
        victim = next(pid for pid in pids if pid != mine)
        session.execute(text("select pg_terminate_backend(:pid, 10000)"), {"pid": victim})
        with pytest.raises(ServiceUnavailableError), db.read() as dead:
            first(dead)

    with db.read() as one, db.read() as other:
        assert (first(one).name, first(other).name) == ("Ada", "Ada")


@pytest.mark.shared_engines("postgres")
async def test_an_asynchronous_connection_that_died_while_idle_is_replaced_unseen(db, monkeypatch):
    monkeypatch.setattr(_pool, "_SURELY_ALIVE", 0.0)
    async with db.aio.read() as session:
        await session.execute(text("select 1"))
    end_connections(db)

    async with db.aio.read() as session:
        found = await AUTHORS.aio.list(session)
    await db.aio.close()

    assert found[0].name == "Ada"
