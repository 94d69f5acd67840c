"""Who of many: buckets are even, independent, and never move."""

import hashlib
import itertools
import math
import random
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.feature_flags import Flag, FlagDocument, Layer, Rule, Split, compile_flags
from shared.feature_flags._bucket import bounds_of, bucket, place, unit_id

IDS = 100_000
CELLS = 100
FROZEN = [3939359300570187739, 12840223390433529841, 1039175303939134704]


def numbered(count):
    return [str(n) for n in range(count)]


def named(count):
    return [f"user-{n}" for n in range(count)]


def mailed(count):
    return [f"person{n}@example.com" for n in range(count)]


def hashed(count):
    return [hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest() for n in range(count)]


def random_uuids(count):
    rng = random.Random(7)
    return [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(count)]


SHAPES = [numbered, named, mailed, hashed, random_uuids]
SALTS = ["flag:dynamic_pricing", "a", "b", "flag:new_menu:rollout", ""]


def chi_square(counts, expected):
    return sum((count - expected) ** 2 / expected for count in counts)


def bound(freedom, z):
    """Quantile of the chi-square distribution. Source: Wilson and Hilferty, 1931."""
    part = 2 / (9 * freedom)
    return freedom * (1 - part + z * math.sqrt(part)) ** 3


def on(flag, units):
    snapshot = compile_flags(FlagDocument({flag.key: flag}))
    decide = snapshot.entries[flag.key].decide
    return {unit for unit in units if decide({"user_id": unit}).value is True}


# --- even and independent -----------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_buckets_are_even_for_ids_of_every_shape_and_every_salt(shape):
    units = shape(IDS)

    for salt in SALTS:
        counts = [0] * CELLS
        for unit in units:
            counts[bucket(salt, unit) * CELLS >> 64] += 1
        found = chi_square(counts, IDS / CELLS)

        # Both ends: a hash that spreads too evenly is no hash, either. One in a million each.
        assert bound(CELLS - 1, -4.75) < found < bound(CELLS - 1, 4.75), (salt, found)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_flags_are_independent_of_each_other(shape):
    units = shape(IDS // 4)
    places = {salt: [bucket(salt, unit) * 10 >> 64 for unit in units] for salt in SALTS}

    for one, other in itertools.combinations(SALTS, 2):
        counts = [0] * 100
        for left, right in zip(places[one], places[other], strict=True):
            counts[left * 10 + right] += 1

        assert chi_square(counts, len(units) / 100) < bound(99, 4.75), (one, other)


def test_two_small_rollouts_meet_as_often_as_chance_has_it():
    units = named(IDS)
    first = on(Flag("first_flag", rollout=5), units)
    second = on(Flag("other_flag", rollout=5), units)

    assert 0.8 < len(first & second) / (IDS * 0.05 * 0.05) < 1.2


def test_a_rollout_and_a_split_of_one_flag_are_independent():
    split = Split({"on": 1, "off": 1})
    ramp = on(Flag("pricing", rollout=20), named(20_000))
    halves = on(Flag("pricing", rules=[Rule(split=split)]), named(20_000))

    assert 0.46 < len(ramp & halves) / len(ramp) < 0.54


# --- what never changes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("salt", "unit"),
    [
        pytest.param("flag:a", "user-1", id="plain"),
        pytest.param("", "x", id="no salt"),
        pytest.param("s", "Zoë", id="accent"),
    ],
)
def test_the_bucket_is_the_beginning_of_a_digest_of_salt_and_unit(salt, unit):
    digest = hashlib.sha256(salt.encode() + b"\0" + unit.encode()).digest()

    assert bucket(salt, unit) == int.from_bytes(digest[:8], "big")


def test_published_buckets_stay_for_ever():
    assert [bucket("dynamic_pricing", unit) for unit in ("user-1", "42", "ada@example.com")] == FROZEN


@given(low=st.floats(0, 100), high=st.floats(0, 100))
@settings(deadline=None, max_examples=40)
def test_raising_a_percentage_never_takes_it_from_anyone(low, high):
    low, high = sorted((low, high))
    units = named(400)

    assert on(Flag("ramp", rollout=low), units) <= on(Flag("ramp", rollout=high), units)


@given(
    weights=st.lists(st.integers(1, 50), min_size=1, max_size=6),
    steps=st.lists(st.integers(0, 100_000), min_size=2, max_size=5),
)
@settings(deadline=None, max_examples=40)
def test_raising_the_coverage_never_moves_anyone_to_another_variant(weights, steps):
    named_weights = {f"v{n}": weight for n, weight in enumerate(weights)}
    seen = {}

    for coverage in sorted(steps):
        find = place(bounds_of(named_weights, coverage), "s")
        for unit in named(200):
            variant = find(unit)
            assert seen.get(unit) in (None, variant)
            if variant is not None:
                seen[unit] = variant


@given(
    weights=st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 9), min_size=2, max_size=5)
)
@settings(deadline=None, max_examples=40)
def test_the_order_of_the_variants_means_nothing(weights):
    turned = dict(reversed(weights.items()))

    assert bounds_of(weights, 70_000) == bounds_of(turned, 70_000)


@pytest.mark.parametrize(("weights", "share"), [((1, 1), 0.5), ((9, 1), 0.9), ((1, 999), 0.001)], ids=str)
def test_variants_get_their_share(weights, share):
    find = place(bounds_of({"a": weights[0], "b": weights[1]}, 100_000), "share")

    count = sum(find(unit) == "a" for unit in named(50_000))

    assert abs(count - share * 50_000) < 5 * math.sqrt(50_000 * share * (1 - share)) + 1


def test_the_whole_coverage_leaves_nobody_out_and_none_takes_nobody():
    everyone = place(bounds_of({"a": 1, "b": 2, "c": 4}, 100_000), "s")
    nobody = place(bounds_of({"a": 1, "b": 2, "c": 4}, 0), "s")

    assert all(everyone(unit) is not None for unit in named(2000))
    assert all(nobody(unit) is None for unit in named(2000))


def test_a_share_far_below_one_per_cent_takes_about_as_many():
    few = on(Flag("tiny", rollout=0.1), named(IDS))

    assert 50 < len(few) < 160


def test_the_smallest_percentage_is_somebody_and_not_nobody():
    limits, owners = bounds_of({"on": 1}, 1)

    assert len(limits) == 2
    assert owners == [None, "on", None]


def test_weights_are_as_fine_as_64_bits():
    limits, _ = bounds_of({"a": 1, "b": 10**12}, 100_000)

    assert int.from_bytes(limits[1], "big") == (1 << 64) // (10**12 + 1)


def test_renaming_a_flag_with_a_salt_moves_nobody():
    before = on(Flag("old_name", salt="s3", rollout=30), named(500))

    assert on(Flag("new_name", salt="s3", rollout=30), named(500)) == before
    assert on(Flag("new_name", rollout=30), named(500)) != before


# --- layers ----------------------------------------------------------------------------------------


def test_flags_in_different_slices_of_a_layer_never_meet():
    def sliced(key, begin, end):
        split = Split({"on": 1}, layer=Layer("checkout", [(begin, end)]))
        return on(Flag(key, rules=[Rule(split=split)]), named(5000))

    first, second = sliced("one", 0, 50_000), sliced("two", 50_000, 100_000)

    assert not first & second
    assert len(first | second) == 5000


def test_the_split_within_a_layer_is_independent_of_the_slice():
    split = Split({"on": 1, "off": 1}, layer=Layer("checkout", [(0, 30_000)]))
    flag = Flag("one", rules=[Rule(split=split)], default_variant="off")
    inside = on(Flag("all", rules=[Rule(split=Split({"on": 1}, layer=split.layer))]), named(20_000))

    share = len(on(flag, named(20_000))) / len(inside)

    assert 0.46 < share < 0.54


# --- who is a unit --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("u-1", "u-1", id="text"),
        pytest.param(1, "1", id="int"),
        pytest.param(1.0, "1", id="whole float"),
        pytest.param("1", "1", id="digits"),
        pytest.param(1.5, "1.5", id="float"),
        pytest.param(uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001", id="uuid"),
        pytest.param(True, None, id="true"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="none"),
        pytest.param(b"x", None, id="bytes"),
        pytest.param([1], None, id="list"),
        pytest.param(float("nan"), None, id="nan"),
        pytest.param(float("inf"), None, id="inf"),
        pytest.param(10**400, None, id="huge"),
        pytest.param("x" * 5000, None, id="long"),
    ],
)
def test_what_identifies_a_unit(value, expected):
    assert unit_id(value) == expected


def test_a_unit_is_the_same_as_number_and_as_text():
    units = [7, 7.0, "7"]

    answers = {frozenset(on(Flag("x", salt=str(n), rollout=50), units)) for n in range(20)}

    assert {len(answer) for answer in answers} <= {0, 2}  # 7 and 7.0 are one member of a set


def test_text_is_hashed_as_it_is_and_not_normalised():
    assert bucket("s", "é") != bucket("s", "e\u0301")


@pytest.mark.parametrize("rollout", [0.0, 50.0, 100.0])
def test_half_a_character_is_a_unit_like_another(rollout):
    assert on(Flag("x", rollout=rollout), ["\ud800"]) in (set(), {"\ud800"})


@pytest.mark.parametrize("rollout", [0, 50, 100])
def test_nobody_gets_the_default_and_never_a_random_answer(rollout):
    snapshot = compile_flags(FlagDocument({"x": Flag("x", rollout=rollout)}))

    found = {snapshot.detail("x", context).reason for context in ({}, {"user_id": None}, {"user_id": True})}

    assert found == {"DEFAULT"}


def test_the_other_unit_counts_where_the_first_is_missing():
    split = Split({"on": 1}, fallback_unit="device")
    snapshot = compile_flags(FlagDocument({"x": Flag("x", rules=[Rule(split=split)])}))

    assert snapshot.detail("x", {"device": "d-1"}).value is True
    assert snapshot.detail("x", {}).value is False
