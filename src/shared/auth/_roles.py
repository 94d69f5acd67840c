"""Roles: what each grants, and which others it includes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from shared.auth._permissions import Grants, check_role, grants_of, is_grant
from shared.auth._principal import Principal
from shared.errors import ConfigurationError
from shared.runtime import current

__all__ = ["Role", "Roles", "get_roles", "use_roles"]

_MOST_KEPT: Final = 1024  # combinations of roles and permissions kept compiled


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the service.

    Attributes:
        name: Exactly as it stands in tokens.
        permissions: What it grants: ``"orders:read"``, ``"orders:*"`` (one segment),
            ``"orders:**"`` (any number), ``"**"`` (everything).
        includes: Names of roles whose holders it counts as, with all they include.

    Example:
        >>> Role("editor", ("orders:*",), includes=("viewer",)).name
        'editor'
    """

    name: str
    permissions: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "permissions", tuple(self.permissions))
        object.__setattr__(self, "includes", tuple(self.includes))


class Roles:
    """The roles of a service, their hierarchy resolved once. Immutable, thread-safe.

    A role that is not declared is still a name that :func:`require_roles` can ask for;
    it grants no permission.

    Args:
        roles: All of them, in any order.

    Raises:
        ConfigurationError: A role is declared twice, includes one that does not exist,
            includes itself through others, or a name or permission is malformed.

    Example:
        >>> roles = Roles([
        ...     Role("viewer", ["orders:read"]),
        ...     Role("editor", ["orders:*"], includes=["viewer"]),
        ... ])
        >>> sorted(roles.names_of(Principal(user_id="u-1", roles={"editor"})))
        ['editor', 'viewer']
    """

    def __init__(self, roles: Iterable[Role] = ()) -> None:
        self._roles: dict[str, Role] = {}
        for role in roles:
            self._declare(role)
        self._names = {name: frozenset(self._walk(name, ())) for name in self._roles}
        self._kept: dict[tuple[frozenset[str], frozenset[str]], tuple[frozenset[str], Grants]] = {}

    def _declare(self, role: Role) -> None:
        check_role(role.name)
        wrong = [grant for grant in role.permissions if not is_grant(grant)]
        if wrong:
            msg = f"role {role.name!r}: {wrong[0]!r} is no permission: write 'orders:read' or 'orders:*'"
            raise ConfigurationError(msg)
        if role.name in self._roles:
            msg = f"role {role.name!r} is declared twice"
            raise ConfigurationError(msg)
        self._roles[role.name] = role

    def _walk(self, name: str, above: tuple[str, ...]) -> Iterator[str]:
        if name in above:
            msg = f"roles include each other in a circle: {' -> '.join((*above, name))}"
            raise ConfigurationError(msg)
        if name not in self._roles:
            msg = f"role {above[-1]!r} includes {name!r}, which is not declared"
            raise ConfigurationError(msg)
        yield name
        for included in self._roles[name].includes:
            yield from self._walk(included, (*above, name))

    def names_of(self, principal: Principal) -> frozenset[str]:
        """Return every role of *principal*, those included by others too.

        Example:
            >>> Roles().names_of(Principal(user_id="u-1", roles={"guest"}))
            frozenset({'guest'})
        """
        return self._resolved(principal)[0]

    def allow(self, principal: Principal, permission: str) -> bool:
        """Tell whether *principal* has *permission*, by itself or by a role.

        Example:
            >>> roles = Roles([Role("viewer", ["orders:read"])])
            >>> ada = Principal(user_id="u-1", roles={"viewer"})
            >>> roles.allow(ada, "orders:read"), roles.allow(ada, "orders:write")
            (True, False)
        """
        return self._resolved(principal)[1].allow(permission)

    def _resolved(self, principal: Principal) -> tuple[frozenset[str], Grants]:
        key = (principal.roles, principal.permissions)
        found = self._kept.get(key)
        if found is None:
            names = frozenset().union(*(self._names.get(role, (role,)) for role in principal.roles))
            of_roles = (self._roles[name].permissions for name in names if name in self._roles)
            found = names, grants_of(principal.permissions.union(*of_roles))
            if len(self._kept) >= _MOST_KEPT:  # tokens choose the keys: never without bound
                self._kept.clear()
            self._kept[key] = found
        return found

    def __iter__(self) -> Iterator[Role]:
        return iter(self._roles.values())

    def __repr__(self) -> str:
        return f"Roles({', '.join(self._roles)})"


def get_roles() -> Roles:
    """Return the roles of the current runtime; none are declared until :func:`use_roles`.

    Example:
        >>> get_roles() is get_roles()
        True
    """
    return current().get(Roles, lambda _: Roles())


def use_roles(roles: Roles | Iterable[Role]) -> Roles:
    """Make *roles* those of the current runtime, also after a restart of the application.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime()):
        ...     use_roles([Role("viewer", ["orders:read"])])
        Roles(viewer)
    """
    made = roles if isinstance(roles, Roles) else Roles(roles)
    runtime = current()
    runtime.provide(Roles, lambda _: made)
    if not runtime.closed:
        runtime.replace(Roles, made)
    return made
