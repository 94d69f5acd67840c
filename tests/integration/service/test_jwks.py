"""An issuer publishes its public keys, and another service verifies with them."""

import pytest
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette

from shared.api.flask import add_jwks_route
from shared.auth import KeyFile, RemoteKeys, TokenService, create_access_token, get_token_service
from shared.config import Settings
from shared.errors import ConfigurationError
from shared.runtime import use
from shared.service import explain, install, installed, uninstall
from shared.testing import ApiClient

PATH = "/.well-known/jwks.json"
KINDS = {"fastapi": FastAPI, "starlette": Starlette, "flask": lambda: Flask("issuer")}
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}


@pytest.fixture
def keys(tmp_path):
    found = KeyFile(tmp_path / "keys.json", check_every=0.0)
    found.new("EdDSA", kid="2026")
    found.new("RS256", kid="2027")
    return found


@pytest.fixture
def settings(tmp_path, keys):
    return Settings(ENVIRONMENT="testing", JWT_KEYS_FILE=str(tmp_path / "keys.json"), JWT_JWKS_PATH=PATH)


@pytest.fixture(params=KINDS)
def issuer(request, settings):
    app = install(KINDS[request.param](), settings, service="id")
    yield app
    uninstall(app)


def test_a_token_of_the_issuer_is_verified_with_what_it_publishes(issuer):
    client = ApiClient(issuer)
    with use(installed(issuer).runtime):
        token = create_access_token("u-1", email="ada@example.com")
        options = get_token_service().options

    remote = RemoteKeys("https://id.example" + PATH, fetch=lambda _url: client.get(PATH).body)
    payload = TokenService(remote, options=options).verify(token)

    assert payload is not None
    assert payload["user_id"] == "u-1"


def test_only_public_members_leave_and_the_next_key_is_there_before_it_signs(issuer):
    answer = ApiClient(issuer).get(PATH)

    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    published = answer.json["keys"]
    assert [key["kid"] for key in published] == ["2026", "2027"]
    assert not any(PRIVATE_MEMBERS & set(key) for key in published)


def test_who_has_the_set_already_gets_304_until_a_key_changes(issuer, keys):
    client = ApiClient(issuer)
    etag = client.get(PATH).headers["etag"]

    assert client.get(PATH, headers={"If-None-Match": etag}).status == 304
    assert client.get(PATH, headers={"If-None-Match": '"other"'}).status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_is_retired_leaves_the_set(kind, keys):
    from importlib import import_module

    app = KINDS[kind]()
    face = import_module(f"shared.api.{kind}")
    face.add_jwks_route(app, keys, path="/keys", max_age=60)
    face.add_jwks_route(app, keys, path="/keys", max_age=60)
    client = ApiClient(app)
    first = client.get("/keys")

    keys.rotate()
    keys.retire("2026")

    assert [key["kid"] for key in client.get("/keys").json["keys"]] == ["2027"]
    assert client.get("/keys", headers={"If-None-Match": first.headers["etag"]}).status == 200
    assert first.headers["cache-control"] == "public, max-age=60"
    face.uninstall(app)
    assert client.get("/keys").status == 404


def test_a_shared_secret_is_never_published():
    app = install(Flask("hmac"), Settings(ENVIRONMENT="testing", JWT_JWKS_PATH=PATH), service="id")

    assert ApiClient(app).get(PATH).json == {"keys": []}
    uninstall(app)


def test_nothing_is_published_unless_the_settings_name_a_path():
    app = install(Flask("plain"), service="id")

    assert ApiClient(app).get(PATH).status == 404
    assert explain(app).part("jwks").reason == "JWT_JWKS_PATH is not set"
    uninstall(app)


def test_keys_of_another_issuer_are_not_published():
    remote = RemoteKeys("https://id.example/keys", fetch=lambda _url: b'{"keys": []}')

    with pytest.raises(ConfigurationError, match="another issuer's"):
        add_jwks_route(Flask("verifier"), remote)


def test_a_negative_age_is_refused(keys):
    with pytest.raises(ConfigurationError, match="max_age must be 0 seconds or more, got -1"):
        add_jwks_route(Flask("issuer"), keys, max_age=-1)
