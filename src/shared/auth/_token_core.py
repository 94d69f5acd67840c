"""Makes and judges tokens without any store: what both services are shells of."""

import hashlib
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from shared.auth._fork_lock import ForkLock
from shared.auth._json import dumps, parse_object
from shared.auth._jws import MAX_TOKEN, open_compact, peek_header, sign_compact
from shared.auth._key_ring import KeyRing, KeySource
from shared.auth._token_claims import RESERVED, check_claims, check_content, is_text
from shared.auth._token_payload import TokenPayload
from shared.auth._token_profile import ACCESS, TokenOptions, TokenProfile, profiles_of, seconds
from shared.errors import InvalidArgumentError, InvalidTokenError, TokenRevokedError

__all__ = ["Opened", "TokenCore", "UserId"]

UserId = str | int | uuid.UUID

_ANY: Final = object()
# Claims of callers that check_content() has looked at.
_PLAIN: Final = frozenset({"email", "roles", "permissions"})


class Opened(NamedTuple):
    """An authentic token whose claims hold."""

    payload: TokenPayload
    names: tuple[str, ...]  # the marks that would take it back: its own, its user's, its family's
    issued: float
    starts: float  # from when on, and until when, none of this has to be judged again
    until: float
    ring: KeyRing


class TokenCore:
    """Makes and judges tokens.

    Args:
        source: Of the keys.
        options: How.
        clock: Seconds since 1970.
        new_id: Makes the ids of tokens and families.
    """

    def __init__(
        self,
        source: KeySource,
        options: TokenOptions,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.source = source
        self.options = options
        self.clock = clock
        self.new_id: Callable[[], str] = new_id or _new_id
        self.profiles = profiles_of(options)
        self._by_typ = {profile.typ: profile for profile in self.profiles.values()}
        self._cache: dict[bytes, Opened] = {}
        self._lock = ForkLock()

    def profile(self, name: object) -> TokenProfile:
        """Return the kind called *name*.

        Raises:
            InvalidArgumentError: There is none.
        """
        found = self.profiles.get(name) if isinstance(name, str) else None
        if found is None:
            msg = f"token type {str(name)[:40]!r} is not known (known: {', '.join(self.profiles)})"
            raise InvalidArgumentError(msg)
        return found

    # -- making ----------------------------------------------------------------------

    def issue(
        self,
        profile: TokenProfile,
        user_id: UserId,
        *,
        audience: str | None = None,
        expires_in: Any = None,
        claims: Mapping[str, Any],
        ours: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a signed token; *ours* are claims that callers cannot set.

        Raises:
            InvalidArgumentError: An argument cannot be used.
            ConfigurationError: No key is active.
        """
        life = profile.life if expires_in is None else seconds(expires_in, "expires_in")
        if life > profile.max_life:
            msg = f"{profile.name} tokens live {profile.max_life:g} s at most, got {life:g} s"
            raise InvalidArgumentError(msg)
        if forbidden := sorted(RESERVED.intersection(claims)):
            msg = f"claim {forbidden[0]!r} is set by the library and cannot be given"
            raise InvalidArgumentError(msg)
        now = self.clock()
        body: dict[str, Any] = {
            "iss": self.options.issuer,
            "sub": checked_user(user_id),
            "aud": _checked_audience(audience or profile.audience),
            # Whole seconds: some libraries take a part of one for the future.
            "iat": int(now),
            "exp": int(now) + (int(life) if life == int(life) else life),
            "jti": self.new_id(),
            # What is issued just after everything was revoked must count as later.
            "its": round(now, 6),
            **claims,
            **(ours or {}),
        }
        try:
            check_content(body)
        except InvalidTokenError as exc:
            raise InvalidArgumentError(exc.message) from exc
        data = _encoded(body, is_plain=_PLAIN.issuperset(claims))
        return sign_compact(data, self.source, typ=profile.typ)

    # -- judging ---------------------------------------------------------------------

    def open(self, token: Any, profile: TokenProfile, audience: Any = None) -> Opened:
        """Return *token* opened; whether it was taken back is not known yet.

        Raises:
            InvalidTokenError: It is not authentic, or a rule does not hold.
        """
        now = self.clock()
        # A token that does not even fit is not worth a hash.
        fits = type(token) is str and len(token) <= MAX_TOKEN
        if not fits or audience is not None or profile.name != ACCESS or not self.options.cache_size:
            return self._opened(token, profile, audience, now)
        mark = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        found = self._cache.get(mark)
        if found is not None and found.starts <= now < found.until and found.ring is self.source.current():
            return found
        found = self._opened(token, profile, None, now)
        self._remember(mark, found)
        return found

    def open_any(self, token: Any) -> tuple[TokenProfile, Opened]:
        """Return the kind of *token*, by its own type, and the token opened for whatever audience.

        Raises:
            InvalidTokenError: It is not authentic, or of a kind that is not known.
        """
        profile = self._by_typ.get(peek_header(token).get("typ", ""))
        if profile is None:
            raise InvalidTokenError("the token is of a type that is not known here")
        return profile, self._opened(token, profile, _ANY, self.clock())

    def _opened(self, token: Any, profile: TokenProfile, audience: Any, now: float) -> Opened:
        body, typ, ring = open_compact(token, self.source)
        if typ != profile.typ:
            msg = f"the token is not of the type {profile.typ!r}: it was made for something else"
            raise InvalidTokenError(msg)
        claims = parse_object(body)
        if claims is None:
            raise InvalidTokenError("the token's payload is not a JSON object, or a name stands there twice")
        if audience is _ANY:
            audience = _first_audience(claims.get("aud"))
        check_claims(claims, profile, self.options, audience=audience, now=now)
        issued, expires = claims["iat"], claims["exp"]
        exact = claims.get("its", issued)
        starts = max(issued, claims.get("nbf", issued)) - self.options.leeway
        payload = TokenPayload(claims, profile.name)
        names = self.names_of(claims["jti"], claims["sub"], claims.get("fid"))
        return Opened(payload, names, exact, starts, min(expires, now + self.options.cache_life), ring)

    def _remember(self, mark: bytes, opened: Opened) -> None:
        with self._lock:
            while len(self._cache) >= self.options.cache_size:
                del self._cache[next(iter(self._cache))]
            self._cache[mark] = opened

    def judge(self, opened: Opened, marks: Sequence[float | None]) -> None:
        """Refuse what was taken back, as *marks*, in the order of ``opened.names``, tell.

        Raises:
            TokenRevokedError: It was.
        """
        own, user, *family = marks
        if own is not None:
            raise TokenRevokedError("the token was revoked, or used before")
        if user is not None and opened.issued <= user:
            raise TokenRevokedError("all tokens of this user up to a later moment were revoked")
        if family and family[0] is not None:
            raise TokenRevokedError("the session that the token belongs to was ended")

    # -- names -----------------------------------------------------------------------

    def names_of(self, token_id: str, user_id: str, family: str | None) -> tuple[str, ...]:
        """Return the names of the marks that take a token back."""
        names = (f"jti:{token_id}", self.user_name(user_id))
        return names if family is None else (*names, family_name(family))

    def user_name(self, user_id: str) -> str:
        """Return the name of the mark for all of a user's tokens; no store learns who it is."""
        data = f"{self.options.issuer}\0{user_id}".encode("utf-8", "surrogatepass")
        return f"sub:{hashlib.sha256(data).hexdigest()[:40]}"


def family_name(family: str) -> str:
    """Return the name of the mark for a whole family."""
    return f"fam:{family}"


def checked_user(user_id: object) -> str:
    """Return *user_id* as the text that stands in tokens.

    Raises:
        InvalidArgumentError: It cannot be one.
    """
    text = str(user_id) if isinstance(user_id, str | int | uuid.UUID) else ""
    if isinstance(user_id, bool) or not is_text(text) or not _is_encodable(text):
        msg = "user_id must be 1 to 255 printable characters, a whole number or a UUID"
        raise InvalidArgumentError(msg)
    return text


def _checked_audience(audience: str) -> str:
    if not is_text(audience):
        raise InvalidArgumentError("audience must be 1 to 255 printable characters")
    return audience


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _first_audience(found: object) -> Any:
    return found[0] if isinstance(found, list) and found else found


def _encoded(body: Mapping[str, Any], *, is_plain: bool) -> bytes:
    try:
        data = dumps(body)
    except (TypeError, ValueError, RecursionError) as exc:
        msg = f"the claims of a token must be JSON ({type(exc).__name__})"
        raise InvalidArgumentError(msg) from exc
    # What could not be read back must not be made: names that are not text collide, depth.
    if not is_plain and parse_object(data) is None:
        raise InvalidArgumentError("the claims of a token must have unique names and be at most 16 deep")
    return data


def _new_id() -> str:
    return secrets.token_urlsafe(16)
