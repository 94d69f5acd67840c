"""What a token says, as nobody can change it any more."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

__all__ = ["TokenPayload"]


class TokenPayload(Mapping[str, Any]):
    """The claims of a verified token: an immutable mapping, all the way down.

    ``payload["user_id"]`` is the claim ``sub``; lists are tuples. Truthy, so that
    ``if payload := verify_token(token):`` reads as it is meant.

    Args:
        claims: As they stood in the token.
        token_type: The kind of the token.

    Attributes:
        token_type: ``"access"``, ``"refresh"`` and so on.

    Example:
        >>> payload = TokenPayload({"sub": "u-1", "roles": ["admin"], "exp": 1790000000}, "access")
        >>> payload["user_id"], payload.roles, payload.email
        ('u-1', ('admin',), None)
    """

    __slots__ = ("_claims", "token_type")

    def __init__(self, claims: Mapping[str, Any], token_type: str) -> None:
        frozen = {name: _frozen(value) for name, value in claims.items()}
        frozen["user_id"] = frozen.get("sub")
        self._claims: Mapping[str, Any] = MappingProxyType(frozen)
        self.token_type: str = token_type

    @property
    def user_id(self) -> str:
        """Whose token it is; the claim ``sub``."""
        return str(self._claims["sub"])

    @property
    def email(self) -> str | None:
        """The e-mail address, if the token has one."""
        return self._claims.get("email")

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles, as of when the token was made."""
        return tuple(self._claims.get("roles", ()))

    @property
    def permissions(self) -> tuple[str, ...]:
        """The permissions, as of when the token was made."""
        return tuple(self._claims.get("permissions", ()))

    @property
    def token_id(self) -> str:
        """Its id; the claim ``jti``."""
        return str(self._claims["jti"])

    @property
    def family(self) -> str | None:
        """The refresh family it belongs to, if any."""
        return self._claims.get("fid")

    @property
    def expires_at(self) -> datetime:
        """When it expires; the claim ``exp``."""
        return datetime.fromtimestamp(self._claims["exp"], UTC)

    @property
    def issued_at(self) -> datetime:
        """When it was made; the claim ``iat``."""
        return datetime.fromtimestamp(self._claims["iat"], UTC)

    def to_dict(self) -> dict[str, Any]:
        """Return a copy that can be changed and encoded as JSON.

        Example:
            >>> TokenPayload({"sub": "u-1", "roles": ["a"]}, "access").to_dict()
            {'sub': 'u-1', 'roles': ['a'], 'user_id': 'u-1'}
        """
        return {name: _thawed(value) for name, value in self._claims.items()}

    def __getitem__(self, name: str) -> Any:
        return self._claims[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._claims)

    def __len__(self) -> int:
        return len(self._claims)

    def __repr__(self) -> str:
        # The claims are personal data, and a repr lands in logs.
        return f"TokenPayload(token_type={self.token_type!r}, claims={sorted(self._claims)!r})"


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return MappingProxyType({name: _frozen(item) for name, item in value.items()})
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    return value


def _thawed(value: Any) -> Any:
    if isinstance(value, MappingProxyType):
        return {name: _thawed(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return list(map(_thawed, value))
    return value
