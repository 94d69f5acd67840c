"""Texts that clients keep: made by us alone, for one purpose."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadRequestError, ConfigurationError, InvalidArgumentError
from shared.security import Signer

NEW, OLD = "n" * 32, "o" * 32


@settings(deadline=None)
@given(st.binary(max_size=500))
def test_what_was_signed_comes_back(data):
    signer = Signer(NEW, purpose="cursor")

    assert signer.verify(signer.sign(data)) == data


@settings(deadline=None)
@given(st.data())
def test_a_text_with_one_character_changed_is_refused(data):
    signer = Signer(NEW, purpose="cursor")
    text = signer.sign(b"after 7")
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("AZaz09-_").filter(lambda c: c != text[place]))

    with pytest.raises(BadRequestError, match="the signature does not fit"):
        signer.verify(text[:place] + letter + text[place + 1 :])


@settings(deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=80).map(lambda b: base64.urlsafe_b64encode(b).decode()))
def test_what_we_did_not_sign_is_refused_by_our_error_alone(text):
    with pytest.raises(BadRequestError):
        Signer(NEW, purpose="cursor").verify(text)


@pytest.mark.parametrize(
    "text", [None, 7, b"bytes", "x" * 10_000, ""], ids=["none", "number", "bytes", "long", "empty"]
)
def test_what_is_no_text_of_ours_is_refused(text):
    with pytest.raises(BadRequestError):
        Signer(NEW, purpose="cursor").verify(text)


def test_padding_does_not_make_a_second_spelling():
    signer = Signer(NEW, purpose="cursor")
    text = signer.sign(b"ab")

    with pytest.raises(BadRequestError):
        signer.verify(text + "=")


def test_a_text_of_another_purpose_is_refused():
    text = Signer(NEW, purpose="cursor").sign(b"7")

    with pytest.raises(BadRequestError):
        Signer(NEW, purpose="download").verify(text)


def test_texts_of_the_secret_before_are_good_during_a_rotation():
    text = Signer(OLD, purpose="cursor").sign(b"7")

    assert Signer([NEW, OLD], purpose="cursor").verify(text) == b"7"


def test_the_newest_secret_signs():
    text = Signer([NEW, OLD], purpose="cursor").sign(b"7")

    assert Signer(NEW, purpose="cursor").verify(text) == b"7"


def test_a_short_secret_is_refused():
    with pytest.raises(ConfigurationError, match="at least 32"):
        Signer("short", purpose="cursor")


def test_a_purpose_is_needed():
    with pytest.raises(InvalidArgumentError):
        Signer(NEW, purpose="")
