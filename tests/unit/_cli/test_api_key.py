"""``shared api-key``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import shared as package
from shared.auth import ApiKeys, SqlRecordStore
from shared.database import Base, Database, tables_of
from shared.errors import AuthenticationError

PEPPER = "pepper-of-at-least-thirty-two-bytes!"


@pytest.fixture
def url(tmp_path, monkeypatch):
    found = f"sqlite:///{tmp_path}/keys.db"
    with Database(found) as database:
        Base.metadata.create_all(database.engine, tables=tables_of("auth"))
    monkeypatch.setenv("AUTH_STORE", "database")
    monkeypatch.setenv("DATABASE_URL", found)
    monkeypatch.setenv("API_KEY_PEPPER", PEPPER)
    return found


def verify(url, key, **options):
    with Database(url) as database:
        return ApiKeys(SqlRecordStore(database, "api_key"), pepper=PEPPER, mode="test").verify(key, **options)


def create(shared, *options):
    code, out, err = shared("api-key", "create", "billing", *options, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_a_key_made_here_is_known_to_the_service(shared, url):
    made = create(
        shared, "--scope", "orders:read", "--scope", "stock:*", "--network", "10.0.0.0/8", "--name", "nightly",
        "--tenant", "acme", "--days", "30", "--by", "ops",
    )  # fmt: skip

    key = verify(url, made["secret"], client="10.0.0.1")

    assert (key.owner, key.scopes, key.tenant, key.created_by) == (
        "billing",
        ("orders:read", "stock:*"),
        "acme",
        "ops",
    )
    assert made["key"]["expires_at"] > made["key"]["created_at"]


def test_the_key_is_on_the_first_line_for_people(shared, url):
    code, out, err = shared("api-key", "create", "billing", "--scope", "orders:read")

    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert verify(url, lines[0]).owner == "billing"
    assert "billing" in lines[1]
    assert "not kept anywhere" in lines[2]


def test_rotating_prints_a_new_secret_and_the_old_one_works_on(shared, url):
    old = create(shared)

    code, out, _ = shared("api-key", "rotate", old["key"]["id"], "--json")

    new = json.loads(out)
    assert code == 0
    assert verify(url, old["secret"]).id == verify(url, new["secret"]).id
    assert new["key"]["rotated_at"]


def test_rotating_without_grace_ends_the_old_secret(shared, url):
    old = create(shared)

    shared("api-key", "rotate", old["key"]["id"], "--grace-hours", "0")

    with pytest.raises(AuthenticationError):
        verify(url, old["secret"])


def test_revoking_ends_a_key_and_it_stays_in_the_list(shared, url):
    made = create(shared)

    code, out, _ = shared("api-key", "revoke", made["key"]["id"])

    assert (code, out) == (0, f"revoked {made['key']['id']} of billing\n")
    with pytest.raises(AuthenticationError):
        verify(url, made["secret"])
    listed = json.loads(shared("api-key", "list", "billing", "--json")[1])
    assert [key["revoked_at"] is not None for key in listed["keys"]] == [True]


def test_a_list_has_no_secrets(shared, url):
    made = create(shared)

    code, out, _ = shared("api-key", "list", "billing")

    assert code == 0
    assert made["key"]["id"] in out
    assert made["secret"][21:] not in out
    assert shared("api-key", "list", "nobody")[1] == "no keys of nobody\n"


@pytest.mark.parametrize("command", ["rotate", "revoke"])
def test_an_unknown_key_is_a_no(shared, url, command):
    assert shared("api-key", command, "nobody")[:2] == (1, "there is no key nobody\n")


@pytest.mark.parametrize(
    "options",
    [["--scope", "not a scope"], ["--network", "nonsense"], ["--days", "-1"], ["--days", "nan"]],
    ids=str,
)
def test_a_malformed_key_is_not_made(shared, url, options):
    code, out, err = shared("api-key", "create", "billing", *options)

    assert (code, out) == (2, "")
    assert err.startswith("error: ")


def test_a_store_that_ends_with_the_command_is_refused(shared, monkeypatch):
    monkeypatch.setenv("API_KEY_PEPPER", PEPPER)

    code, _, err = shared("api-key", "create", "billing")

    assert code == 2
    assert "AUTH_STORE is memory" in err


def test_a_pepper_that_the_service_does_not_have_is_refused(shared, url, monkeypatch):
    monkeypatch.delenv("API_KEY_PEPPER")

    code, _, err = shared("api-key", "create", "billing")

    assert code == 2
    assert "API_KEY_PEPPER is not set" in err


def test_a_missing_table_is_an_error_without_a_traceback(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("AUTH_STORE", "database")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/empty.db")
    monkeypatch.setenv("API_KEY_PEPPER", PEPPER)

    code, out, err = shared("api-key", "create", "billing")

    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "Traceback" not in err


def test_the_command_works_as_a_process_of_its_own(url):
    env = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}

    done = subprocess.run(
        [sys.executable, "-m", "shared._cli", "api-key", "create", "billing", "--json"],
        env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert verify(url, json.loads(done.stdout)["secret"]).owner == "billing"
