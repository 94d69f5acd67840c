"""From flagd to our own form."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from shared.feature_flags._exchange import (
    CannotSayError,
    Imported,
    Importer,
    every,
    inverted,
    leaf,
    rule,
    type_of_values,
)
from shared.feature_flags.readers._flagd_document import checked
from shared.feature_flags.readers._flagd_flags import Resolver
from shared.feature_flags.readers._jsonlogic import LogicError
from shared.feature_flags.readers.flagd import ALIASES

__all__ = ["import_flagd"]

_SWAPPED: Final = {
    "<": ">",
    ">": "<",
    "<=": ">=",
    ">=": "<=",
    "==": "==",
    "===": "===",
    "!=": "!=",
    "!==": "!==",
}
_ORDERS: Final = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_VERSIONS: Final = {"=": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


def import_flagd(document: Any, *, aliases: Mapping[str, str] = ALIASES) -> Imported:
    """Return a flagd definition in our own form, with notes on what cannot be said.

    Said are chains of ``if`` over comparisons of an attribute with a value, ``and``,
    ``or``, ``!``, ``in``, ``starts_with``, ``ends_with``, ``sem_ver``, shared evaluators, and
    ``fractional`` by an attribute.

    Args:
        document: As for :func:`shared.feature_flags.readers.flagd.load`.
        aliases: Name in the document → name in your contexts.

    Raises:
        FlagDocumentError: The document is not of the shape of flagd.

    Example:
        >>> document, notes = import_flagd({"flags": {"menu": {"state": "ENABLED", "defaultVariant": "off",
        ...     "variants": {"on": True, "off": False},
        ...     "targeting": {"if": [{"==": [{"var": "plan"}, "pro"]}, "on"]}}}})
        >>> document.flags["menu"].rules[0].to_dict()
        {'serve': 'on', 'when': {'attr': 'plan', 'op': 'eq', 'value': 'pro'}}
    """
    definition = checked(document)
    importer = Importer()
    for key, flag in definition.flags.items():
        importer.flag(key, partial(_flag, key, flag, definition.evaluators, aliases))
        if flag["state"] == "DISABLED":
            importer.note(key, "while it is disabled it yields its default variant, not the caller's default")
    return importer.finish()


def _flag(
    key: str, flag: Mapping[str, Any], evaluators: Mapping[str, Any], aliases: Mapping[str, str]
) -> dict[str, Any]:
    variants, default = flag["variants"], flag.get("defaultVariant")
    default = str(default).lower() if isinstance(default, bool) else default
    if default is None or default not in variants:
        msg = "no default variant: the caller's default is served"
        raise CannotSayError(msg)
    made: dict[str, Any] = {
        "default": variants[default],
        "type": type_of_values(list(variants.values())),
        "variants": variants,
        "default_variant": default,
        "off_variant": default,
        "enabled": flag["state"] == "ENABLED",
    }
    if flag.get("targeting"):
        try:
            targeting = Resolver(evaluators).resolved(flag["targeting"])
        except LogicError as error:
            raise CannotSayError(str(error)) from None
        made["rules"] = _Rules(key, default, aliases).rules(targeting)
    return made


class _Rules:
    """Turns the targeting of one flag into rules."""

    def __init__(self, key: str, default: str, aliases: Mapping[str, str]) -> None:
        self._key = key
        self._default = default
        self._aliases = aliases

    def rules(self, logic: Any, path: tuple[dict[str, Any], ...] = ()) -> list[dict[str, Any]]:
        """Return the rules that serve what *logic* comes to, where all of *path* holds."""
        name, arguments = _operator(logic)
        if name in {"if", "?:"}:
            return self._if(arguments, path)
        if name == "fractional":
            return [
                rule(when=every([*path]), split=self._split(arguments)),
                rule(self._default, when=every([*path])),
            ]
        if logic is None:
            return [rule(self._default, when=every([*path]))]
        if isinstance(logic, str):
            return [rule(logic, when=every([*path]))]
        if isinstance(logic, bool):
            return [rule(str(logic).lower(), when=every([*path]))]
        condition = self.condition(logic)
        return [rule("true", when=every([*path, condition])), rule("false", when=every([*path]))]

    def _if(self, arguments: list[Any], path: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
        rules: list[dict[str, Any]] = []
        for n in range(0, len(arguments) - 1, 2):
            rules += self.rules(arguments[n + 1], (*path, self.condition(arguments[n])))
        return rules + self.rules(arguments[-1] if len(arguments) % 2 else None, path)

    def condition(self, logic: Any) -> dict[str, Any]:
        """Return a condition that holds where *logic* is true."""
        if isinstance(logic, bool):
            return {"all": []} if logic else {"any": []}
        name, arguments = _operator(logic)
        if name in {"and", "or"}:
            return {"all" if name == "and" else "any": [self.condition(part) for part in arguments]}
        if name == "!" and len(arguments) == 1:
            return inverted(self.condition(arguments[0]))
        if name in _SWAPPED and len(arguments) == 2:
            return self._comparison(name, *arguments)
        if name == "in" and len(arguments) == 2:
            return self._in(*arguments)
        if name in {"starts_with", "ends_with"} and len(arguments) == 2:
            return leaf(self._attribute(arguments[0]), name.split("_")[0], arguments[1])
        if name == "sem_ver" and len(arguments) == 3 and arguments[1] in _VERSIONS:
            return leaf(self._attribute(arguments[0]), f"semver_{_VERSIONS[arguments[1]]}", arguments[2])
        msg = f"the operator {name!r}" if name else "a value as a condition"
        raise CannotSayError(msg)

    def _comparison(self, name: str, left: Any, right: Any) -> dict[str, Any]:
        if not isinstance(left, dict):
            name, left, right = _SWAPPED[name], right, left
        attr = self._attribute(left)
        if right is None and name in {"==", "!=", "===", "!=="}:
            absent = inverted(leaf(attr, "exists", True))
            return absent if name.startswith("=") else inverted(absent)
        if name in _ORDERS:
            return leaf(attr, _ORDERS[name], right)
        same = leaf(attr, "eq", right)
        return same if name.startswith("=") else inverted(same)

    def _in(self, needle: Any, stack: Any) -> dict[str, Any]:
        if isinstance(stack, list):
            return leaf(self._attribute(needle), "in", stack)
        if isinstance(needle, str):
            return leaf(self._attribute(stack), "contains", needle)
        msg = "'in' of two attributes"
        raise CannotSayError(msg)

    def _attribute(self, logic: Any) -> str:
        name, arguments = _operator(logic)
        if name == "var" and len(arguments) == 1 and isinstance(arguments[0], str):
            found = arguments[0]
            if found and not found.startswith("$flagd"):
                return self._aliases.get(found, found)
        msg = "an expression where an attribute was expected"
        raise CannotSayError(msg)

    def _split(self, arguments: list[Any]) -> dict[str, Any]:
        split: dict[str, Any] = {}
        first = arguments[0] if arguments else None
        if isinstance(first, list):
            split["unit"] = self._attribute({"var": "targetingKey"})
        else:
            split |= self._unit(first)
            arguments = arguments[1:]
        weights: dict[str, int] = {}
        for bucket in arguments:
            fits = isinstance(bucket, list) and 1 <= len(bucket) <= 2 and isinstance(bucket[0], str)
            weight = bucket[1] if fits and len(bucket) > 1 else 1
            if not fits or type(weight) is not int or bucket[0] in weights:
                msg = "a distribution with expressions, or with a variant twice"
                raise CannotSayError(msg)
            weights[bucket[0]] = max(0, weight)
        return split | {"weights": weights}

    def _unit(self, logic: Any) -> dict[str, Any]:
        """Return unit and salt: an attribute, or a text and an attribute one after the other."""
        name, arguments = _operator(logic)
        if name != "cat":
            return {"unit": self._attribute(logic)}
        if len(arguments) != 2:
            msg = "a unit of several attributes"
            raise CannotSayError(msg)
        seed, attribute = arguments
        if seed == {"var": "$flagd.flagKey"}:
            return {"unit": self._attribute(attribute)}
        if isinstance(seed, str) and seed:
            return {"unit": self._attribute(attribute), "salt": seed}
        msg = "a unit of several attributes"
        raise CannotSayError(msg)


def _operator(logic: Any) -> tuple[str, list[Any]]:
    """Return name and arguments of an operation; an empty name for a value."""
    if not isinstance(logic, dict) or len(logic) != 1:
        return "", []
    name, arguments = next(iter(logic.items()))
    return name, arguments if isinstance(arguments, list) else [arguments]
