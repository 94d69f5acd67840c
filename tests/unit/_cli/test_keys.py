"""``shared keys`` and ``shared token``: what an operator does with keys, and a developer with tokens."""

import json
import stat

import pytest

from shared.auth import create_access_token, create_refresh_token, decode_token, revoke_token
from shared.config import Settings, use_settings

SECRET = "tq7Zk2bV-9xLr4WmHs0cYp6uEa1dNfGj3iKoXvRwBzQ8MtUy5hJlSeCgPnDiFb_A"


@pytest.fixture(autouse=True)
def _settings(runtime):
    use_settings(Settings(environ={"JWT_SECRET_KEY": SECRET}, env_file=None), runtime=runtime)


# --- keys -----------------------------------------------------------------------------------------


def test_a_life_of_keys(shared, tmp_path):
    file = ("--file", "keys.json")

    assert shared("keys", "new", "--kid", "a", *file) == (0, "a  ES256  active\n", "")
    code, out, _ = shared("keys", "new", "--kid", "b", "--algorithm", "EdDSA", *file)
    assert (code, out) == (0, "b  EdDSA  next; when every service has seen it: shared keys rotate\n")
    code, out, _ = shared("keys", "rotate", *file)
    assert [line.split("  ")[:3] for line in out.splitlines()] == [
        ["a", "ES256", "verify-only"],
        ["b", "EdDSA", "active"],
    ]
    code, out, _ = shared("keys", "retire", "a", *file)
    assert [line.split("  ")[0] for line in out.splitlines()] == ["b"]
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


def test_keys_answer_with_json(shared):
    file = ("--file", "keys.json", "--json")

    _, made, _ = shared("keys", "new", "--kid", "a", *file)
    _, listed, _ = shared("keys", "list", *file)
    _, published, _ = shared("keys", "jwks", *file)

    assert json.loads(made) == {"kid": "a", "alg": "ES256", "status": "active"}
    assert [(key["kid"], key["status"]) for key in json.loads(listed)["keys"]] == [("a", "active")]
    assert json.loads(published)["keys"][0]["kid"] == "a"


def test_nothing_secret_is_printed(shared, tmp_path):
    shared("keys", "new", "--kid", "a", "--file", "keys.json")
    secret = json.loads((tmp_path / "keys.json").read_text())["keys"][0]["d"]

    for verb in ("list", "jwks"):
        for more in ((), ("--json",)):
            _, out, err = shared("keys", verb, "--file", "keys.json", *more)
            assert secret not in out + err


def test_the_file_of_the_settings_is_the_default(shared, runtime):
    use_settings(Settings(environ={"JWT_KEYS_FILE": "mine.json"}, env_file=None), runtime=runtime)

    assert shared("keys", "new", "--kid", "a")[0] == 0
    assert shared("keys", "list", "--file", "mine.json")[1].startswith("a  ES256  active  since 20")


def test_old_keys_are_removed_by_age(shared):
    file = ("--file", "keys.json")
    for kid in "abc":
        shared("keys", "new", "--kid", kid, "--algorithm", "EdDSA", *file)
    shared("keys", "rotate", *file)

    code, out, _ = shared("keys", "rotate", "--retire-after", "30", *file)

    assert code == 0
    assert len(out.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list",), "no file of keys: give --file PATH, or set JWT_KEYS_FILE"),
        (("list", "--file", "none.json"), "make it with: shared keys new"),
        (("rotate", "--file", "none.json"), "1 to 64 keys"),
        (("rotate", "--file", "none.json", "--retire-after", "0"), "days above 0"),
        (("rotate", "--file", "none.json", "--retire-after", "nan"), "days above 0"),
        (("new", "--file", "keys.json", "--algorithm", "none"), "not accepted"),
        (("new", "--file", "keys.json", "--algorithm", "RS256", "--bits", "1024"), "2048 to 8192"),
        (("new", "--file", "nowhere/keys.json"), "cannot be written"),
        (("retire", "a", "--file", "none.json"), "1 to 64 keys"),
    ],
    ids=range(9),
)
def test_what_cannot_be_done_is_told(shared, arguments, message):
    code, out, err = shared("keys", *arguments)

    assert (code, out) == (2, "")
    assert message in err


# --- tokens ---------------------------------------------------------------------------------------


def test_a_token_is_made_by_the_settings(shared):
    code, out, _ = shared(
        "token", "mint", "u-1", "--email", "ada@example.com", "--role", "admin", "--role", "dev", "--permission", "a:b",
        "--expires-in", "60", "--claim", "tenant=acme", "--claim", 'plan={"seats": 3}',
    )  # fmt: skip

    payload = decode_token(out.strip())
    assert code == 0
    assert (payload.user_id, payload.email, payload.roles, payload.permissions) == (
        "u-1", "ada@example.com", ("admin", "dev"), ("a:b",),
    )  # fmt: skip
    assert payload["tenant"] == "acme"
    assert payload["plan"]["seats"] == 3
    assert payload["exp"] - payload["iat"] <= 60


def test_a_token_is_made_for_an_audience_and_answered_as_json(shared):
    _, out, _ = shared("token", "mint", "u-1", "--audience", "orders", "--json")

    assert decode_token(json.loads(out)["token"], audience="orders").user_id == "u-1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--claim", "novalue"), "NAME=VALUE"),
        (("--claim", "a b=1"), "NAME=VALUE"),
        (("--claim", "roles=admin"), "--claim roles cannot be given"),
        (("--claim", "user_id=admin"), "--claim user_id cannot be given"),
        (("--claim", "sub=admin"), "'sub'"),
        (("--expires-in", "0"), "seconds above 0"),
        (("--expires-in", "999999999"), "at most"),
        (("--email", ""), "'email'"),
    ],
    ids=range(8),
)
def test_a_token_that_cannot_be_made_is_told(shared, arguments, message):
    code, out, err = shared("token", "mint", "u-1", *arguments)

    assert (code, out) == (2, "")
    assert message in err


def test_a_token_is_looked_into(shared):
    code, out, _ = shared("token", "inspect", create_access_token("u-1"))

    assert code == 0
    assert out.startswith("accepted\n")
    assert '"sub": "u-1"' in out


def test_a_token_comes_from_the_standard_input(shared, monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(f"Bearer {create_refresh_token('u-1')}\n"))

    code, out, _ = shared("token", "inspect", "--json")

    assert code == 0
    assert json.loads(out)["type"] == "refresh"


def test_a_token_that_is_refused_is_shown_with_the_reason(shared):
    token = create_access_token("u-1")
    revoke_token(token)

    code, out, _ = shared("token", "inspect", token)

    assert code == 1
    assert out.startswith("refused: the token was revoked")


def test_what_is_no_token_is_an_error(shared):
    code, out, err = shared("token", "inspect", "junk")

    assert (code, out) == (2, "")
    assert "5 to 8192 characters" in err


@pytest.mark.parametrize("verb", ["keys", "token"])
def test_a_verb_needs_a_command(shared, verb):
    assert shared(verb)[0] == 2
    assert shared(verb, "--help")[0] == 0
