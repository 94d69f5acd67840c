import collections
import copy
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError, SharedError
from shared.utils import deep_merge, flatten_dict, get_nested_value, unflatten_dict
from tests.unit.utils.hostile import HostileObject, anything

keys = st.text(st.sampled_from(list("ab.\\/_")), max_size=4)
leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
trees = st.dictionaries(
    keys, st.recursive(leaves, lambda children: st.dictionaries(keys, children, max_size=3)), max_size=4
)


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def laughing(levels):
    value = {"leaf": 1}
    for _ in range(levels):
        value = {str(i): value for i in range(10)}
    return value


@pytest.fixture
def cycle():
    value = {"a": {}}
    value["a"]["b"] = value
    return value


# --- merge -----------------------------------------------------------------------------------


def test_deep_merge_merges_level_by_level():
    base = {"db": {"host": "a", "port": 1}, "on": True}

    assert deep_merge(base, {"db": {"host": "b"}}, {"new": None}) == {
        "db": {"host": "b", "port": 1},
        "on": True,
        "new": None,
    }


@pytest.mark.parametrize(
    ("lower", "upper", "result"),
    [({"a": 1}, {"b": 2}, {"b": 2}), ({"a": 1}, 3, 3), (3, {"a": 1}, {"a": 1}), ([1], None, None)],
)
def test_deep_merge_lets_the_later_value_win_where_kinds_differ(lower, upper, result):
    expected = {"x": {**lower, **upper} if isinstance(lower, dict) and isinstance(upper, dict) else result}

    assert deep_merge({"x": lower}, {"x": upper}) == expected


@pytest.mark.parametrize(("lists", "result"), [("replace", [2]), ("extend", [1, 2])])
def test_deep_merge_treats_lists_as_told(lists, result):
    assert deep_merge({"x": [1]}, {"x": [2]}, lists=lists) == {"x": result}


@given(trees, trees)
def test_deep_merge_changes_nothing_given(left, right):
    before = copy.deepcopy((left, right))

    deep_merge(left, right, lists="extend")

    assert (left, right) == before


def test_deep_merge_shares_no_container_with_what_was_given():
    base = {"a": {"b": [1, {"c": {2}}]}, "t": ([3],)}

    result = deep_merge(base, {"z": [4]})
    result["a"]["b"][1]["c"].add(9)
    result["a"]["b"].append(9)
    result["t"][0].append(9)

    assert base == {"a": {"b": [1, {"c": {2}}]}, "t": ([3],)}


@given(trees)
def test_merging_with_nothing_is_the_same(tree):
    assert deep_merge(tree) == deep_merge({}, tree) == deep_merge(tree, tree) == tree


@given(trees, trees, trees)
def test_merging_three_is_merging_the_first_two_and_then_the_third(a, b, c):
    assert deep_merge(a, b, c) == deep_merge(deep_merge(a, b), c)


def test_deep_merge_takes_every_kind_of_mapping():
    assert deep_merge(
        MappingProxyType({"a": MappingProxyType({"b": 1})}), collections.OrderedDict(a={"c": 2})
    ) == {"a": {"b": 1, "c": 2}}


@pytest.mark.parametrize("arguments", [(None,), ({}, []), ({}, {}, "x")])
def test_deep_merge_says_which_argument_is_no_mapping(arguments):
    with pytest.raises(
        InvalidArgumentError, match=f"argument {len(arguments)} of deep_merge must be a mapping"
    ):
        deep_merge(*arguments)


def test_deep_merge_refuses_an_unknown_way_with_lists():
    with pytest.raises(InvalidArgumentError, match="lists must be"):
        deep_merge({}, lists="union")


def test_deep_merge_refuses_a_cycle(cycle):
    with pytest.raises(InvalidArgumentError, match="containing itself"):
        deep_merge(cycle)


def test_deep_merge_refuses_a_cycle_on_both_sides(cycle):
    other = {"a": {}}
    other["a"]["b"] = other

    with pytest.raises(InvalidArgumentError, match="containing itself"):
        deep_merge({"a": {"b": {}}}, cycle)


def test_deep_merge_refuses_a_cycle_through_a_list():
    loop = []
    loop.append(loop)

    with pytest.raises(InvalidArgumentError, match="containing itself"):
        deep_merge({"x": loop})


def test_deep_merge_refuses_endless_depth():
    with pytest.raises(InvalidArgumentError, match="nested deeper than 200 levels"):
        deep_merge(nested(100_000))


def test_deep_merge_takes_two_hundred_levels():
    assert deep_merge(nested(200), nested(200)) == nested(200)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("function", [deep_merge, flatten_dict])
def test_references_to_references_do_not_multiply_without_end(function):
    with pytest.raises(InvalidArgumentError, match="same containers"):
        function(laughing(30))


# --- flatten ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "flat"),
    [
        ({}, {}),
        ({"a": {"b": {"c": 1}}, "d": 2}, {"a.b.c": 1, "d": 2}),
        ({"a": {}}, {"a": {}}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}]}),
        ({1: {2: 3}}, {"1.2": 3}),
        ({"a.b": {"c": 1}}, {r"a\.b.c": 1}),
        ({"": {"": 1}}, {".": 1}),
    ],
)
def test_flatten_dict_joins_the_keys(data, flat):
    assert flatten_dict(data) == flat


def test_flatten_dict_joins_by_the_separator_given():
    assert flatten_dict({"a": {"b": 1}}, separator="__") == {"a__b": 1}


@pytest.mark.parametrize("separator", [".", "/", "__", "ab", "a"])
@given(tree=trees)
def test_unflattening_brings_back_what_was_flattened(separator, tree):
    assert unflatten_dict(flatten_dict(tree, separator), separator) == tree


@given(trees)
def test_every_flat_key_is_a_path_to_its_value(tree):
    for path, value in flatten_dict(tree).items():
        assert get_nested_value(tree, path, default="absent") == value


def test_flatten_dict_refuses_two_keys_that_become_one():
    with pytest.raises(InvalidArgumentError, match="two keys become the same: '1'"):
        flatten_dict({1: "a", "1": "b"})


@pytest.mark.parametrize("key", [(1, 2), None, True, 1.5, 1 << 300, b"a"])
def test_flatten_dict_refuses_other_keys(key):
    with pytest.raises(InvalidArgumentError, match="keys must be text or whole numbers"):
        flatten_dict({key: 1})


def test_flatten_dict_refuses_a_cycle(cycle):
    with pytest.raises(InvalidArgumentError, match="containing itself"):
        flatten_dict(cycle)


@pytest.mark.parametrize("separator", ["", "\\", "a\\", "x" * 9, None, 1])
@pytest.mark.parametrize(
    "function", [flatten_dict, unflatten_dict, lambda data, s: get_nested_value(data, "a", None, s)]
)
def test_a_separator_is_short_text_without_a_backslash(function, separator):
    with pytest.raises(InvalidArgumentError, match="separator must be"):
        function({"a": 1}, separator)


@pytest.mark.parametrize(
    "data", [{"a": 1, "a.b": 2}, {"a.b": 2, "a": 1}, {"a": {}, "a.b": 1}, {r"\x": 1, r"\\x": 2}]
)
def test_unflatten_dict_refuses_keys_that_contradict_each_other(data):
    before = copy.deepcopy(data)

    with pytest.raises(InvalidArgumentError, match="needs a mapping where another key has a value"):
        unflatten_dict(data)

    assert data == before


@pytest.mark.parametrize("data", [{1: 2}, {None: 1}])
def test_unflatten_dict_refuses_keys_that_are_no_text(data):
    with pytest.raises(InvalidArgumentError, match="a key of data must be text"):
        unflatten_dict(data)


def test_unflatten_dict_refuses_endless_depth():
    with pytest.raises(InvalidArgumentError, match="more than 200 levels"):
        unflatten_dict({"." * 1_000_000: 1})


@pytest.mark.parametrize("function", [flatten_dict, unflatten_dict, deep_merge])
@given(value=anything)
def test_a_mapping_function_never_raises_a_foreign_error(function, value):
    try:
        function(value)
    except SharedError:
        pass


# --- nested value ----------------------------------------------------------------------------

ORDER = {
    "items": [{"sku": "a-1"}, {"sku": "b-2"}],
    "v1.0": True,
    "none": None,
    7: "seven",
    "C:\\dir": {"x": 1},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("items.0.sku", "a-1"),
        ("items.-1.sku", "b-2"),
        (r"v1\.0", True),
        (["v1.0"], True),
        (["items", 1, "sku"], "b-2"),
        (("items", "1", "sku"), "b-2"),
        ("7", "seven"),
        ([7], "seven"),
        ("none", None),
        ("C:\\dir.x", 1),
        ([], ORDER),
    ],
)
def test_get_nested_value_finds_what_is_there(path, value):
    assert get_nested_value(ORDER, path, default="absent") == value


@pytest.mark.parametrize(
    "path",
    [
        "",
        "missing",
        "items.2.sku",
        "items.x",
        "items.0.sku.0",
        "none.x",
        "v1.0",
        "items.99999999999",
        [["unhashable"]],
        [None],
        "8",
    ],
)
def test_get_nested_value_gives_the_default_for_what_is_not(path):
    assert get_nested_value(ORDER, path, default="absent") == "absent"


def test_get_nested_value_takes_a_key_that_fails_for_one_that_is_missing():
    assert get_nested_value({"a": 1}, [HostileObject()], default="absent") == "absent"


def test_get_nested_value_creates_nothing():
    data = collections.defaultdict(dict)

    get_nested_value(data, "a.b")

    assert data == {}


@pytest.mark.parametrize("path", [None, 7, {"a"}, b"a"])
def test_get_nested_value_refuses_what_is_no_path(path):
    with pytest.raises(InvalidArgumentError, match="path must be"):
        get_nested_value({}, path)


@given(anything, st.text(max_size=10) | st.lists(anything, max_size=3))
def test_get_nested_value_never_raises_over_data(data, path):
    get_nested_value(data, path)
