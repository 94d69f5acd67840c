"""Names that promise a secret, and names that only look it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.security import is_secret_name
from shared.security._names import _MAX_MEMO, Verdict, Verdicts

SECRET = [
    "password", "Password", "PASSWORD", "passwd", "user_password", "newPassword", "password_hash", "password2",
    "db_pass", "DB_PASS", "smtpPass", "pwd", "mysql_pwd", "dbpassword", "passphrase", "secret", "client_secret",
    "clientSecret", "clientsecret", "AWS_SECRET_ACCESS_KEY", "JWT_SECRET_KEY", "STRIPE_WEBHOOK_SECRET",
    "secret_id", "token", "access_token", "accessToken", "accesstoken", "refresh_token", "id_token",
    "csrf_token", "X-CSRF-Token", "password_reset_token", "access_tokens", "api_key", "apikey", "apiKey",
    "APIKey", "X-API-Key", "x-api-key", "xapikey", "OPENAI_API_KEY", "api_key_2", "authorization",
    "Authorization", "Proxy-Authorization", "auth", "basic_auth", "cookie", "Cookie", "Set-Cookie", "setcookie",
    "private_key", "privateKey", "privatekey", "signing_key", "encryption_key", "ssh_key", "dsn", "SENTRY_DSN",
    "credential", "credentials", "credit_card", "creditCard", "credit_card_number", "card_number", "cvv",
    "cvv2", "cvc", "ssn", "social_security_number", "otp", "totp_code", "pin", "card_pin", "session_id",
    "sessionid", "JSESSIONID", "PHPSESSID", "connection_string", "jwt", "X-Amz-Signature", "recovery_codes",
    "Ocp-Apim-Subscription-Key", "x-functions-key", "code_verifier", "SAMLResponse", "user[password]", "user%5Bpassword%5D", "api%5Fkey", b"Set-Cookie", b"authorization",
]  # fmt: skip
PLAIN = [
    "token_count", "tokens_used", "max_tokens", "prompt_tokens", "total_tokens", "completionTokens", "token_type",
    "token_url", "token_ttl", "token_bucket", "tokenizer", "token_id", "password_min_length", "passwordMinLength",
    "password_changed_at", "password_policy", "has_password", "is_secret", "requires_auth", "secretary", "secretariat",
    "secret_name", "secret_version", "api_key_id", "public_key", "primary_key", "cache_key", "idempotency_key",
    "cookie_domain", "cookie_secure", "auth_method", "author", "authenticated", "keyboard", "monkey", "session",
    "status_code", "pass_rate", "passed", "compass", "bypass", "pinned", "spin", "opinion", "event", "user_id",
    "order_id", "path", "", "-", "42", "日本", "jwt_algorithm", "otp_enabled", "JWT_EXPIRE_MINUTES",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET, ids=repr)
def test_is_secret_name_finds_a_secret_in_every_spelling(name):
    assert is_secret_name(name) is True


@pytest.mark.parametrize("name", PLAIN, ids=repr)
def test_is_secret_name_leaves_facts_about_secrets_alone(name):
    assert is_secret_name(name) is False


@pytest.mark.parametrize(
    "name", [None, 7, True, 1.5, ("password",), object()], ids=lambda value: type(value).__name__
)
def test_is_secret_name_is_false_for_what_is_no_text(name):
    assert is_secret_name(name) is False


@given(st.text() | st.binary())
def test_is_secret_name_answers_for_any_text(name):
    assert is_secret_name(name) in (True, False)


@given(st.sampled_from(["password", "apiKey", "client_secret"]), st.text("abcxyz", max_size=5))
def test_is_secret_name_does_not_depend_on_the_prefix(name, prefix):
    assert is_secret_name(f"{prefix}_{name}")


def test_verdicts_forget_when_full():
    verdicts = Verdicts()

    for number in range(3 * _MAX_MEMO):
        verdicts[f"name-{number}"]

    assert len(verdicts) <= _MAX_MEMO


@pytest.mark.parametrize("name", ["x" * 1_000_000, "x" * 1_000_000 + "_password", 12, b"password"])
def test_verdicts_do_not_remember_long_or_foreign_names(name):
    verdicts = Verdicts()

    verdicts[name]

    assert name not in verdicts


def test_verdicts_see_a_secret_at_either_end_of_a_long_name():
    verdicts = Verdicts()

    found = [verdicts["password_" + "x" * 9_999], verdicts["x" * 9_999 + "_password"]]

    assert found == [Verdict.SECRET, Verdict.SECRET]


def test_verdicts_tell_a_token_that_is_a_number_from_one_that_is_text():
    assert Verdicts()["token"] == Verdict.TEXT_SECRET


@pytest.mark.parametrize("name", ["iban", "customer_iban", "customerIban", "IBAN"])
def test_verdicts_take_more_names_in_every_spelling(name):
    assert Verdicts(["iban"])[name] == Verdict.SECRET


@pytest.mark.parametrize("name", ["urban", "ibanez", "caliban"])
def test_verdicts_match_more_names_as_whole_words(name):
    assert Verdicts(["iban"])[name] == Verdict.PLAIN


@pytest.mark.parametrize("name", ["session_id", "sessionId", "Session-ID"])
def test_verdicts_let_an_allowed_name_pass(name):
    assert Verdicts(allow=["session_id"])[name] == Verdict.PLAIN


def test_verdicts_keep_other_names_secret_beside_an_allowed_one():
    assert Verdicts(allow=["session_id"])["old_session_id"] == Verdict.SECRET


def test_verdicts_understand_a_hostile_subclass_of_str():
    class Loud(str):
        __slots__ = ()

        def __str__(self):
            raise RuntimeError

    assert Verdicts()[Loud("password")] == Verdict.SECRET
