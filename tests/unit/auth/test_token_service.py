"""Tokens when the store fails, the cache is full or the process forks."""

import os
import threading

import pytest

from shared.auth import AsyncTokenService, MemoryTokenStore, TokenOptions, TokenService
from shared.errors import ConfigurationError, InvalidTokenError, ServiceUnavailableError
from tests.unit.auth.forge import Clock, ring, service


class Broken:
    """A store of which every call fails with an exception of somebody else's."""

    def __getattr__(self, name):
        def fail(*args, **kwargs):
            raise RuntimeError("the disk is on fire: secret")

        return fail


class AsyncBroken:
    def __getattr__(self, name):
        async def fail(*args, **kwargs):
            raise RuntimeError("the disk is on fire: secret")

        return fail


CALLS = {
    "access": lambda tokens, made: tokens.decode(made.create_access_token("u-1")),
    "gateway": lambda tokens, made: tokens.decode(made.create_gateway_token("u-1"), token_type="gateway"),
    "refresh": lambda tokens, made: tokens.decode(made.create_refresh_token("u-1"), token_type="refresh"),
    "new": lambda tokens, made: tokens.create_refresh_token("u-1"),
    "rotate": lambda tokens, made: tokens.rotate_refresh_token(made.create_refresh_token("u-1")),
    "consume": lambda tokens, made: tokens.consume(
        made.create_password_reset_token("u-1"), token_type="password_reset"
    ),
    "revoke": lambda tokens, made: tokens.revoke(made.create_access_token("u-1")),
    "revoke family": lambda tokens, made: tokens.revoke(made.create_refresh_token("u-1")),
    "revoke user": lambda tokens, made: tokens.revoke_all_for_user("u-1"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_store_that_fails_is_a_service_that_is_not_available(call):
    tokens = service(store=Broken())

    with pytest.raises(ServiceUnavailableError, match="does not answer") as caught:
        CALLS[call](tokens, service())

    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize("call", CALLS)
async def test_a_store_that_fails_is_a_service_that_is_not_available_for_tasks(call):
    tokens = AsyncTokenService(ring(), AsyncBroken(), clock=Clock())

    with pytest.raises(ServiceUnavailableError, match="does not answer"):
        await CALLS[call](tokens, service())


def test_verifying_answers_nothing_when_the_store_fails():
    assert service(store=Broken()).verify(service().create_access_token("u-1")) is None


def test_access_tokens_may_pass_without_the_store_and_no_other():
    tokens = service(store=Broken(), on_store_failure="accept")
    made = service()

    assert tokens.verify(made.create_access_token("u-1"))["user_id"] == "u-1"
    for kind, token in (
        ("refresh", made.create_refresh_token("u-1")),
        ("password_reset", made.create_password_reset_token("u-1")),
        ("gateway", made.create_gateway_token("u-1")),
    ):
        assert tokens.verify(token, token_type=kind) is None
    with pytest.raises(InvalidTokenError):
        tokens.decode("junk")


async def test_access_tokens_of_tasks_may_pass_without_the_store():
    tokens = AsyncTokenService(
        ring(), AsyncBroken(), options=TokenOptions(on_store_failure="accept"), clock=Clock()
    )

    assert (await tokens.verify(service().create_access_token("u-1"))).user_id == "u-1"
    assert await tokens.verify(service().create_refresh_token("u-1"), token_type="refresh") is None


# --- the cache ---------------------------------------------------------------------------------


class Counting:
    """A backend that counts how often a signature is checked."""

    def __init__(self):
        self.checks = 0

    def signer(self, key):
        from shared.auth import NativeBackend

        return NativeBackend().signer(key)

    def verifier(self, key):
        from shared.auth import NativeBackend

        verify = NativeBackend().verifier(key)

        def count(data, signature):
            self.checks += 1
            return verify(data, signature)

        return count


def counting(clock=None, **options):
    backend = Counting()
    return backend, TokenService(
        ring("HS256", backend), options=TokenOptions(**options), clock=clock or Clock()
    )


def test_a_signature_is_not_checked_again_for_a_while():
    clock = Clock()
    backend, tokens = counting(clock)
    token = tokens.create_access_token("u-1")

    for _ in range(5):
        tokens.decode(token)
    assert backend.checks == 1
    clock.advance(59.9)
    tokens.decode(token)
    assert backend.checks == 1
    clock.advance(0.1)
    tokens.decode(token)
    assert backend.checks == 2


def test_a_cache_of_no_size_is_none():
    backend, tokens = counting(cache_size=0)
    token = tokens.create_access_token("u-1")

    for _ in range(3):
        tokens.decode(token)

    assert backend.checks == 3


def test_a_full_cache_forgets_the_oldest():
    backend, tokens = counting(cache_size=2)
    first, second, third = (tokens.create_access_token("u-1") for _ in range(3))
    for token in (first, second, third):
        tokens.decode(token)

    tokens.decode(third)
    tokens.decode(second)
    assert backend.checks == 3
    tokens.decode(first)
    assert backend.checks == 4


def test_refused_tokens_are_not_remembered():
    backend, tokens = counting()
    head, body, _ = tokens.create_access_token("u-1").split(".")

    for _ in range(3):
        assert tokens.verify(f"{head}.{body}.{'A' * 43}") is None

    assert backend.checks == 3


def test_a_token_whose_bytes_are_the_same_is_the_same_token():
    _, tokens = counting()
    token = tokens.create_access_token("u-1")
    tokens.decode(token)

    assert tokens.verify(token + "=") is None
    assert tokens.verify(token.encode()) is None
    assert tokens.verify(token[:-1]) is None


def test_only_access_tokens_are_remembered():
    backend, tokens = counting()
    token = tokens.create_refresh_token("u-1")

    for _ in range(3):
        tokens.decode(token, token_type="refresh")

    assert backend.checks == 3


def test_threads_may_use_one_cache():
    _, tokens = counting(cache_size=3)
    made = [tokens.create_access_token(f"u-{number}") for number in range(8)]
    failures = []

    def work(offset):
        for turn in range(200):
            number = (turn + offset) % 8
            if tokens.decode(made[number]).user_id != f"u-{number}":
                failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []


# --- processes ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_finds_the_locks_open():
    tokens = service()
    token = tokens.create_access_token("u-1")
    held = (tokens.store._lock, tokens._core._lock)
    for lock in held:
        lock.__enter__()

    child = os.fork()
    if child == 0:
        done = False
        try:
            done = tokens.revoke(token) and tokens.verify(token) is None
            done = done and tokens.verify(tokens.create_access_token("u-2")) is not None
        finally:
            os._exit(0 if done else 1)
    for lock in held:
        lock.__exit__()
    _, status = os.waitpid(child, 0)

    assert status == 0


def test_a_service_shows_its_options_its_keys_and_its_kinds():
    tokens = TokenService(ring(), MemoryTokenStore(), options=TokenOptions(issuer="id"))

    assert tokens.options.issuer == "id"
    assert tokens.ring.active.kid == "k1"
    assert set(tokens.profiles) == {"access", "refresh", "password_reset", "email_verification", "gateway"}


def test_a_service_that_cannot_sign_says_so():
    tokens = TokenService(_reader())

    with pytest.raises(ConfigurationError, match="verifies only"):
        tokens.create_access_token("u-1")


def _reader():
    from shared.auth import KeyRing
    from tests.unit.auth.forge import key

    return KeyRing([key("ES256").public()])
