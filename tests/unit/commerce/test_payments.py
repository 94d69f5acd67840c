"""Payments follow what their supplier tells, whatever the order in which it comes."""

import itertools
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from shared.commerce import AsyncPaymentDAO, OrderDAO, PaymentDAO
from shared.commerce._payment_states import Told, judge_payment
from shared.constants import PaymentStatus
from shared.database import Base, Database, OutboxMessage, tables_of
from shared.errors import ConflictError, PaymentNotFoundError, SharedError, ValidationError

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def db(tmp_path):
    with Database(f"sqlite:///{tmp_path / 'payments.db'}") as database:
        Base.metadata.create_all(database.engine, tables=tables_of("commerce", "database"))
        yield database


@pytest.fixture
def payments(db):
    return PaymentDAO(db)


NEW = {"provider": "stripe", "reference": "order-7", "amount": "10.00", "currency": "EUR"}


def told(status=None, *, at=0, event=None, **more):
    return {
        "provider": "stripe",
        "event_id": event or f"evt_{status}_{at}",
        "type": f"payment_intent.{status}",
        "occurred_at": NOW + timedelta(seconds=at),
        "provider_id": "pi_1",
        "reference": "order-7",
        "status": status,
        **more,
    }


def topics(db):
    with db.read() as session:
        return list(session.scalars(select(OutboxMessage.topic).order_by(OutboxMessage.seq)))


def test_a_payment_goes_from_pending_to_succeeded_to_refunded(db, payments):
    payment = payments.create_payment(NEW)
    payments.apply_payment_event(told("succeeded", at=1, amount="10", currency="EUR"))
    payments.apply_payment_event(told("refunded", at=2, refunded="4"))
    found = payments.apply_payment_event(told("refunded", at=3, refunded="10"))

    assert (payment.status, found.status, found.refunded) == ("pending", "refunded", Decimal(10))
    assert found.id == payment.id
    assert found.provider_id == "pi_1"
    assert topics(db) == [f"commerce.payment.{s}" for s in ("succeeded", "partially_refunded", "refunded")]


def test_the_second_message_under_an_id_changes_nothing(db, payments):
    payments.create_payment(NEW)
    first = payments.apply_payment_event(told("succeeded"))
    second = payments.apply_payment_event(told("succeeded"))

    assert first.version == second.version
    assert len(topics(db)) == 1
    assert len(payments.payment_events(first.id)) == 1


MESSAGES = [
    told("pending", at=0, event="e0"),
    told("failed", at=1, event="e1", failure_code="card_declined"),
    told("succeeded", at=2, event="e2", amount="10", currency="EUR"),
    told("refunded", at=3, event="e3", refunded="3"),
    told("refunded", at=4, event="e4", refunded="7"),
]


@pytest.mark.parametrize(
    "order", list(itertools.permutations(range(5)))[::7], ids=lambda o: "".join(map(str, o))
)
def test_messages_in_any_order_end_in_the_same_state(payments, order):
    payment = payments.create_payment(NEW)
    for index in order:
        payments.apply_payment_event(MESSAGES[index])

    found = payments.get_payment(payment.id)

    assert (found.status, found.refunded) == ("partially_refunded", Decimal(7))
    assert len(payments.payment_events(payment.id)) == 5


def test_messages_of_one_second_are_ordered_by_their_state(payments):
    payment = payments.create_payment(NEW)
    payments.apply_payment_event(told("succeeded", event="b"))
    payments.apply_payment_event(told("pending", event="a"))

    assert payments.get_payment(payment.id).status == "succeeded"
    assert [each.outcome for each in payments.payment_events(payment.id)] == ["applied", "stale"]


def test_a_failed_payment_may_be_tried_again(payments):
    payment = payments.create_payment(NEW)
    failed = payments.apply_payment_event(told("failed", at=1, failure_code="card_declined"))
    found = payments.apply_payment_event(told("succeeded", at=2))

    assert (failed.status, failed.failure_code) == ("failed", "card_declined")
    assert (found.status, found.failure_code, found.is_paid) == ("succeeded", None, True)
    assert found.id == payment.id


def test_a_way_that_there_is_not_is_refused_and_told(db, payments, log_capture):
    payment = payments.create_payment(NEW)
    payments.apply_payment_event(told("succeeded", at=1))
    found = payments.apply_payment_event(told("failed", at=2))

    assert found.status == "succeeded"
    assert payments.payment_events(payment.id)[-1].outcome == "refused"
    assert log_capture[-1]["outcome"] == "refused"
    assert topics(db) == ["commerce.payment.succeeded"]


@pytest.mark.parametrize("paid", [{"amount": "9.99", "currency": "EUR"}, {"amount": "10", "currency": "JPY"}])
def test_another_amount_is_not_a_payment(db, payments, paid):
    payments.create_payment(NEW)

    found = payments.apply_payment_event(told("succeeded", **paid))

    assert found.status == "pending"
    assert topics(db) == ["commerce.payment.mismatch"]


def test_a_payment_nobody_created_is_created_by_its_message(payments):
    found = payments.apply_payment_event(told("succeeded", amount="5", currency="EUR", reference=None))

    assert (found.status, found.amount, found.reference) == ("succeeded", Decimal(5), None)


def test_a_message_about_an_unknown_payment_without_an_amount_is_told(payments):
    with pytest.raises(PaymentNotFoundError):
        payments.apply_payment_event(told("refunded", refunded="5"))


def test_the_message_may_come_before_the_supplier_s_answer(payments):
    payment = payments.create_payment(NEW)
    payments.apply_payment_event(told("succeeded"))

    assert payments.link_payment(payment.id, "pi_1").status == "succeeded"
    with pytest.raises(ConflictError):
        payments.link_payment(payment.id, "pi_2")


def test_two_payments_of_the_supplier_do_not_share_a_reference(payments):
    payments.create_payment({**NEW, "provider_id": "pi_9"})

    with pytest.raises(ConflictError):
        payments.apply_payment_event(told("succeeded"))


def test_a_second_call_under_a_reference_is_the_first_payment(payments):
    first = payments.create_payment(NEW)

    assert payments.create_payment(NEW).id == first.id
    with pytest.raises(ConflictError):
        payments.create_payment({**NEW, "amount": "11"})


def test_payments_are_found_and_listed(db, payments):
    order = OrderDAO(db).create_order(
        {
            "user_id": "u-1",
            "currency": "EUR",
            "items": [{"variant_id": "v", "quantity": 1, "unit_price": 10, "is_stocked": False}],
        }
    )
    payment = payments.create_payment({**NEW, "order_id": order.id, "provider_id": "pi_1"})

    assert payments.find_payment("stripe", provider_id="pi_1").id == payment.id
    assert payments.find_payment("stripe", reference="order-7").id == payment.id
    assert payments.find_payment("stripe", reference="other") is None
    assert [each.id for each in payments.list_payments(order_id=order.id, status="pending").items] == [
        payment.id
    ]
    assert payments.list_payments(status="failed").items == []


def test_an_order_that_is_not_there_is_refused(payments):
    with pytest.raises(SharedError):
        payments.create_payment({**NEW, "order_id": uuid.uuid4()})


@pytest.mark.parametrize(
    "data",
    [
        {},
        {**NEW, "amount": 1.5},
        {**NEW, "amount": "-1"},
        {**NEW, "amount": "nan"},
        {**NEW, "currency": "eur"},
        {**NEW, "provider": "Stripe!"},
        {**NEW, "reference": ""},
        {**NEW, "reference": "a\nb"},
        {**NEW, "surprise": 1},
        7,
    ],
    ids=range(10),
)
def test_what_does_not_fit_is_refused(payments, data):
    with pytest.raises(ValidationError):
        payments.create_payment(data)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "lost"},
        {"occurred_at": datetime(2026, 1, 1)},
        {"event_id": ""},
        {"refunded": 1.5},
        {"type": "a b"},
    ]
    + [{"provider_id": None, "reference": None}, {"provider_id": "a\x00"}],
    ids=range(7),
)
def test_a_message_that_does_not_fit_is_refused(payments, change):
    with pytest.raises(ValidationError):
        payments.apply_payment_event({**told("succeeded", amount="10", currency="EUR"), **change})


def test_names_and_states_that_are_none_are_refused(payments):
    with pytest.raises(ValidationError):
        payments.find_payment("stripe")
    with pytest.raises(ValidationError):
        payments.list_payments(status="lost")
    with pytest.raises(PaymentNotFoundError):
        payments.get_payment(uuid.uuid4())
    with pytest.raises(ValidationError):
        payments.get_payment("seven")


def test_messages_at_the_same_time_count_once_each(payments):
    payment = payments.create_payment(NEW)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(payments.apply_payment_event, MESSAGES * 3))

    found = payments.get_payment(payment.id)
    assert (found.status, found.refunded) == ("partially_refunded", Decimal(7))
    assert len(payments.payment_events(payment.id)) == 5


def test_what_fails_in_the_caller_s_transaction_leaves_nothing(db, payments):
    with pytest.raises(RuntimeError), db.transaction() as session:
        payments.apply_payment_event(told("succeeded", amount="10", currency="EUR"), session=session)
        raise RuntimeError

    assert payments.list_payments().items == []
    assert topics(db) == []


def test_no_outbox_writes_no_message(db):
    PaymentDAO(db, outbox=None).apply_payment_event(told("succeeded", amount="10", currency="EUR"))

    assert topics(db) == []


async def test_coroutines_have_the_same(db):
    payments = AsyncPaymentDAO(db)
    payment = await payments.create_payment(NEW)
    await payments.link_payment(payment.id, "pi_1")
    await payments.apply_payment_event(told("succeeded"))

    assert (await payments.get_payment(payment.id)).status == "succeeded"
    assert (await payments.find_payment("stripe", reference="order-7")).id == payment.id
    assert len((await payments.list_payments()).items) == 1
    assert len(await payments.payment_events(payment.id)) == 1
    await db.aio.aclose()


AMOUNTS = st.integers(0, 12).map(Decimal)
STEP = st.tuples(st.sampled_from(list(PaymentStatus)), AMOUNTS, st.integers(0, 5))


@settings(deadline=None)
@given(st.lists(STEP, max_size=12))
def test_what_was_refunded_only_grows_and_an_end_is_an_end(steps):
    known = Told(PaymentStatus.PENDING, Decimal(10), "EUR", Decimal(0), None)
    for status, refunded, at in steps:
        moment = NOW + timedelta(seconds=at)
        verdict = judge_payment(known, Told(status, None, None, refunded, moment))
        assert known.refunded <= verdict.refunded <= Decimal(10)
        if known.status in (PaymentStatus.REFUNDED, PaymentStatus.CANCELLED):
            assert verdict.status is known.status
        if verdict.outcome == "applied":
            at_now = moment if known.at is None else max(known.at, moment)
            known = Told(verdict.status, known.amount, "EUR", verdict.refunded, at_now)
