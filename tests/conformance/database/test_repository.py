"""The repository does the same on every engine."""

import threading
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import selectinload

from shared.context import request_context
from shared.database import QueryFinished, Repository, uuid7
from shared.errors import (
    AuthorizationError,
    ConfigurationError,
    ConflictError,
    InvalidArgumentError,
    LockTimeoutError,
    OrderNotFoundError,
    ResourceNotFoundError,
    TransactionConflictError,
    ValidationError,
)
from tests.conformance.database.models import Author, Pair, TestBase, Ticket, Work

AUTHORS, WORKS, TICKETS, PAIRS = (Repository(model) for model in (Author, Work, Ticket, Pair))


@pytest.fixture
def db(db):
    TestBase.metadata.create_all(db.engine)
    return db


@pytest.fixture
def works(db):
    rows = [
        {"title": f"W{n}", "price": Decimal(n), "tags": None, "sold": n % 3, "author_id": None}
        for n in range(10)
    ]
    with db.transaction() as session:
        WORKS.bulk_insert(session, rows)
    return db


def add_work(db, title="Emma", **values):
    with db.transaction() as session:
        return WORKS.add(session, Work(title=title, price=Decimal("9.99"), **values))


# -- one row -------------------------------------------------------------------------


def test_get_returns_what_add_wrote(db):
    work = add_work(db, tags=["a", "b"])

    with db.read() as session:
        found = WORKS.get(session, work.id)

    assert (found.title, found.price, found.tags, found.version) == ("Emma", Decimal("9.9900"), ["a", "b"], 1)


def test_get_takes_the_key_as_text(db):
    work = add_work(db)

    with db.read() as session:
        assert WORKS.get(session, str(work.id)).id == work.id


def test_get_of_a_missing_row_says_which(db):
    with pytest.raises(ResourceNotFoundError) as caught, db.read() as session:
        WORKS.get(session, uuid7())

    assert caught.value.details["resource"] == "work"


def test_get_raises_the_error_the_repository_was_given(db):
    orders = Repository(Work, not_found=OrderNotFoundError)

    with pytest.raises(OrderNotFoundError), db.read() as session:
        orders.get(session, uuid7())


@pytest.mark.parametrize("bad", ["x", 7, None, b"", ("a",), {}], ids=str)
def test_a_key_of_another_form_is_refused(db, bad):
    with pytest.raises(ValidationError), db.read() as session:
        WORKS.find(session, bad)


def test_a_key_of_several_columns_is_a_tuple(db):
    with db.transaction() as session:
        PAIRS.add(session, Pair(left=1, right="a", note="n"))

    with db.read() as session:
        assert PAIRS.get(session, (1, "a")).note == "n"
        with pytest.raises(ValidationError, match="2 parts"):
            PAIRS.find(session, 1)


def test_get_many_keeps_the_order_asked_for(works):
    with works.read() as session:
        ids = [work.id for work in WORKS.list(session)]

        found = WORKS.get_many(session, [ids[3], ids[1], uuid7(), ids[3]])

    assert [work.id for work in found] == [ids[3], ids[1]]


def test_find_by_refuses_two(works):
    with works.read() as session:
        assert WORKS.find_by(session, title="W3").title == "W3"
        assert WORKS.find_by(session, title="nobody") is None
        with pytest.raises(ConflictError):
            WORKS.find_by(session, sold=0)


# -- filters and orders --------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "titles"),
    [
        ({"title": "W3"}, ["W3"]),
        ({"price__ge": "8"}, ["W8", "W9"]),
        ({"price__lt": Decimal(2)}, ["W0", "W1"]),
        ({"title__in": ["W1", "W2", "zz"]}, ["W1", "W2"]),
        ({"title__in": []}, []),
        ({"price__gt": 7, "sold__ne": 2}, ["W9"]),
        ({"author_id": None, "price__le": 0}, ["W0"]),
        ({"author_id__is_null": False}, []),
        ({"title__starts_with": "W_"}, []),
        ({"title__contains": "5"}, ["W5"]),
        ({"title__contains": "%"}, []),
        ({"title__not_in": [f"W{n}" for n in range(9)]}, ["W9"]),
    ],
    ids=str,
)
def test_filters(works, where, titles):
    with works.read() as session:
        found = WORKS.list(session, where=where, order_by="price")

    assert [work.title for work in found] == titles


@pytest.mark.parametrize(
    "where",
    [
        {"titel": "x"},
        {"title; drop table works": "x"},
        {"title__drop": 1},
        {"__class__": 1},
        {"author.email": "x"},
        {"sold": "1 or 1=1"},
        {"sold": 2**70},
        {"sold": True},
        {"price": 1.5},
        {"price": "NaN"},
        {"title__in": "abc"},
        {"title": "a\x00b"},
        {"title": "\ud800"},
        {"deleted_at__lt": "yesterday"},
        {"id": "'; --"},
    ],
    ids=lambda where: ascii(where),
)
def test_a_filter_that_is_not_declared_or_does_not_fit_is_refused(works, where):
    with pytest.raises(ValidationError), works.read() as session:
        WORKS.list(session, where=where)


@pytest.mark.parametrize(
    "order", ["titel", "title desc", "--title", "title,price", "(select 1)", ["sold", "-sold"]], ids=str
)
def test_an_order_that_is_not_declared_is_refused(works, order):
    with pytest.raises(ValidationError), works.read() as session:
        WORKS.list(session, order_by=order)


def test_a_wrong_name_gets_a_hint(works):
    with pytest.raises(ValidationError, match="did you mean 'title'"), works.read() as session:
        WORKS.list(session, where={"titel": "x"})


def test_only_what_the_repository_declares_may_be_used(works):
    narrow = Repository(Work, filterable=["title"], sortable=["price"])

    with works.read() as session:
        assert len(narrow.list(session, where={"title": "W1"}, order_by="-price")) == 1
        with pytest.raises(ValidationError):
            narrow.list(session, where={"price": 1})
        with pytest.raises(ValidationError):
            narrow.list(session, order_by="title")


def test_a_repository_of_nothing_mapped_is_refused():
    with pytest.raises(InvalidArgumentError):
        Repository(int)
    with pytest.raises(InvalidArgumentError):
        Repository(Work, filterable=["nothing"])


# -- pages ---------------------------------------------------------------------------


def test_pages_count_and_say_whether_there_is_more(works):
    with works.read() as session:
        first = WORKS.page(session, 1, size=4, order_by="price")
        last = WORKS.page(session, 3, size=4, order_by="price", count="none")

    assert ([w.title for w in first.items], first.total, first.pages, first.has_next) == (
        ["W0", "W1", "W2", "W3"],
        10,
        3,
        True,
    )
    assert ([w.title for w in last.items], last.total, last.pages, last.has_next) == (
        ["W8", "W9"],
        None,
        None,
        False,
    )


def test_an_estimate_is_near_after_analyse(works):
    repository = Repository(Author)
    with works.transaction() as session:
        repository.bulk_insert(session, [{"email": f"a{n}", "name": "n"} for n in range(50)])
        session.execute(text("analyze"))

    with works.read() as session:
        assert repository.page(session, count="estimate").total == 50


@pytest.mark.parametrize(
    ("number", "size"), [(0, 10), (-1, 10), (1, 0), (1, 101), (2**40, 10), (True, 10), ("1", 10)]
)
def test_a_page_out_of_range_is_refused(works, number, size):
    with pytest.raises(ValidationError), works.read() as session:
        WORKS.page(session, number, size=size)


@pytest.mark.parametrize("order", [None, "price", ["-sold", "price"], "-title"], ids=str)
def test_keyset_pages_visit_every_row_once(works, order):
    with works.read() as session:
        expected = [work.title for work in WORKS.list(session, order_by=order)]
        seen, cursor = [], None
        while True:
            page = WORKS.keyset(session, after=cursor, size=3, order_by=order)
            seen += [work.title for work in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break

    assert seen == expected


def test_a_cursor_of_another_order_is_refused(works):
    with works.read() as session:
        cursor = WORKS.keyset(session, size=2, order_by="price").next_cursor

        with pytest.raises(ValidationError, match="cursor"):
            WORKS.keyset(session, after=cursor, size=2, order_by="-price")


def test_a_cursor_needs_columns_that_are_never_null(works):
    with pytest.raises(ValidationError, match="may be empty"), works.read() as session:
        WORKS.keyset(session, order_by="author_id")


def test_iterate_visits_every_row(works):
    with works.read() as session:
        assert len({work.id for work in WORKS.iterate(session, chunk=3)}) == 10
        assert [w.title for w in WORKS.iterate(session, chunk=5, where={"title": "W7"})] == ["W7"]


def test_rows_are_plain_tuples(works):
    with works.read() as session:
        assert WORKS.rows(session, ["title", "price"], where={"sold": 0}, order_by="title", limit=2) == [
            ("W0", Decimal("0.0000")),
            ("W3", Decimal("3.0000")),
        ]
        with pytest.raises(ValidationError):
            WORKS.rows(session, ["titel"])


def test_count_and_exists(works):
    with works.read() as session:
        assert WORKS.count(session, where={"sold": 0}) == 4
        assert WORKS.exists(session, where={"title": "W1"})
        assert not WORKS.exists(session, where={"title": "no"})


# -- writing -------------------------------------------------------------------------


def test_a_duplicate_is_a_conflict_and_the_session_goes_on(db):
    with db.transaction() as session:
        AUTHORS.add(session, Author(email="a@b.c", name="A"))

    with db.transaction() as session:
        with pytest.raises(ConflictError), session.begin_nested():
            AUTHORS.add(session, Author(email="a@b.c", name="B"))
        AUTHORS.add(session, Author(email="d@e.f", name="D"))

    with db.read() as session:
        assert AUTHORS.count(session) == 2


def test_a_reference_to_nothing_is_a_conflict(db):
    with pytest.raises(ConflictError, match="refers to one that does not exist"):
        add_work(db, author_id=uuid7())


def test_bulk_insert_applies_defaults(works):
    with works.read() as session:
        work = WORKS.find_by(session, title="W0")

    assert (isinstance(work.id, uuid.UUID), work.version) == (True, 1)


@pytest.mark.parametrize("method", ["bulk_insert", "copy_from"])
def test_rows_must_name_columns_and_the_same_ones(db, method):
    with db.transaction() as session:
        with pytest.raises(ValidationError, match="no column"):
            getattr(WORKS, method)(session, [{"nope": 1}])
        with pytest.raises(ValidationError, match="row 2"):
            getattr(WORKS, method)(session, [{"title": "a"}, {"price": Decimal(1)}])
        assert getattr(WORKS, method)(session, []) == 0


def test_copy_writes_what_bulk_insert_writes(db):
    born = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    author = uuid7()
    with db.transaction() as session:
        AUTHORS.copy_from(session, [{"id": author, "email": "a", "name": "Ä\t\n\\N", "born": born}])
        WORKS.copy_from(
            session,
            [
                {
                    "title": "x",
                    "price": Decimal("0.0001"),
                    "tags": ["ü", 'q"'],
                    "author_id": author,
                    "version": 1,
                },
                {"title": "y", "price": Decimal(5), "tags": None, "author_id": None, "version": 1},
            ],
        )

    with db.read() as session:
        found = AUTHORS.get(session, author)
        first, second = WORKS.list(session, order_by="title")
        null = session.scalar(select(func.count()).where(Work.tags.is_(None)))
    assert (found.name, found.born, found.created_at.tzinfo) == ("Ä\t\n\\N", born, UTC)
    assert (first.price, first.tags, second.tags, first.sold, null) == (
        Decimal("0.0001"),
        ["ü", 'q"'],
        None,
        0,
        1,
    )


def test_upsert_inserts_and_then_changes(db):
    with db.transaction() as session:
        first = AUTHORS.upsert(session, {"email": "a", "name": "one"}, on=["email"])
        second = AUTHORS.upsert(session, {"email": "a", "name": "two"}, on=["email"])
        kept = AUTHORS.upsert(session, {"email": "a", "name": "three"}, on=["email"], update=[])

    assert first.id == second.id == kept.id
    assert kept.name == "two"


def test_upsert_many_returns_every_row(db):
    rows = [{"email": f"e{n}", "name": "old"} for n in range(5)]
    with db.transaction() as session:
        AUTHORS.bulk_insert(session, rows[:3])
        found = AUTHORS.upsert_many(session, [{**row, "name": "new"} for row in rows], on=["email"])

    assert sorted((author.email, author.name) for author in found) == [(f"e{n}", "new") for n in range(5)]


def test_update_changes_one_row_and_raises_the_version(db):
    work = add_work(db)

    with db.transaction() as session:
        changed = WORKS.update(session, work.id, {"price": Decimal(5)}, version=1)

    assert (changed.price, changed.version) == (Decimal(5), 2)


def test_update_of_an_old_version_is_a_conflict(db):
    work = add_work(db)
    with db.transaction() as session:
        WORKS.update(session, work.id, {"sold": 1})

    with pytest.raises(TransactionConflictError, match="version 1"), db.transaction() as session:
        WORKS.update(session, work.id, {"sold": 5}, version=1)


def test_two_entities_of_one_version_are_a_conflict(db):
    work = add_work(db)

    def change(session):
        mine = WORKS.get(session, work.id)
        session.execute(text("update works set version = 7"))
        mine.sold = 9

    with pytest.raises(TransactionConflictError, match="changed or deleted"):
        db.transaction().run(change)


@pytest.mark.parametrize("name", ["id", "version", "nope"])
def test_update_refuses_what_cannot_be_changed(db, name):
    work = add_work(db)

    with pytest.raises(ValidationError), db.transaction() as session:
        WORKS.update(session, work.id, {name: 1})


def test_update_of_a_missing_row_is_not_found(db):
    with pytest.raises(ResourceNotFoundError), db.transaction() as session:
        WORKS.update(session, uuid7(), {"sold": 1}, version=1)


# -- deleted rows --------------------------------------------------------------------


def test_a_deleted_row_is_gone_until_it_is_restored(db):
    work = add_work(db)
    with db.transaction() as session:
        assert WORKS.delete(session, work.id)
        assert not WORKS.delete(session, work.id)

    with db.read() as session:
        seen = (
            WORKS.find(session, work.id),
            WORKS.list(session),
            WORKS.count(session),
            WORKS.exists(session),
        )
        kept = WORKS.get(session, work.id, include_deleted=True)
    with db.transaction() as session:
        WORKS.restore(session, work.id)
    with db.read() as session:
        back = WORKS.get(session, work.id)

    assert seen == (None, [], 0, False)
    assert (kept.is_deleted, back.is_deleted) == (True, False)


def test_a_row_can_be_deleted_for_good(db):
    work = add_work(db)

    with db.transaction() as session:
        WORKS.delete(session, work.id, hard=True)
        assert WORKS.find(session, work.id, include_deleted=True) is None


def test_queries_beside_the_repository_leave_deleted_rows_out(db):
    author = uuid7()
    with db.transaction() as session:
        AUTHORS.add(session, Author(id=author, email="a", name="A"))
        for title in ("kept", "gone"):
            WORKS.add(session, Work(title=title, price=Decimal(1), author_id=author))
        WORKS.delete(session, WORKS.find_by(session, title="gone").id)

    with db.transaction() as session:
        plain = session.scalars(select(Work)).all()
        joined = session.scalars(select(Author).options(selectinload(Author.works))).one()
        counted = session.scalar(select(func.count()).select_from(Work))
        every = session.scalars(select(Work).execution_options(include_deleted=True)).all()
        session.execute(update(Work).values(sold=5))

    with db.read() as session:
        touched = WORKS.count(session, where={"sold": 5}, include_deleted=True)
    assert [len(plain), len(joined.works), counted, len(every), touched] == [1, 1, 1, 2, 1]


def test_a_title_is_free_again_after_deletion(db):
    work = add_work(db)
    with db.transaction() as session:
        WORKS.delete(session, work.id)

    assert add_work(db).id != work.id


# -- tenants -------------------------------------------------------------------------


@pytest.fixture
def tickets(db):
    for number, tenant in enumerate(["red", "red", "blue"]):
        with request_context(tenant=tenant), db.transaction() as session:
            TICKETS.add(session, Ticket(subject=tenant, number=number))
    return db


def test_a_tenant_sees_its_own_rows(tickets):
    with request_context(tenant="red"), tickets.read() as session:
        assert [ticket.subject for ticket in TICKETS.list(session)] == ["red", "red"]
        assert TICKETS.count(session) == 2
        assert len(session.scalars(select(Ticket)).all()) == 2


def test_a_row_of_another_tenant_cannot_be_reached(tickets):
    with request_context(tenant="blue"), tickets.read() as session:
        theirs = TICKETS.list(session)[0].id

    with request_context(tenant="red"), tickets.transaction() as session:
        assert TICKETS.find(session, theirs) is None
        assert session.get(Ticket, theirs) is None
        assert not TICKETS.delete(session, theirs)
        with pytest.raises(ResourceNotFoundError):
            TICKETS.update(session, theirs, {"subject": "mine"})
        assert session.execute(update(Ticket).values(subject="x").where(Ticket.id == theirs)).rowcount == 0


def test_without_a_tenant_nothing_is_in_reach(tickets):
    with tickets.read() as session:
        for attempt in (
            lambda: TICKETS.list(session),
            lambda: TICKETS.find(session, uuid7()),
            lambda: session.scalars(select(Ticket)).all(),
        ):
            with pytest.raises(AuthorizationError, match="no tenant"):
                attempt()


def test_a_row_cannot_be_written_for_another_tenant(tickets):
    with request_context(tenant="red"):
        with pytest.raises(AuthorizationError), tickets.transaction() as session:
            TICKETS.add(session, Ticket(subject="x", number=9, tenant_id="blue"))
        with pytest.raises(AuthorizationError), tickets.transaction() as session:
            TICKETS.bulk_insert(session, [{"subject": "x", "number": 9, "tenant_id": "blue"}])
        with pytest.raises(AuthorizationError), tickets.transaction() as session:
            TICKETS.list(session)[0].tenant_id = "blue"
        with pytest.raises(ConflictError), tickets.transaction() as session:
            TICKETS.upsert(session, {"subject": "mine", "number": 2}, on=["number"])


def test_work_across_tenants_is_said_so(tickets):
    every = Repository(Ticket, all_tenants=True)

    with tickets.read() as session:
        assert every.count(session) == 3
        assert len(session.scalars(select(Ticket).execution_options(all_tenants=True)).all()) == 3


# -- locks ---------------------------------------------------------------------------


def test_a_lock_gives_the_row_as_it_is_now(works):
    with works.transaction() as session:
        first = WORKS.find_by(session, title="W1")
        session.execute(text("update works set sold = 77 where title = 'W1'"))

        locked = WORKS.lock(session, first.id)

    assert (locked is first, locked.sold) == (True, 77)


def test_a_lock_is_refused_in_a_session_that_only_reads(works):
    with works.read() as session:
        work = WORKS.find_by(session, title="W1")

        with pytest.raises(ConfigurationError, match="only reads"):
            WORKS.lock(session, work.id)


def test_locked_rows_can_be_skipped_or_refused(works, system):
    if system == "sqlite":
        with works.transaction() as session:  # one writer: there is nobody who could hold a row
            ids = [work.id for work in WORKS.list(session)]
            assert len(WORKS.lock_many(session, ids, skip_locked=True)) == 10
        return
    with works.transaction() as session, works.transaction() as other:
        ids = [work.id for work in WORKS.list(session, order_by="title")]
        WORKS.lock(session, ids[0])

        with pytest.raises(LockTimeoutError), other.begin_nested():
            WORKS.lock(other, ids[0], nowait=True)
        assert [work.id for work in WORKS.lock_many(other, ids, skip_locked=True)] == ids[1:]


def test_rows_locked_in_any_order_do_not_deadlock(works):
    with works.read() as session:
        ids = [work.id for work in WORKS.list(session)]
    failures = []

    def worker(order):
        try:
            for _ in range(10):
                with works.transaction() as session:
                    for work in WORKS.lock_many(session, order):
                        work.sold += 1
        except Exception as exc:
            failures.append(exc)

    threads = [
        threading.Thread(target=worker, args=(order,)) for order in (ids, ids[::-1], ids[5:] + ids[:5])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with works.read() as session:
        total = sum(sold for (sold,) in WORKS.rows(session, ["sold"]))
    assert (failures, total) == ([], 9 + 300)


# -- speed that is a rule ------------------------------------------------------------


def test_every_call_is_one_statement(works, events):
    with works.transaction() as session:
        work = WORKS.find_by(session, title="W1")
        heard = []
        stop = events.subscribe(QueryFinished, heard.append)
        WORKS.get(session, work.id)
        WORKS.update(session, work.id, {"sold": 3})
        WORKS.upsert(session, {"title": "new", "price": Decimal(1)}, on=["id"])
        WORKS.add(session, Work(title="added", price=Decimal(1)))
        stop()

    assert [event.operation for event in heard] == ["SELECT", "UPDATE", "INSERT", "INSERT"]


# -- the asynchronous facade ---------------------------------------------------------


async def test_the_facade_does_the_same(db):
    works = WORKS.aio
    async with db.aio.transaction() as session:
        work = await works.add(session, Work(title="a", price=Decimal(1)))
        await works.bulk_insert(session, [{"title": f"b{n}", "price": Decimal(n)} for n in range(5)])
        await works.copy_from(
            session, [{"title": f"c{n}", "price": Decimal(n), "version": 1} for n in range(5)]
        )
        await works.update(session, work.id, {"sold": 4}, version=1)
        await works.lock(session, work.id)
        await works.lock_many(session, [work.id])
        upserted = await works.upsert(session, {"id": work.id, "title": "a2", "price": Decimal(2)}, on=["id"])
        await works.upsert_many(session, [{"id": work.id, "title": "a3", "price": Decimal(2)}], on=["id"])
        await works.delete(session, work.id)
        await works.restore(session, work.id)
    async with db.aio.read() as session:
        assert upserted.id == work.id
        assert (await works.get(session, work.id)).title == "a3"
        assert (await works.find(session, uuid7())) is None
        assert (await works.find_by(session, title="b1")).price == 1
        assert len(await works.get_many(session, [work.id])) == 1
        assert len(await works.list(session, limit=4)) == 4
        assert await works.count(session) == 11
        assert await works.exists(session, where={"title": "c1"})
        assert (await works.page(session, 2, size=10)).total == 11
        first = await works.keyset(session, size=10)
        assert len((await works.keyset(session, after=first.next_cursor)).items) == 1
        assert len([row async for row in works.iterate(session, chunk=2)]) == 11
        assert len(await works.rows(session, ["title"])) == 11
        with pytest.raises(ResourceNotFoundError):
            await works.get(session, uuid7())
