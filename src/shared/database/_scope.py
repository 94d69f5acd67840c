"""Which rows exist for whom: deleted rows and rows of other tenants are left out everywhere."""

from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, event
from sqlalchemy import inspect as inspect_state
from sqlalchemy.orm import ORMExecuteState, with_loader_criteria
from sqlalchemy.orm.attributes import get_history

from shared.context import get_tenant
from shared.database._mixins import SoftDelete, TenantScoped
from shared.database._session import SharedSession, count_listeners
from shared.errors import AuthorizationError

__all__ = ["ALL_TENANTS", "INCLUDE_DELETED", "SCOPED", "TENANT", "require_tenant", "scope_of"]

#: Execution options of a statement.
SCOPED: Final = "shared_scoped"  # carries the conditions itself
INCLUDE_DELETED: Final = "include_deleted"
ALL_TENANTS: Final = "all_tenants"
#: Name of the value in prebuilt statements.
TENANT: Final = "shared_tenant"


def require_tenant() -> str:
    """Return the tenant of the context.

    Raises:
        AuthorizationError: There is none, so no row is in reach.
    """
    tenant = get_tenant()
    if tenant is None:
        msg = (
            "no tenant is known here: set it with request_context(tenant=…) or set_tenant(…), or say "
            "execution_options(all_tenants=True) for work across tenants"
        )
        raise AuthorizationError(msg)
    return tenant


def scope_of(model: type[Any], *, include_deleted: bool, all_tenants: bool) -> list[ColumnElement[bool]]:
    """Return the conditions that a statement about *model* must carry."""
    found: list[ColumnElement[bool]] = []
    if issubclass(model, SoftDelete) and not include_deleted:
        found.append(model.deleted_at.is_(None))
    if issubclass(model, TenantScoped) and not all_tenants:
        found.append(model.tenant_id == bindparam(TENANT))
    return found


_kinds: dict[tuple[Any, ...], tuple[bool, bool]] = {}


def _kinds_of(mappers: Any) -> tuple[bool, bool]:
    """Tell whether any of *mappers* is soft-deleted, and whether any is scoped to a tenant."""
    key = tuple(mappers)
    found = _kinds.get(key)
    if found is None:
        classes = [related.class_ for mapper in key for related in _reachable(mapper)]
        found = (
            any(issubclass(cls, SoftDelete) for cls in classes),
            any(issubclass(cls, TenantScoped) for cls in classes),
        )
        if len(_kinds) > 1000:
            _kinds.clear()
        _kinds[key] = found
    return found


def _reachable(mapper: Any) -> list[Any]:
    """Return *mapper* and what its relationships lead to: eager loads are part of its statement."""
    seen = [mapper]
    for each in seen:
        seen += [link.mapper for link in each.relationships if link.mapper not in seen]
    return seen


def _selected_from(statement: Any) -> list[Any]:
    """Return the mappers of ``select(func.count()).select_from(Model)``."""
    found = [each._annotations.get("parentmapper") for each in getattr(statement, "get_final_froms", list)()]  # noqa: SLF001
    return [mapper for mapper in found if mapper is not None]


@event.listens_for(SharedSession, "do_orm_execute")
def _add_conditions(state: ORMExecuteState) -> None:
    """Add the conditions to statements that do not come from a repository."""
    if state.is_column_load or not (state.is_select or state.is_update or state.is_delete):
        return
    options = state.execution_options
    if options.get(SCOPED) and not state.is_relationship_load:
        return
    deleted, tenants = _kinds_of(state.all_mappers or _selected_from(state.statement))
    if deleted and not options.get(INCLUDE_DELETED):
        state.statement = state.statement.options(
            with_loader_criteria(SoftDelete, lambda cls: cls.deleted_at.is_(None), include_aliases=True)
        )
    if tenants and not options.get(ALL_TENANTS):
        tenant = require_tenant()
        state.statement = state.statement.options(
            with_loader_criteria(TenantScoped, lambda cls: cls.tenant_id == tenant, include_aliases=True)
        )


count_listeners()  # of queries; this was the last


@event.listens_for(SharedSession, "before_flush")
def _check_tenants(session: Any, _context: Any, _instances: Any) -> None:
    """Refuse to write rows of another tenant, or to move a row to one."""
    for entity in (*session.new, *session.dirty, *session.deleted):
        if isinstance(entity, TenantScoped):
            _check_tenant(entity)


def _check_tenant(entity: Any) -> None:
    tenant = get_tenant()
    if entity.tenant_id is None and not inspect_state(entity).persistent:
        entity.tenant_id = require_tenant()
    history = get_history(entity, "tenant_id")
    moved = bool(history.deleted) and inspect_state(entity).persistent
    if moved or (tenant is not None and entity.tenant_id != tenant):
        msg = f"a {type(entity).__name__} of another tenant cannot be written here"
        raise AuthorizationError(msg)
