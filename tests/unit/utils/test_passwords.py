import dataclasses
from types import SimpleNamespace

import pytest
from hypothesis import given

from shared.errors import InvalidArgumentError
from shared.utils import PasswordCheck, PasswordRule, PasswordRules, validate_password
from tests.unit.utils.hostile import HOSTILE, MEGABYTES, anything


def broken(password, rules=None, **options):
    return [str(rule) for rule in validate_password(password, rules, **options).broken]


@pytest.mark.parametrize(
    "password", ["correct horse battery", "Str0ng!Passphrase", "пароль-для-меня", "🦊🐙🌵🎈🧀🚲🪁🧭"]
)
def test_a_password_meets_the_default_rules(password):
    assert validate_password(password).ok is True


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "Password123!",
        "p4ssw0rd",
        "P@ssw0rd2026",
        "passpass",
        "qwertyuiop",
        "12345678",
        "87654321",
        "abcdefgh",
        "aaaaaaaa",
        "abababab",
        "summer2026!",
        "1q2w3e4r",
        "asdfghjkl",
        "iloveyou1",
    ],
)
def test_a_much_used_password_is_refused(password):
    assert broken(password) == ["common"]


def test_common_passwords_pass_when_that_rule_is_off():
    assert validate_password("password", PasswordRules(refuse_common=False)).ok


def test_every_broken_rule_is_listed_at_once():
    rules = PasswordRules(
        min_length=12,
        require_uppercase=True,
        require_lowercase=True,
        require_digit=True,
        require_special=True,
    )

    assert broken("", rules) == ["min_length", "uppercase", "lowercase", "digit", "special"]


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        ("require_uppercase", "lovely-fox-7", "Lovely-fox-7"),
        ("require_uppercase", "straße-fuchs", "Über-straße-fuchs"),
        ("require_lowercase", "LOVELY-FOX-7", "LOVELy-FOX-7"),
        ("require_digit", "lovely-fox-x", "lovely-fox-٧"),
        ("require_special", "lovelyfox7", "lovely fox7"),
    ],
)
def test_a_rule_about_kinds_of_characters_knows_every_script(rule, bad, good):
    rules = PasswordRules(**{rule: True})

    assert (validate_password(bad, rules).ok, validate_password(good, rules).ok) == (False, True)


def test_characters_are_counted_in_composed_form():
    decomposed = "e\u0301" * 4

    assert "min_length" in broken(decomposed)


def test_a_password_above_the_limit_breaks_only_that_rule():
    assert broken("a" * 257) == ["max_length"]


@pytest.mark.parametrize(
    "value", [None, 12345678, b"long enough", HOSTILE, "long\0enough", "long enough \ud800"]
)
def test_what_cannot_be_typed_is_not_a_password(value):
    assert broken(value) == ["text"]


@pytest.mark.parametrize(
    ("password", "personal"),
    [
        ("ada-lovelace-42", ["Ada Lovelace"]),
        ("my LOVELACE pass", ["lovelace@example.com"]),
        ("i work at example", ["ada@example.com"]),
    ],
)
def test_words_tied_to_the_user_are_refused(password, personal):
    assert broken(password, personal=personal) == ["personal"]


def test_short_personal_words_do_not_count():
    assert validate_password("a fine adagio", personal=["Ada", None, 7]).ok


def test_personal_words_given_as_one_text_are_an_error():
    with pytest.raises(InvalidArgumentError, match="personal must be a collection"):
        validate_password("whatever it is", personal="ada")


def test_rules_of_another_type_are_an_error():
    with pytest.raises(InvalidArgumentError, match="rules must be PasswordRules"):
        validate_password("whatever it is", {"min_length": 3})


@pytest.mark.parametrize(
    "lengths", [{"min_length": 0}, {"min_length": 300}, {"max_length": 4096}, {"min_length": 1.5}]
)
def test_rules_that_contradict_themselves_are_an_error(lengths):
    with pytest.raises(InvalidArgumentError):
        PasswordRules(**lengths)


def test_rules_are_read_from_the_settings_of_the_service():
    section = SimpleNamespace(PASSWORD_MIN_LENGTH=14, PASSWORD_REQUIRE_DIGIT=True)

    assert PasswordRules.from_settings(section) == PasswordRules(min_length=14, require_digit=True)


def test_the_outcome_is_true_exactly_when_nothing_is_broken():
    assert (bool(PasswordCheck()), bool(PasswordCheck((PasswordRule.DIGIT,), ("add a digit",)))) == (
        True,
        False,
    )


def test_the_outcome_never_shows_the_password():
    check = validate_password("hunter2")

    assert "hunter2" not in repr(check) + str(dataclasses.asdict(check))


@given(anything)
def test_validate_password_answers_to_anything(value):
    check = validate_password(value)

    assert len(check.broken) == len(check.messages)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", MEGABYTES)
def test_a_megabyte_is_refused_in_bounded_time(name):
    assert not validate_password(MEGABYTES[name]).ok
