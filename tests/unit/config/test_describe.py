"""What a setting expects, in words."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from shared.config import Section, setting
from shared.config._describe import expected
from shared.config._field import specs_of_section


class Words(Section):
    """One setting for each kind of words."""

    ONE: Literal["only"] = setting("only", "One word.")
    ANY: Any = setting(None, "Anything.")
    EVEN: Annotated[int, Field(multiple_of=2, lt=9)] = setting(2, "An even number.")
    SHORT: str = setting("a", "Short text.", max_length=3, min_length=1)
    EITHER: int | float | None = setting(None, "A number or none.")
    MIXED: dict[str, Any] = setting({}, "Anything by name.")
    PLAIN: dict = setting({}, "Anything by name.")  # type: ignore[type-arg]
    OWN: str = setting("a", "Text.", expects="what I say")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ONE", "only"),
        ("ANY", "a value"),
        ("EVEN", "an integer, below 9, a multiple of 2"),
        ("SHORT", "text, at least 1 characters, at most 3 characters"),
        ("EITHER", "an integer or a number or none"),
        ("MIXED", "name=value pairs (a value), separated by commas or as JSON"),
        ("PLAIN", "name=value pairs (a value), separated by commas or as JSON"),
        ("OWN", "what I say"),
    ],
)
def test_a_setting_says_what_it_expects(name, words):
    assert expected(specs_of_section(Words)[name]) == words
