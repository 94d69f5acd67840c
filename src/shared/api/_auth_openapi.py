"""Tell an OpenAPI document which routes ask for whom."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from shared.api._declared import DeclaredRoute
from shared.api._routes import _contexts

__all__ = ["bare_routes", "with_security"]

_REQUIREMENTS: Final = "__shared_requirements__"
_GUARDED_BY: Final = "__shared_guarded_by__"


def with_security(
    document: dict[str, Any], routes: Iterable[DeclaredRoute], schemes: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return a copy of *document* with the *schemes*, and with the rules of each protected operation."""
    document = copy.deepcopy(document)
    components = document.setdefault("components", {})
    components.setdefault("securitySchemes", {}).update({n: dict(s) for n, s in schemes.items()})
    for path, methods, rules in _protected(routes):
        for method in methods:
            operation = document.get("paths", {}).get(path, {}).get(method.lower())
            if operation is not None:
                _describe(operation, rules, schemes)
    return document


def _describe(operation: dict[str, Any], rules: list[Any], schemes: Mapping[str, Any]) -> None:
    # OAuth 2 and OpenID Connect know scopes; a list elsewhere names what else is needed (3.1).
    needed = list(dict.fromkeys(scope for rule in rules for scope in rule.scopes))
    operation.setdefault("security", [{name: needed} for name in schemes])
    operation["x-required"] = [rule.description for rule in rules]


def _protected(routes: Iterable[DeclaredRoute]) -> Iterator[tuple[str, Iterable[str], list[Any]]]:
    from shared.auth import Requirement

    for route in routes:
        rules = [call for call in route.calls if isinstance(call, Requirement)]
        for call in route.calls:
            rules += _rules_on(call)
        if rules:
            yield route.path, route.methods, rules


def _rules_on(endpoint: Any) -> tuple[Any, ...]:
    found: tuple[Any, ...] = getattr(endpoint, _REQUIREMENTS, ())
    return found


def bare_routes(app: Any) -> list[tuple[str, str]]:
    """Return the routes of *app* that serve a function whose rule stands above the route's decorator.

    Returns:
        Path and rule, in words.
    """
    rules = getattr(app, "url_map", None)
    if rules is not None:  # Flask
        endpoints = [(rule.rule, app.view_functions.get(rule.endpoint)) for rule in rules.iter_rules()]
    else:
        shown = [context or route for route, context in _contexts(app.routes)]
        endpoints = [(getattr(each, "path_format", ""), getattr(each, "endpoint", None)) for each in shown]
    found = []
    for path, endpoint in endpoints:
        rule = getattr(endpoint, "__dict__", {}).get(_GUARDED_BY)
        if rule is not None:
            found.append((path, rule.description))
    return found
