"""One comparison of a condition."""

import uuid
from collections import UserDict
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.feature_flags import Condition, Flag, FlagDocument, Rule, compile_flags
from shared.feature_flags._conditions import build_condition
from shared.feature_flags._operators import build_test
from shared.feature_flags._semver import parse_version

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


class Plan(StrEnum):
    PRO = "pro"


class Hostile:
    """Fails at everything."""

    def __eq__(self, other):
        raise RuntimeError("no")

    def __hash__(self):
        raise RuntimeError("no")

    def __bool__(self):
        raise RuntimeError("no")

    def __repr__(self):
        raise RuntimeError("no")

    def __lt__(self, other):
        raise RuntimeError("no")


class Agreeing:
    """Is equal to everything."""

    def __eq__(self, other):
        return True

    def __hash__(self):
        return hash("pro")


HOLDS = [
    ("eq", "pro", "pro"), ("eq", "pro", Plan.PRO), ("eq", 3, 3.0), ("eq", 3, Decimal(3)), ("eq", True, True),
    ("ne", "pro", "free"), ("ne", 3, 4), ("ne", True, False),
    ("in", ["DE", "AT"], "DE"), ("in", [1, 2], 2.0), ("in", [True], True), ("in", ["a", 1], 1),
    ("not_in", ["DE"], "FR"), ("not_in", [1], 2),
    ("lt", 5, 4), ("le", 5, 5), ("gt", 5, 5.1), ("ge", 5, Decimal(5)), ("between", [1, 3], 3),
    ("between", [1, 3], 1), ("starts", "ad", "ada"), ("starts", ["x", "ad"], "ada"), ("ends", "da", "ada"),
    ("contains", "d", "ada"), ("contains", "admin", ["admin", "dev"]), ("contains", ["x", "dev"], {"dev"}),
    ("contains", 3, [1, 3]), ("regex", "^a.a$", "ada"),
    ("semver_eq", "1.2", "v1.2.0"), ("semver_ne", "1.2.0", "1.2.1"), ("semver_lt", "2.0.0", "2.0.0-rc.1"),
    ("semver_le", "2.0.0", "2.0.0"), ("semver_gt", "1.9.0", "1.10.0"), ("semver_ge", "1.0.0-a.1", "1.0.0-a.2"),
    ("cidr", "10.0.0.0/8", "10.1.2.3"), ("cidr", ["2001:db8::/32", "10.0.0.0/8"], "2001:db8::1"),
    ("cidr", "10.0.0.0/8", ip_address("10.9.9.9")), ("cidr", "10.0.0.0/8", "::ffff:10.0.0.1"),
    ("before", "2026-12-01T12:00:00Z", NOON - timedelta(seconds=1)), ("before", "2026-12-02", date(2026, 12, 1)),
    ("before", "2026-12-01T12:00:00Z", "2026-12-01T12:59:00+01:00"), ("after", 0, NOON),
    ("after", "2026-12-01T12:00:00+00:00", NOON.timestamp() + 1), ("exists", True, 0), ("exists", None, ""),
    ("exists", False, None),
]  # fmt: skip

FAILS = [
    ("eq", "pro", "Pro"), ("eq", "1", 1), ("eq", 1, "1"), ("eq", 1, True), ("eq", True, 1), ("eq", 0, False),
    ("eq", "pro", None), ("eq", "pro", ["pro"]), ("eq", "pro", Agreeing()), ("ne", "pro", "pro"),
    ("ne", "pro", None), ("ne", "pro", 3), ("ne", 3, True), ("in", ["pro"], Agreeing()), ("in", [1], True),
    ("in", [1], "1"), ("in", ["a"], ["a"]), ("in", ["a"], {"a": 1}), ("not_in", ["a"], None),
    ("not_in", ["a"], ["b"]), ("not_in", [1], 1.0), ("lt", 5, "4"), ("lt", 5, True), ("lt", 5, float("nan")),
    ("gt", 5, Decimal("sNaN")), ("ge", 5, None), ("between", [1, 3], "2"), ("between", [1, 3], 3.01),
    ("starts", "a", 1), ("ends", "a", None), ("contains", "a", 1), ("contains", 1, "1"), ("contains", 1, [True]),
    ("contains", "a", [["a"]]), ("regex", "a", 1), ("regex", "a", "b"), ("semver_ge", "1.0.0", "latest"),
    ("semver_ge", "1.0.0", 2), ("semver_eq", "1.0.0", "1.0.0-rc.1"), ("cidr", "10.0.0.0/8", "10.0.0.1/8"),
    ("cidr", "10.0.0.0/8", "x" * 500), ("cidr", "10.0.0.0/8", 167772161), ("cidr", "10.0.0.0/8", "11.0.0.1"),
    ("before", "2030-01-01", "2026-12-01T12:00:00"), ("before", "2030-01-01", datetime(2026, 1, 1)),  # noqa: DTZ001
    ("before", "2030-01-01", "soon"), ("before", "2030-01-01", True), ("after", 0, float("nan")),
    ("before", NOON.isoformat(), NOON), ("after", NOON.isoformat(), NOON), ("exists", True, None),
    ("exists", False, ""),
]  # fmt: skip

REFUSED = [
    ("eq", None), ("eq", ["a"]), ("eq", {}), ("ne", [1]), ("in", []), ("in", "ab"), ("in", [[1]]), ("in", [None]),
    ("not_in", {}), ("lt", "5"), ("lt", True), ("gt", float("nan")), ("between", [1]), ("between", [3, 1]),
    ("between", ["a", "b"]), ("starts", ""), ("starts", 1), ("starts", []), ("ends", [1]), ("contains", []),
    ("contains", [[]]), ("regex", "(a"), ("regex", "(?=a)"), ("regex", 1), ("semver_lt", "x"), ("semver_lt", 1),
    ("cidr", "10.0.0.0/99"), ("cidr", 1), ("before", "soon"), ("before", "2026-12-01T12:00:00"), ("after", None),
    ("after", True), ("before", "x" * 100), ("exists", 1), ("exists", "yes"),
]  # fmt: skip


def name_of(case):
    return f"{case[0]} {str(case[1])[:20]}"


@pytest.mark.parametrize(("op", "value", "found"), HOLDS, ids=lambda part: str(part)[:24])
def test_a_comparison_holds(op, value, found):
    assert build_test("a", op, value)({"a": found}) is True


@pytest.mark.parametrize(
    ("op", "value", "found"),
    [pytest.param(*case, id=f"{n}-{name_of(case)}") for n, case in enumerate(FAILS)],
)
def test_a_comparison_fails_where_the_value_or_its_type_differs(op, value, found):
    assert build_test("a", op, value)({"a": found}) is False


@pytest.mark.parametrize(
    ("op", "value"), [pytest.param(*case, id=f"{n}-{name_of(case)}") for n, case in enumerate(REFUSED)]
)
def test_a_value_that_does_not_fit_the_comparison_is_refused_when_it_is_read(op, value):
    with pytest.raises(ValueError, match="expected"):
        build_test("a", op, value)


USUAL = [
    ("eq", "pro"), ("ne", "pro"), ("in", ["pro"]), ("in", [1]), ("not_in", ["pro"]), ("lt", 5), ("between", [1, 2]),
    ("starts", "p"), ("ends", "p"), ("contains", "p"), ("regex", "p"), ("semver_ge", "1.0.0"),
    ("cidr", "10.0.0.0/8"), ("before", "2026-12-01"), ("after", "2026-12-01"), ("eq", 1), ("eq", True),
]  # fmt: skip


@pytest.mark.parametrize(("op", "value"), USUAL, ids=lambda part: str(part)[:24])
def test_a_missing_attribute_makes_a_comparison_false_and_its_opposite_true(op, value):
    leaf = {"attr": "a", "op": op, "value": value}

    for context in ({}, {"a": None}):
        assert build_condition(Condition.from_dict(leaf), {}, "", [])(context) is False
        assert build_condition(Condition.from_dict({"not": leaf}), {}, "", [])(context) is True


@pytest.mark.parametrize(("op", "value"), USUAL, ids=lambda part: str(part)[:24])
@pytest.mark.parametrize(
    "hostile", [Hostile(), object(), [[]], {"a": {}}, b"\xff", 10**5000, "\ud800"], ids=range(7)
)
def test_nothing_an_attribute_holds_raises(op, value, hostile):
    assert build_test("a", op, value)({"a": hostile}) in (True, False)


attributes = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=5)
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(value=attributes)
@settings(deadline=None, max_examples=100)
def test_every_comparison_answers_yes_or_no_for_any_value(value):
    for op, limit in USUAL:
        assert build_test("a", op, limit)({"a": value}) in (True, False)


@given(value=attributes, op=st.sampled_from([op for op, _ in USUAL]))
@settings(deadline=None, max_examples=200)
def test_any_value_of_a_document_is_taken_or_refused(value, op):
    try:
        test = build_test("a", op, value)
    except ValueError:
        return

    assert test({"a": "x"}) in (True, False)


def test_a_dotted_name_is_followed_step_by_step():
    test = build_test("user.plan", "eq", "pro")

    assert test({"user": {"plan": "pro"}}) is True
    assert test({"user.plan": "pro"}) is True
    assert test({"user": UserDict(plan="pro")}) is True
    assert test({"user": "pro"}) is False
    assert test({"user": {"plan": {"deeper": 1}}}) is False


def test_two_clauses_with_texts_see_what_single_ones_see():
    both = {"all": [{"attr": "a", "op": "eq", "value": "x"}, {"attr": "b", "op": "in", "value": ["y", "z"]}]}
    test = build_condition(Condition.from_dict(both), {}, "", [])

    assert test({"a": "x", "b": "z"}) is True
    assert test({"a": Plan.PRO, "b": "z"}) is False
    assert test({"a": "x", "b": Hostile()}) is False
    assert test({"a": "x"}) is False


@pytest.mark.parametrize("word", ["all", "any"])
def test_conditions_of_several_parts(word):
    parts = [{"attr": "n", "op": "ge", "value": value} for value in (1, 2, 3)]
    test = build_condition(Condition.from_dict({word: parts}), {}, "", [])

    assert test({"n": 3}) is True
    assert test({"n": 2}) is (word == "any")
    assert test({"n": 0}) is False


def test_a_clause_of_a_unit_that_is_a_uuid_compares_as_text_does_not():
    assert build_test("a", "eq", str(uuid.UUID(int=1)))({"a": uuid.UUID(int=1)}) is False


def test_a_moment_in_another_zone_is_the_same_moment():
    cet = datetime(2026, 12, 1, 13, tzinfo=timezone(timedelta(hours=1)))

    assert build_test("at", "before", "2026-12-01T12:00:01Z")({"at": cet}) is True
    assert build_test("at", "after", "2026-12-01T11:59:59Z")({"at": cet}) is True


# --- versions ---------------------------------------------------------------------------------------


def test_versions_are_in_the_order_of_the_standard():
    order = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
             "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2", "1.10.0", "2"]  # fmt: skip

    assert sorted(order, key=parse_version) == order


@pytest.mark.parametrize(
    ("text", "same"),
    [("v1.2.3", "1.2.3"), ("1.2", "1.2.0"), ("1", "1.0.0"), ("1.2.3+build.7", "1.2.3"), (" 1.0 ", "1.0.0")],
)
def test_versions_are_read_with_some_forgiveness(text, same):
    assert parse_version(text) == parse_version(same)


@pytest.mark.parametrize(
    "text", ["", "x", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1" * 300, None, 1.2, "١.2.3"]
)
def test_what_is_no_version(text):
    assert parse_version(text) is None


# --- segments ---------------------------------------------------------------------------------------


def test_segments_may_use_each_other():
    document = FlagDocument(
        {"x": Flag("x", rules=[Rule("on", when={"segment": "vip"})])},
        {"staff": {"attr": "mail", "op": "ends", "value": "@example.com"},
         "vip": {"any": [{"segment": "staff"}, {"attr": "plan", "op": "eq", "value": "gold"}]}},
    )  # fmt: skip
    snapshot = compile_flags(document)

    assert snapshot.detail("x", {"mail": "ada@example.com"}).value is True
    assert snapshot.detail("x", {"plan": "gold"}).value is True
    assert snapshot.detail("x", {"plan": "free"}).value is False
