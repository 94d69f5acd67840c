"""Flags of flagd: its JSON definitions, evaluated as its in-process providers do."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from shared.errors import InvalidArgumentError
from shared.feature_flags._detail import Detail
from shared.feature_flags.readers._base import Decide, Reader
from shared.feature_flags.readers._flagd_document import Definition, checked
from shared.feature_flags.readers._flagd_flags import Surroundings, compile_flag

__all__ = ["ALIASES", "FlagdReader", "load"]

#: Attributes of flagd and what this library's contexts call them; the name on the left wins.
ALIASES: Final[Mapping[str, str]] = MappingProxyType({"targetingKey": "user_id"})


class FlagdReader(Reader):
    """The flags of a flagd definition; made by :func:`load`.

    Attributes:
        faults: What keeps single flags from being evaluated, one line each: a rule with an
            unknown operator, a reference to nothing. Those flags answer ``ERROR``.

    Example:
        >>> load({"flags": {}})
        <FlagdReader of 0 flags>
    """

    __slots__ = ("_metadata", "faults")

    format: str = "flagd"

    def __init__(
        self,
        decide: Mapping[str, Decide],
        constant: Mapping[str, Detail],
        metadata: Mapping[str, Mapping[str, Any]],
        faults: tuple[str, ...],
    ) -> None:
        super().__init__(decide, constant)
        self._metadata = metadata
        self.faults: tuple[str, ...] = faults

    def metadata(self, key: str) -> Mapping[str, Any]:
        """Return the metadata of *key*: that of the whole set, with that of the flag over it.

        Example:
            >>> reader = load({"metadata": {"team": "web", "tier": 1}, "flags": {"menu": {
            ...     "state": "ENABLED", "variants": {"on": True}, "metadata": {"tier": 2}}}})
            >>> dict(reader.metadata("menu"))
            {'team': 'web', 'tier': 2}
        """
        return self._metadata.get(key, self._metadata[""])

    def _fallback(self, key: str) -> Any:
        del key  # without a decision flagd serves the default of the caller


def load(
    document: Any,
    *,
    fractional: Literal[1, 2, 3] = 3,
    aliases: Mapping[str, str] = ALIASES,
    clock: Callable[[], float] = time.time,
) -> FlagdReader:
    """Compile a flagd definition.

    Args:
        document: ``flags``, and where used ``$evaluators`` and ``metadata``: a mapping, or
            JSON as ``str`` or ``bytes``.
        fractional: How units fall into buckets. 3 hashes the CBOR encoding (the current
            specification, any type of unit), 2 the text with the resolution of 2^-32
            (from March 2026), 1 the text in hundredths (before). Units move between
            versions: pick the one your other services run.
        aliases: Name in the document → name in your contexts, for where they differ.
        clock: Seconds since 1970, for ``$flagd.timestamp``.

    Returns:
        The reader. A flag whose targeting cannot be compiled answers ``ERROR`` with the
        code ``PARSE_ERROR`` and is listed in ``faults``, as in flagd; the others work.

    Raises:
        FlagDocumentError: The document is no JSON or not of this shape; lists every fault.
        InvalidArgumentError: *fractional* is none of 1, 2, 3.

    Example:
        >>> reader = load({"flags": {"menu": {"state": "ENABLED", "defaultVariant": "off",
        ...     "variants": {"on": True, "off": False},
        ...     "targeting": {"if": [{"ends_with": [{"var": "email"}, "@example.com"]}, "on"]}}}})
        >>> reader.is_enabled("menu", {"email": "ada@example.com"}), reader.detail("menu").reason
        (True, 'DEFAULT')
    """
    if fractional not in {1, 2, 3}:
        msg = f"fractional must be 1, 2 or 3, got {fractional!r}"
        raise InvalidArgumentError(msg)
    definition: Definition = checked(document)
    decide: dict[str, Decide] = {}
    constant: dict[str, Detail] = {}
    around = Surroundings(definition.evaluators, fractional, aliases, clock)
    for key, flag in definition.flags.items():
        compiled = compile_flag(key, flag, around)
        if isinstance(compiled, Detail):
            constant[key] = compiled
        else:
            decide[key] = compiled
    return FlagdReader(decide, constant, definition.metadata, tuple(around.faults))
