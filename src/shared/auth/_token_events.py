"""What the tokens of a service tell those who listen."""

from dataclasses import dataclass

__all__ = ["TokenEvent", "TokenRefused", "TokenReuseDetected", "TokensRevoked"]


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """Something happened to a token; no event carries one, or anybody's name in the clear.

    Attributes:
        token_type: ``"access"``, ``"refresh"`` and so on.

    Example:
        >>> TokenEvent("access").token_type
        'access'
    """

    token_type: str


@dataclass(frozen=True, slots=True)
class TokenRefused(TokenEvent):
    """A token was not accepted.

    Attributes:
        code: Of the error, such as ``"TOKEN_EXPIRED"``.
        reason: Its message.

    Example:
        >>> TokenRefused("access", "TOKEN_EXPIRED", "the token expired 42 s ago").code
        'TOKEN_EXPIRED'
    """

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class TokenReuseDetected(TokenEvent):
    """A token for one use came a second time: it may be stolen. Its family was revoked.

    Attributes:
        family: The refresh family; the token's id for other kinds.
        user_id: Whose it is.
        generation: Of the token that came again.

    Example:
        >>> TokenReuseDetected("refresh", "f-1", "u-1", 3).generation
        3
    """

    family: str
    user_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class TokensRevoked(TokenEvent):
    """Tokens were taken back.

    Attributes:
        scope: ``"token"``, ``"family"`` or ``"user"``.
        target: The token's id, the family or the user's id.

    Example:
        >>> TokensRevoked("access", "token", "t-1").scope
        'token'
    """

    scope: str
    target: str
