"""The ring: found by id, one signs, retired ones do nothing."""

import pytest

from shared.auth import Key, KeyRing, KeyStatus, sign_compact, verify_compact
from shared.errors import ConfigurationError, InvalidTokenError
from tests.unit.auth.forge import key


def statuses(ring):
    return {found.kid: found.status.value for found in ring.keys}


def test_the_active_key_signs_and_all_but_retired_ones_verify():
    signed = {kid: sign_compact(b"{}", KeyRing([key("ES256", kid)])) for kid in ("a", "b", "c", "d")}
    ring = KeyRing(
        [
            key("ES256", "a").with_status("retired"),
            key("ES256", "b").with_status("verify-only"),
            key("ES256", "c"),
            key("ES256", "d").with_status("next"),
        ]
    )

    assert ring.active.kid == "c"
    assert [ring.knows(kid) for kid in "abcd"] == [False, True, True, True]
    for kid in "bcd":
        assert verify_compact(signed[kid], ring) == b"{}"
    with pytest.raises(InvalidTokenError, match="not known here, or retired"):
        verify_compact(signed["a"], ring)
    assert '"kid":"c"' in _header(sign_compact(b"{}", ring))


def _header(token):
    from shared.auth import _base64

    return _base64.decode(token.split(".")[0]).decode()


def test_a_life_of_keys():
    ring = KeyRing([key("EdDSA", "a")])
    old = sign_compact(b"{}", ring)

    ring = ring.add(key("EdDSA", "b").with_status("next"))
    assert statuses(ring) == {"a": "active", "b": "next"}
    ring = ring.rotate()
    assert statuses(ring) == {"a": "verify-only", "b": "active"}
    assert verify_compact(old, ring) == b"{}"
    ring = ring.retire("a")
    assert statuses(ring) == {"a": "retired", "b": "active"}
    with pytest.raises(InvalidTokenError):
        verify_compact(old, ring)


def test_the_key_that_signs_next_can_be_chosen():
    ring = KeyRing([key("EdDSA", "a"), *(key("EdDSA", kid).with_status("next") for kid in "bc")])

    assert statuses(ring.rotate("c")) == {"a": "verify-only", "b": "next", "c": "active"}
    assert statuses(ring.rotate()) == {"a": "verify-only", "b": "active", "c": "next"}


def test_a_ring_is_not_changed_by_its_rotation():
    ring = KeyRing([key("EdDSA", "a"), key("EdDSA", "b").with_status("next")])

    ring.rotate()

    assert ring.active.kid == "a"


def test_without_a_next_key_nothing_rotates():
    ring = KeyRing([key("EdDSA", "a"), key("EdDSA", "b").with_status("verify-only")])

    with pytest.raises(ConfigurationError, match="no key 'next'"):
        ring.rotate()
    with pytest.raises(ConfigurationError, match="'b' is not there or not"):
        ring.rotate("b")


def test_an_unknown_key_is_not_retired():
    with pytest.raises(ConfigurationError, match=r"'x' is not in the ring \(known: a\)"):
        KeyRing([key("EdDSA", "a")]).retire("x")


def test_two_active_keys_are_refused():
    with pytest.raises(ConfigurationError, match=r"2 keys of the ring are active \(a, b\)"):
        KeyRing([key("EdDSA", "a"), key("EdDSA", "b")])


def test_an_id_stands_once_in_a_ring():
    with pytest.raises(ConfigurationError, match="'a' stands twice"):
        KeyRing([key("EdDSA", "a"), Key.generate("EdDSA", kid="a", status="next")])


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_a_key_stands_once_in_a_ring_under_whatever_id(algorithm):
    same = Key.from_jwk(key(algorithm, "a").to_jwk(private=True), kid="b", status="next")

    with pytest.raises(ConfigurationError, match="'b' stands in the ring under another id"):
        KeyRing([key(algorithm, "a"), same])


def test_kinds_of_keys_do_not_mix():
    with pytest.raises(ConfigurationError, match="do not mix"):
        KeyRing([key("HS256", "a"), key("ES256", "b").with_status("next")])


def test_algorithms_of_one_kind_may_stand_together():
    ring = KeyRing(
        [key("RS256", "a"), key("ES256", "b").with_status("next"), key("EdDSA", "c").with_status("next")]
    )

    assert {found["alg"] for found in ring.jwks()["keys"]} == {"RS256", "ES256", "EdDSA"}


def test_a_ring_has_a_key_and_not_too_many():
    with pytest.raises(ConfigurationError, match="1 to 64 keys, got 0"):
        KeyRing([])
    many = [Key.generate("EdDSA", status="next") for _ in range(65)]
    assert len(KeyRing(many[:64]).keys) == 64
    with pytest.raises(ConfigurationError, match="got 65"):
        KeyRing(many)


def test_what_is_published_is_public_and_not_retired():
    ring = KeyRing(
        [key("ES256", "a"), key("ES256", "b").with_status("next"), key("ES256", "c").with_status("retired"),
         key("ES256", "d").public()]
    )  # fmt: skip

    published = ring.jwks()["keys"]

    assert [found["kid"] for found in published] == ["a", "b", "d"]
    assert all("d" not in found for found in published)
    assert KeyRing([key("HS256")]).jwks() == {"keys": []}


def test_who_has_the_published_keys_verifies_and_cannot_sign():
    ring = KeyRing([key("ES256", "a")])
    reader = KeyRing([Key.from_jwk(jwk) for jwk in ring.jwks()["keys"]])

    assert verify_compact(sign_compact(b"{}", ring), reader) == b"{}"
    assert reader.active is None
    with pytest.raises(ConfigurationError, match="verifies only"):
        reader.sign(b"data")


def test_a_key_that_fails_to_sign_is_an_error_of_ours():
    class Broken:
        def signer(self, found):
            def sign(data):
                raise RuntimeError("the vault is gone")

            return sign

        def verifier(self, found):
            return lambda data, signature: False

    ring = KeyRing([key()], backend=Broken())

    with pytest.raises(ConfigurationError, match="could not sign") as caught:
        ring.sign(b"data")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_ring_shows_its_keys_by_id():
    ring = KeyRing([key("EdDSA", "a"), key("EdDSA", "b").with_status(KeyStatus.NEXT)])

    assert repr(ring) == "KeyRing(a: active, b: next)"
