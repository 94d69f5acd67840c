"""Passwords: hashed well, checked without trust in what is stored or typed."""

import asyncio
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shared
from shared.auth import (
    Argon2Cost,
    HashingPool,
    PasswordManager,
    ahash_password,
    averify_and_update,
    averify_password,
    get_password_manager,
    hash_password,
    verify_and_update,
    verify_password,
)
from shared.config import override_settings
from shared.errors import (
    ConfigurationError,
    InvalidArgumentError,
    MissingDependencyError,
    SharedError,
    ValidationError,
)
from shared.runtime import Runtime, use

PLAIN = "$2b$04$"
CHEAP = Argon2Cost(memory=64, passes=1)


@pytest.fixture
def manager():
    return PasswordManager(rounds=4)


@pytest.fixture
def runtime():
    runtime = Runtime("passwords")
    with use(runtime), override_settings(PASSWORD_BCRYPT_ROUNDS=4):
        yield runtime
    runtime.close()


@pytest.fixture
def bcrypt_calls(monkeypatch):
    """What bcrypt itself was asked, call by call."""
    calls, original = [], bcrypt.hashpw

    def hashpw(password, salt):
        calls.append(salt)
        return original(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", hashpw)
    return calls


# --- the schemes ------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["bcrypt", "bcrypt_sha256", "argon2id"])
def test_a_password_fits_its_hash_and_no_other_does(scheme):
    manager = PasswordManager(scheme=scheme, rounds=4, argon2=CHEAP)

    hashed = manager.hash_password("correct horse")

    assert manager.verify_password("correct horse", hashed)
    assert not manager.verify_password("correct horsf", hashed)


def test_two_hashes_of_one_password_differ(manager):
    assert manager.hash_password("same") != manager.hash_password("same")


@pytest.mark.parametrize(
    "hashed",
    [
        "$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
        "$bcrypt-sha256$2b,12$LrmaIX5x4TRtAwEfwJZa1.$2ehnw6LvuIUTM0iz4iz9hTxv21B6KFO",
    ],
    ids=["version 2", "version 1"],
)
def test_a_hash_that_passlib_made_is_understood(manager, hashed):
    assert manager.verify_password("password", hashed)
    assert manager.needs_rehash(hashed)


@pytest.mark.parametrize("ident", ["2a", "2b", "2y"])
def test_a_plain_bcrypt_hash_of_any_library_is_understood(manager, ident):
    made = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()

    assert manager.verify_password("correct horse", f"${ident}${made[4:]}")


def test_passlib_reads_what_we_write(manager):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from passlib.handlers.bcrypt import bcrypt_sha256
    hashed = manager.hash_password("correct horse")

    parsed = bcrypt_sha256.from_string(hashed)

    assert (parsed.version, parsed.rounds, parsed.to_string()) == (2, 4, hashed)


def test_every_byte_of_a_long_password_counts(manager):
    hashed = manager.hash_password("x" * 200 + "a")

    assert not manager.verify_password("x" * 200 + "b", hashed)
    assert not manager.verify_password("x" * 72, hashed)


def test_a_nul_does_not_end_a_password(manager):
    hashed = manager.hash_password("correct\0horse")

    assert manager.verify_password("correct\0horse", hashed)
    assert not manager.verify_password("correct\0other", hashed)


# --- hostile passwords ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    ["", "x" * 1025, "x" * 10_000_000, "é" * 513, "\ud800", None, 7, b"bytes", ["list"]],
    ids=["empty", "1025", "10 MB", "1026 bytes", "surrogate", "none", "int", "bytes", "list"],
)
def test_what_is_no_password_fits_nothing_and_is_not_hashed(manager, bcrypt_calls, password):
    hashed = manager.hash_password("correct horse")
    bcrypt_calls.clear()

    assert manager.verify_password(password, hashed) is False
    assert bcrypt_calls == []
    with pytest.raises(ValidationError) as caught:
        manager.hash_password(password)
    assert "x" * 20 not in str(caught.value)


def test_plain_bcrypt_refuses_73_bytes_instead_of_cutting_them():
    manager = PasswordManager(scheme="bcrypt", rounds=4)
    hashed = manager.hash_password("x" * 72)

    assert manager.verify_password("x" * 72, hashed)
    assert not manager.verify_password("x" * 73, hashed)
    with pytest.raises(ValidationError, match="72 bytes"):
        manager.hash_password("x" * 73)


@pytest.mark.parametrize("password", ["a\0b", "a"])
def test_a_nul_fits_no_plain_bcrypt_hash(manager, password):
    hashed = PLAIN + bcrypt.hashpw(b"a", bcrypt.gensalt(4)).decode()[7:]

    assert manager.verify_password(password, hashed) is (password == "a")


def test_a_hash_of_a_cut_password_fits_on_request_and_is_not_upgraded():
    hashed = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    manager = PasswordManager(rounds=4, legacy_truncate=True)

    assert manager.verify_and_update("x" * 72 + "unchecked", hashed) == (True, None)
    assert manager.verify_and_update("x" * 72, hashed)[1].startswith("$bcrypt-sha256$")
    assert PasswordManager(rounds=4).verify_password("x" * 73, hashed) is False


# --- hostile hashes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hashed",
    [
        "$2b$31$" + "a" * 53,
        "$2b$17$" + "a" * 53,
        "$2b$03$" + "a" * 53,
        "$2x$05$" + "a" * 53,
        "$2b$04$" + "a" * 52,
        "$2b$04$" + "a" * 54,
        "$2b$04$" + "é" * 53,
        "$bcrypt-sha256$v=2,t=2b,r=31$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
        "$bcrypt-sha256$v=3,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
        "$bcrypt-sha256$v=2,t=2b,r=04$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
        "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=64,t=4000000,p=1$c29tZXNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=64,t=1,p=64$c29tZXNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=1,t=1,p=1$c29tZXNhbHQ$" + "A" * 43,
        "$6$rounds=999999999$saltsalt$" + "a" * 86,
        "$pbkdf2-sha256$2000000000$c2FsdA$" + "a" * 43,
        "$scrypt$ln=31,r=8,p=1$c2FsdA$" + "a" * 43,
        "$pbkdf2-sha256$nonsense",
        "!",
        "",
        "$",
        "x" * 10_000_000,
        "$2b$04$" + "a" * 53 + "\n",
        None,
        7,
        b"$2b$04$" + b"a" * 53,
    ],
    ids=lambda value: (str(value)[:40] if isinstance(value, str) else type(value).__name__).encode("ascii", "replace").decode(),
)  # fmt: skip
def test_a_hostile_hash_fits_nothing_and_costs_no_more_than_a_real_one(manager, bcrypt_calls, hashed):
    assert manager.verify_password("correct horse", hashed) is False
    assert len(bcrypt_calls) <= 1
    assert all(salt.startswith((b"$2b$04$", b"$2a$04$")) for salt in bcrypt_calls)


@pytest.mark.parametrize("hashed", [None, "", "!", "$2b$31$" + "a" * 53], ids=["none", "empty", "!", "dear"])
def test_a_user_who_does_not_exist_costs_as_much_as_one_who_does(manager, bcrypt_calls, hashed):
    real = manager.hash_password("correct horse")
    bcrypt_calls.clear()

    manager.verify_password("guess", real)
    manager.verify_password("guess", hashed)

    assert [salt[:7] for salt in bcrypt_calls] == [b"$2b$04$"] * 2


def test_a_user_who_does_not_exist_is_checked_by_argon2_where_that_is_in_force(monkeypatch):
    import argon2

    calls, original = [], argon2.low_level.verify_secret
    monkeypatch.setattr(
        argon2.low_level, "verify_secret", lambda h, *rest: calls.append(h) or original(h, *rest)
    )

    assert PasswordManager(scheme="argon2id", argon2=CHEAP).verify_password("guess", None) is False
    assert calls[0].startswith(b"$argon2id$v=19$m=64,t=1,p=1$")


@given(
    password=st.one_of(st.text(max_size=100), st.binary(max_size=10), st.none()), hashed=st.text(max_size=120)
)
@settings(deadline=None, max_examples=100)
def test_nothing_typed_or_stored_makes_the_check_raise(password, hashed):
    assert PasswordManager(rounds=4).verify_password(password, hashed) is False


@given(
    prefix=st.sampled_from(
        [
            "$2b$04$",
            "$argon2id$v=19$",
            "$bcrypt-sha256$",
            "$pbkdf2-sha256$",
            "$6$",
            "pbkdf2_sha256$",
            "$scrypt$",
        ]
    ),
    rest=st.text(alphabet="abc./019$=,mtpvrln", max_size=100),
)
@settings(deadline=None, max_examples=200)
def test_no_hash_that_looks_right_makes_the_check_raise(prefix, rest):
    assert PasswordManager(rounds=4).verify_password("guess", prefix + rest) is False


# --- upgrade at login -----------------------------------------------------------------------


def legacy_hash(name, password):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from passlib.registry import get_crypt_handler
    handler = get_crypt_handler(name)
    return handler.using(rounds=4 if name == "scrypt" else 1000).hash(password)


@pytest.mark.parametrize(
    "name",
    ["pbkdf2_sha256", "pbkdf2_sha512", "django_pbkdf2_sha256", "sha256_crypt", "sha512_crypt", "scrypt"],
)
def test_a_legacy_hash_fits_and_is_upgraded_at_login(manager, name):
    old = legacy_hash(name, "correct horse")

    fits, better = manager.verify_and_update("correct horse", old)

    assert fits
    assert better.startswith("$bcrypt-sha256$v=2,t=2b,r=4$")
    assert manager.verify_and_update("correct horse", better) == (True, None)


def test_a_wrong_password_is_never_hashed_anew(manager):
    old = legacy_hash("pbkdf2_sha256", "correct horse")

    assert manager.verify_and_update("wrong", old) == (False, None)


def test_a_legacy_scheme_that_is_not_listed_fits_nothing():
    old = legacy_hash("pbkdf2_sha256", "correct horse")

    assert PasswordManager(rounds=4, legacy_schemes=()).verify_password("correct horse", old) is False


@pytest.mark.parametrize("name", ["plaintext", "unix_disabled", "bcrypt", "argon2", "no_such"])
def test_a_scheme_that_is_no_safe_legacy_is_refused_at_start(name):
    with pytest.raises(ConfigurationError, match=name):
        PasswordManager(legacy_schemes=[name])


@pytest.mark.parametrize("changed", [{"rounds": 5}, {"scheme": "argon2id", "argon2": CHEAP}])
def test_a_hash_of_other_scheme_or_cost_is_upgraded(manager, changed):
    old = manager.hash_password("correct horse")
    newer = PasswordManager(**{"rounds": 4, **changed})

    fits, better = newer.verify_and_update("correct horse", old)

    assert fits
    assert newer.verify_and_update("correct horse", better) == (True, None)


def test_an_argon2_hash_of_other_cost_is_upgraded():
    old = PasswordManager(scheme="argon2id", argon2=CHEAP).hash_password("correct horse")

    fits, better = PasswordManager(
        scheme="argon2id", argon2=Argon2Cost(memory=128, passes=1)
    ).verify_and_update("correct horse", old)

    assert fits
    assert "m=128" in better


def test_a_dear_hash_is_checked_where_that_cost_is_in_force():
    manager = PasswordManager(rounds=17)

    assert manager._is_affordable(
        __import__("shared.auth._password_formats", fromlist=["x"]).parse_hash("$2b$17$" + "a" * 53)
    )


@pytest.mark.parametrize("wrong", [{"rounds": 3}, {"rounds": 19}, {"scheme": "md5"}])
def test_a_wrong_cost_or_scheme_is_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        PasswordManager(**wrong)


# --- passlib ---------------------------------------------------------------------------------


def test_code_written_for_a_passlib_context_keeps_working(manager):
    context = manager.passlib_context()
    old = legacy_hash("pbkdf2_sha256", "correct horse")

    fits, better = context.verify_and_update("correct horse", old)

    assert fits
    assert manager.verify_password("correct horse", better)
    assert context.needs_update(PasswordManager(rounds=5).hash_password("x"))
    assert context.identify(PasswordManager(rounds=4, scheme="bcrypt").hash_password("x")) == "bcrypt"


def test_a_passlib_context_with_plain_bcrypt_refuses_73_bytes():
    context = PasswordManager(rounds=4, scheme="bcrypt").passlib_context()

    with pytest.raises(ValueError, match="maximum allowed size"):
        context.hash("x" * 73)


def test_a_passlib_context_refuses_a_hash_that_would_take_days(manager):
    with pytest.raises(ValueError, match="hash"):
        manager.passlib_context().verify("guess", "$2b$31$" + "a" * 53)


def test_a_passlib_context_of_argon2_is_refused():
    with pytest.raises(InvalidArgumentError, match="passlib"):
        PasswordManager(scheme="argon2id").passlib_context()


def test_everything_works_with_warnings_as_errors():
    program = (
        "from shared.auth import PasswordManager\n"
        "m = PasswordManager(rounds=4)\n"
        "c = m.passlib_context()\n"
        "assert m.verify_password('correct horse', c.hash('correct horse'))\n"
        "assert not m.verify_password('x', '$6$rounds=1000$saltsalt$' + 'a' * 86)\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(shared.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


# --- threads ------------------------------------------------------------------------------------


def test_the_functions_follow_the_settings_of_the_runtime(runtime):
    hashed = hash_password("password123")

    assert hashed.startswith("$bcrypt-sha256$v=2,t=2b,r=4$")
    assert verify_password("password123", hashed)
    assert verify_and_update("password123", hashed) == (True, None)
    assert get_password_manager() is runtime.get(PasswordManager)


async def test_the_asynchronous_functions_do_the_same(runtime):
    hashed = await ahash_password("password123")

    assert await averify_password("password123", hashed)
    assert await averify_and_update("wrong", hashed) == (False, None)


async def test_a_bad_new_password_is_refused_before_it_waits_for_a_thread(runtime):
    with pytest.raises(ValidationError):
        await ahash_password("")
    assert runtime.find(HashingPool) is None


async def test_a_storm_of_logins_does_not_stall_the_event_loop():
    pool = HashingPool(threads=2)
    manager = PasswordManager(rounds=10, pool=pool)
    hashed = manager.hash_password("correct horse")
    gaps, done = [], asyncio.Event()

    async def beat():
        last = time.perf_counter()
        while not done.is_set():
            await asyncio.sleep(0)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    heart = asyncio.create_task(beat())
    await asyncio.sleep(0)
    started = time.perf_counter()
    answers = await asyncio.gather(*(manager.averify_password("guess", hashed) for _ in range(40)))
    storm = time.perf_counter() - started
    done.set()
    await heart
    pool.close()

    assert answers == [False] * 40
    # Checked in the loop, the 40 would be one gap as long as the whole storm.
    assert max(gaps) < max(0.5 * storm, 1.0)


def test_a_manager_made_from_settings_follows_all_of_them():
    with override_settings(PASSWORD_SCHEME="bcrypt", PASSWORD_BCRYPT_ROUNDS=5, PASSWORD_MIN_LENGTH=20):
        from shared.config import get_settings

        manager = PasswordManager.from_settings(get_settings().security)

    assert (manager.scheme, manager.rounds, manager.policy.min_length) == ("bcrypt", 5, 20)


def test_nothing_of_a_password_is_in_the_repr_or_an_error(manager):
    secret = "tell-nobody-" + "x" * 2000

    with pytest.raises(SharedError) as caught:
        manager.hash_password(secret)

    assert "tell-nobody" not in f"{caught.value!r} {caught.value.to_dict()} {manager!r}"


def test_plain_bcrypt_says_that_a_new_password_is_too_long():
    assert PasswordManager(scheme="bcrypt").problems("correct horse " * 6) == ("use 72 or fewer bytes",)


def test_argon2_without_its_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "argon2", None)

    with pytest.raises(MissingDependencyError, match=r"libs-shared\[argon2\]"):
        PasswordManager(scheme="argon2id").hash_password("correct horse")
