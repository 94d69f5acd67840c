"""No secret leaves, wherever it is put."""

import dataclasses
import logging

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.context import request_context
from shared.logging import AccessLog, MemorySink, bind, bound, configure_logging, get_logger

SECRET = "s3cr3t-value-nobody-sees"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLXNlY3JldA"
KEY = "sk-abcdefghijklmnop1234"


class Account(pydantic.BaseModel):
    name: str
    password: str
    token: pydantic.SecretStr


@dataclasses.dataclass
class Login:
    user: str
    password: str


def test_a_secret_name_hides_its_value(handle, memory):
    get_logger().info("it", password=SECRET, api_key=SECRET, clientSecret=SECRET)

    assert SECRET not in memory.lines[0]
    assert memory.events[0]["password"] == "***"


@pytest.mark.parametrize(
    "value",
    [
        {"password": SECRET},
        {"a": {"b": {"c": {"authorization": SECRET}}}},
        [{"user": "ada", "password": SECRET}],
        ({"x": [{"secret": SECRET}]},),
        [("Authorization", f"Bearer {SECRET}"), ("Accept", "*/*")],
        [(b"cookie", SECRET.encode())],
        Account(name="ada", password=SECRET, token=SECRET),
        [Account(name="ada", password=SECRET, token=SECRET)],
        Login("ada", SECRET),
        {"login": Login("ada", SECRET)},
        pydantic.SecretStr(SECRET),
        {"name": "DB_PASSWORD", "value": SECRET},
        f"postgresql://app:{SECRET}@db/orders",
        f"https://example.org/?token={SECRET}&x=1",
        f"Bearer {SECRET}",
        {"note": f"password={SECRET}"},
        ValueError(f"login failed: password={SECRET}"),
        {"error": ValueError(f"Authorization: Bearer {SECRET}")},
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("format", ["json", "ecs", "console"])
def test_a_secret_inside_a_value_is_hidden_in_every_format(memory, value, format):
    with configure_logging({}, sink=memory, format=format):
        log = get_logger()
        log.info("it", value=value)
        log.info("it", value=value)

    assert SECRET not in "".join(memory.lines)


@pytest.mark.parametrize("text", [JWT, KEY, f"Bearer {SECRET}", f"redis://:{SECRET}@cache/0"])
def test_a_secret_is_hidden_by_its_shape_wherever_text_goes(handle, memory, text):
    log = get_logger()
    for _ in range(3):
        log.info("event with " + text)  # noqa: G003 - the event itself holds the secret
        log.info("it", note=text)
        log.info("it %s", text)
        log.info("it", nested=[{"note": text}])

    assert text not in "".join(memory.lines)


def test_a_secret_in_an_exception_is_hidden(handle, memory):
    def leaks():
        password = SECRET  # a local value must never appear either
        raise ValueError(f"cannot connect to postgresql://app:{password}@db/x")

    try:
        try:
            leaks()
        except ValueError as exc:
            exc.add_note(f"tried token={SECRET}")
            raise RuntimeError(f"password={SECRET}") from exc
    except RuntimeError:
        get_logger().exception("failed")

    assert SECRET not in memory.lines[0]
    assert memory.events[0]["exception"]["cause"]["frames"][-1]["func"].endswith("leaks")


def test_bound_fields_are_masked_like_any(handle, memory):
    with request_context():
        bind(password=SECRET)
        with bound(api_key=SECRET):
            log = get_logger(token=SECRET)
            log.info("it")
            log.info("it")
            AccessLog().write({"status": 200})

    assert SECRET not in "".join(memory.lines)


def test_a_secret_in_stdlib_arguments_is_hidden(handle, memory):
    log = logging.getLogger("std")
    log.warning("login %s", {"user": "ada", "password": SECRET})
    log.warning("login %(user)s %(password)s", {"user": "ada", "password": SECRET})
    log.warning(
        "headers %s and %r", [("Authorization", SECRET)], Account(name="a", password=SECRET, token=SECRET)
    )
    log.warning("password=%s", SECRET)
    log.warning("GET /?token=%s", SECRET)
    log.warning("extra", extra={"password": SECRET, "body": {"secret": SECRET}})

    assert "ada" in memory.lines[0]
    assert SECRET not in "".join(memory.lines)


def test_an_access_line_masks_the_query(handle, memory):
    AccessLog().write({"path": f"/orders?api_key={SECRET}&page=2", "status": 200})

    assert memory.events[0]["path"] == "/orders?api_key=***&page=2"


def test_names_from_the_settings_are_secret_too(memory):
    with configure_logging({"LOG_FORMAT": "json", "LOG_REDACT_NAMES": ["iban"]}, sink=memory):
        log = get_logger()
        for _ in range(3):
            log.info("it", customer_iban="DE02", body={"iban": "DE02"})

    assert "DE02" not in "".join(memory.lines)


def test_a_value_known_as_harmless_is_still_hidden_under_a_secret_name(handle, memory):
    log = get_logger()
    for _ in range(3):
        log.info("it", color="plain-word")
        log.info("it", password="plain-word")

    assert [event.get("password") for event in memory.events] == [None, "***"] * 3


def test_counts_of_tokens_stay_readable_and_texts_of_tokens_do_not(handle, memory):
    log = get_logger()
    for _ in range(2):
        log.info("it", tokens=512, max_tokens=1000)
        log.info("it", tokens="abc")

    assert [event["tokens"] for event in memory.events] == [512, "***"] * 2


def test_a_validation_error_does_not_show_the_input(handle, memory):
    try:
        Account(name="ada", password=12, token=SECRET)
    except pydantic.ValidationError:
        get_logger().exception("bad body")

    message = memory.events[0]["exception"]["message"]
    assert "password: Input should be a valid string" in message
    assert "12" not in message


def test_bound_values_of_a_statement_are_left_out(handle, memory):
    import sqlalchemy

    engine = sqlalchemy.create_engine("sqlite://")
    try:
        with engine.connect() as connection:
            connection.execute(
                sqlalchemy.text("select * from nowhere where name = :name"), {"name": "ada lovelace"}
            )
    except sqlalchemy.exc.OperationalError:
        get_logger().exception("query failed")
    engine.dispose()

    assert "nowhere" in memory.lines[0]
    assert "lovelace" not in memory.lines[0]


@given(
    st.sampled_from([SECRET, JWT, KEY]),
    st.recursive(
        st.sampled_from(["hole"]),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=2)
            | st.dictionaries(st.sampled_from(["a", "body"]), inner, min_size=1)
        ),
        max_leaves=4,
    ),
)
def test_a_secret_under_its_name_never_comes_out_at_any_depth(secret, shape):
    def fill(part):
        if part == "hole":
            return {"password": secret}
        return [fill(p) for p in part] if isinstance(part, list) else {k: fill(v) for k, v in part.items()}

    memory = MemorySink()
    with configure_logging({}, sink=memory, format="json"):
        get_logger().info("it", value=fill(shape))

    assert secret not in memory.lines[0]
