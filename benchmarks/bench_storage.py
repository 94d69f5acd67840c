"""What a storage costs above the file system, and above the clients of S3."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import check

DATA = os.urandom(65_536)
KEYS = {"access_key_id": "AKIABENCH", "secret_access_key": "bench", "region": "us-east-1"}


def _timed(operation: Callable[[], Any]) -> Run:
    """By the clock on the wall: a disk and a server work elsewhere."""

    def run(loops: int) -> tuple[float]:
        began = time.perf_counter()
        for _ in range(loops):
            operation()
        return ((time.perf_counter() - began) / loops,)

    return run


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield Path(folder)


# --- a directory --------------------------------------------------------------------------


def _plain_write(path: Path, *, fsync: bool) -> None:
    with path.open("wb") as file:
        file.write(DATA)
        if fsync:
            file.flush()
            os.fsync(file.fileno())


@contextlib.contextmanager
def put_floor() -> Iterator[Run]:
    """Half a file after a crash, and nobody knows its type or digest."""
    with _folder() as folder:
        yield _timed(lambda: _plain_write(folder / "a.bin", fsync=True))


@contextlib.contextmanager
def put_atomic() -> Iterator[Run]:
    """What it takes for the bytes alone to be whole and on the disk: file, rename, folder."""
    with _folder() as folder:

        def put() -> None:
            _plain_write(folder / "a.tmp", fsync=True)
            (folder / "a.tmp").rename(folder / "a.bin")
            above = os.open(folder, os.O_RDONLY)
            os.fsync(above)
            os.close(above)

        yield _timed(put)


@contextlib.contextmanager
def _ours_put(options: str) -> Iterator[Run]:
    from shared.integrations.storage import Storage

    with _folder() as folder:
        storage = Storage(f"file://{folder}{options}")
        storage.put("a.bin", DATA)
        check(storage.get("a.bin", verify=True) == DATA, "the content came out changed")
        yield _timed(lambda: storage.put("a.bin", DATA))


@contextlib.contextmanager
def put_unsynced_floor() -> Iterator[Run]:
    with _folder() as folder:
        yield _timed(lambda: _plain_write(folder / "a.bin", fsync=False))


@contextlib.contextmanager
def put_obstore() -> Iterator[Run]:
    """Atomic, not forced to the disk, without type or digest."""
    import obstore
    from obstore.store import LocalStore

    with _folder() as folder:
        store = LocalStore(str(folder))
        yield _timed(lambda: obstore.put(store, "a.bin", DATA))


@contextlib.contextmanager
def get_floor() -> Iterator[Run]:
    with _folder() as folder:
        path = folder / "a.bin"
        _plain_write(path, fsync=False)
        yield _timed(path.read_bytes)


@contextlib.contextmanager
def _ours_get(*, verify: bool) -> Iterator[Run]:
    from shared.integrations.storage import Storage

    with _folder() as folder:
        storage = Storage(f"file://{folder}?fsync=off")
        storage.put("a.bin", DATA)
        check(storage.get("a.bin", verify=verify) == DATA, "the content came out changed")
        yield _timed(lambda: storage.get("a.bin", verify=verify))


@contextlib.contextmanager
def get_obstore() -> Iterator[Run]:
    import obstore
    from obstore.store import LocalStore

    with _folder() as folder:
        store = LocalStore(str(folder))
        obstore.put(store, "a.bin", DATA)
        yield _timed(lambda: bytes(obstore.get(store, "a.bin").bytes()))


# --- S3 -----------------------------------------------------------------------------------


@contextlib.contextmanager
def _server() -> Iterator[str]:
    """Start an S3 server of this row's own, on loopback, with the bucket ``bench``."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                request = urllib.request.Request(f"{url}/bench", method="PUT")
                with urllib.request.urlopen(request, timeout=10):
                    break
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def s3_floor() -> Iterator[Run]:
    import obstore
    from obstore.store import S3Store

    with _server() as url:
        store = S3Store("bench", config={"endpoint": url, **KEYS}, client_options={"allow_http": True})
        obstore.put(store, "a.bin", DATA)
        yield _timed(lambda: bytes(obstore.get(store, "a.bin").bytes()))


@contextlib.contextmanager
def _ours_s3(*, verify: bool) -> Iterator[Run]:
    from shared.integrations.storage import Storage

    with _server() as url:
        storage = Storage("s3://bench", endpoint_url=url, **KEYS)
        storage.put("a.bin", DATA)
        check(storage.get("a.bin", verify=verify) == DATA, "the content came out changed")
        yield _timed(lambda: storage.get("a.bin", verify=verify))


@contextlib.contextmanager
def s3_boto3() -> Iterator[Run]:
    import boto3

    with _server() as url:
        client = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id=KEYS["access_key_id"],
            aws_secret_access_key=KEYS["secret_access_key"],
            region_name=KEYS["region"],
        )
        client.put_object(Bucket="bench", Key="a.bin", Body=DATA)
        yield _timed(lambda: client.get_object(Bucket="bench", Key="a.bin")["Body"].read())


@contextlib.contextmanager
def s3_ours_async() -> Iterator[Run]:
    from shared.integrations.storage import AsyncStorage

    async def repeat(loops: int, operation: Callable[[], Awaitable[Any]]) -> float:
        began = time.perf_counter()
        for _ in range(loops):
            await operation()
        return (time.perf_counter() - began) / loops

    with _server() as url, asyncio.Runner() as runner:
        storage = AsyncStorage("s3://bench", endpoint_url=url, **KEYS)
        runner.run(storage.put("a.bin", DATA))
        yield lambda loops: (runner.run(repeat(loops, lambda: storage.get("a.bin"))),)


OBSTORE = ("obstore",)
S3 = ("obstore", "moto", "flask_cors")
PUT, UNSYNCED = "floor: open, write, fsync", "floor: open, write"
GET, S3_GET = "floor: open, read", "floor: obstore"

TABLES = (
    Table(
        name="storage",
        title="writing 64 KiB to a directory, on the disk when it returns",
        base=PUT,
        cases=(
            Case(PUT, put_floor, kind="floor"),
            Case("by hand: write, rename, fsync both", put_atomic, kind="floor"),
            Case("ours", lambda: _ours_put(""), kind="ours"),
        ),
        goals=(Goal("ours", "by hand: write, rename, fsync both", at_most=3.0),),
        metrics=("wall",),
        rounds=(20, 5),
        notes=("ours keeps type, digest and metadata in a second file, which is on the disk as well",),
    ),
    Table(
        name="storage-unsynced",
        title="writing 64 KiB to a directory, left to the system",
        base=UNSYNCED,
        cases=(
            Case(UNSYNCED, put_unsynced_floor, kind="floor"),
            Case("ours", lambda: _ours_put("?fsync=off"), kind="ours"),
            Case("obstore", put_obstore, requires=OBSTORE),
        ),
        metrics=("wall",),
        rounds=(20, 5),
    ),
    Table(
        name="storage-get",
        title="reading 64 KiB from a directory",
        base=GET,
        cases=(
            Case(GET, get_floor, kind="floor"),
            Case("ours", lambda: _ours_get(verify=False), kind="ours"),
            Case("ours, verified", lambda: _ours_get(verify=True), kind="ours"),
            Case("obstore", get_obstore, requires=OBSTORE),
        ),
        metrics=("wall",),
        rounds=(20, 5),
    ),
    Table(
        name="storage-s3",
        title="reading 64 KiB from S3 on loopback, by the clock on the wall",
        base=S3_GET,
        cases=(
            Case(S3_GET, s3_floor, kind="floor", requires=S3),
            Case("ours", lambda: _ours_s3(verify=False), kind="ours", requires=S3),
            Case("ours, verified", lambda: _ours_s3(verify=True), kind="ours", requires=S3),
            Case("ours, await get", s3_ours_async, kind="ours", requires=S3),
            Case("boto3", s3_boto3, requires=(*S3, "boto3")),
        ),
        goals=(Goal("ours", S3_GET, at_most=1.5),),
        metrics=("wall",),
        rounds=(15, 5),
        notes=("most of it is the server's own time",),
    ),
)
