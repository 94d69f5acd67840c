import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError, SharedError, ValidationError
from shared.utils import Page, paginate
from tests.unit.utils.hostile import HUGE, anything


def test_paginate_gives_the_page_and_its_metadata():
    assert paginate(list("abcde"), page=2, size=2).to_dict() == {
        "items": ["c", "d"],
        "page": 2,
        "size": 2,
        "total": 5,
        "pages": 3,
        "has_next": True,
        "has_prev": True,
    }


@pytest.mark.parametrize(
    ("page", "items", "has_next", "has_prev"),
    [(1, [0, 1], True, False), (3, [4], False, True), (4, [], False, True), (1_000_000_000, [], False, True)],
)
def test_paginate_knows_the_first_the_last_and_what_is_behind(page, items, has_next, has_prev):
    result = paginate(range(5), page, 2)

    assert (result.items, result.has_next, result.has_prev) == (items, has_next, has_prev)


def test_paginate_of_nothing_has_no_pages():
    assert paginate([]).meta == {
        "page": 1,
        "size": 20,
        "total": 0,
        "pages": 0,
        "has_next": False,
        "has_prev": False,
    }


@given(st.lists(st.integers(), max_size=60), st.integers(1, 20))
def test_all_pages_together_are_the_list(items, size):
    pages = [paginate(items, number, size) for number in range(1, paginate(items, 1, size).pages + 1)]

    assert [item for page in pages for item in page.items] == items


@pytest.mark.parametrize("items", [[1, 2], (1, 2), range(1, 3)])
def test_paginate_takes_every_sequence(items):
    assert paginate(items).items == [1, 2]


@pytest.mark.parametrize("items", [{1, 2}, (n for n in range(3)), "text", b"bytes", None, {"a": 1}])
def test_paginate_refuses_what_has_no_order_or_no_end(items):
    with pytest.raises(InvalidArgumentError, match="items must be a list, tuple or other sequence"):
        paginate(items)


@pytest.mark.parametrize("number", [0, -1, 10**30, HUGE, 1.0, float("nan"), "1", None, True])
def test_paginate_refuses_a_hostile_page(number):
    with pytest.raises(ValidationError, match="page must be"):
        paginate([1], page=number)


def test_paginate_reports_page_and_size_at_once():
    with pytest.raises(ValidationError) as caught:
        paginate([1], page=0, size=101)

    assert caught.value.details["errors"] == [
        {"field": "page", "message": "must be from 1 to 1000000000, got 0"},
        {"field": "size", "message": "must be from 1 to 100, got 101"},
    ]


def test_paginate_lets_the_code_raise_the_limit_of_the_size():
    assert len(paginate(range(500), size=500, max_size=500).items) == 500


def test_paginate_refuses_a_limit_outside_of_its_range():
    with pytest.raises(InvalidArgumentError, match="max_size must be"):
        paginate([1], max_size=0)


@given(anything, anything, anything)
def test_paginate_never_raises_a_foreign_error(items, page, size):
    try:
        assert isinstance(paginate(items, page, size), Page)
    except SharedError:
        pass
