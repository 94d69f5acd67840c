"""What the error handlers of all frameworks share."""

from typing import Any, Final

from shared.api._errors import ErrorRenderer, Reply
from shared.api._exchange import Exchange
from shared.api._installed import installation
from shared.api._options import LayerOptions
from shared.api._pipeline import Pipeline
from shared.api._plan import log_error
from shared.context import get_correlation_id, get_principal
from shared.errors import ErrorMap
from shared.runtime import Runtime, current

__all__ = ["ErrorHandlers", "may_see_health"]

_HEALTH_PERMISSION: Final = "health:read"


def may_see_health() -> bool:
    """Tell whether the caller has proved to be somebody with the permission ``health:read``."""
    principal = get_principal()
    if principal is None:
        return False
    from shared.auth import Principal, get_roles

    return isinstance(principal, Principal) and get_roles().allow(principal, _HEALTH_PERMISSION)


class ErrorHandlers:
    """Turns exceptions into answers for one application.

    Args:
        app: The application.
        options: The form of errors; that of the application's layer, which may be
            installed later, when None.
        runtime: Whose rules translate foreign exceptions; the one in force when None.
    """

    def __init__(self, app: Any, options: LayerOptions | None, runtime: Runtime | None) -> None:
        self._record = installation(app)
        self._given = options
        errors = (runtime or current()).get(ErrorMap, lambda _: ErrorMap())
        self._own = ErrorRenderer.from_options(options or LayerOptions(), errors)

    @property
    def options(self) -> LayerOptions:
        """The form of errors in force."""
        layer = self._layer()
        return self._given or (LayerOptions() if layer is None else layer.options)

    @property
    def renderer(self) -> ErrorRenderer:
        """Makes the answers."""
        layer = self._layer()
        if layer is not None and self._given in (None, layer.options):
            return layer.renderer
        return self._own

    def _layer(self) -> Pipeline | None:
        layer: Pipeline | None = self._record.find("layer", None)
        return layer

    def reply(self, exc: BaseException, *, exchange: Exchange | None, accept: str | None, path: str) -> Reply:
        """Return the answer for *exc*, logging what the service has to answer for."""
        renderer = self.renderer
        log_error(exchange, exc, renderer.translate(exc))
        version = None if exchange is None else exchange.api_version
        return renderer.render(
            exc, accept=accept, correlation_id=get_correlation_id(), path=path, version=version
        )
