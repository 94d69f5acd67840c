"""The decorator."""

import asyncio
import datetime as dt
import decimal
import enum
import inspect
import uuid
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from shared.cache import Cache, cached, get_cache
from shared.errors import InvalidArgumentError, UnsupportedCallableError
from shared.runtime import Runtime, use


class Product(BaseModel):
    sku: str
    price: decimal.Decimal


class Colour(enum.Enum):
    RED = "red"


@pytest.fixture
def cache():
    with Cache() as made:
        yield made


def test_a_function_is_called_once_per_arguments(cache):
    calls = []

    @cached(ttl=60.0, cache=cache)
    def double(number, *, times=1):
        calls.append(number)
        return 2 * number * times

    found = [double(1), double(1), double(number=1), double(1, times=1), double(1, times=2), double(2)]

    assert (found, calls) == ([2, 2, 2, 2, 4, 4], [1, 1, 2])


async def test_a_coroutine_function_stays_one(cache):
    calls = []

    @cached(ttl=60.0, cache=cache, key="double:{number}")
    async def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    found = await asyncio.gather(*(double(4) for _ in range(10)))

    assert inspect.iscoroutinefunction(double)
    assert (found, calls, double.cache_key(4)) == ([8] * 10, [4], "double:4")
    assert (await double.invalidate(4), await double(4), calls) == (1, 8, [4, 4])
    await cache.aio.close()


def test_invalidate_takes_one_result_away(cache):
    calls = []

    @cached(ttl=60.0, cache=cache)
    def double(number):
        calls.append(number)
        return 2 * number

    double(1), double(2)
    double.invalidate(1)
    double(1), double(2)

    assert calls == [1, 2, 1]


def test_tags_are_templates_too(cache):
    calls = []

    @cached(ttl=60.0, cache=cache, tags=["catalog", "product:{sku}"])
    def price(sku):
        calls.append(sku)
        return 1

    price("a"), price("b")
    cache.invalidate_tags("product:a")
    price("a"), price("b")

    assert calls == ["a", "b", "a"]


def test_a_model_in_the_annotation_comes_back_as_one(cache):
    @cached(ttl=60.0, cache=cache)
    def product(sku: str) -> Product:
        return Product(sku=sku, price=decimal.Decimal("1.10"))

    assert product("a") == product("a") == Product(sku="a", price=decimal.Decimal("1.10"))


def test_dates_and_decimals_in_containers_come_back_as_they_were(cache):
    @cached(ttl=60.0, cache=cache)
    def days() -> list[tuple[dt.date, decimal.Decimal]]:
        return [(dt.date(2026, 1, 31), decimal.Decimal("1.10"))]

    assert days() == days() == [(dt.date(2026, 1, 31), decimal.Decimal("1.10"))]


def test_a_result_of_an_older_shape_is_computed_anew(cache):
    @cached(ttl=60.0, cache=cache, key="product")
    def old() -> dict:
        return {"name": "lamp"}

    @cached(ttl=60.0, cache=cache, key="product")
    def new() -> Product:
        return Product(sku="a", price=1)

    old()

    assert (new(), cache.stats().unreadable) == (Product(sku="a", price=1), 1)


def test_a_result_that_is_not_of_the_annotated_type_is_refused(cache):
    @cached(ttl=60.0, cache=cache)
    def product() -> Product:
        return "not a product"

    with pytest.raises(InvalidArgumentError, match="not of the model"):
        product()


def test_a_method_keeps_its_results_by_what_the_template_names(cache):
    @dataclass
    class Shop:
        name: str

        @cached(ttl=60.0, cache=cache, key="{self.name}:{sku}")
        def price(self, sku: str) -> str:
            return f"{self.name} sells {sku}"

    assert [Shop("a").price("x"), Shop("b").price("x")] == ["a sells x", "b sells x"]
    assert Shop("a").price.cache_key(Shop("a"), "x") == "a:x"


def test_a_method_without_a_word_about_self_is_refused():
    with pytest.raises(InvalidArgumentError, match="is a method"):

        class Shop:
            @cached(ttl=60.0)
            def price(self, sku):
                return sku


def test_an_ignored_parameter_is_not_part_of_the_key(cache):
    calls = []

    @cached(ttl=60.0, cache=cache, ignore=["session"])
    def price(session, sku):
        calls.append(sku)
        return 1

    price(object(), "a"), price(object(), "a")

    assert calls == ["a"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": "{nothing}"}, "'nothing', which is not a parameter"),
        ({"key": "{a[0]}"}, "not a parameter"),
        ({"key": "{a.__class__}"}, "not a parameter"),
        ({"key": "{a"}, "not a template"),
        ({"key": "{}"}, "not a parameter"),
        ({"tags": ["{nothing}"]}, "not a parameter"),
        ({"tags": "catalog"}, "collections of texts"),
        ({"ignore": ["nothing"]}, "no parameters nothing"),
        ({"ttl": -1.0}, "ttl is seconds"),
        ({"stale": -1.0}, "stale is seconds"),
        ({"model": object()}, "pydantic cannot describe"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_option_is_told_where_it_is_given(options, message):
    with pytest.raises(InvalidArgumentError, match=message):

        @cached(**options)
        def function(a):
            return a


@pytest.mark.parametrize("is_async", [False, True], ids=["generator", "async generator"])
def test_a_generator_is_refused(is_async):
    def plain():
        yield 1

    async def asynchronous():
        yield 1

    with pytest.raises(UnsupportedCallableError, match="is a generator"):
        cached(ttl=60.0)(asynchronous if is_async else plain)


def test_an_argument_without_a_stable_form_is_refused(cache):
    @cached(ttl=60.0, cache=cache)
    def function(a):
        return 1

    @cached(ttl=60.0, cache=cache, key="f:{a}")
    def template(a):
        return 1

    for call in (function, template):
        with pytest.raises(InvalidArgumentError, match="is a object|a=.* is a object"):
            call(object())


def test_a_call_with_wrong_arguments_fails_as_the_function_would(cache):
    @cached(ttl=60.0, cache=cache)
    def function(a):
        return 1

    with pytest.raises(TypeError, match="missing a required argument"):
        function()


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.sampled_from(Colour)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(one=VALUES, other=VALUES)
def test_different_arguments_have_different_keys(one, other):
    @cached(ttl=60.0)
    def function(a):
        return a

    same = repr(one) == repr(other)

    assert (function.cache_key(one) == function.cache_key(other)) == same


@given(one=st.text(), other=st.text())
def test_no_value_imitates_another_key_in_a_template(one, other):
    @cached(ttl=60.0, key="tenant:{a}:user:{b}")
    def function(a, b):
        return a

    @cached(ttl=60.0, key="tenant:{a}:user:{b}")
    def again(a, b):
        return a

    assert function.cache_key(one, other).count(":") == 3
    assert function.cache_key(one, other) == again.cache_key(one, other)


def test_equal_sets_and_mappings_have_one_key_whatever_their_order():
    @cached(ttl=60.0)
    def function(a, **rest):
        return a

    assert function.cache_key({1, 2, "x"}) == function.cache_key({"x", 2, 1})
    assert function.cache_key({"a": 1, "b": 2}) == function.cache_key({"b": 2, "a": 1})
    assert function.cache_key(1, b=2, c=3) == function.cache_key(1, c=3, b=2)


@pytest.mark.parametrize(
    "value",
    [
        uuid.UUID(int=7),
        Colour.RED,
        decimal.Decimal("1.10"),
        None,
        True,
        dt.date(2026, 1, 31),
    ],
    ids=["uuid", "enum", "decimal", "none", "bool", "date"],
)
def test_a_template_takes_what_has_one_text(value):
    @cached(ttl=60.0, key="f:{a}")
    def function(a):
        return a

    wanted = value.value if isinstance(value, Colour) else value
    assert function.cache_key(value) == f"f:{wanted}"


def test_without_a_cache_the_current_runtimes_is_used():
    with use(Runtime("catalog")) as runtime:

        @cached(ttl=60.0, key="a")
        def function():
            return 1

        function()

        assert get_cache().get("a") == 1
        runtime.close()
