"""What happens to a token that a store has to be asked about, step by step.

Each flow is a generator: it yields what it wants of the store, is sent the answer, and
returns the result. One text serves the synchronous and the asynchronous service.
"""

import hashlib
import hmac
from collections.abc import Generator, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from shared.auth._token_core import Opened, TokenCore, UserId, checked_user, family_name
from shared.auth._token_events import TokenEvent, TokenReuseDetected, TokensRevoked
from shared.auth._token_payload import TokenPayload
from shared.auth._token_store import Advance, Family
from shared.errors import (
    DecryptionError,
    InvalidArgumentError,
    InvalidTokenError,
    TokenExpiredError,
    TokenReuseError,
    TokenRevokedError,
)
from shared.security import EncryptionKeys, decrypt_text, encrypt

__all__ = ["Ask", "Flow", "Tell", "consume", "revoke", "revoke_user", "rotate", "start_family"]

T = TypeVar("T")


class Ask(NamedTuple):
    """A call of the store that is wanted."""

    method: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]


class Tell(NamedTuple):
    """An event that is to be told."""

    event: TokenEvent


Flow = Generator[Ask | Tell, Any, T]

_OWN: Final = frozenset(
    {"its", "iss", "sub", "aud", "iat", "exp", "nbf", "jti", "fid", "gen", "fex", "user_id"}
)


def _ask(method: str, *arguments: Any, **keywords: Any) -> Ask:
    return Ask(method, arguments, keywords)


# --- refresh families ---------------------------------------------------------------------------


def start_family(core: TokenCore, user_id: UserId, claims: Mapping[str, Any], expires_in: Any) -> Flow[str]:
    """Return the first refresh token of a new family."""
    now, family, options = core.clock(), core.new_id(), core.options
    ends = int(now + options.family_life)
    ours = {"fid": family, "gen": 0, "fex": ends}
    token = core.issue(core.profiles["refresh"], user_id, expires_in=expires_in, claims=claims, ours=ours)
    yield _ask("begin_family", family, now=now, until=ends + options.leeway)
    return token


def rotate(core: TokenCore, token: Any, client: str | None) -> Flow[str]:
    """Return the successor of a refresh token; the same one when it was asked for a moment ago."""
    opened = core.open(token, core.profiles["refresh"])
    payload, now, mark = opened.payload, core.clock(), _client_mark(client)
    # Made before the marks are read: what is revoked after that is later than this token.
    successor = _successor(core, payload, now)
    core.judge(opened, (yield _ask("marks", opened.names, now=now)))
    family_id, generation = payload["fid"], payload["gen"]
    sealed = _seal(token, successor, payload)
    advance: Advance = yield _ask(
        "advance_family", family_id, generation=generation, sealed=sealed, client=mark, now=now
    )
    if advance.won:
        return successor
    family = advance.family
    if family is None or family.is_revoked:
        raise TokenRevokedError("the session that the token belongs to was ended, or is not known here")
    if _is_repeat(family, generation, mark, now, core.options.reuse_grace):
        again = _unseal(token, family.sealed, payload)
        if again is not None:
            return again
    yield from _end_family(core, payload, now)
    yield Tell(TokenReuseDetected("refresh", family_id, payload.user_id, generation))
    raise TokenReuseError("the refresh token was used before: its session is ended, log in again")


def _successor(core: TokenCore, payload: TokenPayload, now: float) -> str:
    left = payload["fex"] - int(now)
    if left < 1:
        raise TokenExpiredError("the session has reached its longest life: log in again")
    kept = {name: value for name, value in payload.to_dict().items() if name not in _OWN}
    ours = {"fid": payload["fid"], "gen": payload["gen"] + 1, "fex": payload["fex"]}
    profile = core.profiles["refresh"]
    life = min(profile.life, left)
    return core.issue(profile, payload.user_id, expires_in=life, claims=kept, ours=ours)


def _is_repeat(family: Family, generation: int, client: str, now: float, grace: float) -> bool:
    """Tell whether the last rotation is asked for again by who did it.

    A clock that went back is no excuse: the distance counts in both directions.
    """
    return (
        family.generation == generation + 1
        and abs(now - family.rotated_at) <= grace
        and hmac.compare_digest(family.client.encode(), client.encode())
    )


def _client_mark(client: str | None) -> str:
    if client is None:
        return ""
    if type(client) is not str:
        msg = f"client is text that tells one client from another, got {type(client).__name__}"
        raise InvalidArgumentError(msg)
    return hashlib.sha256(client.encode("utf-8", "surrogatepass")).hexdigest()


def _seal_keys(token: str) -> EncryptionKeys:
    # Only who has the used token can read its successor: a stolen store is of no use.
    return EncryptionKeys({"r": hashlib.sha256(b"shared.auth successor\0" + token.encode()).digest()})


def _seal(token: str, successor: str, payload: TokenPayload) -> str:
    context = (payload["fid"], payload["gen"])
    return encrypt(successor, _seal_keys(token), purpose="auth.successor", context=context)


def _unseal(token: str, sealed: str, payload: TokenPayload) -> str | None:
    context = (payload["fid"], payload["gen"])
    try:
        return decrypt_text(sealed, _seal_keys(token), purpose="auth.successor", context=context)
    except DecryptionError:
        return None


def _end_family(core: TokenCore, payload: TokenPayload, now: float) -> Flow[None]:
    family, options = payload["fid"], core.options
    until = max(payload["fex"], now + core.profiles["access"].max_life) + options.leeway
    # First what keeps it from going on, then what its access tokens are held against.
    yield _ask("end_family", family, now=now)
    yield _ask("mark", family_name(family), now, now=now, until=until)


# --- revoking ------------------------------------------------------------------------------------


def revoke(core: TokenCore, token: Any) -> Flow[bool]:
    """Take back one token, a refresh token with its family; tell whether there was anything to do."""
    try:
        profile, opened = core.open_any(token)
    except InvalidTokenError:
        return False
    payload, now = opened.payload, core.clock()
    if profile.name == "refresh":
        yield from _end_family(core, payload, now)
        yield Tell(TokensRevoked("refresh", "family", payload["fid"]))
        return True
    yield _ask("mark", opened.names[0], now, now=now, until=_end_of(core, opened))
    yield Tell(TokensRevoked(profile.name, "token", payload.token_id))
    return True


def revoke_user(core: TokenCore, user_id: UserId) -> Flow[None]:
    """Take back all tokens of a user that were made until now."""
    now, user = core.clock(), checked_user(user_id)
    yield _ask("mark", core.user_name(user), now, now=now, until=now + core.options.longest_life)
    yield Tell(TokensRevoked("all", "user", user))


def _end_of(core: TokenCore, opened: Opened) -> float:
    ends: float = opened.payload["exp"] + core.options.leeway + 1.0
    return ends


# --- tokens for one use ----------------------------------------------------------------------------


def binding(bound_to: str | None, token_id: str) -> str | None:
    """Return what binds a token to *bound_to*, such as a hash of a password: nothing of it can be seen."""
    if bound_to is None:
        return None
    if type(bound_to) is not str or not bound_to:
        raise InvalidArgumentError("bound_to is text that is not empty")
    data = f"shared.auth binding\0{token_id}\0{bound_to}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:40]


def consume(core: TokenCore, token: Any, token_type: str, bound_to: str | None) -> Flow[TokenPayload]:
    """Return what a token for one use says, and spend it."""
    profile = core.profile(token_type)
    if not profile.is_single_use:
        msg = f"{token_type} tokens are not for one use: verify them"
        raise InvalidArgumentError(msg)
    opened = core.open(token, profile)
    payload, now = opened.payload, core.clock()
    own = payload.get("bnd")
    wanted = binding(bound_to, payload.token_id)
    if not hmac.compare_digest((own or "").encode(), (wanted or "").encode()):
        raise InvalidTokenError("the token is bound to something that has changed since it was made")
    marks = yield _ask("marks", opened.names, now=now)
    core.judge(opened, (None, *marks[1:]))
    fresh = yield _ask("claim", opened.names[0], now=now, until=_end_of(core, opened))
    if not fresh:
        yield Tell(TokenReuseDetected(token_type, payload.token_id, payload.user_id, 0))
        raise TokenReuseError("the token was used before, or revoked: ask for a new one")
    return payload
