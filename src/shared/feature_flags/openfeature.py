"""OpenFeature, both ways: our flags behind its client, and its providers behind our flags.

The client costs some twenty times what :func:`shared.feature_flags.is_feature_enabled`
does, whoever provides: it is for code that must not know us, not for the hot path.

Example:
    >>> from openfeature import api
    >>> from shared.feature_flags import Flag, Flags
    >>> api.set_provider_and_wait(SharedFlagsProvider(Flags([Flag("new_menu", default=True)])), "docs")
    >>> api.get_client("docs").get_boolean_value("new_menu", False)
    True
    >>> api.shutdown()
"""

from shared.errors import MissingDependencyError

try:
    import openfeature as _openfeature  # noqa: F401 - looked for first, to say what to install
except ImportError as _exc:
    raise MissingDependencyError("openfeature-sdk", extra="openfeature") from _exc

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata

from shared.errors import ServiceUnavailableError, SharedError
from shared.feature_flags._detail import Detail
from shared.feature_flags._events import FlagsChanged, FlagStoreFailed

if TYPE_CHECKING:
    from openfeature.client import OpenFeatureClient
    from openfeature.provider import FeatureProvider
    from openfeature.track import TrackingEventDetails

    from shared.feature_flags._flags import Flags

__all__ = ["OpenFeatureSource", "SharedFlagsProvider"]

_Object: TypeAlias = Sequence[Any] | Mapping[str, Any]
_Resolution: TypeAlias = FlagResolutionDetails[Any]
#: Reasons that OpenFeature does not have; the metadata keep what was meant.
_REASONS: Final[Mapping[str, Reason]] = {"OVERRIDE": Reason.STATIC, "PREREQUISITE_FAILED": Reason.DISABLED}
_CODES: Final = frozenset(str(code.value) for code in ErrorCode)
_MOST_KINDS: Final = 10_000


class SharedFlagsProvider(AbstractProvider):
    """Our flags for an OpenFeature client, synchronous and asynchronous; asking does no I/O.

    The targeting key is the attribute ``user_id``, unless the context has one. Changes reach
    handlers of ``PROVIDER_CONFIGURATION_CHANGED`` with the changed keys; a store that
    cannot be reached is ``PROVIDER_STALE``, or ``PROVIDER_ERROR`` while nothing was ever
    loaded, and ``PROVIDER_READY`` when it is back.

    Args:
        flags: The flags; those of the current runtime at each call when None.
        name: In the metadata.

    Example:
        >>> from shared.feature_flags import Flag, Flags
        >>> provider = SharedFlagsProvider(Flags([Flag("page_size", default=20)]))
        >>> found = provider.resolve_integer_details(flag_key="page_size", default_value=10)
        >>> found.value, found.reason, found.variant
        (20, <Reason.STATIC: 'STATIC'>, 'default')
    """

    def __init__(self, flags: "Flags | None" = None, *, name: str = "shared") -> None:
        super().__init__()
        self._given = flags
        self._name = name
        self._stops: list[Callable[[], None]] = []
        self._is_troubled = False

    @property
    def _flags(self) -> "Flags":
        if self._given is not None:
            return self._given
        from shared.feature_flags import get_flags

        return get_flags()

    def get_metadata(self) -> Metadata:
        """Return the name."""
        return Metadata(name=self._name)

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 - the interface's
        """Begin to tell of changes and of trouble with the store."""
        self.shutdown()
        events = self._flags.events
        self._stops = [
            events.subscribe(FlagsChanged, self._on_change),
            events.subscribe(FlagStoreFailed, self._on_failure),
        ]

    def shutdown(self) -> None:
        """Tell of nothing any more; the flags stay."""
        stops, self._stops = self._stops, []
        for stop in stops:
            stop()

    def _on_change(self, event: FlagsChanged) -> None:
        self._recover()
        self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=list(event.keys)))

    def _on_failure(self, event: FlagStoreFailed) -> None:
        self._is_troubled = True
        details = ProviderEventDetails(message=event.error, error_code=ErrorCode.GENERAL)
        if self._flags.snapshot.state == "defaults":
            self.emit_provider_error(details)
        else:
            self.emit_provider_stale(details)

    def _recover(self) -> None:
        if self._is_troubled and self._flags.snapshot.state == "live":
            self._is_troubled = False
            self.emit_provider_ready(ProviderEventDetails())

    # -- evaluation --------------------------------------------------------------------------

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Return a boolean."""
        return self._resolve(flag_key, default_value, evaluation_context, "bool")

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Return a text."""
        return self._resolve(flag_key, default_value, evaluation_context, "str")

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Return a whole number; True is none."""
        return self._resolve(flag_key, default_value, evaluation_context, "int")

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Return a number; that of a whole number is made one with a point."""
        return self._resolve(flag_key, default_value, evaluation_context, "float")

    def resolve_object_details(
        self, flag_key: str, default_value: _Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_Object]:
        """Return a list or a mapping."""
        return self._resolve(flag_key, default_value, evaluation_context, "json")

    def _resolve(self, key: str, default: Any, context: EvaluationContext | None, kind: str) -> _Resolution:
        if self._is_troubled:
            self._recover()
        flags = self._flags
        try:
            detail = flags.detail(key, _attributes(context))
        except SharedError as exc:  # a required flag, an unknown one with ``strict``
            code = ErrorCode.FLAG_NOT_FOUND if flags.snapshot.flag(key) is None else ErrorCode.GENERAL
            return _failed(default, code, exc.message)
        if detail.error_code is not None:
            code = ErrorCode(detail.error_code if detail.error_code in _CODES else ErrorCode.GENERAL)
            return _failed(default, code, detail.error)
        value = detail.value
        if kind == "float" and type(value) is int:
            value = float(value)
        if not _fits(value, kind):
            message = f"flag {key!r} has a value of type {type(value).__name__}, asked for as {kind}"
            return _failed(default, ErrorCode.TYPE_MISMATCH, message)
        return FlagResolutionDetails(
            value=value,
            reason=_REASONS.get(detail.reason) or Reason(detail.reason),
            variant=detail.variant,
            flag_metadata=_metadata(flags, detail),
        )

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: "TrackingEventDetails | None" = None,
    ) -> None:
        """Hand on what somebody did, as :meth:`shared.feature_flags.Flags.track`."""
        details = tracking_event_details
        fields = {} if details is None else {_field(name): item for name, item in details.attributes.items()}
        self._flags.track(
            tracking_event_name,
            _attributes(evaluation_context),
            value=None if details is None else details.value,
            **fields,
        )


def _attributes(context: EvaluationContext | None) -> dict[str, Any] | None:
    """Return the context as ours; None, that of the request, when the caller gave none."""
    if context is None or (context.targeting_key is None and not context.attributes):
        return None
    found: dict[str, Any] = dict(context.attributes)
    if context.targeting_key is not None:
        found.setdefault("user_id", context.targeting_key)
        found.setdefault("targeting_key", context.targeting_key)
    return found


def _field(name: object) -> str:
    """Return the name of an attribute, made one that :meth:`Flags.track` has no use for itself."""
    return f"{name}_" if name in ("self", "event", "context", "value") else str(name)


def _fits(value: Any, kind: str) -> bool:
    if kind == "json":
        return isinstance(value, (dict, list))
    return type(value) is {"bool": bool, "str": str, "int": int, "float": float}[kind]


def _failed(default: Any, code: ErrorCode, message: str | None) -> _Resolution:
    return FlagResolutionDetails(
        value=default, reason=Reason.ERROR, error_code=code, error_message=message or code.value
    )


def _metadata(flags: "Flags", detail: Detail) -> dict[str, bool | int | float | str]:
    found: dict[str, bool | int | float | str] = {"revision": detail.revision}
    if detail.reason in _REASONS:
        found["reason"] = detail.reason
    if detail.rule_id is not None:
        found["rule_id"] = detail.rule_id
    flag = flags.snapshot.flag(detail.key)
    if flag is not None:
        found["kind"] = flag.kind
        if flag.owner is not None:
            found["owner"] = flag.owner
    return found


# --- the other way ----------------------------------------------------------------------------


_is_asking: Final[ContextVar[bool]] = ContextVar("shared_flags_openfeature_asking", default=False)
_KINDS: Final[tuple[tuple[str, type, Any], ...]] = (
    ("boolean", bool, False),
    ("string", str, ""),
    ("integer", int, 0),
    ("float", float, 0.0),
    ("object", dict, {}),
)
_KIND_OF: Final[Mapping[type, str]] = {bool: "boolean", str: "string", int: "integer", float: "float"}


class OpenFeatureSource:
    """Any OpenFeature provider as a source of our flags: ``Flags(sources=[OpenFeatureSource(provider)])``.

    So code asks :func:`shared.feature_flags.is_feature_enabled` while the flags stay where
    they are; overrides, tests, counts and explanations are ours. OpenFeature asks for a flag
    by its type; where *types* does not tell it, the types are tried in turn, once per flag.
    The source waits for its provider: one that asks a server at each call makes the caller
    wait, too.

    Args:
        provider: A provider, or an ``OpenFeatureClient`` where hooks are to run.
        types: Key to a value of its type, such as the flag's default.

    Example:
        >>> from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
        >>> from shared.feature_flags import Flags
        >>> legacy = InMemoryProvider({"old_flag": InMemoryFlag("on", {"on": True})})
        >>> flags = Flags(sources=[OpenFeatureSource(legacy)])
        >>> flags.is_enabled("old_flag"), flags.is_enabled("nobody_knows")
        (True, False)
    """

    def __init__(
        self, provider: "FeatureProvider | OpenFeatureClient", *, types: Mapping[str, Any] | None = None
    ) -> None:
        is_client = hasattr(provider, "get_boolean_details")
        self._resolvers: dict[str, Callable[..., Any]] = {
            name: getattr(provider, f"get_{name}_details" if is_client else f"resolve_{name}_details")
            for name, _, _ in _KINDS
        }
        self._kinds = {key: _KIND_OF.get(type(value), "object") for key, value in (types or {}).items()}

    def detail(self, key: str, context: Mapping[str, Any]) -> Detail | None:
        """Return what the provider says, or None when it does not know *key*.

        Raises:
            ServiceUnavailableError: The provider failed; our flags then take the next source,
                and what the code declares in the end.

        Example:
            >>> from openfeature.provider.in_memory_provider import InMemoryProvider
            >>> OpenFeatureSource(InMemoryProvider({})).detail("old_flag", {"user_id": "u-1"})
        """
        if _is_asking.get():  # a provider that asks our flags, which ask it
            return None
        token = _is_asking.set(True)
        try:
            return self._ask(key, _context_for(context))
        except ServiceUnavailableError:
            raise
        except Exception as exc:
            # Foreign code; its words may hold anything.
            msg = f"the OpenFeature provider raised {type(exc).__name__} for flag {key!r}"
            raise ServiceUnavailableError(msg) from exc
        finally:
            _is_asking.reset(token)

    def _ask(self, key: str, context: EvaluationContext) -> Detail | None:
        known = self._kinds.get(key)
        for name, kind, default in _KINDS:
            if known is not None and name != known:
                continue
            given = self._resolvers[name](flag_key=key, default_value=default, evaluation_context=context)
            code = given.error_code
            is_other = code is None and not _is_of(given.value, kind)
            if known is None and (code is ErrorCode.TYPE_MISMATCH or is_other):
                continue
            if code is ErrorCode.FLAG_NOT_FOUND:
                return None
            if code is None and not is_other:
                if known is None and len(self._kinds) < _MOST_KINDS:
                    self._kinds[key] = name
                return _detail(key, given)
            msg = f"the OpenFeature provider answered {code or ErrorCode.TYPE_MISMATCH} for flag {key!r}"
            raise ServiceUnavailableError(msg)
        return None


def _is_of(value: Any, kind: type) -> bool:
    # True is an int for OpenFeature's own check, and would make a switch a number.
    return isinstance(value, (dict, list)) if kind is dict else type(value) is kind


def _context_for(context: Mapping[str, Any]) -> EvaluationContext:
    key = context.get("targeting_key") or context.get("user_id")
    return EvaluationContext(None if key is None else str(key), dict(context))


def _detail(key: str, given: Any) -> Detail:
    reason = str(given.reason or "STATIC")
    known: Any = reason if reason in _OURS else "STATIC"
    return Detail(key, given.value, given.variant, known)


_OURS: Final = frozenset({"STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED", "STALE"})
