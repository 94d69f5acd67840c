"""MurmurHash3 in Python gives what the C implementation gives."""

import mmh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.feature_flags.readers._murmur3 import fastest_murmur3, murmur3_32


@pytest.mark.parametrize(
    ("data", "seed", "expected"),
    [
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"", 0xFFFFFFFF, 0x81F16F39),
        (b"\xff\xff\xff\xff", 0, 0x76293B50),
        (b"!Ce\x87", 0, 0xF55B516B),
        (b"!Ce\x87", 0x5082EDEE, 0x2362F9DE),
        (b"!Ce", 0, 0x7E4A8634),
        (b"!C", 0, 0xA0F7B07A),
        (b"!", 0, 0x72661CF4),
    ],
)
def test_murmur3_gives_the_published_values(data, seed, expected):
    assert murmur3_32(data, seed) == expected


@given(st.binary(max_size=64), st.integers(0, 2**32 - 1))
def test_murmur3_is_that_of_the_c_implementation(data, seed):
    assert murmur3_32(data, seed) == mmh3.hash(data, seed, signed=False)


@given(st.text(max_size=40))
def test_the_fastest_murmur3_gives_the_same(text):
    data = text.encode("utf-8")

    assert fastest_murmur3()(data, 86_028_157) == murmur3_32(data, 86_028_157)


def test_murmur3_in_python_serves_where_the_c_implementation_is_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mmh3", None)

    assert fastest_murmur3() is murmur3_32
