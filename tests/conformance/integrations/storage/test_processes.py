"""Memory stays small whatever is moved, and a fork is survived or refused."""

import json
import os
import subprocess
import sys

import pytest

from tests.conformance.integrations.storage.conftest import S3_KEYS

MOVE = """
import asyncio, json, pathlib, resource, sys
from shared.integrations.storage import Storage

url, options, face = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
MIB = 1024 * 1024
storage = Storage(url, max_bytes=10**9, **options)
storage.put("warm.bin", bytes(6 * MIB))       # threads and buffers are there
list(storage.stream("warm.bin"))
status = pathlib.Path("/proc/self/status")
if status.exists():  # the limit is one of Linux
    used = next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (used + 120 * MIB, resource.RLIM_INFINITY))

def pieces():
    for number in range(160):
        yield number.to_bytes(4, "big") * (MIB // 4)

async def both():
    aio = storage.aio
    await aio.put("big.bin", pieces())
    async with await aio.stream("big.bin", verify=True) as download:
        return [len(piece) async for piece in download]

if face == "sync":
    storage.put("big.bin", pieces())
    with storage.stream("big.bin", verify=True) as download:
        sizes = [len(piece) for piece in download]
else:
    sizes = asyncio.run(both())
assert sum(sizes) == 160 * MIB, sum(sizes)
storage.delete("big.bin")
print("moved")
"""


def run(script, *arguments):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], env=env, capture_output=True, text=True, timeout=110
    )


@pytest.mark.parametrize(("kind", "face"), [("file", "sync"), ("gs", "sync"), ("gs", "async")])
def test_what_is_large_is_moved_in_less_memory(request, tmp_path, kind, face):
    if kind == "file":
        url, options = f"file://{tmp_path}/objects?fsync=off", {}
    else:
        url, options = "gs://objects/large", {"endpoint_url": request.getfixturevalue("gcs_url")}

    found = run(MOVE, url, json.dumps(options), face)

    assert found.stdout == "moved\n", found.stderr


FORK = """
import json, os, signal, sys
from shared.errors import ConfigurationError
from shared.integrations.storage import Storage

storage = Storage(sys.argv[1], **json.loads(sys.argv[2]))
if sys.argv[3] == "before":
    storage.put("a.txt", b"parent")
child = os.fork()
if child == 0:
    signal.alarm(60)
    try:
        storage.put("a.txt", b"child")
        os._exit(0 if storage.get("a.txt") == b"child" else 1)
    except ConfigurationError as error:
        os._exit(7 if "forked" in str(error) else 8)
    except BaseException:
        os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(
    ("kind", "used", "status"),
    [("s3", "after", 0), ("s3", "before", 7), ("file", "before", 0), ("memory", "before", 0)],
)
def test_a_forked_child_works_or_is_told_why_not(request, tmp_path, kind, used, status):
    urls = {"s3": "s3://objects/fork", "file": f"file://{tmp_path}?fsync=off", "memory": "memory://"}
    options = {**S3_KEYS, "endpoint_url": request.getfixturevalue("s3_url")} if kind == "s3" else {}

    found = run(FORK, urls[kind], json.dumps(options), used)

    assert found.stdout == f"{status}\n", found.stderr
