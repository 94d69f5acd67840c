import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.monitoring._accept import preferred

OFFERS = ("application/json", "application/health+json")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("application/health+json", OFFERS[1]),
        ("Application/Health+JSON", OFFERS[1]),
        ("application/health+json, */*", OFFERS[1]),
        ("application/json;q=0.5, application/health+json;q=0.9", OFFERS[1]),
        ("*/*", OFFERS[0]),
        ("", OFFERS[0]),
        ("text/html", OFFERS[0]),
        ("application/json, application/health+json", OFFERS[0]),
        ("application/health+json;q=0", OFFERS[0]),
        ("application/health+json;q=nan", OFFERS[0]),
        ("application/health+json;q=2", OFFERS[0]),
        ("application/health+json;q=x", OFFERS[0]),
        (",".join(["a/b"] * 40) + ",application/health+json", OFFERS[0]),
    ],
)
def test_the_offer_that_is_named_clearest_wins_else_the_first(accept, chosen):
    assert preferred(accept, OFFERS) == chosen


@given(st.text())
def test_any_header_gives_one_of_the_offers(accept):
    assert preferred(accept, OFFERS) in OFFERS
