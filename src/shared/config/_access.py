"""The settings in force: one instance per runtime, built on first use."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import Context
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, overload

from shared.config._sources import Layer, from_overrides
from shared.errors import ConfigurationError
from shared.runtime import Runtime, current

if TYPE_CHECKING:
    from shared.config._report import Problem
    from shared.config._settings import Settings

    S = TypeVar("S", bound=Settings)

_settings_class: "type[Settings] | None" = None  # loaded on first use: pydantic takes a while


@dataclass(frozen=True, slots=True)
class SettingsReloaded:
    """Sent through ``runtime.events`` after :func:`reload_settings` changed something.

    Attributes:
        changes: ``{NAME: (old, new)}`` with masked values; a changed secret shows
            as ``("***", "***")``.
        settings: The new settings.

    Example:
        >>> from shared.runtime import current
        >>> stop = current().events.subscribe(SettingsReloaded, lambda event: print(dict(event.changes)))
        >>> _ = reload_settings()  # nothing changed: nobody is called
        >>> stop()
    """

    changes: Mapping[str, tuple[Any, Any]]
    settings: "Settings"


@overload
def get_settings() -> "Settings": ...
@overload
def get_settings(cls: "type[S]") -> "S": ...
def get_settings(cls: "type[Settings] | None" = None) -> "Settings":
    """Return the settings in force, building them on first use.

    Later calls are a look-up in a dictionary.

    Args:
        cls: The service's own subclass of ``Settings``. Asking for it makes it the
            settings in force; ``get_settings()`` then returns the same instance.

    Raises:
        ConfigurationError: The settings are wrong; the message lists everything.

    Example:
        >>> get_settings() is get_settings()
        True
        >>> get_settings().app.ENVIRONMENT.value
        'development'
    """
    if cls is None:
        return current().get(_settings_class or _load(), _build)
    return current().get(cls, functools.partial(_build, cls=cls))


def _load() -> "type[Settings]":
    global _settings_class  # noqa: PLW0603 - a cached import
    from shared.config._settings import Settings

    _settings_class = Settings
    return Settings


def _build(runtime: Runtime, cls: "type[Settings] | None" = None) -> "Settings":
    wanted = cls or _load()
    instance = wanted()
    # The container itself keeps the instance under the class that was asked for.
    for other in _classes(instance):
        if other is not wanted:
            runtime.replace(other, instance)
    return instance


def _classes(instance: "Settings") -> "list[type[Settings]]":
    """Return the classes under which *instance* is found: its own and its bases up to ``Settings``."""
    base = _settings_class or _load()
    return [cls for cls in type(instance).__mro__ if issubclass(cls, base)]


def use_settings(settings: "Settings | type[Settings]", *, runtime: Runtime | None = None) -> "Settings":
    """Make *settings* those in force in *runtime*, by default the current one.

    Args:
        settings: An instance, or a class that is built now.
        runtime: Where; default :func:`shared.runtime.current`.

    Returns:
        The instance.

    Raises:
        ConfigurationError: The settings are wrong.

    Example:
        >>> from shared.config import Settings
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("orders")):
        ...     _ = use_settings(Settings(environ={"API_PORT": "9000"}, env_file=None))
        ...     get_settings().api.API_PORT
        9000
    """
    instance = settings() if isinstance(settings, type) else settings
    target = runtime or current()
    for cls in _classes(instance):
        target.replace(cls, instance)
    return instance


_SECTIONS: Final = (
    "app", "api", "database", "redis", "cache", "security", "logging", "monitoring", "resilience", "flags",
    "jobs", "storage", "email", "ai", "agent", "stripe", "shopify", "gcp", "aws",
)  # fmt: skip


def _in_force(name: str) -> property:
    """Return a property for one section: an attribute that is found is much cheaper than ``__getattr__``."""

    def read(self: object) -> Any:  # noqa: ARG001 - a property's signature
        return getattr(current().get(_settings_class or _load(), _build), name)

    return property(read)


class _Proxy:
    """Stands for the settings in force; reads nothing before the first attribute."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # a tool that looks around must not cause a build
            raise AttributeError(name)
        return getattr(current().get(_settings_class or _load(), _build), name)

    def __setattr__(self, name: str, value: Any) -> None:
        msg = f"settings are not changed in place ({name}): use override_settings() or reload_settings()"
        raise ConfigurationError(msg)

    def __dir__(self) -> list[str]:
        return dir(get_settings())

    def __repr__(self) -> str:
        return "<settings: read an attribute, or call get_settings()>"


for _section in _SECTIONS:
    setattr(_Proxy, _section, _in_force(_section))

#: The settings in force, as an object to read from: ``settings.database.DB_POOL_SIZE``.
settings: "Settings" = cast("Settings", _Proxy())


def override_settings(**overrides: Any) -> "AbstractContextManager[Settings]":
    """Use other values inside the block, in this task and what it starts.

    The values are validated like all others, and the profile follows when
    ``ENVIRONMENT`` is one of them. Parallel tests do not see each other.

    Raises:
        ConfigurationError: On entering: a name is not a setting or a value is wrong.

    Example:
        >>> with override_settings(DB_POOL_SIZE=3):
        ...     settings.database.DB_POOL_SIZE
        3
        >>> settings.database.DB_POOL_SIZE
        5
    """
    layer = from_overrides(overrides)
    del overrides  # the frames of an error keep only masked values
    return _override(layer)


@contextmanager
def _override(layer: Layer) -> "Iterator[Settings]":
    runtime = current()
    changed = get_settings().with_layer(layer)
    with ExitStack() as stack:
        for cls in _classes(changed):
            stack.enter_context(runtime.override(cls, changed))
        yield changed


def reload_settings() -> "Settings":
    """Read the sources again, and swap the settings in force when they are right.

    Values given in code stay, and settings made from given variables are read from
    the same. An override around the call goes on for its block and is not part of it.

    Readers see the old or the new settings, never a mixture. When something is
    wrong the old stay. When something changed, :class:`SettingsReloaded` goes to
    the subscribers of ``current().events`` after the swap.

    Returns:
        The new settings.

    Raises:
        ConfigurationError: The new settings are wrong; the old are still in force.

    Example:
        >>> reload_settings() is get_settings()
        True
    """
    runtime = current()
    base = _settings_class or _load()
    # Outside of any override: it must not become permanent.
    present = Context().run(runtime.get, base, _build)
    new = present.reloaded()
    old = runtime.replace(base, new)
    use_settings(new, runtime=runtime)
    if old is not None and (changes := _changes(old, new)):
        runtime.events.emit(SettingsReloaded(MappingProxyType(changes), new))
    return new


def _changes(old: "Settings", new: "Settings") -> dict[str, tuple[Any, Any]]:
    from shared.config._field import shown
    from shared.config._specs import specs_of

    changes = {}
    for name, spec in specs_of(type(new)).items():
        before = getattr(getattr(old, spec.section), name)
        after = getattr(getattr(new, spec.section), name)
        if before != after:
            changes[name] = (shown(spec, before), shown(spec, after))
    return changes


def validate_environment_variables(*required: str) -> "tuple[Problem, ...]":
    """Check everything that is configured; call it first thing in a service.

    Args:
        required: Names that this service cannot do without, such as
            ``"OPENAI_API_KEY"``.

    Returns:
        What is suspicious but not refused, such as misspelt names; empty when all
        is well.

    Raises:
        ConfigurationError: One error that lists everything that is wrong or missing.

    Example:
        >>> validate_environment_variables("DATABASE_URL")
        ()
    """
    from shared.config._report import Problem, failure
    from shared.config._specs import find_spec

    found = get_settings()
    problems = []
    for name in required:
        spec = find_spec(type(found), name)
        value = getattr(getattr(found, spec.section), spec.name) if spec else found.variable(name)
        if value in (None, "", []):
            problems.append(Problem(name, "is required by this service and not set", id="settings.missing"))
    if problems:
        raise failure(problems, str(found.app.ENVIRONMENT))
    return found.warnings
