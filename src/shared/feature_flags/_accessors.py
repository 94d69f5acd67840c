"""The flags of the current runtime, and the functions that services call."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import FlagDocumentError
from shared.feature_flags._blocks import FlagBlock
from shared.feature_flags._catalogue import FEATURE_FLAGS
from shared.feature_flags._declare import Declared, declared, merged
from shared.feature_flags._detail import Detail, Explanation
from shared.feature_flags._env import environment_overrides
from shared.feature_flags._events import FlagsChanged
from shared.feature_flags._flags import Flags
from shared.feature_flags._model import Flag, FlagDocument
from shared.feature_flags._scope import current_block
from shared.runtime import Runtime, current

if TYPE_CHECKING:
    from shared.config import FlagsSettings, Settings
    from shared.feature_flags._store import FlagStore

__all__ = [
    "declare_flags",
    "detail",
    "explain",
    "flags_from_settings",
    "get_flags",
    "is_feature_enabled",
    "on_change",
    "override",
    "scope",
    "track",
    "value",
    "variant",
]


class _Code:
    """What the code of a service declared before its flags were first asked for."""

    def __init__(self, document: FlagDocument) -> None:
        self.document = document


def get_flags() -> Flags:
    """Return the flags of the current runtime, built from the settings on first use.

    They are what :func:`declare_flags` declared, or :data:`FEATURE_FLAGS`; variables of the
    process override them.

    Raises:
        ConfigurationError: A variable for a flag cannot be read as a value of its type.

    Example:
        >>> get_flags() is get_flags()
        True
    """
    return current().get(Flags, _flags)


def declare_flags(flags: Declared) -> None:
    """Declare the flags of a service, in place of the default catalogue; later calls add.

    Args:
        flags: :class:`Flag` objects, a mapping of keys to default values, or a document.

    Raises:
        FlagDocumentError: Something contradicts itself.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> runtime = Runtime("orders")
        >>> with use(runtime):
        ...     declare_flags([Flag("new_menu", default=True, owner="web")])
        ...     is_feature_enabled("new_menu")
        True
        >>> runtime.close()
    """
    runtime, document = current(), declared(flags)
    before = runtime.find(_Code)
    built = runtime.find(Flags)
    if built is not None:
        built.declare(document, replace=before is None)
    runtime.replace(_Code, _Code(merged(before.document, document) if before else document))


def flags_from_settings(settings: "Settings", *, flags: Declared | None = None) -> Flags:
    """Return new flags as the settings have them; the caller closes them.

    Args:
        settings: Their ``flags`` section, and ``ENVIRONMENT``.
        flags: What is declared; the default catalogue when None, unless ``FLAGS_FILE`` names
            a file that declares others.

    Raises:
        ConfigurationError: A variable for a flag cannot be read.

    Example:
        >>> from shared.config import Settings
        >>> settings = Settings(environ={"ANALYTICS_ENABLED": "true"}, env_file=None)
        >>> flags_from_settings(settings).is_enabled("analytics_enabled")
        True
    """
    return _build(settings, flags, lambda: settings)


def _build(settings: "Settings", flags: Declared | None, in_force: "Callable[[], Settings]") -> Flags:
    section = settings.flags
    return Flags(
        _code(section, flags),
        environment=str(settings.app.ENVIRONMENT),
        overrides=_overrides(in_force) if section.FLAGS_ENV_OVERRIDES else None,
        store=_store(section),
        refresh_seconds=section.FLAGS_REFRESH_SECONDS,
        last_known_good=section.FLAGS_LAST_KNOWN_GOOD,
        owns_store=True,
        strict=section.FLAGS_STRICT,
    )


def _code(section: "FlagsSettings", flags: Declared | None) -> FlagDocument:
    """Return what is declared, by the code or else by the file: variables override what is declared."""
    code = FlagDocument() if flags is None else declared(flags)
    if section.FLAGS_FILE:
        with suppress(FlagDocumentError):  # whoever follows the file tells what is wrong with it
            code = merged(code, declared(Path(section.FLAGS_FILE)))
    return declared(FEATURE_FLAGS) if flags is None and not code.flags else code


def _store(section: "FlagsSettings") -> "FlagStore | None":
    """Return the store that the settings name, over the file; None where flags live in code alone."""
    url, file = str(section.FLAGS_STORE_URL), section.FLAGS_FILE
    if url == "memory://" and not file:
        return None
    from shared.feature_flags._store_file import FileFlagStore
    from shared.feature_flags._store_layered import LayeredFlagStore
    from shared.feature_flags._store_url import flag_store

    if not file:
        return flag_store(url)
    below = FileFlagStore(file)
    return below if url == "memory://" else LayeredFlagStore([flag_store(url), below])


def _overrides(settings: "Callable[[], Settings]") -> Callable[[Iterable[Flag]], Mapping[str, Any]]:
    from shared.errors import ConfigurationError

    def find(name: str) -> str | None:
        try:
            return settings().variable(name)
        except ConfigurationError:  # a setting has this name: only FLAG_<NAME> is the flag
            return None

    return lambda flags: environment_overrides(flags, find)


def _flags(runtime: Runtime) -> Flags:
    from shared.config import SettingsReloaded, get_settings
    from shared.monitoring import get_metrics
    from shared.runtime import use

    with use(runtime):
        code, settings = runtime.find(_Code), get_settings()
        in_force = [settings]
        flags = _build(settings, None if code is None else code.document, lambda: in_force[0])
        if settings.monitoring.METRICS_ENABLED:
            flags.measure(get_metrics())

    def reloaded(event: SettingsReloaded) -> None:
        in_force[0] = event.settings
        flags.reload()

    flags.on_close(runtime.events.subscribe(SettingsReloaded, reloaded))
    return flags


# --- what services call ------------------------------------------------------------------------


def is_feature_enabled(key: str, context: Any = None, *, default: bool | None = None) -> bool:
    """Return whether a feature is on: :meth:`Flags.is_enabled` of the current runtime.

    Args:
        key: Of the flag.
        context: Attributes by name, or the id of a user; those of the request when None.
        default: The answer where the flag is unknown; False when None.

    Example:
        >>> is_feature_enabled("analytics_enabled")
        False
        >>> is_feature_enabled("no_such_flag", default=True)
        True
    """
    block = current_block()
    flags: Flags = get_flags() if block is None or block.flags is None else block.flags
    return flags.is_enabled(key, context, default=default)


def variant(key: str, context: Any = None, *, default: str | None = None) -> str | None:
    """Return the variant a flag comes to: :meth:`Flags.variant` of the current runtime.

    Example:
        >>> variant("analytics_enabled")
        'off'
    """
    return get_flags().variant(key, context, default=default)


def value(key: str, context: Any = None, *, default: Any = None) -> Any:
    """Return the value of a flag: :meth:`Flags.value` of the current runtime.

    Example:
        >>> value("page_size", default=20)
        20
    """
    return get_flags().value(key, context, default=default)


def detail(key: str, context: Any = None, *, default: Any = None) -> Detail:
    """Return the value of a flag and why: :meth:`Flags.detail` of the current runtime.

    Example:
        >>> detail("analytics_enabled").reason
        'STATIC'
    """
    return get_flags().detail(key, context, default=default)


def explain(key: str, context: Any = None) -> Explanation:
    """Return the way to the value, step by step: :meth:`Flags.explain` of the current runtime.

    Example:
        >>> print(explain("analytics_enabled"))
        analytics_enabled = False (variant 'off', STATIC, revision 0)
          yes  enabled
          -    no rule matched: variant 'off'
    """
    return get_flags().explain(key, context)


def scope(context: Any = None) -> FlagBlock:
    """Return a block in which no flag changes: :meth:`Flags.scope` of the current runtime.

    Example:
        >>> with scope({"user_id": "u-1"}):
        ...     is_feature_enabled("analytics_enabled")
        False
    """
    return get_flags().scope(context)


def override(
    values: Mapping[str, Any] | None = None, /, *, allow_in_production: bool = False, **flags: Any
) -> FlagBlock:
    """Return a block with given values: :meth:`Flags.override` of the current runtime.

    As a decorator it looks for the runtime when it decorates.

    Example:
        >>> with override(analytics_enabled=True):
        ...     is_feature_enabled("analytics_enabled")
        True
    """
    return get_flags().override(values, allow_in_production=allow_in_production, **flags)


def track(event: str, context: Any = None, *, value: float | None = None, **fields: Any) -> None:
    """Tell what experiments count: :meth:`Flags.track` of the current runtime.

    Example:
        >>> track("order_placed", "u-1", value=12.5)
    """
    get_flags().track(event, context, value=value, **fields)


def on_change(listener: Callable[[FlagsChanged], object], *, key: str | None = None) -> Callable[[], None]:
    """Call *listener* after each change: :meth:`Flags.on_change` of the current runtime.

    Example:
        >>> stop = on_change(print, key="analytics_enabled")
        >>> stop()
    """
    return get_flags().on_change(listener, key=key)
