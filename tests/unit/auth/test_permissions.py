"""What grants what: exactly, by segment, never by accident."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.auth import Principal, Role, Roles, get_roles, use_roles
from shared.auth._permissions import Grants, is_grant
from shared.errors import ConfigurationError, InvalidArgumentError
from shared.runtime import Runtime, use


@pytest.mark.parametrize(
    ("grant", "asked", "allowed"),
    [
        ("orders:read", "orders:read", True),
        ("orders:read", "orders:write", False),
        ("orders:read", "orders:read:all", False),
        ("orders:read:all", "orders:read", False),
        ("orders", "orders:read", False),
        ("orders:*", "orders:read", True),
        ("orders:*", "orders:read:all", False),
        ("orders:*", "orders", False),
        ("orders:*", "ordersx:read", False),
        ("*:read", "orders:read", True),
        ("*:read", "orders:write", False),
        ("orders:**", "orders:read", True),
        ("orders:**", "orders:read:all", True),
        ("orders:**", "orders", False),
        ("orders:*:own", "orders:read:own", True),
        ("orders:*:own", "orders:read:all", False),
        ("*", "orders:read", False),
        ("*", "orders", True),
        ("**", "orders:read:all", True),
        ("ORDERS:READ", "orders:read", False),
        ("ord\u0435rs:read", "orders:read", False),
        ("orders:re*", "orders:read", False),
        ("orders:**:own", "orders:read:own", False),
        ("orders:read ", "orders:read", False),
        ("", "orders:read", False),
        ("orders:", "orders:read", False),
        (":", "orders:read", False),
    ],
)
def test_a_grant_allows_what_it_says_and_nothing_beside(grant, asked, allowed):
    assert Grants([grant]).allow(asked) is allowed


def test_a_wildcard_cannot_be_asked_for():
    assert not Grants(["**", "orders:*"]).allow("orders:*")


@given(st.lists(st.text(max_size=20), max_size=5), st.text(max_size=20))
def test_no_text_of_a_token_makes_a_grant_raise(grants, asked):
    assert Grants(grants).allow(asked) in (True, False)


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5), st.data())
def test_a_single_wildcard_keeps_the_number_of_segments(segments, data):
    pattern = [data.draw(st.sampled_from([segment, "*"])) for segment in segments]

    assert Grants([":".join(pattern)]).allow(":".join(segments))
    assert not Grants([":".join(pattern)]).allow(":".join([*segments, "more"]))


@pytest.mark.parametrize("text", [None, 7, "", "a:" * 9 + "a", "x" * 65, "**:a", "a\n"], ids=ascii)
def test_what_is_malformed_is_no_grant(text):
    assert not is_grant(text)


# --- roles -------------------------------------------------------------------------------


ROLES = (
    Role("viewer", ["orders:read"]),
    Role("editor", ["orders:*"], includes=["viewer"]),
    Role("admin", ["**"], includes=["editor", "support"]),
    Role("support", ["tickets:*"]),
)


def somebody(*roles, permissions=()):
    return Principal(user_id="u-1", roles=roles, permissions=permissions)


def test_a_role_counts_as_every_role_it_includes():
    roles = Roles(ROLES)

    assert roles.names_of(somebody("admin")) == {"admin", "editor", "viewer", "support"}
    assert roles.names_of(somebody("viewer")) == {"viewer"}


def test_a_role_grants_what_the_included_ones_grant():
    roles = Roles([Role("a", ["x:read"]), Role("b", includes=["a"])])

    assert roles.allow(somebody("b"), "x:read")
    assert not roles.allow(somebody("a"), "x:write")


def test_permissions_of_the_principal_count_beside_those_of_its_roles():
    assert Roles(ROLES).allow(somebody("viewer", permissions=["stock:read"]), "stock:read")


@pytest.mark.parametrize(
    "role", ["ADMIN", "admin ", " admin", "adm\u0456n", "admin\0", "administrator", "adm"]
)
def test_a_role_that_only_looks_like_another_is_another(role):
    roles = Roles(ROLES)

    assert not roles.allow(somebody(role), "orders:read")
    assert "admin" not in roles.names_of(somebody(role))


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ([Role("a", includes=["a"])], "circle: a -> a"),
        ([Role("a", includes=["b"]), Role("b", includes=["c"]), Role("c", includes=["a"])], "circle"),
        ([Role("a", includes=["nobody"])], "'nobody', which is not declared"),
        ([Role("a"), Role("a")], "twice"),
        ([Role("a", ["not a permission"])], "no permission"),
        ([Role("ADMIN ")], "a role is"),
        ([Role("")], "a role is"),
    ],
    ids=["itself", "circle", "unknown", "twice", "permission", "space", "empty"],
)
def test_roles_that_make_no_sense_are_refused_at_start(roles, message):
    with pytest.raises(ConfigurationError, match=message):
        Roles(roles)


def test_tokens_with_ever_other_roles_do_not_fill_the_memory():
    roles = Roles(ROLES)

    for number in range(3000):
        roles.allow(somebody(f"r{number}"), "orders:read")

    assert len(roles._kept) <= 1024


def test_the_roles_of_a_runtime_survive_its_restart():
    runtime = Runtime("roles")
    with use(runtime):
        use_roles(ROLES)
        runtime.close()
        runtime.reopen()

        assert [role.name for role in get_roles()] == ["viewer", "editor", "admin", "support"]


def test_a_permission_with_a_wildcard_is_refused_in_code():
    from shared.auth import require_permissions

    with pytest.raises(InvalidArgumentError, match="without wildcards"):
        require_permissions("orders:*")
