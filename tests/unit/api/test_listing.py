"""What a list may be asked: declared names, values that fit, cursors of ours."""

import contextlib
import enum
import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from shared.api import Filter, Listing
from shared.context import request_context, set_principal
from shared.errors import BadRequestError, InvalidArgumentError, ValidationError
from shared.security import Signer

SECRET = "s" * 32


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def make(filters=None, **options):
    options.setdefault("signer", Signer(SECRET, purpose="cursor"))
    return Listing(filters, **options)


def pages(**options):
    options.setdefault("sort", ("title", "year"))
    return make({"year": Filter(int, ("eq", "ge", "in")), "title": str}, style="page", **options)


def problems(listing, query):
    with pytest.raises(ValidationError) as caught:
        listing.read(query)
    return caught.value.details["errors"]


def next_cursor(listing, query="", inner="row-7"):
    page = SimpleNamespace(items=[1], next_cursor=inner)
    return listing.read(query).answer(page).meta["next_cursor"]


# -- the query ------------------------------------------------------------------------------


def test_defaults_hold_for_an_empty_query():
    request = pages(default_sort="title", size=25).read("")

    assert (request.number, request.size, request.order_by, request.where) == (1, 25, ("title",), {})


def test_bytes_of_a_query_are_read_like_text():
    assert pages().read(b"title=%C3%A9t%C3%A9").where == {"title": "été"}


def test_filters_come_out_as_the_repository_takes_them():
    request = pages().read("year__ge=1950&title=Rio+Bravo&year__in=1959&year__in=1960")

    assert request.where == {"year__ge": 1950, "title": "Rio Bravo", "year__in": [1959, 1960]}


def test_filter_may_have_another_name_than_its_column():
    listing = make({"since": Filter(int, ("eq", "ge"), column="year")}, style="page")

    assert listing.read("since__ge=1950&since=3").where == {"year__ge": 1950, "year": 3}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (bool, "true", True),
        (Decimal, "1.50", Decimal("1.50")),
        (Colour, "red", Colour.RED),
        (Literal["a", "b"], "b", "b"),
        (uuid.UUID, "00000000-0000-0000-0000-000000000007", uuid.UUID(int=7)),
        (datetime, "2025-01-01T02:00:00+02:00", datetime(2025, 1, 1, tzinfo=UTC)),
        (Annotated[int, Field(le=9)], "9", 9),
    ],
    ids=["bool", "decimal", "enum", "literal", "uuid", "datetime", "bounded"],
)
def test_value_has_the_declared_type(kind, text, value):
    assert make({"x": kind}, style="page").read(urlencode({"x": text})).where == {"x": value}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int, "1.5"),
        (int, "9223372036854775809"),
        (str, "a\0b"),
        (str, "x" * 201),
        (float, "inf"),
        (Decimal, "NaN"),
        (Colour, "green"),
        (datetime, "0001-01-01T00:00:00+14:00"),
        (Annotated[int, Field(le=9)], "10"),
    ],
    ids=["fraction", "65-bit", "nul", "long", "infinity", "nan", "enum", "before-time", "bounded"],
)
def test_value_that_does_not_fit_is_refused_without_being_repeated(kind, text):
    found = problems(make({"x": kind}, style="page"), urlencode({"x": text}))

    assert [each["field"] for each in found] == ["x"]
    assert text not in json.dumps(found)


def test_null_filter_takes_a_boolean():
    assert make({"x": Filter(int, "is_null")}, style="page").read("x__is_null=true").where == {
        "x__is_null": True
    }


def test_name_that_was_not_declared_is_refused_with_the_nearest():
    with pytest.raises(ValidationError) as caught:
        pages().read("yaer=1959")

    assert "did you mean 'year'" in caught.value.details["errors"][0]["message"]
    assert caught.value.details["allowed"] == [
        "page",
        "size",
        "sort",
        "title",
        "year",
        "year__ge",
        "year__in",
    ]


def test_operator_that_was_not_declared_is_refused():
    assert problems(pages(), "year__lt=1")[0]["type"] == "unknown"


def test_names_the_route_reads_itself_pass():
    assert pages(also=["expand"]).read("expand=cast").where == {}


def test_all_that_is_wrong_is_told_at_once():
    found = problems(pages(), "page=0&size=x&sort=colour&year=x&who=1")

    assert {each["field"] for each in found} == {"page", "size", "sort", "year", "who"}


@pytest.mark.parametrize(
    "query", ["page=1&page=2", "size=1&size=1", "year=1&year=1"], ids=["page", "size", "year"]
)
def test_a_parameter_given_twice_is_refused(query):
    assert len(problems(pages(), query)) == 1


@pytest.mark.parametrize("size", ["0", "-1", "101", "1e1", "+1", "١", "9" * 50, ""])
def test_size_out_of_bounds_is_refused(size):
    assert problems(pages(), urlencode({"size": size}))[0]["field"] == "size"


def test_deep_pages_are_refused():
    assert problems(pages(max_page=50), "page=51")[0]["field"] == "page"


def test_values_of_a_list_are_bounded():
    listing = make({"x": Filter(int, "in", max_values=2)}, style="page")

    assert problems(listing, "x__in=1&x__in=2&x__in=3")[0]["type"] == "many"


def test_order_may_be_repeated_or_separated_by_commas():
    listing = pages()

    assert listing.read("sort=-year,title").order_by == listing.read("sort=-year&sort=title").order_by
    assert listing.read("sort=-year,title").order_by == ("-year", "title")


def test_ordering_by_a_name_again_changes_nothing():
    assert pages().read("sort=year,-year").order_by == ("year",)


def test_a_list_without_names_to_sort_by_knows_no_sort():
    assert problems(make(style="page"), "sort=title")[0]["type"] == "unknown"


def test_too_many_parameters_are_refused_unread():
    with pytest.raises(ValidationError, match="500"):
        pages().read("&".join(["x=1"] * 501))


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_query_is_read_or_refused_by_our_errors(query):
    for listing in (pages(), make({"x": Decimal, "at": datetime})):
        with contextlib.suppress(BadRequestError, ValidationError):
            listing.read(query)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["page", "size", "sort", "after", "x", "x__in", "at", "title"]),
            st.text(max_size=30),
        ),
        max_size=6,
    )
)
def test_any_values_of_known_names_are_read_or_refused_by_our_errors(pairs):
    filters = {"x": Filter(Decimal, ("eq", "in")), "at": datetime, "title": str}
    for style in ("cursor", "page"):
        with contextlib.suppress(BadRequestError, ValidationError):
            make(filters, style=style, sort=["x"]).read(urlencode(pairs, errors="surrogatepass"))


# -- declarations ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"style": "offset"},
        {"total": "sometimes"},
        {"size": 0},
        {"size": 50, "max_size": 20},
        {"max_size": 1000},
        {"max_page": 0},
        {"cursor_lifetime": 0.0},
        {"sort": ["a"], "default_sort": "b"},
        {"filters": {"size": int}},
        {"filters": {"x": int}, "also": ["x"]},
        {"filters": {"no name": int}},
        {"filters": {"x": Filter(int, ("ge",)), "x__ge": int}},
    ],
    ids=lambda options: "-".join(options),
)
def test_declaration_that_makes_no_sense_is_refused(options):
    with pytest.raises(InvalidArgumentError):
        Listing(**options)


@pytest.mark.parametrize(
    "arguments",
    [{"operators": ("like",)}, {"operators": ()}, {"max_values": 0}],
    ids=["unknown", "none", "bound"],
)
def test_filter_that_makes_no_sense_is_refused(arguments):
    with pytest.raises(InvalidArgumentError):
        Filter(int, **arguments)


# -- cursors --------------------------------------------------------------------------------


def test_cursor_leads_to_where_the_repository_said():
    listing = make()

    assert listing.read(urlencode({"after": next_cursor(listing)})).after == "row-7"


@settings(deadline=None)
@given(st.data())
def test_cursor_with_one_character_changed_is_a_400(data):
    listing = make()
    cursor = next_cursor(listing)
    place = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.sampled_from("AZaz09-_").filter(lambda c: c != cursor[place]))

    with pytest.raises(BadRequestError) as caught:
        listing.read(urlencode({"after": cursor[:place] + letter + cursor[place + 1 :]}))
    assert (caught.value.status, caught.value.details["reason"]) == (400, "cursor_invalid")


@pytest.mark.parametrize(
    "query", ["sort=-year", "year=1960", "year=1959&title=a", ""], ids=["order", "value", "more", "less"]
)
def test_cursor_of_another_question_is_a_400(query):
    listing = make({"year": int, "title": str}, sort=["year"])
    cursor = next_cursor(listing, "year=1959")

    with pytest.raises(BadRequestError) as caught:
        listing.read(query + "&" + urlencode({"after": cursor}))
    assert caught.value.details == {"field": "after", "reason": "cursor_other"}


def test_cursor_holds_for_another_size():
    listing = make()
    cursor = next_cursor(listing, "size=5")

    assert listing.read(f"size=50&after={cursor}").after == "row-7"


def test_cursor_of_another_list_is_a_400():
    cursor = next_cursor(make(name="films"))

    with pytest.raises(BadRequestError, match="another list"):
        make(name="books").read(f"after={cursor}")


def test_cursor_is_good_until_it_expires(clock):
    listing = make(cursor_lifetime=60.0, clock=clock)
    cursor = next_cursor(listing)
    clock.now += 59

    assert listing.read(f"after={cursor}").after == "row-7"
    clock.now += 1
    with pytest.raises(BadRequestError) as caught:
        listing.read(f"after={cursor}")
    assert caught.value.details["reason"] == "cursor_expired"


def test_cursor_of_another_caller_is_a_400():
    listing = make(bind_principal=True)
    with request_context():
        set_principal("ada")
        cursor = next_cursor(listing)
        assert listing.read(f"after={cursor}").after == "row-7"
    with request_context():
        set_principal(SimpleNamespace(user_id="bob"))

        with pytest.raises(BadRequestError, match="caller"):
            listing.read(f"after={cursor}")


def test_cursor_given_twice_is_refused():
    listing = make()
    cursor = next_cursor(listing)

    assert problems(listing, f"after={cursor}&after={cursor}")[0]["type"] == "repeated"


# -- the answer -----------------------------------------------------------------------------


def links(success):
    found = {}
    for part in dict(success.headers)["Link"].split(", "):
        target, rel = part.split("; ")
        found[rel.removeprefix('rel="').removesuffix('"')] = parse_qs(target.strip("<>").removeprefix("?"))
    return found


def test_numbered_page_tells_where_the_others_are():
    success = pages(total="always").read("page=2&size=2&year__ge=1950").cut(list(range(7)))

    assert success.data == [2, 3]
    assert success.meta == {
        "page": 2,
        "size": 2,
        "total": 7,
        "pages": 4,
        "has_next": True,
        "has_prev": True,
    }
    same = {"size": ["2"], "year__ge": ["1950"]}
    assert links(success) == {
        "first": same,
        "prev": same,
        "next": same | {"page": ["3"]},
        "last": same | {"page": ["4"]},
    }


def test_last_page_has_no_next():
    success = pages().read("page=4&size=2").cut(list(range(7)))

    assert (success.data, success.meta["has_next"]) == ([6], False)
    assert set(links(success)) == {"first", "prev"}


@pytest.mark.parametrize(
    ("policy", "first", "second"),
    [("never", False, False), ("first_page", True, False), ("always", True, True)],
    ids=["never", "first", "always"],
)
def test_total_is_told_as_declared(policy, first, second):
    listing = pages(total=policy)

    told = ["total" in listing.read(f"page={n}&size=1").cut([1, 2, 3]).meta for n in (1, 2)]
    assert told == [first, second]


def test_page_by_cursor_tells_the_next_only():
    listing = make({"q": str})
    page = SimpleNamespace(items=["a"], next_cursor="row-1")

    success = listing.read("q=x&size=1").answer(page, show=str.upper)

    assert success.data == ["A"]
    assert links(success)["next"] == {"q": ["x"], "size": ["1"], "after": [success.meta["next_cursor"]]}
    assert links(success)["first"] == {"q": ["x"], "size": ["1"]}


def test_last_page_by_cursor_ends():
    success = make().read("").answer(SimpleNamespace(items=[], next_cursor=None))

    assert success.meta == {"size": 20, "next_cursor": None}
    assert set(links(success)) == {"first"}


def test_link_cannot_be_broken_out_of():
    success = make({"q": str}, style="page").read(urlencode({"q": '>; rel="evil", <x\r\nA: b'})).cut([])

    link = dict(success.headers)["Link"]
    assert link.count(">") == 1
    assert "\r" not in link


def test_link_that_proxies_would_refuse_is_left_out():
    listing = make({"q": Filter(str, "in")}, style="page")

    success = listing.read(urlencode([("q__in", "ä" * 200)] * 40)).cut([])

    assert success.headers == ()
    assert success.meta["has_next"] is False


def test_list_in_memory_has_no_cursors():
    with pytest.raises(InvalidArgumentError):
        make().read("").cut([1])


# -- the document ---------------------------------------------------------------------------


def test_every_name_that_passes_is_described():
    listing = pages()

    assert {each["name"] for each in listing.parameters()} == set(listing.names)


def test_parameters_of_a_list_by_cursor_are_described():
    described = {
        each["name"]: each for each in make({"c": Filter(Colour, ("eq", "in"))}, sort=["c"]).parameters()
    }

    assert described["c"]["schema"]["enum"] == ["red", "blue"]
    assert described["c__in"]["schema"]["items"]["enum"] == ["red", "blue"]
    assert described["sort"]["schema"]["items"] == {"enum": ["c", "-c"]}
    assert "after" in described
    assert "$ref" not in json.dumps(list(described.values()))
