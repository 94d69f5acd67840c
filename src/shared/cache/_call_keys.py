"""Keys of calls: which arguments make two calls the same."""

import hashlib
import string
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from inspect import Parameter, Signature, signature
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from shared.errors import InvalidArgumentError

__all__ = ["CallKeys"]

_SCALARS: Final = (datetime, date, time, timedelta, Decimal, UUID, PurePath)
_DEEP: Final = 50
_FORMAT: Final = string.Formatter()


class CallKeys:
    """Gives each call of one function its key.

    With a template, such as ``"product:{product_id}"``, the arguments are put into it,
    escaped so that no value can imitate another key. Without one the key is the name of
    the function and a digest of the arguments, each with its type: ``1``, ``"1"`` and
    ``True`` are three calls.

    Raises:
        InvalidArgumentError: The template names what is not a parameter, or a method has
            neither a template nor its first parameter in *ignore*.
    """

    def __init__(self, function: Callable[..., Any], template: str | None, ignore: frozenset[str]) -> None:
        self._signature: Signature = signature(function)
        kinds = {parameter.kind for parameter in self._signature.parameters.values()}
        # The usual call gives every parameter by position; binding it costs more than all the rest.
        self._positional: tuple[str, ...] = (
            tuple(self._signature.parameters) if kinds <= {Parameter.POSITIONAL_OR_KEYWORD} else ()
        )
        self._parsed: dict[str, list[tuple[str, str, list[str]]]] = {}
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._ignore = ignore
        self._template = template
        names = self._signature.parameters
        unknown = sorted(ignore - set(names))
        if unknown:
            msg = f"{self._name} has no parameters {', '.join(unknown)} to ignore"
            raise InvalidArgumentError(msg)
        if template is not None:
            self.check(template)
        elif "self" in names and "self" not in ignore:
            msg = (
                f"{self._name} is a method: give key='…{{self.id}}…', or ignore=('self',) "
                "when its result does not depend on the instance"
            )
            raise InvalidArgumentError(msg)

    def check(self, template: str) -> None:
        """See that *template* names parameters alone.

        Raises:
            InvalidArgumentError: It does not.
        """
        try:
            fields = [name for _, name, _, _ in _FORMAT.parse(template) if name is not None]
        except ValueError as exc:
            msg = f"{template!r} is not a template such as 'product:{{product_id}}'"
            raise InvalidArgumentError(msg) from exc
        for field in fields:
            first = field.partition(".")[0]
            if first not in self._signature.parameters or "[" in field or "._" in field:
                known = ", ".join(self._signature.parameters)
                msg = (
                    f"{template!r} names {field!r}, which is not a parameter of {self._name} (known: {known})"
                )
                raise InvalidArgumentError(msg)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, defaults among them; raise TypeError as the function would."""
        if not kwargs and args and len(args) == len(self._positional):
            return dict(zip(self._positional, args, strict=True))
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    def key(self, arguments: Mapping[str, Any]) -> str:
        """Return the key of a call with *arguments*.

        Raises:
            InvalidArgumentError: An argument cannot be part of a key.
        """
        if self._template is not None:
            return self.fill(self._template, arguments)
        digest = hashlib.blake2b(digest_size=16)
        for name, value in arguments.items():
            if name not in self._ignore:
                if self._signature.parameters[name].kind is Parameter.VAR_KEYWORD:
                    value = dict(sorted(value.items()))  # noqa: PLW2901
                _feed(digest.update, value, f"{self._name}({name}=…)", 0)
        return f"{self._name}:{digest.hexdigest()}"

    def fill(self, template: str, arguments: Mapping[str, Any]) -> str:
        """Return *template* with *arguments* in it, escaped.

        Raises:
            InvalidArgumentError: An argument has no text that stands for it alone.
        """
        parsed = self._parsed.get(template)
        if parsed is None:
            parsed = self._parsed[template] = _parse(template)
        parts: list[str] = []
        for text, first, rest in parsed:
            parts.append(text)
            if first:
                value = arguments[first]
                for name in rest:
                    value = getattr(value, name)
                parts.append(_text(value, first, self._name))
        return "".join(parts)


def _parse(template: str) -> list[tuple[str, str, list[str]]]:
    """Return ``(text, parameter, attributes)`` for each field, the parameter empty behind the last one."""
    parsed = []
    for text, field, _, _ in _FORMAT.parse(template):
        first, *rest = (field or "").split(".")
        parsed.append((text, first, rest))
    return parsed


def _text(value: Any, parameter: str, name: str) -> str:
    kind = type(value)
    if kind is int or (kind is str and value.isalnum() and value.isascii()):
        return str(value)
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, (bool, int, float, str, *_SCALARS)):
        return quote(str(value), safe="@+,", errors="surrogatepass")
    msg = (
        f"{{{parameter}}} of {name} is a {type(value).__name__}, which has no text for a key: "
        "name one of its attributes"
    )
    raise InvalidArgumentError(msg)


def _feed(update: Callable[[bytes], object], value: Any, where: str, depth: int) -> None:
    """Feed *value* to a digest so that different values give different bytes."""
    kind = type(value)
    if depth > _DEEP:
        msg = f"{where} is nested more than {_DEEP} deep: give the cache a key of your own"
        raise InvalidArgumentError(msg)
    if value is None or kind in {bool, int, float, str, bytes}:
        data = value if kind is bytes else str(value).encode("utf-8", "surrogatepass")
        update(f"{kind.__name__}:{len(data)}:".encode() + data)
    elif isinstance(value, Enum):
        update(f"{kind.__module__}.{kind.__qualname__}.{value.name};".encode())
    elif isinstance(value, _SCALARS):
        data = repr(value).encode()
        update(f"{kind.__qualname__}:{len(data)}:".encode() + data)
    elif kind in {list, tuple}:
        update(f"{kind.__name__}[{len(value)}:".encode())
        for item in value:
            _feed(update, item, where, depth + 1)
    elif kind in {set, frozenset}:
        _feed_unordered(update, "set", value, where, depth)
    elif kind is dict:
        _feed_unordered(update, "dict", value.items(), where, depth)
    elif hasattr(value, "model_dump_json"):
        data = value.model_dump_json().encode()
        update(f"{kind.__module__}.{kind.__qualname__}:{len(data)}:".encode() + data)
    else:
        msg = f"{where} is a {kind.__name__}, which has no stable form: give key='…{{…}}…', or ignore it"
        raise InvalidArgumentError(msg)


def _feed_unordered(update: Callable[[bytes], object], name: str, items: Any, where: str, depth: int) -> None:
    digests = []
    for item in items:
        digest = hashlib.blake2b(digest_size=16)
        _feed(digest.update, item, where, depth + 1)
        digests.append(digest.digest())
    update(f"{name}[{len(digests)}:".encode() + b"".join(sorted(digests)))
