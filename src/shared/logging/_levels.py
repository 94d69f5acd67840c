"""Levels: their names, their numbers, and which logger has which."""

import logging
from collections.abc import Mapping
from typing import Final

from shared.errors import ConfigurationError

__all__ = [
    "CRITICAL",
    "DEBUG",
    "ERROR",
    "INFO",
    "NUMBERS",
    "WARNING",
    "LevelMap",
    "level_name",
    "level_or_info",
    "parse_level",
]

DEBUG: Final = logging.DEBUG
INFO: Final = logging.INFO
WARNING: Final = logging.WARNING
ERROR: Final = logging.ERROR
CRITICAL: Final = logging.CRITICAL

_BY_NAME: Final[dict[str, int]] = {
    "notset": 0,
    "trace": 5,
    "debug": DEBUG,
    "info": INFO,
    "warn": WARNING,
    "warning": WARNING,
    "error": ERROR,
    "critical": CRITICAL,
    "fatal": CRITICAL,
}
_NAMES: Final[dict[int, str]] = {
    5: "trace",
    DEBUG: "debug",
    INFO: "info",
    WARNING: "warning",
    ERROR: "error",
    CRITICAL: "critical",
}
NUMBERS: Final = {name: number for number, name in _NAMES.items()}
_HIGHEST: Final = 1000  # above CRITICAL there is room for "off" by number


def parse_level(value: int | str, *, setting: str = "level") -> int:
    """Return the number of a level given by name, in any case, or by number.

    Raises:
        ConfigurationError: *value* is neither a known name nor 0 to 1000;
            *setting* names the culprit.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _HIGHEST:
        return int(value)
    if isinstance(value, str):
        text = value.strip().lower()
        number = _BY_NAME.get(text)
        if number is not None:
            return number
        if text.isdecimal() and len(text) <= 4 and int(text) <= _HIGHEST:
            return int(text)
    known = ", ".join(name.upper() for name in _BY_NAME)
    msg = f"{setting}: unknown log level {value!r} (known: {known}, or 0 to {_HIGHEST})"
    raise ConfigurationError(msg)


def level_or_info(value: object) -> int:
    """Return the number of *value*, or that of info: a log call must not fail over its level."""
    try:
        return parse_level(value)  # type: ignore[arg-type]
    except ConfigurationError:
        return INFO


def level_name(number: int) -> str:
    """Return the name of the level *number* belongs to: the nearest one at or below it."""
    name = _NAMES.get(number)
    if name is not None:
        return name
    below = [known for known in _NAMES if known <= number]
    return _NAMES[max(below)] if below else "notset"


class LevelMap:
    """Which level a logger has: its own, that of the nearest parent, or the default.

    Names are dotted; ``{"orders": "DEBUG"}`` covers ``orders`` and ``orders.api``.
    """

    __slots__ = ("by_name", "default", "lowest")

    def __init__(self, default: int | str, by_name: Mapping[str, int | str] | None = None) -> None:
        self.default: int = parse_level(default, setting="LOG_LEVEL")
        self.by_name: dict[str, int] = {
            name: parse_level(level, setting=f"LOG_LEVELS[{name!r}]")
            for name, level in (by_name or {}).items()
        }
        self.lowest: int = min((self.default, *self.by_name.values()))

    def level_for(self, name: str | None) -> int:
        """Return the number of the level in force for the logger *name*."""
        if name and self.by_name:
            prefix = name
            while prefix:
                level = self.by_name.get(prefix)
                if level is not None:
                    return level
                prefix = prefix.rpartition(".")[0]
        return self.default
