"""The asynchronous face: what comes may be awaited, and the event loop is not kept waiting."""

import asyncio
import inspect

import pytest

from shared.errors import InvalidArgumentError, PayloadTooLargeError, UnsupportedMediaTypeError
from shared.integrations.storage import AsyncStorage, Storage
from shared.runtime import Runtime, use


@pytest.fixture(autouse=True)
def runtime():
    with use(Runtime("test")) as made:
        yield made
    made.close()


@pytest.fixture(params=["memory", "file"])
async def storage(request, tmp_path):
    url = "memory://" if request.param == "memory" else f"file://{tmp_path}/objects?fsync=off"
    async with AsyncStorage(url, max_bytes=20_000_000) as made:
        yield made


class Upload:
    """As uploads of web frameworks are: read by awaiting."""

    def __init__(self, data):
        self._data = data

    async def read(self, size=-1):
        await asyncio.sleep(0)
        piece, self._data = self._data[:size], self._data[size:]
        return piece


async def pieces(data, size=100_000):
    for start in range(0, len(data), size):
        await asyncio.sleep(0)
        yield data[start : start + size]


@pytest.mark.parametrize("size", [10, 70_000, 9_000_000], ids=str)
async def test_content_may_be_awaited(storage, size):
    data = bytes(range(250)) * (size // 250 + 1)

    await storage.put("upload.bin", Upload(data))
    await storage.put("pieces.bin", pieces(data))
    await storage.put("whole.bin", data)

    for key in ("upload.bin", "pieces.bin", "whole.bin"):
        assert await storage.get(key, verify=True) == data


async def test_what_is_too_large_is_refused_while_it_comes(storage):
    async def endless():
        while True:
            yield bytes(1_000_000)

    with pytest.raises(PayloadTooLargeError):
        await storage.put("a.bin", endless())

    assert (await storage.list()).items == ()


async def test_a_wrong_type_is_refused_at_its_first_bytes(storage):
    seen = 0

    async def script():
        nonlocal seen
        while True:
            seen += 1
            yield b"<script>alert(1)</script>" * 100

    with pytest.raises(UnsupportedMediaTypeError):
        await storage.put("a.png", script())

    assert seen == 1


async def test_pieces_that_are_no_bytes_are_refused(storage):
    async def numbers():
        yield 7

    with pytest.raises(InvalidArgumentError, match="content comes in bytes, got int"):
        await storage.put("a.bin", numbers())


async def test_a_put_that_is_cancelled_leaves_nothing(storage):
    waiting = asyncio.Event()

    async def hanging():
        yield bytes(5_000_000)
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(storage.put("a.bin", hanging()))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (await storage.list()).items == ()


async def test_many_at_once_do_not_disturb_each_other(storage):
    async def one(number):
        key, data = f"folder/{number}", b"%d" % number * 50_000
        await storage.put(key, data)
        assert await storage.get(key, verify=True) == data
        await storage.move(key, f"done/{number}")

    await asyncio.gather(*(one(number) for number in range(20)))

    assert len((await storage.list("done/")).items) == 20


async def test_both_faces_are_one_storage():
    storage = Storage()
    storage.put("a.txt", b"1")

    assert await storage.aio.get("a.txt") == b"1"
    assert storage.aio is storage.aio
    assert repr(storage.aio) == "<AsyncStorage 'memory://'>"


def test_both_faces_have_the_same_methods():
    def shape(cls):
        return {
            name: [str(one) for one in inspect.signature(member).parameters.values()]
            for name, member in vars(cls).items()
            if not name.startswith("_") and callable(member)
        }

    assert shape(Storage) == shape(AsyncStorage)
