"""Decide about one thing that was loaded: its permission, its tenant, its owner."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from shared.auth._decision import Decision, denial
from shared.auth._permissions import check_permission
from shared.auth._principal import Principal, current_principal
from shared.auth._requirements import is_same
from shared.auth._roles import get_roles

__all__ = ["authorize", "explain_access", "is_allowed"]

_TENANT_NAMES: Final = ("tenant_id", "tenant")
_ABSENT: Final = object()
Rule = Callable[[Principal, Any], bool]


def explain_access(
    permission: str,
    resource: Any = None,
    *,
    owner: str | None = None,
    when: Rule | None = None,
    any_tenant: bool = False,
    principal: Principal | None = None,
) -> Decision:
    """Return whether the caller may, and why not; tells nobody.

    Args:
        permission: What is to be done: ``"orders:read"``.
        resource: What it is done to: an object or a mapping. When it has a ``tenant_id``
            or ``tenant``, that must be the caller's.
        owner: Attribute of *resource* that holds its owner's id. The owner needs no
            permission.
        when: A further rule of yours, asked last; it can only refuse.
        any_tenant: Do not look at the tenant.
        principal: Who; that of the request when None.

    Raises:
        InvalidArgumentError: *permission* is malformed or has a wildcard.

    Example:
        >>> order = {"id": 7, "customer_id": "u-1", "tenant_id": "acme"}
        >>> ada = Principal(user_id="u-1", tenant="acme")
        >>> explain_access("orders:read", order, owner="customer_id", principal=ada).allowed
        True
        >>> eve = Principal(user_id="u-2", tenant="evil", permissions={"**"})
        >>> explain_access("orders:read", order, principal=eve).reason
        'it belongs to another tenant'
    """
    wanted = f"the permission {check_permission(permission)!r}"
    who = principal or current_principal()
    if who is None:
        return Decision(False, wanted, "nobody is authenticated", authenticated=False)
    if not any_tenant and resource is not None:
        tenant = _tenant_of(resource)
        if tenant is not _ABSENT and not is_same(tenant, who.tenant):
            return Decision(False, wanted, "it belongs to another tenant")
    owns = owner is not None and is_same(_attribute(resource, owner), who.user_id)
    if not owns and not get_roles().allow(who, permission):
        reason = f"lacks the permission {permission!r}"
        return Decision(
            False, wanted, reason if owner is None else f"{reason} and is not the owner", (permission,)
        )
    if when is not None and not when(who, resource):
        return Decision(False, wanted, "a rule of the service refuses")
    return Decision(True, wanted)


def authorize(
    permission: str,
    resource: Any = None,
    *,
    owner: str | None = None,
    when: Rule | None = None,
    any_tenant: bool = False,
) -> Principal:
    """Return the caller if it may, after the thing was loaded; arguments as :func:`explain_access`.

    Raises:
        AuthenticationError: Nobody is known.
        AuthorizationError: The caller may not; emitted as :class:`AccessDenied`.

    Example:
        >>> from shared.context import request_context
        >>> with request_context(principal=Principal(user_id="u-1", permissions={"orders:*"})):
        ...     authorize("orders:read", {"id": 7}).user_id
        'u-1'
    """
    principal = current_principal()
    decision = explain_access(
        permission, resource, owner=owner, when=when, any_tenant=any_tenant, principal=principal
    )
    if principal is not None and decision.allowed:
        return principal
    raise denial(decision, principal, resource=_shown(resource))


def is_allowed(
    permission: str,
    resource: Any = None,
    *,
    owner: str | None = None,
    when: Rule | None = None,
    any_tenant: bool = False,
) -> bool:
    """Tell whether :func:`authorize` would pass: for what to show, never instead of it.

    Example:
        >>> is_allowed("orders:read")
        False
    """
    return explain_access(permission, resource, owner=owner, when=when, any_tenant=any_tenant).allowed


def _tenant_of(resource: Any) -> Any:
    for name in _TENANT_NAMES:
        found = _attribute(resource, name, _ABSENT)
        if found is not _ABSENT:
            return found
    return _ABSENT


def _attribute(resource: Any, name: str, default: Any = None) -> Any:
    if isinstance(resource, Mapping):
        return resource.get(name, default)
    return getattr(resource, name, default)


def _shown(resource: Any) -> str:
    """Return kind and id of the resource, never its content."""
    if resource is None:
        return ""
    kind = "" if isinstance(resource, Mapping) else type(resource).__name__
    found = _attribute(resource, "id")
    return kind if found is None else f"{kind} {str(found)[:64]}".strip()
