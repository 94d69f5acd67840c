"""What holds of every storage, synchronous and asynchronous."""

import hashlib
import io
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import (
    InvalidArgumentError,
    ObjectNotFoundError,
    PayloadTooLargeError,
    PreconditionFailedError,
    UnsupportedMediaTypeError,
    ValidationError,
)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def test_what_is_put_is_what_is_got(store):
    store.put("folder/a.bin", b"\x00\x01hello")

    assert store.get("folder/a.bin") == b"\x00\x01hello"


@pytest.mark.parametrize("size", [0, 1, 70_000, 9_000_000], ids=["empty", "one", "70k", "9M"])
def test_every_size_comes_back_whole(store, size):
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]

    stored = store.put("a.bin", data)

    assert stored.size == size
    assert store.get("a.bin", verify=True) == data


@pytest.mark.parametrize(
    "source",
    [io.BytesIO, lambda data: iter([data[:3], bytearray(data[3:])]), memoryview],
    ids=["file", "iterable", "memoryview"],
)
def test_content_may_come_from_a_file_or_in_pieces(store, source):
    store.put("a.bin", source(b"0123456789"))

    assert store.get("a.bin") == b"0123456789"


def test_content_may_come_from_a_path(store, tmp_path):
    path = tmp_path / "source.txt"
    path.write_bytes(b"from a file")

    store.put("a.txt", path)

    assert store.get("a.txt") == b"from a file"


def test_what_is_put_is_known_afterwards(store):
    metadata = {"author": "Ada Lovelace", "note": "100 % Grüße, 日本"}

    put = store.put(
        "notes/1.txt",
        b"hello",
        metadata=metadata,
        cache_control="private, max-age=60",
        filename='Grüße "7".txt',
    )
    found = store.stat("notes/1.txt")

    assert (found.key, found.size, found.content_type) == ("notes/1.txt", 5, "text/plain")
    assert found.metadata == put.metadata == metadata
    assert found.sha256 == put.sha256 == hashlib.sha256(b"hello").hexdigest()
    assert (found.cache_control, found.filename) == ("private, max-age=60", 'Grüße "7".txt')
    assert found.etag == put.etag
    assert abs(found.last_modified - datetime.now(UTC)) < timedelta(minutes=5)
    assert not found.is_encrypted


def test_the_etag_changes_with_the_content(store):
    first = store.put("a.txt", b"1")

    second = store.put("a.txt", b"2")

    assert first.etag != second.etag
    assert store.stat("a.txt").etag == second.etag


def test_a_key_without_an_object_is_not_found(store):
    for call in (store.get, store.stat, store.read):
        with pytest.raises(ObjectNotFoundError, match=r"no object has the key 'nothing\.txt'"):
            call("nothing.txt")
    assert not store.exists("nothing.txt")


def test_deleting_twice_is_deleting_once(store):
    store.put("folder/a.txt", b"1")

    store.delete("folder/a.txt")
    store.delete("folder/a.txt")

    assert not store.exists("folder/a.txt")
    assert store.keys() == []


def test_a_range_is_read_without_the_rest(store):
    store.put("a.txt", b"0123456789")

    assert store.get("a.txt", start=2, stop=5) == b"234"
    assert store.get("a.txt", start=7) == b"789"
    assert store.get("a.txt", stop=100) == b"0123456789"
    assert b"".join(store.read("a.txt", start=8, stop=100)) == b"89"


def test_the_beginning_of_an_empty_object_is_empty(store):
    store.put("a.txt", b"")

    assert store.get("a.txt", stop=10) == b"" == b"".join(store.read("a.txt", stop=10))


def test_a_range_behind_the_end_is_refused(store):
    store.put("a.txt", b"0123456789")

    with pytest.raises(ValidationError) as caught:
        store.get("a.txt", start=10)

    assert caught.value.status == 416


@pytest.mark.parametrize(("start", "stop"), [(-1, None), (3, 3), (3, 2)])
def test_a_range_that_is_none_is_refused(store, start, stop):
    with pytest.raises(InvalidArgumentError):
        store.get("a.txt", start=start, stop=stop)


def test_a_stream_brings_everything_in_pieces(store):
    data = bytes(range(256)) * 4096 * 3
    store.put("a.bin", data)

    pieces = store.read("a.bin", chunk_size=256 * 1024, verify=True)

    assert b"".join(pieces) == data
    assert len(pieces) > 1


def test_create_only_refuses_to_overwrite(store):
    store.put("a.txt", b"first", if_none_match=True)

    with pytest.raises(PreconditionFailedError, match="there is one already"):
        store.put("a.txt", b"second", if_none_match=True)

    assert store.get("a.txt") == b"first"


def test_a_change_is_refused_when_somebody_was_faster(store):
    first = store.put("a.txt", b"first")
    second = store.put("a.txt", b"second", if_match=first.etag)

    with pytest.raises(PreconditionFailedError, match="has changed since"):
        store.put("a.txt", b"third", if_match=first.etag)

    assert store.get("a.txt") == b"second"
    assert store.put("a.txt", b"third", if_match=second.etag).size == 5


def test_a_change_of_what_is_gone_is_refused(store):
    etag = store.put("a.txt", b"first").etag
    store.delete("a.txt")

    with pytest.raises(PreconditionFailedError):
        store.put("a.txt", b"second", if_match=etag)

    assert not store.exists("a.txt")


def test_a_large_object_may_be_created_conditionally(store):
    data = bytes(9_000_000)

    store.put("a.bin", data, if_none_match=True)

    with pytest.raises(PreconditionFailedError):
        store.put("a.bin", data, if_none_match=True)


def test_a_copy_keeps_what_is_known(store):
    store.put("a.txt", b"hello", metadata={"by": "ada"}, content_type="text/plain; charset=utf-8")

    copied = store.copy("a.txt", "b/c.txt")

    assert copied.key == "b/c.txt"
    assert copied.metadata == {"by": "ada"}
    assert copied.content_type == "text/plain; charset=utf-8"
    assert copied.sha256 == hashlib.sha256(b"hello").hexdigest()
    assert store.get("a.txt") == store.get("b/c.txt") == b"hello"


def test_a_copy_that_may_not_overwrite_does_not(store):
    store.put("a.txt", b"a")
    store.put("b.txt", b"b")

    with pytest.raises(PreconditionFailedError):
        store.copy("a.txt", "b.txt", overwrite=False)
    copied = store.copy("a.txt", "c.txt", overwrite=False)

    assert (store.get("b.txt"), copied.size) == (b"b", 1)


def test_a_move_leaves_nothing_behind(store):
    store.put("inbox/a.txt", b"hello", metadata={"by": "ada"})

    moved = store.move("inbox/a.txt", "done/a.txt")

    assert moved.metadata == {"by": "ada"}
    assert store.keys() == ["done/a.txt"]


def test_moving_to_itself_changes_nothing(store):
    store.put("a.txt", b"hello")

    store.move("a.txt", "a.txt")

    assert store.get("a.txt") == b"hello"


def test_what_is_not_there_is_neither_copied_nor_moved(store):
    for verb in (store.copy, store.move):
        with pytest.raises(ObjectNotFoundError, match=r"'nothing\.txt'"):
            verb("nothing.txt", "b.txt")
    assert store.keys() == []


KEYS = ["a", "a/1", "a/2/x", "a-b", "b", "b0/z", "ä", "日本/語"]


def test_a_listing_is_in_the_order_of_the_bytes(store, make_face):
    keys = [key for key in KEYS if make_face.kind != "file" or key != "a"]  # a folder is called like that
    for key in keys:
        store.put(key, b"1")

    assert store.keys() == sorted(keys, key=str.encode)


def test_a_prefix_may_be_cut_anywhere(store):
    for key in ("inv/2025/1", "inv/2026/1", "inv/2026/2", "inventory", "x"):
        store.put(key, b"1")

    assert store.keys("inv/2026/") == ["inv/2026/1", "inv/2026/2"]
    assert store.keys("inv/202") == ["inv/2025/1", "inv/2026/1", "inv/2026/2"]
    assert store.keys("inv") == ["inv/2025/1", "inv/2026/1", "inv/2026/2", "inventory"]
    assert store.keys("inventory") == ["inventory"]
    assert store.keys("nothing/") == []


def test_a_listing_comes_in_pages_without_gap_or_double(store):
    keys = [f"folder/{number:03}" for number in range(25)]
    for key in keys:
        store.put(key, key.encode())

    found, cursor = [], None
    while True:
        page = store.list("folder/", limit=10, cursor=cursor)
        found += [one.key for one in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert found == keys
    assert [one.size for one in store.list("folder/", limit=1).items] == [10]


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_page_has_a_size_that_is_bounded(store, limit):
    with pytest.raises(InvalidArgumentError, match="1 to 1000"):
        store.list(limit=limit)


def test_keys_that_differ_by_case_are_two(store):
    store.put("Readme.txt", b"upper")
    store.put("readme.txt", b"lower")

    assert (store.get("Readme.txt"), store.get("readme.txt")) == (b"upper", b"lower")


@pytest.mark.parametrize(
    "key",
    [
        "../a", "a/../b", "a/..", "/etc/passwd", "a//b", "a/", "", ".", "./a", "a\x00b", "a\nb", "a\\b",
        "..\\a", "C:\\a", "a%2e%2e", "%2e%2e/a", "a" * 256, "x/" * 450 + "x", "a\u202eb", "e\u0301",
        " a", "a ", "a.", "a/b./c", "~/a", "a?b", "a#b", "a*", ".shared-storage/meta/x", ".SHARED-STORAGE/x",
        "\ud800",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_hostile_key_is_refused_by_every_verb(store, key):
    for call in (
        lambda: store.put(key, b"1"),
        lambda: store.get(key),
        lambda: store.stat(key),
        lambda: store.exists(key),
        lambda: store.delete(key),
        lambda: store.read(key),
        lambda: store.copy(key, "b"),
        lambda: store.presign(key),
    ):
        with pytest.raises(ValidationError):
            call()


@pytest.mark.parametrize(
    "key",
    [
        "ü/日本/語.txt",
        "a b/c d.txt",
        "a+b&c=d;e,f@g!h$i'j(k).txt",
        "-x/_y",
        "x" * 255,
        "/".join(["y" * 99] * 9),
        "a..b",
    ],
    ids=["unicode", "spaces", "marks", "dashes", "255", "900", "dots"],
)
def test_an_unusual_key_is_kept_as_it_is(store, key):
    store.put(key, b"1")

    assert store.get(key) == b"1"
    assert store.keys() == [key]


def test_what_is_too_large_is_refused_while_it_comes(make_face):
    store = make_face(max_bytes=1000)
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield bytes(300)

    with pytest.raises(PayloadTooLargeError, match="larger than 1000 bytes"):
        store.put("a.bin", endless())

    assert len(taken) == 4
    assert not store.exists("a.bin")


def test_a_source_that_breaks_leaves_nothing(store):
    def breaks():
        yield bytes(5_000_000)
        raise RuntimeError("the sender is gone")

    with pytest.raises(RuntimeError):
        store.put("a.bin", breaks())

    assert store.keys() == []


def test_a_source_that_breaks_leaves_what_was_there(store):
    store.put("a.bin", b"before")

    with pytest.raises(RuntimeError):
        store.put("a.bin", (_ for _ in [b"x"] if _raise()))

    assert store.get("a.bin") == b"before"


def _raise():
    raise RuntimeError("gone")


@pytest.mark.parametrize("data", ["text", 7, None, [1, 2]], ids=["text", "number", "none", "numbers"])
def test_what_is_no_content_is_refused(store, data):
    with pytest.raises(InvalidArgumentError, match="bytes"):
        store.put("a.bin", data)

    assert not store.exists("a.bin")


def test_content_that_is_not_the_announced_one_is_refused(store):
    with pytest.raises(ValidationError, match="sha256"):
        store.put("a.bin", b"hello", sha256="0" * 64)

    assert not store.exists("a.bin")
    store.put("a.bin", b"hello", sha256=hashlib.sha256(b"hello").hexdigest().upper())


def test_content_that_is_not_what_it_claims_to_be_is_refused(store):
    with pytest.raises(UnsupportedMediaTypeError):
        store.put("a.png", b"<html><script>alert(1)</script>", content_type="image/png")

    assert not store.exists("a.png")


def test_only_allowed_types_are_taken(make_face):
    store = make_face(allowed_types=["image/*"])

    with pytest.raises(UnsupportedMediaTypeError, match="not taken here"):
        store.put("a.pdf", b"%PDF-1.7")

    assert store.put("a", PNG).content_type == "image/png"


def test_get_holds_no_more_than_the_limit(make_face, make_storage):
    make_storage().put("a.bin", bytes(2000))
    if make_face.kind == "memory":
        return  # a memory is not shared by two storages
    store = make_face(max_bytes=1000)

    with pytest.raises(PayloadTooLargeError, match="use stream"):
        store.get("a.bin")

    assert len(b"".join(store.read("a.bin"))) == 2000
    assert len(store.get("a.bin", stop=500)) == 500


def test_a_healthy_store_says_so(store):
    assert store.check() is None


def test_an_unknown_option_is_refused(store):
    with pytest.raises(InvalidArgumentError, match="no option 'contenttype'"):
        store.put("a.txt", b"1", contenttype="text/plain")
