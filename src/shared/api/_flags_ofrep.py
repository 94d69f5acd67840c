"""The OpenFeature Remote Evaluation Protocol without I/O: bytes in, a complete answer out.

Source: open-feature/protocol, OpenAPI description 0.3.0.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from shared.api._conditional import NotModified, check_preconditions, entity_tag
from shared.api._errors import Reply
from shared.api._json import dumps
from shared.context import get_principal
from shared.errors import InvalidArgumentError, SharedError

if TYPE_CHECKING:
    from shared.auth import Requirement
    from shared.feature_flags import Detail, Flag, Flags

__all__ = ["CLIENT_TAG", "OfrepEndpoint"]

CLIENT_TAG: Final = "client"

Visible: TypeAlias = "str | Callable[[Flag], bool] | None"

_JSON: Final = ("Content-Type", "application/json")
_NO_STORE: Final = ("Cache-Control", "no-store")
_MAX_BODY: Final = 65_536  # bytes
_MAX_ATTRIBUTES: Final = 500
_MAX_KEY: Final = 200
#: Attributes that decide what somebody may see: they come from the service, never from a browser.
_SERVER_ONLY: Final = frozenset({"roles", "tenant", "permissions", "scopes"})
#: The protocol has no DEFAULT: no rule matched, so it is a value that is configured.
_REASONS: Final[Mapping[str, str]] = {
    "STATIC": "STATIC",
    "DEFAULT": "STATIC",
    "OVERRIDE": "STATIC",
    "TARGETING_MATCH": "TARGETING_MATCH",
    "SPLIT": "SPLIT",
    "DISABLED": "DISABLED",
    "PREREQUISITE_FAILED": "DISABLED",
}


class _RefusedError(Exception):
    """The request cannot be evaluated."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


class OfrepEndpoint:
    """Evaluates flags for browsers and other OpenFeature clients.

    Only flags with the tag ``client`` are answered: all others do not exist for a caller,
    so that names and values of internal flags stay inside. The targeting key is the
    attribute ``user_id``; for a caller who has proved who they are, ``user_id``, ``roles``
    and ``tenant`` are those of the principal. What a caller says of ``roles``, ``tenant``,
    ``permissions`` and ``scopes`` never counts.

    Args:
        flags: The flags; those of the current runtime at each call when None.
        visible: Tag of the flags that are answered, or a function that tells of a flag
            whether it is; None answers all, for callers that are trusted with them.
        facts: Returns attributes that the service knows of the caller, which win over what
            the caller says.
        server_only: Attributes that a caller cannot give.
        require: What callers must be, such as ``require_user()``.
        max_body: Bytes of a request, >= 1.

    Raises:
        InvalidArgumentError: *max_body* is out of range.

    Example:
        >>> from shared.feature_flags import Flag, Flags
        >>> flags = Flags([Flag("new_menu", tags=["client"], default=True), Flag("internal")])
        >>> endpoint = OfrepEndpoint(flags)
        >>> endpoint.evaluate("new_menu", b'{"context": {"targetingKey": "u-1"}}').body
        b'{"key":"new_menu","value":true,"reason":"STATIC","variant":"on"}'
        >>> endpoint.evaluate("internal", b"{}").status
        404
    """

    def __init__(
        self,
        flags: "Flags | None" = None,
        *,
        visible: Visible = CLIENT_TAG,
        facts: Callable[[], Mapping[str, Any]] | None = None,
        server_only: Iterable[str] = _SERVER_ONLY,
        require: "Requirement | None" = None,
        max_body: int = _MAX_BODY,
    ) -> None:
        if max_body < 1:
            msg = f"max_body: expected 1 or more bytes, got {max_body}"
            raise InvalidArgumentError(msg)
        self.max_body: int = max_body
        self._given = flags
        self._is_visible = _rule(visible)
        self._facts = facts
        self._server_only = frozenset(server_only)
        self._require = require

    @property
    def _flags(self) -> "Flags":
        if self._given is not None:
            return self._given
        from shared.feature_flags import get_flags

        return get_flags()

    def evaluate(self, key: str, body: bytes) -> Reply:
        """Answer ``POST /ofrep/v1/evaluate/flags/{key}``.

        Raises:
            AuthenticationError: Nobody is known, and *require* asks for somebody.
            AuthorizationError: Somebody is, and may not.

        Example:
            >>> from shared.feature_flags import Flags
            >>> OfrepEndpoint(Flags()).evaluate("new_menu", b"{").body
            b'{"key":"new_menu","errorCode":"PARSE_ERROR","errorDetails":"the body is not JSON"}'
        """
        self._check()
        shown = key[:_MAX_KEY]
        try:
            context = self._context(body)
        except _RefusedError as exc:
            return _reply(400, {"key": shown, "errorCode": exc.code, "errorDetails": exc.details})
        flags = self._flags
        flag = flags.snapshot.flag(key)
        if flag is None or not self._is_visible(flag):
            return _reply(404, {"key": shown, "errorCode": "FLAG_NOT_FOUND", "errorDetails": "no such flag"})
        try:
            detail = flags.detail(key, context)
        except SharedError:
            return _reply(500, {"errorDetails": "the flag cannot be evaluated now"})
        answer = _answer(detail)
        return _reply(500 if "errorCode" in answer else 200, answer)

    def evaluate_all(self, body: bytes, *, if_none_match: str | None = None) -> Reply:
        """Answer ``POST /ofrep/v1/evaluate/flags``: every visible flag, or 304 when nothing changed.

        It is not counted as usage or exposure: a browser fetches all flags and uses few.

        Args:
            body: The request's.
            if_none_match: The header of that name.

        Raises:
            AuthenticationError: As :meth:`evaluate`.
            AuthorizationError: As :meth:`evaluate`.

        Example:
            >>> from shared.feature_flags import Flag, Flags
            >>> endpoint = OfrepEndpoint(Flags([Flag("new_menu", tags=["client"])]))
            >>> first = endpoint.evaluate_all(b"{}")
            >>> first.body
            b'{"flags":[{"key":"new_menu","value":false,"reason":"STATIC","variant":"off"}]}'
            >>> endpoint.evaluate_all(b"{}", if_none_match=dict(first.headers)["ETag"]).status
            304
        """
        self._check()
        try:
            context = self._context(body)
        except _RefusedError as exc:
            return _reply(400, {"errorCode": exc.code, "errorDetails": exc.details})
        found = dumps({"flags": self._all(context)})
        etag = entity_tag(found)
        headers = (_JSON, ("Cache-Control", "private, no-cache"), ("ETag", etag))
        if if_none_match is not None:
            try:
                check_preconditions({"If-None-Match": if_none_match}, etag)
            except NotModified:
                return Reply(304, headers[1:])
        return Reply(200, headers, found)

    def _all(self, context: Mapping[str, Any]) -> list[dict[str, Any]]:
        flags = self._flags
        snapshot = flags.snapshot
        wanted = [key for key in snapshot if self._shows(snapshot.flag(key))]
        return [_answer(detail) for detail in flags.details(context, keys=wanted).values()]

    def _shows(self, flag: "Flag | None") -> bool:
        return flag is not None and self._is_visible(flag)

    def _check(self) -> None:
        if self._require is not None:
            self._require.check()

    def _context(self, body: bytes) -> dict[str, Any]:
        given = self._parsed(body)
        found = {name: value for name, value in given.items() if name not in self._server_only}
        key = found.pop("targetingKey", None)
        if key is not None:
            if not isinstance(key, str):
                raise _RefusedError("INVALID_CONTEXT", "targetingKey is a text")
            found.setdefault("user_id", key)
            found.setdefault("targeting_key", key)
        found |= _principal_facts()
        if self._facts is not None:
            found |= self._facts()
        return found

    def _parsed(self, body: bytes) -> dict[str, Any]:
        if len(body) > self.max_body:
            raise _RefusedError("PARSE_ERROR", f"the body is longer than {self.max_body} bytes")
        if not body.strip():
            return {}
        try:
            data = orjson.loads(body)
        except ValueError:
            raise _RefusedError("PARSE_ERROR", "the body is not JSON") from None
        context = data.get("context", {}) if isinstance(data, dict) else None
        if context is None and isinstance(data, dict):  # "context": null
            return {}
        if not isinstance(context, dict):
            raise _RefusedError("INVALID_CONTEXT", "expected an object with a context, which is an object")
        if len(context) > _MAX_ATTRIBUTES:
            raise _RefusedError("INVALID_CONTEXT", f"a context has at most {_MAX_ATTRIBUTES} attributes")
        return context


def _rule(visible: Visible) -> "Callable[[Flag], bool]":
    if visible is None:
        return lambda _: True
    if isinstance(visible, str):
        return lambda flag: visible in flag.tags
    return visible


def _principal_facts() -> dict[str, Any]:
    """Return what the service knows of a caller who has proved who they are."""
    principal = get_principal()
    found: dict[str, Any] = {}
    if isinstance(principal, (str, int)):
        return {"user_id": principal}
    for name in ("user_id", "tenant"):
        value = getattr(principal, name, None)
        if value is not None:
            found[name] = value
    roles = getattr(principal, "roles", None)
    if roles:
        found["roles"] = sorted(map(str, roles))
    return found


def _answer(detail: "Detail") -> dict[str, Any]:
    if detail.error_code is not None:
        return _failure(detail.key)
    found: dict[str, Any] = {"key": detail.key}
    if detail.value is not None:  # without a value the client takes the default of its code
        found["value"] = detail.value
    found["reason"] = _REASONS.get(detail.reason, "UNKNOWN")
    if detail.variant is not None:
        found["variant"] = detail.variant
    return found


def _failure(key: str) -> dict[str, Any]:
    return {"key": key, "errorCode": "GENERAL", "errorDetails": "the flag cannot be evaluated now"}


def _reply(status: int, data: Mapping[str, Any]) -> Reply:
    return Reply(status, (_JSON, _NO_STORE), dumps(data))
