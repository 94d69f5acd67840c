"""Orders: what they refuse to take, and the laws of the state machine."""

import uuid
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.commerce import NewOrder, OrderDAO, OrderStatus, check_transition, next_statuses
from shared.errors import InvalidStateError, OrderNotFoundError, SharedError, ValidationError

ITEM = {"variant_id": "a", "quantity": 1, "unit_price": "2.40"}
ORDER = {"user_id": "u-1", "currency": "EUR", "items": [ITEM]}

WRONG_ITEMS = {
    "float_price": {"unit_price": 2.4},
    "nan_price": {"unit_price": "NaN"},
    "infinite_price": {"unit_price": Decimal("Infinity")},
    "five_digits": {"unit_price": "0.00001"},
    "too_much": {"unit_price": "1" + "0" * 15},
    "long_text": {"unit_price": "9" * 4000},
    "no_number": {"unit_price": "ten"},
    "negative_price": {"unit_price": "-0.01"},
    "bool_price": {"unit_price": True},
    "zero": {"quantity": 0},
    "negative": {"quantity": -1},
    "huge": {"quantity": 10**30},
    "float_quantity": {"quantity": 1.0},
    "text_quantity": {"quantity": "1"},
    "bool_quantity": {"quantity": True},
    "empty_variant": {"variant_id": ""},
    "null_in_variant": {"variant_id": "a\x00"},
    "unknown_field": {"discount": 1},
    "long_name": {"name": "x" * 201},
}
WRONG_ORDERS = {
    "no_items": {"items": []},
    "too_many_items": {"items": [ITEM] * 501},
    "items_none": {"items": None},
    "lower_currency": {"currency": "eur"},
    "long_currency": {"currency": "E" * 11},
    "newline_currency": {"currency": "EUR\n"},
    "system_user": {"user_id": "system:external"},
    "empty_user": {"user_id": ""},
    "long_user": {"user_id": "x" * 65},
    "empty_reference": {"reference": ""},
    "null_in_reference": {"reference": "a\x00"},
    "nan_in_details": {"details": {"a": float("nan")}},
    "null_in_details": {"details": {"a": "\x00"}},
    "surrogate_in_details": {"details": {"a": "\ud800"}},
    "object_in_details": {"details": {"a": object()}},
    "large_details": {"details": {"a": "x" * 70_000}},
    "status": {"status": "paid"},
    "sum_too_large": {"items": [ITEM | {"unit_price": "99999999999999", "quantity": 1_000_000}]},
}


@pytest.fixture
def orders(db):
    return OrderDAO(db)


@pytest.mark.parametrize("wrong", WRONG_ITEMS.values(), ids=WRONG_ITEMS.keys())
def test_a_line_that_is_wrong_is_refused(orders, wrong):
    with pytest.raises(ValidationError) as caught:
        orders.create_order(ORDER | {"items": [ITEM | wrong]})

    assert [error["field"] for error in caught.value.details["errors"]] == [f"items.0.{next(iter(wrong))}"]


@pytest.mark.parametrize("wrong", WRONG_ORDERS.values(), ids=WRONG_ORDERS.keys())
def test_an_order_that_is_wrong_is_refused(orders, wrong):
    with pytest.raises(ValidationError):
        orders.create_order(ORDER | wrong)

    assert orders.list_orders().items == []


@pytest.mark.parametrize("data", [None, [], "x", 1, object], ids=["none", "list", "text", "int", "type"])
def test_data_that_is_none_is_refused(orders, data):
    with pytest.raises(ValidationError):
        orders.create_order(data)
    with pytest.raises(ValidationError):
        orders.create_orders(data)
    with pytest.raises(ValidationError):
        orders.update_orders_status(data, "paid")


def test_what_was_sent_is_not_in_the_error(orders):
    with pytest.raises(ValidationError) as caught:
        orders.create_order(ORDER | {"user_id": "secret" * 20, "items": [ITEM | {"quantity": "secret"}]})

    assert "secret" not in f"{caught.value} {caught.value.details} {caught.value.__cause__}"


@pytest.mark.parametrize("status", ["PAID", "", "lost", None, 1, object()], ids=["upper", "empty", "lost", "none", "int", "object"])  # fmt: skip
def test_a_state_that_does_not_exist_is_refused(orders, status):
    with pytest.raises(ValidationError, match="unknown order status"):
        orders.update_order_status(uuid.uuid4(), status)
    with pytest.raises(ValidationError, match="unknown order status"):
        next_statuses(status)


@pytest.mark.parametrize("reason", [1, "x" * 501, "\x00"], ids=["int", "long", "null"])
def test_a_reason_that_is_none_is_refused(orders, reason):
    with pytest.raises(ValidationError, match="reason"):
        orders.cancel_order(uuid.uuid4(), reason=reason)


def test_an_order_that_does_not_exist_is_not_found(orders):
    with pytest.raises(OrderNotFoundError):
        orders.get_order(uuid.uuid4())
    with pytest.raises(OrderNotFoundError):
        orders.cancel_order(uuid.uuid4())
    with pytest.raises(ValidationError, match="order_id"):
        orders.get_order("1 or 1=1")


@pytest.mark.parametrize("argument", [{"size": 0}, {"size": 101}, {"after": "x"}, {"status": "x"}, {"user_id": ""}], ids=str)  # fmt: skip
def test_a_list_with_wrong_arguments_is_refused(orders, argument):
    with pytest.raises(ValidationError):
        orders.list_orders(**argument)


def test_the_total_is_the_sum_of_the_lines():
    new = NewOrder.parse(ORDER | {"items": [ITEM | {"unit_price": "0.1", "quantity": 3}, ITEM]})

    assert new.total == Decimal("2.70")


# -- the state machine ---------------------------------------------------------------


def test_the_steps_are_those_of_the_table():
    assert {str(status): sorted(next_statuses(status)) for status in OrderStatus} == {
        "pending": ["cancelled", "failed", "paid"],
        "paid": ["cancelled", "failed", "processing", "refunded"],
        "processing": ["cancelled", "failed", "refunded", "shipped"],
        "shipped": ["delivered", "refunded"],
        "delivered": ["refunded"],
        "cancelled": [],
        "failed": [],
        "refunded": [],
    }


@given(st.lists(st.sampled_from(OrderStatus), max_size=8))
def test_no_way_leads_back_to_where_it_was(steps):
    at, seen = OrderStatus.PENDING, {OrderStatus.PENDING}

    for to in steps:
        try:
            check_transition(at, to)
        except InvalidStateError:
            continue
        assert to not in seen
        at = to
        seen.add(to)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["user_id", "currency", "items", "reference", "details", "other"])


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(FIELDS, ANYTHING),
    st.dictionaries(st.sampled_from([*ITEM, "name", "is_stocked"]), ANYTHING),
)
def test_only_errors_of_ours_come_out_of_any_input(fields, item):
    for data in (ORDER | fields, ORDER | {"items": [ITEM | item]}):
        try:
            new = NewOrder.parse(data)
        except SharedError:
            continue
        assert new.total >= 0
