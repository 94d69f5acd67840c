"""Flags of Unleash: the document its clients fetch, evaluated as its clients do.

Give :func:`load` the body of ``/api/client/features`` (or of the delta endpoint) and ask
the reader. No server, no thread, no agent: keep the document where you keep your
configuration and load it again when it changes.
"""

import random
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from shared.feature_flags.readers._base import Reader
from shared.feature_flags.readers._unleash_document import checked
from shared.feature_flags.readers._unleash_features import Feature, compile_features
from shared.feature_flags.readers._unleash_strategies import surroundings
from shared.feature_flags.readers._unleash_variants import DISABLED, UnleashVariant

__all__ = ["ALIASES", "UnleashReader", "UnleashVariant", "load"]

#: Attributes of Unleash and what this library's contexts call them; the name on the left wins.
ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "appName": "app_name",
        "currentTime": "current_time",
        "remoteAddress": "remote_address",
        "sessionId": "session_id",
        "userId": "user_id",
    }
)

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class UnleashReader(Reader):
    """The features of an Unleash document; made by :func:`load`.

    The value of a flag is whether it is on; the variant of a flag that has none is
    ``on`` or ``off``. :meth:`get_variant` says the same in the words of Unleash, with
    the payload.

    Example:
        >>> load({"features": [{"name": "menu", "enabled": True}]})
        <UnleashReader of 1 flags>
    """

    __slots__ = ("_features",)

    format: str = "unleash"

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self._features = dict(features)
        outcomes = {key: feature.constant() for key, feature in features.items()}
        super().__init__(
            {key: _decision(feature) for key, feature in features.items()},
            {key: outcome.detail for key, outcome in outcomes.items() if outcome is not None},
        )

    def is_enabled(self, key: str, context: Mapping[str, Any] | None = None) -> bool:
        """Return whether the flag *key* is on for *context*; an unknown one is off.

        Args:
            key: The name of the flag.
            context: ``userId``, ``sessionId``, ``remoteAddress``, ``environment``,
                ``appName``, ``currentTime`` and any others, flat or under ``properties``.

        Example:
            >>> reader = load({"features": [{"name": "menu", "enabled": True, "strategies": [
            ...     {"name": "userWithId", "parameters": {"userIds": "ada, bob"}}]}]})
            >>> reader.is_enabled("menu", {"userId": "bob"}), reader.is_enabled("menu", {"user_id": "eve"})
            (True, False)
        """
        constant = self._constant.get(key)
        if constant is not None:
            return constant.value is True
        feature = self._features.get(key)
        if feature is None:
            return False
        try:
            return feature.is_on(_NOTHING if context is None else context)
        except Exception:  # noqa: BLE001 (whatever a context holds, a flag answers)
            return False

    def get_variant(self, key: str, context: Mapping[str, Any] | None = None) -> UnleashVariant:
        """Return the variant in the words of Unleash: name, payload and whether the flag is on.

        Example:
            >>> reader = load({"features": [{"name": "menu", "enabled": True, "variants": [
            ...     {"name": "wide", "weight": 1000, "payload": {"type": "number", "value": "3"}}]}]})
            >>> reader.get_variant("menu").value, reader.get_variant("unknown").name
            (3.0, 'disabled')
        """
        feature = self._features.get(key)
        if feature is None:
            return DISABLED
        try:
            return feature.answer(_NOTHING if context is None else context).variant
        except Exception:  # noqa: BLE001 (as above)
            return DISABLED

    def _fallback(self, key: str) -> Any:
        del key
        return False


def load(
    document: Any,
    *,
    aliases: Mapping[str, str] = ALIASES,
    hostname: str | None = None,
    draw: Callable[[], float] = random.random,
    clock: Callable[[], datetime] | None = None,
) -> UnleashReader:
    """Compile an Unleash document.

    Args:
        document: What ``/api/client/features`` answers (``features``, ``segments``), or
            the delta endpoint (``events``): a mapping, or JSON as ``str`` or ``bytes``.
        aliases: Name in the document → name in your contexts, for where they differ.
        hostname: For the strategy ``applicationHostname``; default: of this machine.
        draw: A number in ``[0, 1)``, for the strategies that want chance.
        clock: The time now, aware; for dates compared with ``currentTime`` when the
            context has none. Default: the system's.

    Returns:
        The reader. Strategies and operators nobody knows hold for nobody, as in every
        client of Unleash.

    Raises:
        FlagDocumentError: The document is no JSON or not of this shape; lists every fault.

    Example:
        >>> reader = load('{"features": [{"name": "menu", "enabled": true, "strategies": '
        ...               '[{"name": "flexibleRollout", "parameters": {"rollout": "50"}}]}]}')
        >>> reader.is_enabled("menu", {"userId": "ada"})
        False
    """
    features, segments = checked(document)
    around = surroundings(
        aliases, socket.gethostname() if hostname is None else hostname, draw, clock or _system_clock
    )
    return UnleashReader(compile_features(features, segments, around))


def _system_clock() -> datetime:
    return datetime.now(UTC)


def _decision(feature: Feature) -> Callable[[Mapping[str, Any]], Any]:
    answer = feature.answer
    return lambda context: answer(context).detail
