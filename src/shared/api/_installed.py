"""What has been installed into an application, and how to take it out again."""

from collections.abc import Callable
from typing import Any

from shared.api._options import LayerOptions
from shared.api._pipeline import Pipeline
from shared.errors import ConfigurationError

__all__ = ["Installation", "install_pipeline", "installation"]

_ATTRIBUTE = "_shared_api"


class Installation:
    """The parts installed into one application, each with its undoing."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[Any, Callable[[], None]]] = {}

    def find(self, name: str, given: Any) -> Any:
        """Return the installed part, or None.

        Raises:
            ConfigurationError: It was installed with something else than *given*.
        """
        part = self.parts.get(name)
        if part is None:
            return None
        value = part[0]
        if given is not None and given != getattr(value, "options", given):
            msg = f"the {name} is already installed with other options: uninstall(app) first"
            raise ConfigurationError(msg)
        return value

    def add(self, name: str, value: Any, undo: Callable[[], None]) -> None:
        """Remember *value* and how to take it out."""
        self.parts[name] = (value, undo)

    def remove(self, name: str) -> bool:
        """Take one part out; return whether it was there."""
        part = self.parts.pop(name, None)
        if part is None:
            return False
        part[1]()
        return True

    def remove_all(self) -> None:
        """Take everything out, last first."""
        for name in reversed(list(self.parts)):
            self.remove(name)


def installation(app: Any) -> Installation:
    """Return the record of *app*, made on first use."""
    record: Installation | None = getattr(app, _ATTRIBUTE, None)
    if record is None:
        record = Installation()
        setattr(app, _ATTRIBUTE, record)
    return record


def install_pipeline(
    app: Any,
    options: LayerOptions | None,
    wrap: Callable[[Pipeline], Callable[[], None]],
    **parts: Any,
) -> Pipeline:
    """Return the layer's plan for *app*: the one it has, or a new one.

    Args:
        app: The application.
        options: What to do; the defaults when None.
        wrap: Puts a layer with the new plan around *app* and returns the undoing.
        **parts: As for :class:`Pipeline`.

    Raises:
        ConfigurationError: The layer is installed with other options.
    """
    record = installation(app)
    present: Pipeline | None = record.find("layer", options)
    if present is not None:
        return present
    pipeline = Pipeline(options, **parts)
    record.add("layer", pipeline, wrap(pipeline))
    return pipeline
