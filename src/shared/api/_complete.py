"""A document completed by all that an application has installed, and kept until its routes change."""

from collections.abc import Callable, Iterable
from typing import Any

from shared.api._auth_openapi import with_security
from shared.api._declared import declared_for, declared_routes, with_declared
from shared.api._document import DocumentedRoute, base_document
from shared.api._installed import Installation
from shared.api._json import dumps
from shared.api._openapi import with_errors, with_idempotency

__all__ = ["Document"]


class Document:
    """The OpenAPI document of a Flask or Starlette application.

    Args:
        app: The application.
        record: What is installed in it.
        routes: Returns what is described.
        info: Title, version and description.
    """

    def __init__(
        self,
        app: Any,
        record: Installation,
        routes: Callable[[], Iterable[DocumentedRoute]],
        info: dict[str, str],
    ) -> None:
        self._app, self._record, self._routes, self._info = app, record, routes, info
        self._made: tuple[int, bytes] | None = None

    @property
    def title(self) -> str:
        """Of the page."""
        return self._info["title"]

    def make(self) -> dict[str, Any]:
        """Return the document of the routes there are now."""
        record, declared = self._record, list(declared_routes(self._app))
        document = base_document(self._routes(), **self._info)
        document = with_declared(document, declared, **declared_for(record))
        document = with_errors(document)
        idempotency = record.find("idempotency", None)
        if idempotency is not None:
            document = with_idempotency(document, idempotency.methods, idempotency.required)
        ways = record.find("security schemes", None)
        return document if ways is None else with_security(document, declared, ways.schemes())

    def read(self) -> bytes:
        """Return the document as JSON, made anew when there are more routes."""
        count = sum(1 for _ in declared_routes(self._app))
        if self._made is None or self._made[0] != count:
            self._made = (count, dumps(self.make()))
        return self._made[1]
