"""What one application or worker owns: its runtime, settings, checks and end."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from shared.config import use_settings
from shared.errors import ConfigurationError, ErrorMap
from shared.logging import configure_logging
from shared.monitoring import (
    DrainOnSignal,
    HealthCheck,
    HealthRegistry,
    Lifecycle,
    get_health_registry,
    get_lifecycle,
)
from shared.runtime import Runtime, current, use
from shared.service._explain import Explanation, Part, SettingShown

if TYPE_CHECKING:
    from shared.config import Settings

    SettingsLike = Settings | type[Settings] | None
    Check = HealthCheck | tuple[str, Callable[[], Any]]

__all__ = ["Service"]

T = TypeVar("T")


class _Claim:
    """Marks a runtime as belonging to one service."""


class Service:
    """The core that ``install()`` and ``worker()`` share; framework-free.

    Attributes:
        kind: ``fastapi``, ``starlette``, ``flask`` or ``worker``.
        runtime: Holds the service's instances; current during its requests.
        settings: What it was built with.
        health: Its health registry.
        lifecycle: Whether traffic is welcome.
        jobs: What the request layer does for every request, beside its own.

    Example:
        >>> from flask import Flask
        >>> from shared.service import install, installed, uninstall
        >>> app = install(Flask("docs"), service="orders")
        >>> service = installed(app)
        >>> service, service.lifecycle.is_ready
        (Service('orders', flask), True)
        >>> uninstall(app)
    """

    def __init__(
        self,
        kind: str,
        settings: "SettingsLike",
        *,
        name: str | None,
        checks: "Iterable[Check]",
        without: Iterable[str],
        known_parts: Iterable[str],
    ) -> None:
        self.kind = kind
        self.without: frozenset[str] = _checked(without, tuple(known_parts))
        self.given: tuple[SettingsLike, str | None] = (settings, name)
        self.parts: list[Part] = []
        self._undo = ExitStack()
        self._kept: dict[type, Any] = {}
        self._running = False
        self._begins: list[Callable[[], Callable[[], object] | None]] = []
        self._ends = ExitStack()
        self.jobs: list[Any] = []
        self.runtime: Runtime
        self.runtime, self._owns_runtime = _claim()
        self._before = self.runtime.find(_settings_type())
        try:
            with use(self.runtime):
                self.settings: Settings = _settings(settings, name)
                self.runtime.name = self.settings.app.SERVICE_NAME
                self._add_settings()
                self._add_logging()
                self.lifecycle: Lifecycle = self.keep(Lifecycle, get_lifecycle())
                self.health: HealthRegistry = self.keep(HealthRegistry, get_health_registry())
                self.keep(ErrorMap, self.runtime.get(ErrorMap, lambda _: ErrorMap()))
                for check in checks:
                    self._add_check(check)
        except BaseException:
            self.dismantle()
            raise

    # -- building --------------------------------------------------------------------

    def note(self, part: Part, undo: Callable[[], object] | None = None) -> None:
        """Remember a part, and how to take it out again."""
        self.parts.append(part)
        if undo is not None:
            self.on_dismantle(undo)

    def keep(self, key: type[T], value: T) -> T:
        """Let *value* outlive a restart: the application holds references to it."""
        self._kept[key] = value
        return value

    def on_dismantle(self, undo: Callable[[], object]) -> None:
        """Call *undo* when the service is taken apart, before what was noted earlier."""
        self._undo.callback(undo)

    def on_start(self, begin: Callable[[], Callable[[], object] | None]) -> None:
        """Call *begin* at every start; what it returns is called when that run ends, last first."""
        self._begins.append(begin)

    def is_set(self, *names: str) -> bool:
        """Tell whether somebody gave one of these settings a value; the default of a profile is nobody's."""
        return any(self.settings.found(name).raws for name in names)

    def wants(self, name: str, does: str) -> bool:
        """Tell whether the part *name* is to be installed; one that is not is noted as such."""
        if name in self.without:
            self.note(Part(name, does, enabled=False, reason=f"without={name!r}"))
            return False
        return True

    def show(self, *names: str) -> tuple[SettingShown, ...]:
        """Return settings by name, with their masked values."""
        masked = {
            key: value for section in self.settings.to_dict().values() for key, value in section.items()
        }
        return tuple(SettingShown(name, masked[name]) for name in names)

    def _add_settings(self) -> None:
        use_settings(self.settings, runtime=self.runtime)
        self.note(
            Part(
                "settings",
                f"{type(self.settings).__name__}, read once and validated",
                settings=self.show("ENVIRONMENT", "SERVICE_NAME", "SERVICE_VERSION"),
            )
        )

    def _add_logging(self) -> None:
        does = "structured log lines with ids, redacted; stdlib, servers and warnings in the same stream"
        if not self.wants("logging", does):
            return
        # Where the layer writes a line per request, the server need not.
        layered = self.kind != "worker" and not self.without & {"access_log", "request_layer"}
        handle = configure_logging(self.settings, server_access=not layered)
        part = Part("logging", does, settings=self.show("LOG_LEVEL", "LOG_FORMAT", "LOG_SINK"))
        self.note(part, handle.close)

    def _add_check(self, check: "Check") -> None:
        if isinstance(check, HealthCheck):
            self.health.add_check(check)
        else:
            name, call = check
            self.health.add(name, call)

    # -- running -----------------------------------------------------------------------

    def start(self) -> None:
        """Take traffic: after this the readiness probe says yes. Safe to call again.

        After :meth:`stop` it starts anew, as a test client does that runs the
        application's start-up twice.
        """
        if self._running:
            return
        self._running = True
        if self.runtime.closed:
            self.runtime.reopen()
            self.lifecycle.reset()
            self._provide()
        if "drain" not in self.without:
            self._drain = DrainOnSignal(self.lifecycle)
            self._drain.install()
        with use(self.runtime):
            for begin in self._begins:
                end = begin()
                if end is not None:
                    self._ends.callback(end)
        self.lifecycle.mark_ready()

    def _provide(self) -> None:
        """Put back what must outlive a restart: others hold references to it."""
        self.runtime.replace(_Claim, _Claim())
        use_settings(self.settings, runtime=self.runtime)
        for key, value in self._kept.items():
            self.runtime.replace(key, value)

    def stop(self) -> None:
        """End in order: no more traffic, work in flight, flush, close what was built."""
        if self._end():
            self.lifecycle.finish()
            self._ends.close()
            self.runtime.close()

    async def astop(self) -> None:
        """Do :meth:`stop` without blocking the event loop."""
        if self._end():
            await self.lifecycle.afinish()
            self._ends.close()
            await self.runtime.aclose()

    def _end(self) -> bool:
        if not self._running:
            return False
        self._running = False
        drain = self.__dict__.pop("_drain", None)
        if drain is not None:
            drain.uninstall()
        return True

    def dismantle(self) -> None:
        """Take everything out again, last first, and let the runtime go."""
        with self._undo:
            self.stop()
        if not self.runtime.closed:
            self.runtime.close()
        if not self._owns_runtime:
            self._give_back()

    def _give_back(self) -> None:
        """Leave the runtime to whoever made it, with the settings it came with."""
        self.runtime.reopen()
        if self._before is not None:
            use_settings(self._before, runtime=self.runtime)

    def explain(self) -> Explanation:
        """Return what was installed, and the settings that decided it."""
        app = self.settings.app
        return Explanation(app.SERVICE_NAME, self.kind, str(app.ENVIRONMENT), tuple(self.parts))

    def __repr__(self) -> str:
        return f"Service({self.settings.app.SERVICE_NAME!r}, {self.kind})"


def _claim() -> tuple[Runtime, bool]:
    """Return the runtime for a new service, and whether it is ours to close.

    The first service takes the runtime in force, so that what a module used
    before, such as ``get_settings()``, and the service are one. A second
    service in the process gets a runtime of its own.
    """
    runtime = current()
    owned = runtime.find(_Claim) is not None
    if owned:
        runtime = Runtime()
    runtime.replace(_Claim, _Claim())
    return runtime, owned


def _settings_type() -> "type[Settings]":
    from shared.config import Settings

    return Settings


def _settings(given: "SettingsLike", name: str | None) -> "Settings":
    from shared.config import get_settings

    if given is None:
        settings = get_settings()
    elif isinstance(given, type):
        settings = given()
    else:
        settings = given
    if not isinstance(settings, _settings_type()):
        msg = f"settings must be a Settings, a subclass of it or None, got {type(settings).__qualname__!r}"
        raise ConfigurationError(msg)
    return settings if name is None else settings.replaced({"SERVICE_NAME": name})


def _checked(without: Iterable[str], known: tuple[str, ...]) -> frozenset[str]:
    names = frozenset((without,) if isinstance(without, str) else without)
    unknown = sorted(names.difference(known))
    if unknown:
        msg = f"without={unknown}: unknown part (known: {', '.join(known)})"
        raise ConfigurationError(msg)
    return names
