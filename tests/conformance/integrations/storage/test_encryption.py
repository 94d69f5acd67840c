"""Encryption holds in every store: nothing readable, nothing changed, cut or moved unnoticed."""

import pytest

from shared.errors import ConfigurationError, DecryptionError, SharedError
from shared.integrations.storage._parts import Condition
from shared.integrations.storage._staging import Staged
from shared.security import EncryptionKeys, new_encryption_key

KEYS = EncryptionKeys({"k1": new_encryption_key()})
MIB = 1024 * 1024


@pytest.fixture
def store(make_face):
    return make_face(encryption_keys=KEYS)


def raw(store):
    """The backend beneath, which sees what the supplier sees."""
    return store.storage._joint.backend


def stored_bytes(backend, key):
    reader = backend.open(key, 0, None)
    try:
        return reader.read(), reader.found.attributes
    finally:
        reader.close()


def put_raw(backend, key, data, attributes):
    backend.write(key, Staged(data, None, len(data), len(data), "0" * 64, b""), attributes, Condition())


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB], ids=str)
def test_what_is_encrypted_comes_back(store, size):
    data = (bytes(range(251)) * (size // 251 + 1))[:size]

    stored = store.put("a.bin", data, encrypt=True)

    assert stored.is_encrypted
    assert stored.size == size == store.stat("a.bin").size
    assert store.get("a.bin", verify=True) == data
    assert b"".join(store.read("a.bin", chunk_size=100_000, verify=True)) == data


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 10), (MIB - 5, MIB + 5), (MIB, 2 * MIB), (2 * MIB + 1, None), (5, 3 * MIB), (0, MIB)],
    ids=str,
)
def test_a_range_of_an_encrypted_object_is_right(store, start, stop):
    data = b"".join(number.to_bytes(4, "big") for number in range(3 * MIB // 4 + 10))
    store.put("a.bin", data, encrypt=True)

    assert store.get("a.bin", start=start, stop=stop) == data[start:stop]


def test_the_store_sees_neither_content_nor_digest(store):
    store.put("a.txt", b"the secret plan", encrypt=True)

    data, attributes = stored_bytes(raw(store), "a.txt")

    assert b"secret" not in data
    assert attributes.sha256 is None
    assert "sha256" not in attributes.sealed


def test_without_the_key_nothing_is_told(store, make_storage):
    store.put("a.txt", b"secret", encrypt=True)
    if make_storage.kind == "memory":
        return  # a memory is not shared by two storages
    for other in (make_storage(), make_storage(encryption_keys=EncryptionKeys({"k2": new_encryption_key()}))):
        with pytest.raises(DecryptionError):
            other.get("a.txt")
        with pytest.raises(DecryptionError):
            other.stat("a.txt")


def test_an_encrypted_object_of_another_key_does_not_open(store):
    store.put("mine.txt", b"mine", encrypt=True)
    data, attributes = stored_bytes(raw(store), "mine.txt")

    put_raw(raw(store), "yours.txt", data, attributes)

    with pytest.raises(DecryptionError):
        store.get("yours.txt")


def test_the_content_of_another_version_does_not_open(store):
    store.put("a.txt", b"old", encrypt=True)
    old, _ = stored_bytes(raw(store), "a.txt")
    store.put("a.txt", b"new", encrypt=True)
    _, attributes = stored_bytes(raw(store), "a.txt")

    put_raw(raw(store), "a.txt", old, attributes)

    with pytest.raises(DecryptionError):
        store.get("a.txt")


@pytest.mark.parametrize("harm", ["cut", "frame", "flip", "swap"])
def test_an_encrypted_object_that_was_harmed_does_not_open(store, harm):
    store.put("a.bin", bytes(2 * MIB) + b"end", encrypt=True)
    data, attributes = stored_bytes(raw(store), "a.bin")
    frame = (len(data) - 200) // 2 + 30
    frame = data.index(b"v1.k1.", 100)
    harmed = {
        "cut": data[:-10],
        "frame": data[frame:],
        "flip": data[:5000] + (b"A" if data[5000:5001] != b"A" else b"B") + data[5001:],
        "swap": data[frame : 2 * frame] + data[:frame] + data[2 * frame :],
    }[harm]

    put_raw(raw(store), "a.bin", harmed, attributes)

    with pytest.raises(SharedError) as caught:
        store.get("a.bin")
    assert caught.value.status in (500, 502)


def test_a_copy_and_a_move_are_encrypted_for_their_key(store):
    store.put("a.txt", b"secret", encrypt=True, metadata={"by": "ada"})

    copied = store.copy("a.txt", "b.txt")
    store.move("a.txt", "c.txt")

    assert copied.is_encrypted
    assert copied.metadata == {"by": "ada"}
    assert store.get("b.txt") == store.get("c.txt") == b"secret"


def test_a_storage_that_encrypts_everything_does_so_unless_told_otherwise(make_face):
    store = make_face(encryption_keys=KEYS, encrypt=True)

    assert store.put("a.txt", b"1").is_encrypted
    assert not store.put("b.txt", b"1", encrypt=False).is_encrypted


def test_encryption_without_keys_is_refused(make_face):
    with pytest.raises(ConfigurationError, match="encryption_keys"):
        make_face().put("a.txt", b"1", encrypt=True)
    with pytest.raises(ConfigurationError, match="encryption_keys"):
        make_face(encrypt=True)


def test_a_rotated_ring_still_reads(make_face, make_storage):
    old = new_encryption_key()
    if make_storage.kind == "memory":
        return  # a memory is not shared by two storages
    make_storage(encryption_keys=EncryptionKeys({"old": old})).put("a.txt", b"secret", encrypt=True)

    ring = EncryptionKeys({"much-newer": new_encryption_key(), "old": old})

    assert make_face(encryption_keys=ring).get("a.txt", verify=True) == b"secret"
