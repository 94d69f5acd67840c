"""Whose key signs cursors when the listing names none: that of the settings in force."""

import secrets
from types import SimpleNamespace

import pytest

from shared.api import Listing
from shared.api._cursor import cursor_signer
from shared.config import Settings
from shared.errors import BadRequestError, ConfigurationError
from shared.runtime import Runtime, use

NEW, OLD, TOKENS = (secrets.token_urlsafe(48) for _ in range(3))


def cursor_of(**settings):
    listing = Listing()
    with running(**settings):
        return listing.read("").answer(SimpleNamespace(items=[], next_cursor="row-7")).meta["next_cursor"]


def read(cursor, **settings):
    with running(**settings):
        return Listing().read(f"after={cursor}").after


class running:
    def __init__(self, **settings):
        self.runtime = Runtime("cursors")
        settings.setdefault("ENVIRONMENT", "testing")
        self.runtime.provide(Settings, lambda _: Settings(environ={}, **settings))

    def __enter__(self):
        self.scope = use(self.runtime)
        self.scope.__enter__()

    def __exit__(self, *exc):
        self.scope.__exit__(*exc)
        self.runtime.close()


def test_own_key_signs():
    cursor = cursor_of(CURSOR_SECRET_KEY=NEW)

    assert read(cursor, CURSOR_SECRET_KEY=NEW) == "row-7"
    with pytest.raises(BadRequestError):
        read(cursor, CURSOR_SECRET_KEY=OLD)


def test_key_before_is_good_during_a_rotation():
    cursor = cursor_of(CURSOR_SECRET_KEY=OLD)

    assert read(cursor, CURSOR_SECRET_KEY=NEW, CURSOR_PREVIOUS_SECRET_KEYS=[OLD]) == "row-7"


def signing_with(**keys):
    given = {"CURSOR_SECRET_KEY": None, "JWT_SECRET_KEY": None, "CURSOR_PREVIOUS_SECRET_KEYS": []} | keys
    runtime = Runtime("cursors")
    runtime.provide(Settings, lambda _: SimpleNamespace(security=SimpleNamespace(**given)))
    try:
        with use(runtime):
            return cursor_signer()
    finally:
        runtime.close()


def test_key_of_the_tokens_signs_where_there_is_no_own():
    signer = signing_with(JWT_SECRET_KEY=TOKENS)

    assert signing_with(CURSOR_SECRET_KEY=TOKENS).verify(signer.sign(b"7")) == b"7"


def test_without_a_key_there_are_no_cursors():
    with pytest.raises(ConfigurationError, match="set CURSOR_SECRET_KEY or JWT_SECRET_KEY"):
        signing_with()


def test_one_runtime_has_one_signer():
    with running():
        assert cursor_signer() is cursor_signer()
