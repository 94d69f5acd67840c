"""What the error handlers of all frameworks share."""

from typing import Any, Self

from shared.api._errors import ErrorRenderer, Reply
from shared.api._exchange import Exchange
from shared.api._installed import installation
from shared.api._options import LayerOptions
from shared.api._pipeline import log_error
from shared.context import get_correlation_id
from shared.errors import ErrorMap
from shared.runtime import Runtime, current

__all__ = ["ErrorHandlers"]


class ErrorHandlers:
    """Turns exceptions into answers for one application.

    Args:
        options: The form of errors.
        renderer: Makes the answers.
    """

    def __init__(self, options: LayerOptions, renderer: ErrorRenderer) -> None:
        self.options = options
        self.renderer = renderer

    @classmethod
    def of(cls, app: Any, options: LayerOptions | None, runtime: Runtime | None) -> Self:
        """Return the handlers of *app*, in agreement with its layer when it has one."""
        layer = installation(app).find("layer", None)
        if options is None:
            options = layer.options if layer is not None else LayerOptions()
        if layer is not None and layer.options == options:
            return cls(options, layer.renderer)
        errors = (runtime or current()).get(ErrorMap, lambda _: ErrorMap())
        return cls(options, ErrorRenderer.from_options(options, errors))

    def reply(self, exc: BaseException, *, exchange: Exchange | None, accept: str | None, path: str) -> Reply:
        """Return the answer for *exc*, logging what the service has to answer for."""
        error = self.renderer.translate(exc)
        log_error(exchange, exc, error)
        return self.renderer.render(exc, accept=accept, correlation_id=get_correlation_id(), path=path)
