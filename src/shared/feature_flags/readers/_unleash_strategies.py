"""Strategies of Unleash: whom a flag is on for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from shared.feature_flags.readers._document import always, never
from shared.feature_flags.readers._murmur3 import fastest_murmur3
from shared.feature_flags.readers._unleash_constraints import Test, cidr
from shared.feature_flags.readers._values import Get, attribute, number_of, text_of

Stick: TypeAlias = Callable[[Mapping[str, Any]], str | None]

_HUNDRED: Final = 100


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the flags of one document depend on besides the context.

    Attributes:
        aliases: Name in the document → name in the contexts of this service.
        hostname: Of this machine, lower case.
        draw: A number in ``[0, 1)``; for the strategies that want chance.
        clock: The time now, aware.
        murmur3: The hash.
    """

    aliases: Mapping[str, str]
    hostname: str
    draw: Callable[[], float]
    clock: Callable[[], datetime]
    murmur3: Callable[[bytes, int], int]

    def get(self, name: str) -> Get:
        """Return a function that reads the field *name* of a context."""
        return attribute(name, self.aliases)

    def bucket(self, group: str, modulus: int, seed: int = 0) -> Callable[[str], int]:
        """Return a function from a unit to its place in ``1..modulus`` within *group*."""
        prefix = f"{group}:".encode("utf-8", "surrogatepass")
        murmur3 = self.murmur3
        return lambda unit: murmur3(prefix + unit.encode("utf-8", "surrogatepass"), seed) % modulus + 1


def surroundings(
    aliases: Mapping[str, str], hostname: str, draw: Callable[[], float], clock: Callable[[], datetime]
) -> Surroundings:
    """Return the surroundings with the fastest hash there is."""
    return Surroundings(aliases, hostname.lower(), draw, clock, fastest_murmur3())


def stickiness(name: str, around: Surroundings) -> Stick:
    """Return the function that gives the unit a rollout sticks to, or ``None`` where there is none.

    ``default`` is the user, else the session, else chance; ``random`` is chance.
    """
    if name == "random":
        return _chance(around)
    if name != "default":
        get = around.get(name)
        return lambda context: _unit(get(context))
    user, session, chance = around.get("userId"), around.get("sessionId"), _chance(around)

    def usual(context: Mapping[str, Any]) -> str | None:
        return _unit(user(context)) or _unit(session(context)) or chance(context)

    return usual


def _unit(value: Any) -> str | None:
    return text_of(value) or None  # an empty id is no id


def _chance(around: Surroundings) -> Stick:
    draw = around.draw
    return lambda _context: str(int(draw() * 10_000) + 1)


def compile_strategy(name: str, parameters: Mapping[str, Any], feature: str, around: Surroundings) -> Test:
    """Return the test of a strategy, without its constraints; an unknown one never holds."""
    if name == "default":
        return always
    if name == "userWithId":
        return _member(around.get("userId"), _listed(parameters, "userIds"))
    if name == "remoteAddress":
        return cidr(around.get("remoteAddress"), tuple(_listed(parameters, "IPs")))
    if name == "applicationHostname":
        hosts = [host.lower() for host in _listed(parameters, "hostNames")]
        return always if around.hostname in hosts else never
    if name == "flexibleRollout":
        sticks_to = text_of(parameters.get("stickiness")) or "default"
        return _rollout(parameters, "rollout", sticks_to, feature, around)
    if name in {"gradualRolloutUserId", "gradualRolloutSessionId"}:
        return _rollout(
            parameters, "percentage", "userId" if name.endswith("UserId") else "sessionId", "", around
        )
    if name == "gradualRolloutRandom":
        percent, draw = number_of(parameters.get("percentage")) or 0.0, around.draw
        return lambda _context: draw() * _HUNDRED < percent
    return never


def _rollout(
    parameters: Mapping[str, Any], field: str, sticks_to: str, group: str, around: Surroundings
) -> Test:
    percent = number_of(parameters.get(field)) or 0.0
    if percent <= 0:
        return never
    if percent >= _HUNDRED and sticks_to in {"default", "random"}:
        return always
    unit = stickiness(sticks_to, around)
    bucket = around.bucket(text_of(parameters.get("groupId")) or group, _HUNDRED)

    def rollout(context: Mapping[str, Any]) -> bool:
        found = unit(context)
        return found is not None and bucket(found) <= percent

    return rollout


def _listed(parameters: Mapping[str, Any], field: str) -> list[str]:
    text = text_of(parameters.get(field)) or ""
    return [item for item in (part.strip() for part in text.split(",")) if item]


def _member(get: Get, values: list[str]) -> Test:
    known = frozenset(values)
    return lambda context: text_of(get(context)) in known
