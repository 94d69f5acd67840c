"""What a new password must be."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth import PasswordPolicy
from shared.config import SecuritySettings
from shared.errors import InvalidArgumentError, ValidationError
from shared.logging import capture_logs

GOOD = "correct horse battery"
COMMON = "avoid much-used words, runs such as 'abcd' and repetitions"
TIED = "leave out your name, address and other words tied to you or to this service"
LEAKED = "choose another: this password is in a list of leaked ones"


def leaks(password):
    """A look-up that knows one leaked password."""
    digest = hashlib.sha1(password.encode()).hexdigest().upper()

    def look_up(head):
        assert len(head) == 5, "more than the first five digits left the process"
        return ["0" * 35 + ":3", f"{digest[5:]}:17"] if digest.startswith(head) else []

    return look_up


def test_a_long_phrase_is_good():
    assert PasswordPolicy().problems(GOOD) == ()


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("short", "use 8 or more characters"),
        ("x" * 257, "use 256 or fewer characters"),
        ("x" * 10_000_000, "use 256 or fewer characters"),
        (None, "use text without broken characters"),
        (b"correct horse", "use text without broken characters"),
        ("correct\0horse", "use text without broken characters"),
        ("correct \ud800 horse", "use text without broken characters"),
        *(
            (word, COMMON)
            for word in (
                "password", "Password1!", "p4ssw0rd", "passwordpassword", "qwertyuiop", "12345678", "abcdefgh",
                "hgfedcba", "aaaaaaaa", "abababab", "Summer2026!", "letmein123", "1q2w3e4r", "iloveyou",
                "abcabcabc",
            )
        ),
    ],
    ids=lambda value: ascii(value)[:30],
)  # fmt: skip
def test_a_bad_password_is_told_what_is_wrong(password, problem):
    assert PasswordPolicy().problems(password) == (problem,)


@pytest.mark.parametrize(
    ("rule", "password", "good", "problem"),
    [
        ("require_uppercase", GOOD, GOOD.title(), "add a capital letter"),
        ("require_lowercase", GOOD.upper(), GOOD, "add a small letter"),
        ("require_digit", GOOD, GOOD + "7", "add a digit"),
        ("require_special", "correcthorse", GOOD, "add a character that is neither a letter nor a digit"),
    ],
)
def test_a_rule_about_characters_is_off_until_asked_for(rule, password, good, problem):
    policy = PasswordPolicy(**{rule: True})

    assert PasswordPolicy().problems(password) == ()
    assert policy.problems(password) == (problem,)
    assert policy.problems(good) == ()


def test_words_of_the_user_and_of_the_service_are_refused_in_any_case():
    policy = PasswordPolicy(words=["Acme"])

    assert policy.problems("my ACME account") == (TIED,)
    assert policy.problems("lovelace at night", personal=["Ada.Lovelace@example.com"]) == (TIED,)
    assert policy.problems("the ad of the day", personal=["ad", None]) == ()


def test_a_blocklist_of_the_service_is_refused_in_any_case():
    policy = PasswordPolicy(blocklist=["Trusted-Horse-1"])

    assert policy.problems("trusted-horse-1") == (COMMON,)


def test_characters_are_counted_as_people_see_them():
    assert PasswordPolicy().problems("e\u0301" * 3 + "abcd") == ("use 8 or more characters",)


def test_what_hashing_cannot_take_is_refused_by_bytes():
    policy = PasswordPolicy(max_length=1024)

    assert policy.problems("héhöhü" * 170) == ("use 1024 or fewer bytes",)


def test_a_leaked_password_is_refused_and_only_five_digits_are_told():
    policy = PasswordPolicy(breached=leaks(GOOD))

    assert policy.problems(GOOD) == (LEAKED,)
    assert policy.problems(GOOD + "!") == ()


async def test_a_look_up_may_be_asynchronous():
    async def look_up(head):
        return leaks(GOOD)(head)

    policy = PasswordPolicy(breached=look_up)

    assert await policy.aproblems(GOOD) == (LEAKED,)
    with pytest.raises(InvalidArgumentError, match="aproblems"):
        policy.problems(GOOD)
    with pytest.raises(ValidationError, match="leaked"):
        await policy.arequire(GOOD)


async def test_a_plain_look_up_may_be_asked_from_a_coroutine():
    assert await PasswordPolicy(breached=leaks(GOOD)).aproblems(GOOD) == (LEAKED,)
    assert await PasswordPolicy().aproblems(GOOD) == ()


def broken(_head):
    raise ConnectionError("secret of the supplier")


def broken_while_read(_head):
    yield "0" * 35
    raise ConnectionError("secret of the supplier")


@pytest.mark.parametrize("look_up", [broken, broken_while_read, lambda _: None], ids=["call", "read", "none"])
async def test_a_look_up_that_fails_keeps_nobody_from_a_password(look_up):
    policy = PasswordPolicy(breached=look_up)

    with capture_logs() as logs:
        assert policy.problems(GOOD) == ()
        assert await policy.aproblems(GOOD) == ()

    assert len(logs) == 2
    assert "secret of the supplier" not in str(logs)


def test_a_look_up_is_not_asked_about_a_password_that_is_refused_anyway():
    asked = []

    PasswordPolicy(breached=lambda head: asked.append(head) or []).problems("short")

    assert asked == []


def test_requiring_a_good_password_lists_everything_that_is_wrong():
    policy = PasswordPolicy(min_length=12, require_digit=True)

    with pytest.raises(ValidationError) as caught:
        policy.require("hunter-x")

    assert [error["message"] for error in caught.value.details["errors"]] == [
        "use 12 or more characters",
        "add a digit",
    ]
    assert "hunter-x" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"min_length": 0}, {"min_length": 300}, {"max_length": 2000}, {"blocklist": "abc"}, {"words": "abc"}],
    ids=str,
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        PasswordPolicy(**wrong)


def test_one_text_for_personal_words_is_refused():
    with pytest.raises(InvalidArgumentError, match="personal"):
        PasswordPolicy().problems(GOOD, personal="ada")


def test_a_policy_follows_the_settings():
    section = SecuritySettings(PASSWORD_MIN_LENGTH=12, PASSWORD_MAX_LENGTH=64, PASSWORD_REQUIRE_DIGIT=True)

    policy = PasswordPolicy.from_settings(section, words=["acme"])

    assert (policy.min_length, policy.max_length, policy.require_digit, policy.words) == (
        12,
        64,
        True,
        ("acme",),
    )


@given(st.one_of(st.text(max_size=300), st.binary(), st.integers()))
@settings(deadline=None)
def test_a_policy_never_raises_for_a_password(password):
    assert isinstance(PasswordPolicy(require_special=True).problems(password), tuple)
