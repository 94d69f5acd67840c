"""Values and texts that outside code may hand to any function of the room."""

import pytest
from hypothesis import strategies as st

MEGABYTE = 1_000_000


class HostileText(str):
    """A str whose own methods lie or fail."""

    __slots__ = ()

    def __len__(self):
        raise RuntimeError("len")

    def __str__(self):
        raise RuntimeError("str")

    def __eq__(self, other):
        raise RuntimeError("eq")

    def __hash__(self):
        raise RuntimeError("hash")


class HostileObject:
    """An object that fails whatever it is asked."""

    def __str__(self):
        raise RuntimeError("str")

    __repr__ = __len__ = __bool__ = __eq__ = __hash__ = __int__ = __str__


# Any text, lone surrogates, controls and direction marks included.
PIECES = [
    *"aA.# @/\\:_-0%&=?[]<>|\"'\0\n\r\t",
    *(
        "\u202e",
        "\u200b",
        "\u200d",
        "\ud800",
        "\u0301",
        "e\u0301",
        "\U0001f1e6",
        "\U0001f468",
        "\ufdfa",
        "中",
    ),
    *("con", "nul.txt", "..", "xn--", "http://", "&#1;", "\r\n", "\u226e", "\u1100", "K", ".tar.gz"),
]
any_text = st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=40).map("".join)

anything = (
    any_text
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=20)
    | st.lists(st.integers(), max_size=3)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=3)
    | st.builds(object)
    | st.builds(HostileObject)
    | st.builds(HostileText, any_text)
    | st.just(10**5000)
)

MEGABYTES = {
    "letters": "a" * MEGABYTE,
    "spaces": " " * MEGABYTE,
    "nul": "\0" * MEGABYTE,
    "marks": "e" + "\u0301\u0323" * (MEGABYTE // 2),
    "regional indicators": "\U0001f1e6" * MEGABYTE,
    "joined emoji": "\U0001f468\u200d" * (MEGABYTE // 2),
    "line ends": "\r\n" * (MEGABYTE // 2),
    "hashes": "#" * MEGABYTE,
    "tags": "#a" * (MEGABYTE // 2),
    "digit tags": " #1" * (MEGABYTE // 3),
    "mentions": " @a.b" * (MEGABYTE // 5),
    "dots": "." * MEGABYTE,
    "at signs": "@" * MEGABYTE,
    "ligatures": "\ufdfa" * MEGABYTE,
    "slashes": "/" * MEGABYTE,
    "percent": "http://a.b/" + "%" * MEGABYTE,
    "surrogates": "\ud800" * MEGABYTE,
    "entities": "&#x" * (MEGABYTE // 3),
}

# For parametrize, which would print the one and look into the other.
HUGE = pytest.param(10**5000, id="huge")
HOSTILE = pytest.param(HostileObject(), id="hostile")
