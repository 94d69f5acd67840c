"""Tokens by the settings: keys, stores and lives, followed while the service runs."""

import json
import logging

import pytest

from shared.auth import (
    AsyncRedisTokenStore,
    AsyncSqlTokenStore,
    KeyFile,
    MemoryTokenStore,
    RedisTokenStore,
    SqlTokenStore,
    TokenRefused,
    TokensRevoked,
    aconsume_email_verification_token,
    aconsume_password_reset_token,
    acreate_refresh_token,
    adecode_token,
    aget_email_from_token,
    aget_user_id_from_token,
    arevoke_all_for_user,
    arevoke_token,
    arotate_refresh_token,
    averify_token,
    consume_email_verification_token,
    consume_password_reset_token,
    create_access_token,
    create_email_verification_token,
    create_password_reset_token,
    create_refresh_token,
    decode_token,
    get_async_token_service,
    get_email_from_token,
    get_key_source,
    get_token_service,
    get_user_id_from_token,
    inspect_token,
    is_token_expired,
    revoke_all_for_user,
    revoke_token,
    ring_from_settings,
    rotate_refresh_token,
    verify_token,
)
from shared.config import SecuritySettings, Settings, reload_settings, use_settings
from shared.errors import ConfigurationError, InvalidTokenError, TokenReuseError
from shared.runtime import Runtime, use
from tests.unit.auth.forge import SECRET, access, header, key, raw

OTHER = SECRET[::-1]


def settings(**environ):
    given = {"ENVIRONMENT": "testing", "JWT_SECRET_KEY": SECRET, **environ}
    return Settings(
        environ={name: value for name, value in given.items() if value is not None}, env_file=None
    )


@pytest.fixture
def runtime():
    made = Runtime("test")
    use_settings(settings(), runtime=made)
    with use(made):
        yield made
    made.close()


@pytest.fixture
def told(runtime):
    events = []
    runtime.events.subscribe(object, events.append)
    return events


# --- the functions -----------------------------------------------------------------------------


def test_the_documented_use(runtime):
    token = create_access_token(user_id="123", email="user@example.com")

    payload = verify_token(token)

    assert payload["user_id"] == "123"
    assert payload["email"] == "user@example.com"
    assert get_user_id_from_token(token) == "123"
    assert get_email_from_token(token) == "user@example.com"
    assert decode_token(token) == payload
    assert is_token_expired(token) is False


@pytest.mark.parametrize(
    "junk", [None, "", "junk", 1, b"x", [], "a.b.c", "\ud800", "x" * 10_000, access()], ids=range(10)
)
def test_verifying_never_raises(runtime, junk):
    assert verify_token(junk) is None
    assert verify_token(junk, token_type="unknown") is None
    assert get_user_id_from_token(junk) is None
    assert get_email_from_token(junk) is None
    assert is_token_expired(junk) is True
    assert revoke_token(junk) is False
    with pytest.raises(InvalidTokenError):
        decode_token(junk)


def test_verifying_never_raises_when_the_keys_are_wrong(told, runtime):
    use_settings(settings(JWT_SECRET_KEY="short"), runtime=runtime)

    assert verify_token("a.b.c") is None
    assert get_user_id_from_token("a.b.c") is None
    assert is_token_expired("a.b.c") is True
    assert isinstance(told[0], TokenRefused)
    assert told[0].code == "CONFIGURATION_ERROR"
    with pytest.raises(ConfigurationError, match="JWT_SECRET_KEY: the secret has 5 bytes"):
        create_access_token("u-1")


async def test_verifying_never_raises_in_coroutines_either(told, runtime):
    use_settings(settings(JWT_SECRET_KEY="short"), runtime=runtime)

    assert await averify_token("a.b.c") is None
    assert await aget_user_id_from_token(None) is None
    assert told[0].code == "CONFIGURATION_ERROR"


def test_a_token_without_an_address_has_none(runtime):
    token = create_access_token("u-1")

    assert get_email_from_token(token) is None
    assert "email" not in verify_token(token)


def test_a_session_from_login_to_logout(runtime, told):
    refresh = create_refresh_token("u-1", "ada@example.com", device="phone")
    renewed = rotate_refresh_token(refresh, client="phone")

    assert get_user_id_from_token(renewed, token_type="refresh") == "u-1"
    assert get_email_from_token(renewed, token_type="refresh") == "ada@example.com"
    assert revoke_token(renewed) is True
    assert verify_token(renewed, token_type="refresh") is None
    assert any(isinstance(event, TokensRevoked) for event in told)


def test_tokens_for_one_use(runtime):
    reset = create_password_reset_token("u-1", "ada@example.com", bound_to="hash")
    verify = create_email_verification_token("u-1", "ada@example.com")

    assert consume_password_reset_token(reset, bound_to="hash").email == "ada@example.com"
    assert consume_email_verification_token(verify).email == "ada@example.com"
    for consume, token, options in (
        (consume_password_reset_token, reset, {"bound_to": "hash"}),
        (consume_email_verification_token, verify, {}),
    ):
        with pytest.raises(TokenReuseError):
            consume(token, **options)


def test_a_user_is_logged_out_everywhere(runtime):
    tokens = [create_access_token("u-1"), create_access_token("u-1")]

    revoke_all_for_user("u-1")

    assert [verify_token(token) for token in tokens] == [None, None]
    assert verify_token(create_access_token("u-1"))


async def test_the_same_in_coroutines(runtime):
    token = create_access_token("u-1", "ada@example.com")

    assert (await averify_token(token))["user_id"] == "u-1"
    assert (await adecode_token(token)).email == "ada@example.com"
    assert await aget_user_id_from_token(token) == "u-1"
    assert await aget_email_from_token(token) == "ada@example.com"
    assert await aget_email_from_token("junk") is None
    refresh = await acreate_refresh_token("u-1")
    assert await arotate_refresh_token(refresh) == await arotate_refresh_token(refresh)
    assert (await aconsume_password_reset_token(create_password_reset_token("u-1"))).user_id == "u-1"
    assert (await aconsume_email_verification_token(create_email_verification_token("u-1"))).user_id == "u-1"
    assert await arevoke_token(token) is True
    assert await averify_token(token) is None
    other = create_access_token("u-1")
    await arevoke_all_for_user("u-1")
    assert await averify_token(other) is None


async def test_what_is_taken_back_in_a_coroutine_is_taken_back_for_threads(runtime):
    token = create_access_token("u-1")

    await arevoke_token(token)

    assert verify_token(token) is None


def test_two_runtimes_do_not_see_each_other(runtime):
    token = create_access_token("u-1")
    other = Runtime("other")
    use_settings(settings(JWT_SECRET_KEY=OTHER), runtime=other)

    with use(other):
        assert verify_token(token) is None
    assert verify_token(token)
    other.close()


# --- keys from the settings --------------------------------------------------------------------


def section(**values):
    return SecuritySettings(**values)


def test_a_secret_signs_and_earlier_ones_verify():
    ring = ring_from_settings(section(JWT_SECRET_KEY=SECRET, JWT_PREVIOUS_SECRET_KEYS=[OTHER, SECRET]))

    assert [found.status.value for found in ring.keys] == ["active", "verify-only"]
    assert ring.active.algorithm == "HS256"


def test_a_secret_rotates_with_its_predecessor_in_the_settings(runtime):
    token = create_access_token("u-1")
    use_settings(
        settings(JWT_SECRET_KEY=OTHER, JWT_PREVIOUS_SECRET_KEYS=SECRET), runtime=(later := Runtime("later"))
    )

    with use(later):
        assert verify_token(token)["user_id"] == "u-1"
        assert decode_token(create_access_token("u-2")).user_id == "u-2"
    later.close()


def pems(algorithm):
    from cryptography.hazmat.primitives import serialization as ser

    found = key(algorithm)
    private = found.material(private=True).private_bytes(
        ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()
    )
    public = found.material(private=False).public_bytes(
        ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES256", "EdDSA"])
def test_a_pair_of_keys_signs_and_its_public_half_verifies(algorithm):
    private, public = pems(algorithm)

    both = ring_from_settings(
        section(JWT_ALGORITHM=algorithm, JWT_PRIVATE_KEY=private, JWT_PUBLIC_KEY=public)
    )
    reader = ring_from_settings(section(JWT_ALGORITHM=algorithm, JWT_PUBLIC_KEY=public))

    assert both.active.kid == reader.keys[0].kid
    assert reader.active is None


def test_halves_that_do_not_belong_together_are_refused():
    from tests.unit.auth.test_key import public_pem

    private, _ = pems("ES256")
    other = public_pem(key("ES256", number=1, kid="other").material(private=False)).decode()

    with pytest.raises(ConfigurationError, match="not the public half"):
        ring_from_settings(section(JWT_ALGORITHM="ES256", JWT_PRIVATE_KEY=private, JWT_PUBLIC_KEY=other))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "JWT_SECRET_KEY is not set"),
        ({"JWT_ALGORITHM": "ES256"}, "JWT_PRIVATE_KEY or JWT_PUBLIC_KEY is not set"),
        ({"JWT_SECRET_KEY": "short"}, "JWT_SECRET_KEY: the secret has 5 bytes"),
        ({"JWT_SECRET_KEY": SECRET[:40], "JWT_ALGORITHM": "HS512"}, "HS512 needs 64"),
        ({"JWT_SECRET_KEY": SECRET, "JWT_PREVIOUS_SECRET_KEYS": ["short"]}, "JWT_PREVIOUS_SECRET_KEYS: "),
        ({"JWT_ALGORITHM": "RS256", "JWT_PRIVATE_KEY": "junk"}, "JWT_PRIVATE_KEY: a PEM document"),
    ],
    ids=range(6),
)
def test_keys_that_must_not_be_used_are_named_by_their_setting(values, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        ring_from_settings(section(**values))

    assert SECRET[:20] not in str(caught.value)


@pytest.mark.parametrize(
    "secret", [None, "", "secret", "your_jwt_secret", "a" * 64, "change-me-please-change-me-please-now"]
)
def test_production_does_not_start_without_a_good_secret(secret):
    with pytest.raises(ConfigurationError, match="JWT_SECRET_KEY"):
        settings(ENVIRONMENT="production", JWT_SECRET_KEY=secret)


def test_development_makes_a_secret_for_the_process():
    made = Runtime("dev")
    use_settings(Settings(environ={}, env_file=None), runtime=made)
    with use(made):
        assert verify_token(create_access_token("u-1"))["user_id"] == "u-1"
    made.close()


def test_the_backend_can_be_chosen(runtime):
    token = create_access_token("u-1")
    use_settings(settings(JWT_BACKEND="native"), runtime=(native := Runtime("native")))

    with use(native):
        assert verify_token(token)
    native.close()


# --- without a restart ------------------------------------------------------------------------


@pytest.fixture
def reloadable(tmp_path, monkeypatch):
    """A runtime whose settings come from a file that can be changed."""
    file = tmp_path / ".env"
    monkeypatch.chdir(tmp_path)
    for name in ("JWT_SECRET_KEY", "JWT_PREVIOUS_SECRET_KEYS", "ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)

    def write(**values):
        file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    write(ENVIRONMENT="testing", JWT_SECRET_KEY=SECRET)
    made = Runtime("reload")
    with use(made):
        yield write
    made.close()


def test_a_secret_is_rotated_by_reloading_the_settings(reloadable):
    service, token = get_token_service(), create_access_token("u-1")
    reloadable(ENVIRONMENT="testing", JWT_SECRET_KEY=OTHER, JWT_PREVIOUS_SECRET_KEYS=SECRET)

    reload_settings()

    assert get_token_service() is service
    assert verify_token(token)
    fresh = create_access_token("u-1")
    reloadable(ENVIRONMENT="testing", JWT_SECRET_KEY=OTHER)
    reload_settings()
    assert verify_token(token) is None
    assert verify_token(fresh)


def test_a_wrong_secret_in_a_reload_leaves_the_keys_before_in_force(reloadable, caplog):
    token = create_access_token("u-1")
    reloadable(ENVIRONMENT="testing", JWT_SECRET_KEY="short")

    with caplog.at_level(logging.ERROR):
        reload_settings()

    assert verify_token(token)
    assert "short" not in caplog.text.replace("is too short", "")


def test_a_reload_of_something_else_keeps_the_ring(reloadable):
    ring = get_key_source().current()
    reloadable(ENVIRONMENT="testing", JWT_SECRET_KEY=SECRET, API_PORT=9999)

    reload_settings()

    assert get_key_source().current() is ring


def test_a_file_of_keys_goes_before_a_secret(tmp_path):
    path = tmp_path / "keys.json"
    KeyFile(path).new("ES256", kid="file")
    made = Runtime("file")
    use_settings(settings(JWT_KEYS_FILE=str(path)), runtime=made)

    with use(made):
        assert get_token_service().ring.active.kid == "file"
        assert verify_token(create_access_token("u-1"))
    made.close()


def test_a_file_of_keys_that_is_not_there_is_told_at_once(tmp_path):
    made = Runtime("file")
    use_settings(settings(JWT_KEYS_FILE=str(tmp_path / "none.json")), runtime=made)

    with use(made), pytest.raises(ConfigurationError, match="shared keys new"):
        get_token_service()
    made.close()


async def test_an_address_of_keys_makes_a_service_that_verifies_only():
    made = Runtime("remote")
    use_settings(settings(JWT_JWKS_URL="https://127.0.0.1/jwks"), runtime=made)

    with use(made):
        assert get_key_source().is_local is False
        token = raw(header(alg="ES256"), b"{}", signing=key("ES256"))
        assert verify_token(token) is None
        assert await averify_token(token) is None
    made.close()


# --- stores --------------------------------------------------------------------------------------


def test_this_process_is_the_store_unless_said_otherwise(runtime):
    assert isinstance(get_token_service().store, MemoryTokenStore)


def test_the_database_can_be_the_store(tmp_path):
    from shared.database import Base, get_database, tables_of

    made = Runtime("db")
    use_settings(settings(AUTH_STORE="database", DATABASE_URL=f"sqlite:///{tmp_path}/t.db"), runtime=made)
    with use(made):
        Base.metadata.create_all(get_database().engine, tables=tables_of("auth"))
        token = create_access_token("u-1")

        assert isinstance(get_token_service().store, SqlTokenStore)
        assert isinstance(get_async_token_service().store, AsyncSqlTokenStore)
        assert revoke_token(token)
        assert verify_token(token) is None
    made.close()


def test_redis_can_be_the_store(recwarn):
    made = Runtime("redis")
    use_settings(settings(AUTH_STORE="redis", REDIS_URL="redis://127.0.0.1:1/0"), runtime=made)
    with use(made):
        token = create_access_token("u-1")

        assert isinstance(get_token_service().store, RedisTokenStore)
        assert verify_token(token) is None  # nobody answers there
    made.close()


async def test_redis_can_be_the_store_of_coroutines():
    made = Runtime("redis")
    use_settings(settings(AUTH_STORE="redis", REDIS_URL="redis://127.0.0.1:1/0"), runtime=made)
    with use(made):
        assert isinstance(get_async_token_service().store, AsyncRedisTokenStore)
        assert await averify_token(create_access_token("u-1")) is None
    await made.aclose()


# --- looking into a token -----------------------------------------------------------------------


def test_a_token_can_be_looked_into(runtime):
    found = inspect_token(create_access_token("u-1", "ada@example.com"))

    assert found["accepted"] is True
    assert found["reason"] is None
    assert found["type"] == "access"
    assert found["header"]["alg"] == "HS256"
    assert found["claims"]["email"] == "ada@example.com"
    assert json.dumps(found)


@pytest.mark.parametrize(
    "make", [create_refresh_token, create_password_reset_token, create_email_verification_token]
)
def test_every_kind_can_be_looked_into(runtime, make):
    assert inspect_token(make("u-1"))["accepted"] is True


def test_looking_into_a_gateway_token_asks_for_no_audience(runtime):
    token = get_token_service().create_gateway_token("u-1", audience="orders")

    assert inspect_token(token)["accepted"] is True


def test_what_a_forged_token_says_is_shown_with_the_verdict(runtime):
    found = inspect_token(access(sub="admin"))

    assert found["accepted"] is False
    assert found["type"] == "access"
    assert found["claims"]["sub"] == "admin"
    assert "key" in found["reason"]


def test_a_token_of_another_system_can_be_looked_into(runtime):
    found = inspect_token(raw({"alg": "HS256", "typ": "JWT"}, b"[]"))

    assert (found["accepted"], found["type"], found["claims"]) == (False, None, None)


def test_what_is_no_token_cannot_be_looked_into(runtime):
    with pytest.raises(InvalidTokenError):
        inspect_token("junk")
