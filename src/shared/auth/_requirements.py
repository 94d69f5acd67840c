"""``require_roles`` and its kin: one object that guards a function, a route or a line of code."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar, overload

from shared.auth._decision import Decision, denial
from shared.auth._guard import argument_of, guard
from shared.auth._permissions import check_permission, check_role, grants_of
from shared.auth._principal import Principal, current_principal
from shared.auth._roles import get_roles
from shared.errors import InvalidArgumentError, UnsupportedCallableError

__all__ = [
    "Requirement",
    "require_owner",
    "require_permissions",
    "require_roles",
    "require_scope",
    "require_tenant",
    "require_user",
]

F = TypeVar("F", bound=Callable[..., Any])
Match = Literal["any", "all"]
Find = Callable[[str], Any]  # from the name of a parameter to its argument
Decide = Callable[[Principal, Find], Decision]

_NOT_GIVEN: Final = object()


class Requirement:
    """What a caller must be; a decorator, a FastAPI dependency and a check in one.

    - ``@require_roles("admin")`` on a function, a coroutine function, a generator of
      either kind, a method, or a Flask view, *below* the route's own decorator;
    - ``Depends(require_roles("admin"))``: the dependency's value is the principal;
    - ``require_roles("admin")()`` or ``.check()`` in the middle of code.

    It reads the principal from the context. Nobody known is a 401, somebody who may not
    is a 403; both are emitted as :class:`AccessDenied`. ``a & b`` asks for both, ``a | b``
    for one of them. Immutable, framework-free.

    Example:
        >>> from shared.context import request_context
        >>> rule = require_roles("admin") | require_permissions("orders:refund")
        >>> with request_context(principal=Principal(user_id="u-1", permissions={"orders:*"})):
        ...     rule().user_id
        'u-1'
        >>> rule.explain(Principal(user_id="u-2")).reason
        "has none of the roles 'admin'; lacks the permission 'orders:refund'"
    """

    __slots__ = ("__weakref__", "_decide", "_parameters", "_scopes", "description")

    def __init__(
        self,
        description: str,
        decide: Decide,
        *,
        parameters: tuple[str, ...] = (),
        scopes: tuple[str, ...] = (),
    ) -> None:
        self.description: str = description
        self._decide = decide
        self._parameters = parameters
        self._scopes = scopes

    @property
    def scopes(self) -> tuple[str, ...]:
        """OAuth scopes it asks for, for documents."""
        return self._scopes

    # FastAPI asks for the signature of a dependency; a decorator is never asked.
    @property
    def __signature__(self) -> inspect.Signature:
        if self._parameters:
            # Fed by FastAPI, the argument could come from the query of an attacker.
            msg = (
                f"{self.description} compares an argument of the endpoint: "
                "use it as a decorator of the endpoint, not in Depends()"
            )
            raise UnsupportedCallableError(msg)
        return _NO_PARAMETERS

    @overload
    def __call__(self) -> Principal: ...
    @overload
    def __call__(self, function: F) -> F: ...
    def __call__(self, function: Any = _NOT_GIVEN) -> Any:
        """Guard *function*, or check now and return the principal.

        Raises:
            AuthenticationError: Nobody is known (checking).
            AuthorizationError: Somebody is, and may not (checking).
            UnsupportedCallableError: *function* cannot be guarded.
        """
        if function is _NOT_GIVEN:
            return self.check()
        found = {name: argument_of(function, name) for name in self._parameters} if self._parameters else {}

        def check(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
            self._check(lambda name: found[name](args, kwargs))

        return guard(function, check, self)

    def check(self, **arguments: Any) -> Principal:
        """Return the principal of the request at hand if it may; arguments by name where compared.

        Raises:
            AuthenticationError: Nobody is known.
            AuthorizationError: Somebody is, and may not.

        Example:
            >>> from shared.context import request_context
            >>> with request_context(principal=Principal(user_id="u-1")):
            ...     require_owner("user_id").check(user_id="u-1")
            Principal(user_id='u-1', method='token')
        """
        return self._check(self._given(arguments))

    def explain(self, principal: Principal | None = None, **arguments: Any) -> Decision:
        """Return the decision for *principal*, that of the request when None; raises nothing, tells nobody.

        Example:
            >>> require_permissions("orders:read").explain(Principal(user_id="u-1")).missing
            ('orders:read',)
        """
        who = principal or current_principal()
        if who is None:
            return Decision(False, self.description, "nobody is authenticated", authenticated=False)
        return self._decide(who, self._given(arguments))

    def _given(self, arguments: Mapping[str, Any]) -> Find:
        wrong = [name for name in self._parameters if name not in arguments]
        if wrong:
            msg = f"{self.description} compares {wrong[0]!r}: give it by name"
            raise InvalidArgumentError(msg)
        return arguments.__getitem__

    def _check(self, find: Find) -> Principal:
        principal = current_principal()
        if principal is None:
            decision = Decision(False, self.description, "nobody is authenticated", authenticated=False)
        else:
            decision = self._decide(principal, find)
            if decision.allowed:
                return principal
        raise denial(decision, principal)

    def __and__(self, other: "Requirement") -> "Requirement":
        return _joined(self, other, "and")

    def __or__(self, other: "Requirement") -> "Requirement":
        return _joined(self, other, "or")

    def __repr__(self) -> str:
        return f"<Requirement {self.description}>"


_NO_PARAMETERS: Final = inspect.Signature()


def _joined(left: Requirement, right: Requirement, word: Literal["and", "or"]) -> Requirement:
    if not isinstance(right, Requirement):
        return NotImplemented
    description = f"({left.description} {word} {right.description})"

    def decide(principal: Principal, find: Find) -> Decision:
        first = left._decide(principal, find)  # noqa: SLF001 - of the same class
        if first.allowed is (word == "or"):
            return first
        second = right._decide(principal, find)  # noqa: SLF001
        if word == "and" or second.allowed:
            return second
        return Decision(
            False,
            description,
            f"{first.reason}; {second.reason}",
            (*first.missing, *second.missing),
            scope=first.scope or second.scope,
        )

    return Requirement(
        description,
        decide,
        parameters=tuple(dict.fromkeys((*left._parameters, *right._parameters))),  # noqa: SLF001
        scopes=(*left.scopes, *right.scopes),
    )


def require_user() -> Requirement:
    """Ask for anybody who has proved who they are.

    Example:
        >>> @require_user()
        ... def profile():
        ...     return "yours"
        >>> profile()
        Traceback (most recent call last):
            ...
        shared.errors.AuthenticationError: authentication required
    """
    return Requirement("a user", lambda _principal, _find: Decision(True, "a user"))


def require_roles(*roles: str, match: Match = "any") -> Requirement:
    """Ask for one of *roles*, or for all of them with ``match="all"``.

    A role counts as those it includes; see :class:`Roles`. Names are compared exactly.

    Raises:
        InvalidArgumentError: No role is given, or one is malformed.

    Example:
        >>> @require_roles("admin", "support")
        ... def refund(order_id):
        ...     return "done"
        >>> require_roles("admin").explain(Principal(user_id="u-1", roles={"admin"})).allowed
        True
    """
    wanted = _checked(roles, check_role, "role", match)
    description = (
        f"{match} of the roles {_listed(wanted)}" if len(wanted) > 1 else f"the role {_listed(wanted)}"
    )

    def decide(principal: Principal, _find: Find) -> Decision:
        has = get_roles().names_of(principal)
        missing = tuple(role for role in wanted if role not in has)
        if len(missing) < len(wanted) if match == "any" else not missing:
            return Decision(True, description)
        reason = f"has none of the roles {_listed(wanted)}" if match == "any" else f"lacks {_listed(missing)}"
        return Decision(False, description, reason, missing)

    return Requirement(description, decide)


def require_permissions(*permissions: str, match: Match = "all") -> Requirement:
    """Ask for all of *permissions*, or for one of them with ``match="any"``.

    Raises:
        InvalidArgumentError: No permission is given, or one is malformed or has a wildcard.

    Example:
        >>> @require_permissions("orders:refund")
        ... async def refund(order_id):
        ...     return "done"
    """
    wanted = _checked(permissions, check_permission, "permission", match)
    description = f"{match} of the permissions {_listed(wanted)}"
    if len(wanted) == 1:
        description = f"the permission {_listed(wanted)}"

    def decide(principal: Principal, _find: Find) -> Decision:
        roles = get_roles()
        missing = tuple(name for name in wanted if not roles.allow(principal, name))
        if len(missing) < len(wanted) if match == "any" else not missing:
            return Decision(True, description)
        plural = "s" if len(missing) > 1 else ""
        return Decision(False, description, f"lacks the permission{plural} {_listed(missing)}", missing)

    return Requirement(description, decide)


def require_scope(*scopes: str) -> Requirement:
    """Ask for all of *scopes*: what an API key or a client was allowed.

    A principal that nobody restricted, such as a user's session, passes. Scopes of keys
    may have wildcards, as permissions may.

    Raises:
        InvalidArgumentError: No scope is given, or one is malformed or has a wildcard.

    Example:
        >>> require_scope("orders:read").explain(Principal(user_id="s-1", scopes={"orders:*"})).allowed
        True
    """
    wanted = _checked(scopes, check_permission, "scope", "all")
    description = f"the scope {_listed(wanted)}"

    def decide(principal: Principal, _find: Find) -> Decision:
        if principal.scopes is None:
            return Decision(True, description)
        has = grants_of(principal.scopes)
        missing = tuple(scope for scope in wanted if not has.allow(scope))
        if not missing:
            return Decision(True, description)
        return Decision(
            False, description, f"lacks the scope {_listed(missing)}", missing, scope=" ".join(wanted)
        )

    return Requirement(description, decide, scopes=wanted)


def require_owner(parameter: str = "user_id") -> Requirement:
    """Ask that the argument *parameter* of the guarded function is the caller's own id.

    For what is owned by somebody else than the path says, load it and call
    :func:`authorize` with ``owner=``.

    Example:
        >>> from shared.context import request_context
        >>> @(require_owner("user_id") | require_roles("admin"))
        ... def addresses(user_id: str):
        ...     return [user_id]
        >>> with request_context(principal=Principal(user_id="u-1")):
        ...     addresses("u-1")
        ['u-1']
    """
    description = f"to be {parameter!r}"

    def decide(principal: Principal, find: Find) -> Decision:
        if is_same(find(parameter), principal.user_id):
            return Decision(True, description)
        return Decision(False, description, f"is not {parameter!r}")

    return Requirement(description, decide, parameters=(_parameter(parameter),))


def require_tenant(parameter: str = "tenant_id") -> Requirement:
    """Ask that the argument *parameter* of the guarded function is the caller's tenant.

    Example:
        >>> require_tenant().explain(Principal(user_id="u-1", tenant="acme"), tenant_id="other").reason
        "acts for another tenant than 'tenant_id'"
    """
    description = f"to act for {parameter!r}"

    def decide(principal: Principal, find: Find) -> Decision:
        if is_same(find(parameter), principal.tenant):
            return Decision(True, description)
        return Decision(False, description, f"acts for another tenant than {parameter!r}")

    return Requirement(description, decide, parameters=(_parameter(parameter),))


def is_same(value: object, own: str | None) -> bool:
    """Tell whether an id of any kind is *own*; nothing is nobody's."""
    return own is not None and value is not None and not isinstance(value, bool) and str(value) == own


def _parameter(name: object) -> str:
    if isinstance(name, str) and name.isidentifier():
        return name
    msg = "name the parameter to compare, such as require_owner('user_id')"
    raise UnsupportedCallableError(msg)


def _checked(
    names: tuple[str, ...], check: Callable[[object], str], kind: str, match: str
) -> tuple[str, ...]:
    if len(names) == 1 and callable(names[0]):
        msg = f"a {kind} is needed in parentheses: write @require_…('name'), not @require_…"
        raise UnsupportedCallableError(msg)
    if not names:
        msg = f"name at least one {kind}"
        raise InvalidArgumentError(msg)
    if match not in ("any", "all"):
        msg = f"match is 'any' or 'all', got {match!r}"
        raise InvalidArgumentError(msg)
    return tuple(map(check, names))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names))
