"""Administration of flags over HTTP, without I/O of its own: who may, what is asked, what is answered."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from shared.api._envelope import success_bytes
from shared.api._errors import Reply
from shared.api._flags_mount import Call, FlagRoute
from shared.errors import (
    BadRequestError,
    FlagDocumentError,
    PayloadTooLargeError,
    ResourceNotFoundError,
    ValidationError,
)
from shared.logging import get_logger
from shared.runtime import current

if TYPE_CHECKING:
    from shared.auth import Principal
    from shared.feature_flags import Flag, FlagAdmin, FlagDocument, Flags

__all__ = ["FlagAction", "FlagAdminEndpoint"]

_MAX_BODY: Final = 262_144  # bytes
_MAX_CHANGES: Final = 1000
_JSON: Final = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
#: What makes the history useless when it is empty.
_REASON: Final = "reason: expected a text that says why, up to 2000 characters"


@dataclass(frozen=True, slots=True)
class FlagAction:
    """Somebody changed flags through the admin routes; for the audit.

    Attributes:
        action: ``set``, ``rollout``, ``kill``, ``unkill`` or ``rollback``.
        actor: Who.
        key: Of the flag; None for a rollback of several.
        reason: Why, as they said.
        revision: Of the store, afterwards.

    Example:
        >>> FlagAction("kill", "u-1", "new_menu", "wrong prices", 7).revision
        7
    """

    action: str
    actor: str
    key: str | None
    reason: str
    revision: int


class FlagAdminEndpoint:
    """Answers the admin routes: list, show, set, rollout, kill, history, rollback.

    Every caller must have the permission *read*, who writes the permission *write*, and a
    write says why. The actor in the history is the principal, with who acts on its behalf.
    Each write is told as :class:`FlagAction` and in the log.

    Args:
        admin: What changes the store, or a function that returns it.
        flags: The flags of this process, which take a change over at once; those of the
            current runtime when None.
        read: Permission to look.
        write: Permission to change.

    Example:
        >>> from shared.auth import Principal
        >>> from shared.context import request_context
        >>> from shared.feature_flags import Flag, FlagAdmin, Flags, MemoryFlagStore
        >>> declared = [Flag("new_menu")]
        >>> endpoint = FlagAdminEndpoint(FlagAdmin(MemoryFlagStore(), declared=declared), Flags(declared))
        >>> ops = Principal(user_id="ops", permissions={"flags:*"})
        >>> with request_context(principal=ops):
        ...     endpoint.kill("new_menu", b'{"reason": "wrong prices"}').status
        200
    """

    def __init__(
        self,
        admin: "FlagAdmin | Callable[[], FlagAdmin]",
        flags: "Flags | None" = None,
        *,
        read: str = "flags:read",
        write: str = "flags:write",
    ) -> None:
        from shared.auth import require_permissions

        self._find: Callable[[], FlagAdmin] = admin if callable(admin) else lambda: admin
        self._given = flags
        self._read = require_permissions(read)
        self._write = require_permissions(write)

    @property
    def _flags(self) -> "Flags":
        if self._given is not None:
            return self._given
        from shared.feature_flags import get_flags

        return get_flags()

    # -- looking -----------------------------------------------------------------------------

    def list(self) -> Reply:
        """Answer with every flag, as the store or the code has it."""
        self._read.check()
        document, stored = self._document()
        flags = self._flags
        found = [
            {**_summary(flag), "stored": key in stored, "overridden": key in flags.snapshot.overrides}
            for key, flag in sorted(document.items())
        ]
        return _success({"revision": self._find().export_document().revision, "flags": found})

    def show(self, key: str) -> Reply:
        """Answer with the definition of one flag.

        Raises:
            ResourceNotFoundError: There is none.
        """
        self._read.check()
        document, stored = self._document()
        if key not in document:
            msg = f"there is no flag {key[:200]!r}"
            raise ResourceNotFoundError(msg)
        return _success({"definition": document[key].to_dict(), "stored": key in stored, **self._here(key)})

    def history(self, key: str | None = None, *, limit: str | None = None) -> Reply:
        """Answer with the newest changes, of one flag or of all.

        Raises:
            ValidationError: *limit* is no number from 1 to 1000.
        """
        self._read.check()
        count = 100 if limit is None else int(limit) if limit.isascii() and limit.isdecimal() else 0
        if not 1 <= count <= _MAX_CHANGES:
            msg = f"limit: expected a number from 1 to {_MAX_CHANGES}"
            raise ValidationError(msg)
        found = self._find().history(key, limit=count)
        return _success({"changes": [change.to_dict() for change in found]})

    # -- changing ----------------------------------------------------------------------------

    def set(self, key: str, body: bytes) -> Reply:
        """Change fields of a flag, or define it: ``{"fields": {…}, "reason": "…", "expected": 7}``."""
        who = self._write.check()
        given = _Body(body, {"fields", "reason", "expected"})
        fields = given.fields()
        return self._done(
            "set", key, who, given,
            lambda admin, actor, why: admin.set(
                key, actor=actor, reason=why, expected=given.expected(), **fields
            ),
        )  # fmt: skip

    def rollout(self, key: str, body: bytes) -> Reply:
        """Change the percentage: ``{"percent": 25, "environment": null, "reason": "…"}``."""
        who = self._write.check()
        given = _Body(body, {"percent", "environment", "reason", "expected"})
        percent, environment = given.percent(), given.text("environment")
        return self._done(
            "rollout", key, who, given,
            lambda admin, actor, why: admin.rollout(
                key, percent, actor=actor, reason=why, environment=environment, expected=given.expected()
            ),
        )  # fmt: skip

    def kill(self, key: str, body: bytes) -> Reply:
        """Switch a flag off everywhere: ``{"reason": "…"}``."""
        who, given = self._write.check(), _Body(body, {"reason"})
        return self._done(
            "kill", key, who, given, lambda admin, actor, why: admin.kill(key, actor=actor, reason=why)
        )

    def unkill(self, key: str, body: bytes) -> Reply:
        """Switch it on again: ``{"reason": "…"}``."""
        who, given = self._write.check(), _Body(body, {"reason"})
        return self._done(
            "unkill", key, who, given, lambda admin, actor, why: admin.unkill(key, actor=actor, reason=why)
        )

    def rollback(self, body: bytes) -> Reply:
        """Go back to a revision: ``{"revision": 3, "keys": null, "reason": "…"}``."""
        who = self._write.check()
        given = _Body(body, {"revision", "keys", "reason", "expected"})
        revision, keys = given.number("revision"), given.keys()
        if revision is None:
            msg = "revision: expected the number to go back to"
            raise ValidationError(msg)
        return self._done(
            "rollback", None, who, given,
            lambda admin, actor, why: admin.rollback(
                revision, keys=keys, actor=actor, reason=why, expected=given.expected()
            ),
        )  # fmt: skip

    # -- parts -------------------------------------------------------------------------------

    def _done(
        self,
        action: str,
        key: str | None,
        who: "Principal",
        given: "_Body",
        work: "Callable[[FlagAdmin, str, str], int]",
    ) -> Reply:
        actor = who.user_id if who.actor is None else f"{who.user_id} ({who.actor})"
        reason = given.reason()
        try:
            revision = work(self._find(), actor[:200], reason)
        except FlagDocumentError as exc:  # what the caller asked for, not what we are configured with
            raise ValidationError(exc.message, details={"faults": list(exc.faults)}, cause=exc) from exc
        done = FlagAction(action, actor, key, reason, revision)
        get_logger("shared.feature_flags").info("flags were changed", **asdict(done))
        current().events.emit(done)
        self._flags.refresh()
        answer: dict[str, Any] = {"revision": revision}
        return _success(answer if key is None else {**answer, **self._here(key)})

    def _here(self, key: str) -> dict[str, Any]:
        """Tell what makes this process differ from the store: an override wins over a kill switch."""
        overrides = self._flags.snapshot.overrides
        return {"overridden": key in overrides, "override": overrides.get(key)}

    def _document(self) -> "tuple[dict[str, Flag], Mapping[str, Flag]]":
        stored: FlagDocument = self._find().export_document()
        return {**self._flags.declared.flags, **stored.flags}, stored.flags


class _Body:
    """The JSON object of a write; every wrong part is a clear error."""

    def __init__(self, body: bytes, names: set[str]) -> None:
        if len(body) > _MAX_BODY:
            raise PayloadTooLargeError
        try:
            data = orjson.loads(body or b"{}")
        except ValueError:
            raise BadRequestError("the body is not valid JSON") from None
        if not isinstance(data, dict):
            raise ValidationError("expected a JSON object")
        unknown = sorted(set(data) - names)
        if unknown:
            msg = f"{unknown[0][:80]!r} is not expected (known: {', '.join(sorted(names))})"
            raise ValidationError(msg)
        self._data: dict[str, Any] = data

    def text(self, name: str) -> str | None:
        value = self._data.get(name)
        if value is None or (isinstance(value, str) and 0 < len(value) <= 200):
            return value
        msg = f"{name}: expected a text of 1 to 200 characters"
        raise ValidationError(msg)

    def reason(self) -> str:
        value = self._data.get("reason")
        if isinstance(value, str) and 0 < len(value.strip()) <= 2000:
            return value.strip()
        raise ValidationError(_REASON)

    def number(self, name: str) -> int | None:
        value = self._data.get(name)
        if value is None or (type(value) is int and 0 <= value < 2**53):
            return value
        msg = f"{name}: expected a whole number, 0 or more"
        raise ValidationError(msg)

    def expected(self) -> int | None:
        return self.number("expected")

    def percent(self) -> float:
        value: Any = self._data.get("percent")
        if type(value) in (int, float) and math.isfinite(value) and 0 <= value <= 100:
            return float(value)
        raise ValidationError("percent: expected a number from 0 to 100")

    def keys(self) -> list[str] | None:
        value = self._data.get("keys")
        if value is None or (isinstance(value, list) and all(isinstance(key, str) for key in value)):
            return value
        raise ValidationError("keys: expected a list of keys")

    def fields(self) -> dict[str, Any]:
        from shared.feature_flags import Flag

        value = self._data.get("fields")
        if not isinstance(value, dict) or not value:
            raise ValidationError("fields: expected an object with fields of a flag")
        known = set(Flag.model_fields) - {"key", "ramp"}
        unknown = sorted(set(value) - known)
        if unknown:
            msg = f"fields.{unknown[0][:80]}: a flag has no such field (known: {', '.join(sorted(known))})"
            raise ValidationError(msg)
        return value


def _summary(flag: "Flag") -> dict[str, Any]:
    return {
        "key": flag.key,
        "kind": flag.kind,
        "type": flag.type,
        "enabled": flag.enabled,
        "rollout": flag.rollout,
        "rules": len(flag.rules),
        "owner": flag.owner,
        "tags": list(flag.tags),
        "expires": None if flag.expires is None else flag.expires.isoformat(),
        "description": flag.description,
    }


def _success(data: Mapping[str, Any]) -> Reply:
    return Reply(200, _JSON, success_bytes(dict(data)))


def admin_routes(endpoint: FlagAdminEndpoint) -> list[FlagRoute]:
    """Return the routes; longer paths first, for a key may hold slashes."""

    def route(method: str, path: str, name: str, answer: Callable[[Call], Reply]) -> FlagRoute:
        return FlagRoute(method, path, f"shared_flags_{name}", answer, max_body=_MAX_BODY, is_blocking=True)

    def key(call: Call) -> str:
        return call.parameters["key"]

    return [
        route("GET", "/flags", "list", lambda _: endpoint.list()),
        route(
            "GET", "/flag-history", "changes", lambda call: endpoint.history(limit=call.query.get("limit"))
        ),
        route("POST", "/flag-rollback", "rollback", lambda call: endpoint.rollback(call.body)),
        route(
            "GET", "/flags/{key}/history", "history",
            lambda call: endpoint.history(key(call), limit=call.query.get("limit")),
        ),
        route("POST", "/flags/{key}/rollout", "rollout", lambda call: endpoint.rollout(key(call), call.body)),
        route("POST", "/flags/{key}/kill", "kill", lambda call: endpoint.kill(key(call), call.body)),
        route("POST", "/flags/{key}/unkill", "unkill", lambda call: endpoint.unkill(key(call), call.body)),
        route("GET", "/flags/{key}", "show", lambda call: endpoint.show(key(call))),
        route("PUT", "/flags/{key}", "set", lambda call: endpoint.set(key(call), call.body)),
    ]  # fmt: skip
