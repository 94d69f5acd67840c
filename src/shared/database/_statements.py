"""The statements of one model, built once and sent with other values each time."""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final

from sqlalchemy import BigInteger, Select, and_, bindparam, delete, func, select, update
from sqlalchemy import inspect as inspect_model
from sqlalchemy.orm import Mapper

from shared.database._fields import Fields, coerce
from shared.database._mixins import SoftDelete, TenantScoped, Versioned
from shared.database._pages import Cursor, Order
from shared.database._scope import SCOPED, TENANT, require_tenant, scope_of
from shared.errors import InvalidArgumentError, ValidationError

__all__ = ["Statements"]

_MAX_SHAPES: Final = 512
_INTEGER: Final = BigInteger()
Shape = tuple[tuple[str, str, Any], ...]


class Statements:
    """Everything a repository sends, keyed by what it looks like.

    Args:
        model: A mapped class.
        filterable: Names that may be filtered by.
        sortable: Names that may be ordered by.
        all_tenants: Whether rows of every tenant are in reach.
    """

    def __init__(
        self,
        model: type[Any],
        filterable: Iterable[str] | None,
        sortable: Iterable[str] | None,
        *,
        all_tenants: bool,
    ) -> None:
        mapper = inspect_model(model, raiseerr=False)
        if not isinstance(mapper, Mapper):
            msg = f"Repository needs a mapped class, got {model!r}"
            raise InvalidArgumentError(msg)
        self.model = model
        self.mapper: Mapper[Any] = mapper
        self.table: Any = mapper.local_table
        self.fields = Fields(mapper, filterable, sortable)
        self.cursor = Cursor(self.fields)
        self.all_tenants = all_tenants
        self.needs_tenant = issubclass(model, TenantScoped) and not all_tenants
        self.is_soft = issubclass(model, SoftDelete)
        self.is_versioned = issubclass(model, Versioned)
        self._built: dict[Hashable, Any] = {}
        self._options = {SCOPED: True}
        self._key = [self.fields.columns[name] for name in self.fields.key]
        self._kinds = [self.fields.kind(name) for name in self.fields.key]

    # -- values ------------------------------------------------------------------

    def scope(self) -> dict[str, Any]:
        """Return the values of the conditions that every statement carries.

        Raises:
            AuthorizationError: A tenant is needed and none is known.
        """
        return {TENANT: require_tenant()} if self.needs_tenant else {}

    def key_values(self, id: Any) -> dict[str, Any]:
        """Return the values for a key, one or a tuple of them.

        Raises:
            ValidationError: It does not have the form of the key.
        """
        if len(self._key) == 1:
            if type(id) is not self._kinds[0] or self._kinds[0] is int:
                id = coerce(self._kinds[0], id, "id")  # noqa: A001
            return {"k_0": id, TENANT: require_tenant()} if self.needs_tenant else {"k_0": id}
        parts = id if isinstance(id, tuple) and len(id) == len(self._key) else _not_a_key(len(self._key))
        values = {
            f"k_{n}": coerce(kind, part, "id")
            for n, (kind, part) in enumerate(zip(self._kinds, parts, strict=True))
        }
        return {**values, **self.scope()}

    # -- statements --------------------------------------------------------------

    def once(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """Return the statement called *key*, building it the first time."""
        found = self._built.get(key)
        if found is None:
            found = build()
            if (
                len(self._built) >= _MAX_SHAPES
            ):  # shapes come from outside; their number must not grow for ever
                self._built.clear()
            self._built[key] = found
        return found

    def _scoped(self, *, include_deleted: bool) -> list[Any]:
        return scope_of(self.model, include_deleted=include_deleted, all_tenants=self.all_tenants)

    def _is_key(self) -> list[Any]:
        return [column == bindparam(f"k_{n}", type_=column.type) for n, column in enumerate(self._key)]

    def _finish(self, statement: Any) -> Any:
        options: dict[str, Any] = dict(self._options)
        if self.all_tenants:
            options["all_tenants"] = True
        return statement.execution_options(**options)

    def get(self, *, include_deleted: bool = False, lock: str | None = None) -> Any:
        """Return the query of one row by its key; *lock* is ``wait``, ``nowait`` or ``skip_locked``."""

        def build() -> Any:
            statement = select(self.model).where(
                *self._is_key(), *self._scoped(include_deleted=include_deleted)
            )
            return self._finish(_locking(statement, lock))

        return self.once(("get", include_deleted, lock), build)

    def get_many(self, *, include_deleted: bool = False, lock: str | None = None) -> Any:
        """Return the query of rows by their keys, in the order of the keys."""

        def build() -> Any:
            keys = self._key[0].in_(bindparam("keys", expanding=True))
            statement = select(self.model).where(keys, *self._scoped(include_deleted=include_deleted))
            return self._finish(_locking(statement.order_by(self._key[0]), lock))

        return self.once(("get_many", include_deleted, lock), build)

    def find(
        self,
        shape: Shape,
        order: Order = (),
        *,
        include_deleted: bool,
        cursor: bool = False,
        columns: Any = None,
    ) -> Any:
        """Return the query of rows by filters, with ``LIMIT :limit OFFSET :offset``."""

        def build() -> Any:
            what: list[Any] = [self.model] if columns is None else [self.fields.columns[n] for n in columns]
            statement: Select[Any] = select(*what).where(*self._scoped(include_deleted=include_deleted))
            statement = statement.where(*self.fields.conditions(shape))
            if cursor:
                statement = statement.where(self.cursor.condition(order))
            statement = statement.order_by(*self.fields.ordering(order)) if order else statement
            statement = statement.limit(bindparam("limit", type_=_INTEGER))
            if not cursor:
                statement = statement.offset(bindparam("offset", type_=_INTEGER))
            return self._finish(statement)

        return self.once(("find", shape, order, include_deleted, cursor, columns), build)

    def count(self, shape: Shape, *, include_deleted: bool) -> Any:
        """Return the query of how many rows there are."""

        def build() -> Any:
            statement = select(func.count()).select_from(self.model)
            statement = statement.where(*self._scoped(include_deleted=include_deleted))
            return self._finish(statement.where(*self.fields.conditions(shape)))

        return self.once(("count", shape, include_deleted), build)

    def update(self, names: frozenset[str], *, include_deleted: bool = False, versioned: bool = False) -> Any:
        """Return the change of one row by its key, which returns the row."""

        def build() -> Any:
            values: dict[str, Any] = {
                name: bindparam(f"v_{name}", type_=self.fields.columns[name].type) for name in sorted(names)
            }
            conditions = [*self._is_key(), *self._scoped(include_deleted=include_deleted)]
            if self.is_versioned:
                values["version"] = self.model.version + 1
                if versioned:
                    conditions.append(self.model.version == bindparam("version"))
            statement = update(self.model).where(and_(*conditions)).values(**values).returning(self.model)
            return self._finish(statement).execution_options(
                synchronize_session=False, populate_existing=True
            )

        return self.once(("update", names, include_deleted, versioned), build)

    def delete(self) -> Any:
        """Return the deletion of one row by its key, for good."""

        def build() -> Any:
            conditions = [*self._is_key(), *self._scoped(include_deleted=True)]
            statement = delete(self.model).where(and_(*conditions)).returning(*self._key)
            return self._finish(statement).execution_options(synchronize_session=False)

        return self.once("delete", build)


def _locking(statement: Any, lock: str | None) -> Any:
    if lock is None:
        return statement
    # What the session already knows of the row is older than the lock.
    statement = statement.execution_options(populate_existing=True)
    return statement.with_for_update(nowait=lock == "nowait", skip_locked=lock == "skip_locked")


def _not_a_key(parts: int) -> Any:
    msg = f"the key has {parts} parts: give a tuple of {parts}"
    raise ValidationError(msg)
