"""Values for flags from variables of the process."""

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from shared.errors import ConfigurationError
from shared.feature_flags._model import Flag, fits_flag

__all__ = ["environment_overrides", "variable_of"]

PREFIX: Final = "FLAG_"
_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE: Final = frozenset({"0", "false", "f", "no", "n", "off"})


def variable_of(key: str) -> str:
    """Return the variable for a flag without its prefix: ``ANALYTICS_ENABLED``, ``NEW_MENU_2``.

    Example:
        >>> variable_of("checkout.new-menu")
        'CHECKOUT_NEW_MENU'
    """
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in key).upper()


def environment_overrides(flags: Iterable[Flag], find: Callable[[str], str | None]) -> dict[str, Any]:
    """Return the values that variables give to declared flags.

    ``FLAG_ANALYTICS_ENABLED`` wins over ``ANALYTICS_ENABLED``. An empty variable is not set.
    The text is read by the type of the flag; the name of a variant will do too.

    Args:
        flags: Those that are declared; no other variable is looked at.
        find: Returns a variable by name, or None: ``{...}.get``, or what reads those of the
            process and the ``.env`` file, :meth:`Settings.variable`.

    Raises:
        ConfigurationError: A value cannot be read, or two flags have one variable. It lists all.

    Example:
        >>> environment_overrides([Flag("analytics_enabled")], {"ANALYTICS_ENABLED": "true"}.get)
        {'analytics_enabled': True}
    """
    found: dict[str, Any] = {}
    wrong: list[str] = []
    owners: dict[str, str] = {}
    for flag in flags:
        bare = variable_of(flag.key)
        for name in (PREFIX + bare, bare):
            text = (find(name) or "").strip()
            if not text:
                continue
            if owners.setdefault(name, flag.key) != flag.key:
                wrong.append(f"{name}: it would be both flag {owners[name]!r} and flag {flag.key!r}")
            try:
                found[flag.key] = _read(flag, text)
            except ValueError as exc:
                wrong.append(f"{name}: {exc}")
            break
    if wrong:
        msg = f"variables for feature flags: {'; '.join(wrong)}"
        raise ConfigurationError(msg, details={"problems": wrong})
    return found


def _read(flag: Flag, text: str) -> Any:
    if flag.type == "bool":
        word = text.lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        msg = f"expected true or false for flag {flag.key!r}, got a text of {len(text)} characters"
        raise ValueError(msg)
    if text in flag.variants:
        return flag.variants[text]
    if flag.type == "str":
        return text
    return _parsed(flag, text)


def _parsed(flag: Flag, text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None if flag.type != "json" else ...
    if not fits_flag(value, flag.type):
        wanted = f"a value of type {flag.type}, or one of {', '.join(flag.variants)},"
        msg = f"expected {wanted} for flag {flag.key!r}, got a text of {len(text)} characters"
        raise ValueError(msg)
    return value
