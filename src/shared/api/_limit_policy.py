"""One limit of the API: how much, by what, at which cost; also as a line of text."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Self

from shared.api._exchange import Exchange
from shared.api._limit_keys import KeyPart, key_parts
from shared.cache import LimitTier
from shared.errors import ConfigurationError

__all__ = ["LimitPolicy", "parse_policies"]

Cost = int | Callable[[Exchange], int]

_TEXT: Final = re.compile(
    r"\s*(?P<limit>.+?)"
    r"(?:\s+by\s+(?P<by>[a-z_]+(?:\s+and\s+[a-z_]+)*))?"
    r"(?:\s+using\s+(?P<algorithm>[a-z_]+))?"
    r"(?:\s+as\s+(?P<name>\S+))?\s*\Z",
    re.ASCII,
).match
_MAX_TEXT: Final = 300


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """A limit of the API.

    Args:
        limit: ``"100/minute"``.
        by: What the permits are counted by: ``"principal"`` (by address when nobody is
            known), ``"client"``, ``"api_key"``, ``"route"``, ``"everybody"``, a function
            from the exchange to a text (None: not limited), or several of these.
        name: Shown to callers in the ``RateLimit`` fields, and part of the key.
        algorithm: As :class:`shared.cache.LimitTier`.
        cost: Permits one request takes: a number, or a function of the exchange.

    Raises:
        ConfigurationError: A value makes no sense.

    Example:
        >>> LimitPolicy("100/minute", by=("principal", "route"), name="default").tier.limit.permits
        100
    """

    limit: str
    by: "KeyPart | Iterable[KeyPart]" = "principal"
    name: str = "default"
    algorithm: str = "sliding_window"
    cost: Cost = 1
    tier: LimitTier = field(init=False, repr=False, compare=False)
    parts: tuple[KeyPart, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not callable(self.cost) and (type(self.cost) is not int or self.cost < 0):
            msg = f"the cost of a request is a whole number >= 0 or a function, got {self.cost!r}"
            raise ConfigurationError(msg)
        object.__setattr__(self, "parts", key_parts(self.by))
        object.__setattr__(self, "tier", LimitTier(self.limit, name=self.name, algorithm=self.algorithm))

    @classmethod
    def parse(cls, text: str, **defaults: Any) -> Self:
        """Return the policy of a line such as ``10/second by client and route using gcra as burst``.

        Args:
            text: The line; only the limit is needed.
            **defaults: Arguments of this class for what the line leaves out.

        Raises:
            ConfigurationError: It is none.

        Example:
            >>> LimitPolicy.parse("1000/hour by api_key as keys").name
            'keys'
        """
        match = _TEXT(text) if len(text) <= _MAX_TEXT else None
        if match is None:
            msg = f"not a limit: {text[:60]!r} (write '100/minute by principal')"
            raise ConfigurationError(msg)
        given = defaults | {name: match[name] for name in ("algorithm", "name") if match[name] is not None}
        if match["by"] is not None:
            given["by"] = tuple(match["by"].split(" and ")) if " and " in match["by"] else match["by"]
        return cls(match["limit"], **given)


def parse_policies(
    limits: "str | LimitPolicy | Iterable[str | LimitPolicy]", **defaults: Any
) -> tuple[LimitPolicy, ...]:
    """Return the policies of texts, each with one or several separated by ``;``.

    Policies that share a name are told apart by their limit and what they count by.

    Raises:
        ConfigurationError: One makes no sense, or two are the same.
    """
    given = (limits,) if isinstance(limits, (str, LimitPolicy)) else tuple(limits)
    found: list[LimitPolicy] = []
    for each in given:
        if isinstance(each, LimitPolicy):
            found.append(each)
        else:
            found += [LimitPolicy.parse(part, **defaults) for part in each.split(";") if part.strip()]
    names = [policy.name for policy in found]
    found = [_told_apart(policy) if names.count(policy.name) > 1 else policy for policy in found]
    if len({policy.tier.prefix for policy in found}) < len(found):
        raise ConfigurationError("the same limit is there twice: give the two names, or leave one out")
    return tuple(found)


def _told_apart(policy: LimitPolicy) -> LimitPolicy:
    by = "-".join(part if isinstance(part, str) else "own" for part in policy.parts)
    name = f"{policy.name}-{str(policy.tier.limit).replace('/', '-')}-{by}"[:64]
    return LimitPolicy(policy.limit, by=policy.by, name=name, algorithm=policy.algorithm, cost=policy.cost)
