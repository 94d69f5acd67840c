"""The canonical encoding: one for each value, that of RFC 8949."""

import pytest

from shared.feature_flags.readers._cbor import canonical_cbor


# From appendix A of the RFC, and the rule that a float without a fraction is an integer.
@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (1000, "1903e8"),
        (1_000_000, "1a000f4240"),
        (1_000_000_000_000, "1b000000e8d4a51000"),
        (18_446_744_073_709_551_615, "1bffffffffffffffff"),
        (18_446_744_073_709_551_616, "c249010000000000000000"),
        (-1, "20"),
        (-1000, "3903e7"),
        (-18_446_744_073_709_551_617, "c349010000000000000000"),
        (-0.0, "00"),
        (1.0, "01"),
        (1.5, "f93e00"),
        (5.960464477539063e-8, "f90001"),
        (3.4028234663852886e38, "fa7f7fffff"),
        (1.1, "fb3ff199999999999a"),
        (1.0e300, "fb7e37e43c8800759c"),
        (float("inf"), "f97c00"),
        (float("nan"), "f97e00"),
        (True, "f5"),
        (False, "f4"),
        (None, "f6"),
        ("", "60"),
        ("IETF", "6449455446"),
        ("ü", "62c3bc"),
        ([1, [2, 3]], "8201820203"),
        ({"b": [2, 3], "a": 1}, "a26161016162820203"),
        ({"aa": 1, "b": 2}, "a26162026261610" + "1"),
    ],
    ids=str,
)
def test_a_value_has_one_encoding(value, encoded):
    assert canonical_cbor(value).hex() == encoded


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, "\ud800", {"a": object()}], ids=range(5))
def test_what_is_no_json_has_none(value):
    assert canonical_cbor(value) is None


def test_a_value_nested_too_deeply_has_none():
    value = []
    for _ in range(50):
        value = [value]

    assert canonical_cbor(value) is None
