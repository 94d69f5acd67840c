"""URLs that keep their password to themselves."""

import copy
import json
import pickle
from typing import Annotated

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.config import ConnectionUrl, UrlScheme

URL = "postgresql+asyncpg://app:hunter2@db:5432/orders"


class Model(BaseModel):
    url: ConnectionUrl


def test_a_url_is_text():
    url = ConnectionUrl(URL)

    assert url == URL
    assert str(url) == URL
    assert hash(url) == hash(URL)


def test_a_url_shows_itself_masked():
    assert repr(ConnectionUrl(URL)) == "'postgresql+asyncpg://app:***@db:5432/orders'"
    assert repr(Model(url=URL)) == "Model(url='postgresql+asyncpg://app:***@db:5432/orders')"


def test_a_url_is_masked_in_json_and_whole_in_python():
    model = Model(url=URL)

    assert json.loads(model.model_dump_json())["url"] == "postgresql+asyncpg://app:***@db:5432/orders"
    assert model.model_dump()["url"] == URL


def test_the_scheme_has_no_driver():
    assert ConnectionUrl("PostgreSQL+psycopg://h").scheme == "postgresql"


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda url: pickle.loads(pickle.dumps(url))])
def test_a_url_survives_being_copied(make):
    again = make(ConnectionUrl(URL))

    assert (type(again), again) == (ConnectionUrl, URL)


@pytest.mark.parametrize(
    "text",
    ["sqlite://", "sqlite:///x.db", "memory://", "file:///data", "unix:///run/redis.sock", URL],
)
def test_a_url_is_accepted(text):
    assert TypeAdapter(ConnectionUrl).validate_python(f" {text} ") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "db",
        "://h",
        "1http://h",
        "postgresql:/h",
        "postgresql:h",
        "http://a b",
        "http://h\n",
        "http://h\0x",
        "x" * 40 + "://h",
    ],
)
def test_what_is_no_url_is_refused(text):
    with pytest.raises(ValidationError):
        TypeAdapter(ConnectionUrl).validate_python(text + ("/x" if text.endswith("\n") else ""))


def test_only_the_named_schemes_are_accepted():
    adapter = TypeAdapter(Annotated[ConnectionUrl, UrlScheme("redis", "rediss")])

    assert adapter.validate_python("REDIS://h") == "REDIS://h"
    with pytest.raises(ValidationError, match="redis://, rediss://"):
        adapter.validate_python("http://h")


def test_the_schema_names_the_schemes():
    schema = TypeAdapter(Annotated[ConnectionUrl, UrlScheme("s3", "gs")]).json_schema()

    assert schema == {"type": "string", "format": "uri", "minLength": 1, "x-schemes": ["gs", "s3"]}
