"""A directory: nothing leads out of it, and nothing half is ever seen in it."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from shared.errors import (
    ConfigurationError,
    ConflictError,
    ObjectNotFoundError,
    ServiceUnavailableError,
    SharedError,
)
from shared.integrations.storage import Storage
from shared.integrations.storage._local import LocalBackend
from shared.runtime import Runtime, use


@pytest.fixture(autouse=True)
def runtime():
    with use(Runtime("test")) as made:
        yield made
    made.close()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "objects"


@pytest.fixture
def storage(root):
    return Storage(f"file://{root}?fsync=off")


def all_files(root):
    return [path for path in root.rglob("*") if path.is_file() and "locks" not in path.parts]


def test_an_object_is_a_file_of_its_name(storage, root):
    storage.put("a/b.txt", b"hello")

    assert (root / "a" / "b.txt").read_bytes() == b"hello"


def test_a_file_that_somebody_else_put_there_is_an_object(storage, root):
    storage.put("a/b.txt", b"1")
    (root / "a" / "c.pdf").write_bytes(b"%PDF-1.7")

    found = storage.stat("a/c.pdf")

    assert (found.content_type, found.size, found.sha256) == ("application/pdf", 8, None)
    with pytest.raises(SharedError, match="no digest"):
        storage.get("a/c.pdf", verify=True)


def test_a_file_that_somebody_else_changed_is_not_taken_for_what_was_stored(storage, root):
    storage.put("a.txt", b"hello", metadata={"by": "ada"})
    (root / "a.txt").write_bytes(b"other")

    found = storage.stat("a.txt")

    assert (found.sha256, found.metadata) == (None, {})


def test_what_was_changed_on_the_disk_is_found_by_verifying(storage, root):
    storage.put("a.txt", b"hello")
    status = (root / "a.txt").stat()
    (root / "a.txt").write_bytes(b"jello")
    os.utime(root / "a.txt", ns=(status.st_mtime_ns, status.st_mtime_ns))

    with pytest.raises(SharedError, match="is not what was stored"):
        storage.get("a.txt", verify=True)


def test_replacing_and_deleting_leave_no_litter(storage, root):
    for number in range(5):
        storage.put("a/b/c.txt", b"%d" % number)
    storage.delete("a/b/c.txt")

    assert all_files(root) == []
    assert not (root / "a").exists()


@pytest.mark.parametrize("outside", ["file", "folder"])
def test_a_link_does_not_lead_out(storage, root, tmp_path, outside):
    storage.put("inside.txt", b"1")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.txt").write_bytes(b"secret")
    target = tmp_path / "secret" / ("a.txt" if outside == "file" else "")
    (root / "link").symlink_to(target)
    key = "link" if outside == "file" else "link/a.txt"

    assert not storage.exists(key)
    with pytest.raises(ObjectNotFoundError):
        storage.get(key)
    with pytest.raises(ConflictError, match="link"):
        storage.put(key, b"overwritten")
    storage.delete(key)

    assert (tmp_path / "secret" / "a.txt").read_bytes() == b"secret"
    assert [one.key for one in storage.list().items] == ["inside.txt"]


def test_a_link_inside_is_not_followed_either(storage, root):
    storage.put("a.txt", b"1")
    (root / "b.txt").symlink_to(root / "a.txt")
    (root / "loop").symlink_to(root)

    assert [one.key for one in storage.list().items] == ["a.txt"]
    assert not storage.exists("b.txt")
    assert not storage.exists("loop/a.txt")


def test_what_is_no_file_is_no_object(storage, root):
    storage.put("a.txt", b"1")
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()

    for key in ("pipe", "folder"):
        assert not storage.exists(key)
        storage.delete(key)
        with pytest.raises(ConflictError):
            storage.put(key, b"1")


def test_files_with_names_that_are_no_keys_are_not_listed(storage, root):
    storage.put("a.txt", b"1")
    (root / "b?.txt").write_bytes(b"1")
    (root / os.fsdecode(b"\xff\xfe")).write_bytes(b"1")
    (root / "back\\slash").write_bytes(b"1")

    assert [one.key for one in storage.list().items] == ["a.txt"]


def test_an_object_and_a_folder_of_one_name_are_told_apart(storage):
    storage.put("a", b"1")

    with pytest.raises(ConflictError, match="'a/b'"):
        storage.put("a/b", b"1")
    storage.put("c/d", b"1")
    with pytest.raises(ConflictError, match="'c' is a folder"):
        storage.put("c", b"1")

    assert storage.get("a") == b"1"


def test_a_disk_that_does_not_tell_case_apart_refuses_the_second_spelling(root):
    storage = Storage(LocalBackend(root, fsync=False, case_sensitive=False))
    storage.put("Readme.txt", b"1")

    with pytest.raises(ConflictError, match=r"differs from 'Readme\.txt' by case only"):
        storage.put("readme.TXT", b"2")
    storage.put("Readme.txt", b"3")

    assert not storage.exists("readme.txt")
    assert storage.get("Readme.txt") == b"3"


def test_a_full_disk_leaves_what_was_there(storage, root, monkeypatch):
    storage.put("a.txt", b"before")
    real = os.write

    def full(file, data):
        if len(data) > 1000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ServiceUnavailableError, match="no space is left"):
        LocalBackend(root).write("a.txt", *_write(bytes(5000)))
    monkeypatch.undo()

    assert storage.get("a.txt") == b"before"
    assert list((root / ".shared-storage" / "tmp").iterdir()) == []


def _write(data):
    from shared.integrations.storage._parts import Attributes, Condition
    from shared.integrations.storage._staging import Staged

    return Staged(data, None, len(data), len(data), "", b""), Attributes("text/plain"), Condition()


def test_a_directory_that_may_not_be_used_is_a_wrong_setting(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    for path in ("file", "file/below"):
        with pytest.raises(ConfigurationError, match="something else is in its place"):
            Storage(f"file://{tmp_path}/{path}").check()


WRITER = """
import sys
from shared.integrations.storage import Storage
storage = Storage(sys.argv[1])
def pieces():
    for number in range(1000):
        yield bytes(1_000_000)
        if number == 8:
            print("writing", flush=True)
            sys.stdin.read(1)
number = 0
if sys.argv[2] == "once":
    storage.put("a/b.bin", pieces(), max_bytes=10**9)
while True:
    number += 1
    storage.put("a/b.bin", (b"%d " % number) * 200_000, metadata={"number": str(number)})
    if number == 3:
        print("writing", flush=True)
"""


def start_writer(root, how):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, f"file://{root}", how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env,
    )  # fmt: skip


def killed(writer):
    assert writer.stdout.readline() == b"writing\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait(30)
    writer.stdin.close()
    writer.stdout.close()


def test_a_writer_that_is_killed_leaves_what_was_there(storage, root):
    storage.put("a/b.bin", b"before", metadata={"number": "0"})

    killed(start_writer(root, "once"))

    assert storage.get("a/b.bin", verify=True) == b"before"
    assert storage.stat("a/b.bin").metadata == {"number": "0"}
    assert [one.key for one in storage.list().items] == ["a/b.bin"]


def test_a_writer_that_is_killed_at_any_moment_leaves_a_whole_object(storage, root):
    for _ in range(3):
        killed(start_writer(root, "always"))

        found = storage.stat("a/b.bin")
        data = storage.get("a/b.bin", verify=True)
        number = int(found.metadata["number"])
        assert data == (b"%d " % number) * 200_000


def test_what_a_killed_writer_left_is_cleared_away_later(root):
    Storage(f"file://{root}").put("a", b"1")
    left = root / ".shared-storage" / "tmp" / "left"
    left.write_bytes(b"half")
    fresh = root / ".shared-storage" / "tmp" / "fresh"
    fresh.write_bytes(b"half")
    os.utime(left, (time.time() - 7200,) * 2)

    Storage(f"file://{root}").put("b", b"1")

    assert not left.exists()
    assert fresh.exists()


def test_threads_that_write_one_key_leave_one_of_their_contents(root):
    storage = Storage(f"file://{root}?fsync=off")
    failures = []

    def write(number):
        try:
            for _ in range(10):
                storage.put("a/b/c.txt", b"%d" % number * 1000, metadata={"number": str(number)})
                data, found = storage.get("a/b/c.txt", verify=True), storage.stat("a/b/c.txt")
                assert len(set(data)) == 1
                assert found.sha256 is not None
        except Exception as exc:
            failures.append(exc)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    found = storage.stat("a/b/c.txt")
    assert storage.get("a/b/c.txt", verify=True) == found.metadata["number"].encode() * 1000
    assert len(all_files(root)) == 2


def test_writers_and_deleters_of_one_folder_do_not_disturb_each_other(root):
    storage = Storage(f"file://{root}?fsync=off")
    failures = []

    def write(number):
        try:
            for _ in range(25):
                storage.put(f"a/b/{number}.txt", b"1")
                storage.delete(f"a/b/{number}.txt")
        except Exception as exc:
            failures.append(exc)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    assert all_files(root) == []


def test_only_one_of_many_creates(root):
    storage = Storage(f"file://{root}?fsync=off")
    made = []

    def create(number):
        try:
            storage.put("a.txt", b"%d" % number, if_none_match=True)
            made.append(number)
        except SharedError:
            pass

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(made) == 1
    assert storage.get("a.txt") == b"%d" % made[0]


def test_a_reader_keeps_the_content_it_began_with(storage):
    storage.put("a.bin", b"1" * 3_000_000)

    with storage.stream("a.bin", chunk_size=1_000_000, verify=True) as download:
        pieces = iter(download)
        first = next(pieces)
        storage.put("a.bin", b"2" * 10)
        rest = list(pieces)

    assert first + b"".join(rest) == b"1" * 3_000_000


def test_no_file_stays_open(storage):
    opened = set(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else set()
    storage.put("a.bin", bytes(9_000_000))
    storage.get("a.bin")
    storage.copy("a.bin", "b.bin")
    with storage.stream("a.bin") as download:
        next(iter(download))
    storage.list()
    storage.move("b.bin", "c/d.bin")
    storage.delete("c/d.bin")

    left = {name for name in os.listdir("/proc/self/fd") if name not in opened} if opened else set()
    assert not [name for name in left if str(storage.backend.masked_url[7:]) in _target(name)]


def _target(name):
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return ""
