"""What a pipeline is made of: settings and plain values, checked and merged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from shared.constants import Environment
from shared.errors import ConfigurationError
from shared.logging._levels import LevelMap

__all__ = ["FORMATS", "Options"]

FORMATS: Final = ("json", "ecs", "console")
_MIN_LINE: Final = 512  # bytes; below, not even the head of a line fits
_LOCAL: Final = (Environment.DEVELOPMENT, Environment.TESTING)


@dataclass(frozen=True, slots=True)
class Options:
    """The plain values a pipeline is built from; see ``configure_logging``."""

    level: int | str = "INFO"
    format: str | None = None
    sink: Any = "stdout"
    levels: Mapping[str, int | str] = field(default_factory=dict)
    redact_names: Sequence[str] = ()
    max_line_bytes: int = 16_384
    service: str | None = None
    version: str | None = None
    environment: str | None = None
    no_color: bool = False

    @classmethod
    def from_settings(cls, settings: Any) -> "Options":
        """Read the ``LOG_*`` names from *settings*.

        Args:
            settings: The whole ``Settings`` (its ``logging`` and ``app`` sections
                are read), one section, or a mapping from name to value.
        """
        logging = _section(settings, "logging")
        app = _section(settings, "app")
        found = {
            "level": _read(logging, "LOG_LEVEL"),
            "format": _read(logging, "LOG_FORMAT"),
            "sink": _read(logging, "LOG_SINK"),
            "levels": _read(logging, "LOG_LEVELS"),
            "redact_names": _read(logging, "LOG_REDACT_NAMES"),
            "max_line_bytes": _read(logging, "LOG_MAX_LINE_BYTES"),
            # Set to anything but the empty text. Source: no-color.org.
            "no_color": bool(_read(logging, "NO_COLOR")),
            "service": _read(app, "SERVICE_NAME"),
            "version": _read(app, "SERVICE_VERSION"),
            "environment": _read(app, "ENVIRONMENT"),
        }
        return cls().override(**found)

    def override(self, **values: Any) -> "Options":
        """Return a copy in which every value that is not None replaces ours."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})

    def chosen_format(self) -> str:
        """Return the format: as set, else ``console`` for people's machines and ``json`` elsewhere.

        Raises:
            ConfigurationError: The format is unknown.
        """
        if self.format is None:
            return "console" if self.environment in _LOCAL else "json"
        name = str(self.format).strip().lower()
        if name not in FORMATS:
            msg = f"LOG_FORMAT: unknown format {self.format!r} (known: {', '.join(FORMATS)})"
            raise ConfigurationError(msg)
        return name

    def checked(self) -> "Options":
        """Return self once every value is known to be usable.

        Raises:
            ConfigurationError: A level or format is unknown, or the line limit too small.
        """
        self.chosen_format()
        self.level_map()
        try:
            limit = int(self.max_line_bytes)
        except (TypeError, ValueError):
            limit = 0
        if limit < _MIN_LINE:
            msg = f"LOG_MAX_LINE_BYTES: {self.max_line_bytes!r} is not a number of at least {_MIN_LINE} bytes"
            raise ConfigurationError(msg)
        return replace(self, max_line_bytes=limit)

    def level_map(self) -> LevelMap:
        """Return the levels, parsed."""
        return LevelMap(self.level, self.levels)


def _section(settings: Any, name: str) -> Any:
    """Return the section *name*, or *settings* itself when it has none: it may be one."""
    if isinstance(settings, Mapping):
        return settings.get(name, settings)
    return getattr(settings, name, settings)


def _read(section: Any, name: str) -> Any:
    if isinstance(section, Mapping):
        return section.get(name)
    return getattr(section, name, None)
