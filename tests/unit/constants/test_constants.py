"""Words that every service spells the same way."""

import enum
import http
import re
import sys

import pytest

from shared import constants
from shared.constants import (
    Environment,
    ErrorCode,
    FieldLimit,
    Header,
    HttpStatus,
    ServiceName,
    SuccessMessage,
)

ENUMS = [Environment, ErrorCode, Header, HttpStatus, ServiceName, SuccessMessage]
# Phrases that the standard library changed between 3.11 and 3.13.
RENAMED = {413, 414, 416, 422} if sys.version_info < (3, 13) else set()


@pytest.mark.parametrize("status", [s for s in HttpStatus if s.value not in RENAMED])
def test_phrase_is_that_of_the_standard_library(status):
    assert status.phrase == http.HTTPStatus(status.value).phrase


@pytest.mark.parametrize(
    ("value", "phrase"),
    [
        (413, "Content Too Large"),
        (414, "URI Too Long"),
        (416, "Range Not Satisfiable"),
        (422, "Unprocessable Content"),
    ],
)
def test_phrase_follows_the_present_names_on_every_python(value, phrase):
    assert HttpStatus(value).phrase == phrase


def test_http_status_is_its_number():
    assert (HttpStatus.NOT_FOUND, f"{HttpStatus.NOT_FOUND:d}") == (404, "404")


@pytest.mark.parametrize("members", ENUMS, ids=lambda e: e.__name__)
def test_no_member_is_an_alias_of_another(members):
    enum.verify(enum.UNIQUE)(members)


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_code_is_spelled_as_it_is_sent(code):
    assert code.name == code.value == str(code)
    assert re.fullmatch(r"[A-Z][A-Z_]*[A-Z]", code)


@pytest.mark.parametrize("header", Header)
def test_a_header_name_is_one_that_can_be_sent(header):
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", header)


def test_header_names_differ_in_more_than_case():
    assert len({header.lower() for header in Header}) == len(Header)


@pytest.mark.parametrize("name", [n for n in vars(FieldLimit) if n.endswith("_MIN")])
def test_a_lower_limit_is_below_its_upper_limit(name):
    stem = name.removesuffix("_MIN")
    upper = getattr(FieldLimit, f"{stem}_MAX", None) or getattr(FieldLimit, f"{stem}_MAX_BYTES")

    assert 0 < getattr(FieldLimit, name) < upper


def test_the_success_message_of_the_envelope_is_the_documented_one():
    assert SuccessMessage.OPERATION == "Operation successful"


def test_the_default_version_is_the_first():
    assert constants.DEFAULT_API_VERSION == "v1"
