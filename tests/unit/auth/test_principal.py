"""Who acts: made from claims without trust, immutable, silent about personal data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.auth import Principal, current_principal
from shared.context import request_context
from shared.errors import AuthenticationError

CLAIMS = {
    "sub": "u-1",
    "email": "ada@example.com",
    "roles": ["admin"],
    "permissions": ("orders:read",),
    "scope": "a:read b:read",
    "tenant_id": "acme",
    "jti": "t-1",
    "sid": "s-1",
    "act": {"sub": "support-7"},
}


def test_claims_become_a_principal():
    principal = Principal.from_claims(CLAIMS)

    assert (principal.user_id, principal.email, principal.tenant) == ("u-1", "ada@example.com", "acme")
    assert (principal.roles, principal.permissions) == ({"admin"}, {"orders:read"})
    assert principal.scopes == {"a:read", "b:read"}
    assert (principal.token_id, principal.session_id, principal.actor) == ("t-1", "s-1", "support-7")
    assert principal.claims["jti"] == "t-1"


def test_user_id_comes_before_sub_and_numbers_become_text():
    assert Principal.from_claims({"user_id": 7, "sub": "other"}).user_id == "7"


def test_no_scope_is_not_an_empty_one():
    assert Principal.from_claims({"sub": "u"}).scopes is None
    assert Principal.from_claims({"sub": "u", "scope": ""}).scopes == frozenset()
    assert Principal.from_claims({"sub": "u", "scopes": ["a"]}).scopes == {"a"}


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"sub": ""},
        {"sub": None},
        {"sub": True},
        {"sub": 1.5},
        {"sub": ["u-1"]},
        {"sub": "u\n1"},
        {"sub": "u" * 256},
        {"sub": "u", "roles": "admin"},
        {"sub": "u", "roles": 7},
        {"sub": "u", "roles": [["admin"]]},
        {"sub": "u", "roles": ["x"] * 1001},
        {"sub": "u", "permissions": "orders:read"},
        {"sub": "u", "scopes": {"a": 1, 7: 2}},
        {"sub": "u", "email": {"a": 1}},
        {"sub": "u", "tenant": ["acme"]},
        {"sub": "u", "act": {"sub": 1.5}},
    ],
    ids=lambda claims: ascii(claims)[:40],
)
def test_claims_of_the_wrong_kind_make_nobody(claims):
    with pytest.raises(AuthenticationError) as caught:
        Principal.from_claims(claims)

    assert "u-1" not in str(caught.value)


@given(
    st.dictionaries(
        st.sampled_from(["sub", "user_id", "roles", "permissions", "scope", "email", "tenant", "act", "jti"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    )
)
def test_any_claims_make_a_principal_or_an_error_of_ours(claims):
    try:
        assert Principal.from_claims(claims).user_id
    except AuthenticationError:
        pass


def test_a_principal_does_not_change():
    principal = Principal.from_claims(CLAIMS)

    with pytest.raises(AttributeError):
        principal.user_id = "u-2"
    with pytest.raises(TypeError):
        principal.claims["sub"] = "u-2"


def test_changing_the_claims_afterwards_changes_nothing():
    claims = dict(CLAIMS)
    principal = Principal.from_claims(claims)

    claims["sub"] = "u-2"

    assert principal.claims["sub"] == "u-1"


def test_neither_address_nor_claims_are_in_repr_or_dict():
    principal = Principal.from_claims({**CLAIMS, "secret_note": "hunter2"})

    shown = f"{principal!r} {principal} {principal.to_dict()}"

    assert "ada@example.com" not in shown
    assert "hunter2" not in shown
    assert "u-1" in shown


def test_a_principal_shows_what_it_acts_with():
    principal = Principal(user_id="u-1", roles=["b", "a"], tenant="acme", method="session")

    assert principal.to_dict()["tenant"] == "acme"
    assert all(text in repr(principal) for text in ("u-1", "acme", "session"))


def test_two_principals_with_the_same_facts_are_equal():
    assert Principal(user_id="u", roles=["a"]) == Principal(user_id="u", roles={"a"})
    assert len({Principal(user_id="u"), Principal(user_id="u", claims={"x": [1]})}) == 1


def test_the_current_principal_is_that_of_the_request():
    ada = Principal(user_id="u-1")

    with request_context(principal=ada):
        assert current_principal() is ada
    assert current_principal() is None


@pytest.mark.parametrize("value", [7, object(), "", b"u"], ids=["int", "object", "empty", "bytes"])
def test_what_is_no_principal_in_the_context_is_nobody(value):
    with request_context(principal=value):
        assert current_principal() is None
