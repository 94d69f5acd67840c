"""A server in a process of its own, and a small client that keeps it busy."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks._apps import PATH
from benchmarks._harness import ROOT, environment
from benchmarks._model import Run
from benchmarks._tools import check

CONNECTIONS = 8
_REQUEST = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n".encode()


@contextlib.contextmanager
def served(app: str) -> Iterator[Run]:
    """Serve ``benchmarks._servers:<app>`` by uvicorn; yield ``run(requests)``.

    ``run`` returns seconds of wall time and of the server's CPU time for one request.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    port = listener.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks._servers", app, str(listener.fileno())]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(), pass_fds=[listener.fileno()], stdin=subprocess.PIPE
    )
    listener.close()
    try:
        asyncio.run(_wait_until_ready(port, process))
        yield lambda requests: _burst(port, process.pid, requests)
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _burst(port: int, pid: int, requests: int) -> tuple[float, float]:
    cpu, started = cpu_seconds(pid), time.perf_counter()
    asyncio.run(_send(port, requests))
    wall = time.perf_counter() - started
    return wall / requests, (cpu_seconds(pid) - cpu) / requests


async def _send(port: int, requests: int) -> None:
    """Send *requests* over a few kept-open connections, as fast as they are answered."""
    share, rest = divmod(requests, CONNECTIONS)
    counts = [share + (number < rest) for number in range(CONNECTIONS)]
    await asyncio.gather(*(_one_connection(port, count) for count in counts if count))


async def _one_connection(port: int, count: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for _ in range(count):
            writer.write(_REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            check(head.startswith(b"HTTP/1.1 200"), f"answer {head[:40]!r}")
            marker = head.lower().index(b"content-length:") + 15
            await reader.readexactly(int(head[marker : head.index(b"\r", marker)]))
    finally:
        writer.close()
        await writer.wait_closed()


async def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    # The socket listens from the start: the first answer comes when the server is up.
    sending = asyncio.ensure_future(_send(port, 1))
    async with asyncio.timeout(60):
        while not sending.done():
            check(process.poll() is None, f"the server ended with status {process.returncode}")
            await asyncio.wait([sending], timeout=0.1)
    await sending


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of the process so far; nan where the system does not tell."""
    try:
        # Nanoseconds, where the kernel counts them; else clock ticks.
        fields = [(task / "schedstat").read_text().split() for task in Path(f"/proc/{pid}/task").iterdir()]
        return sum(int(field[0]) for field in fields) / 1e9
    except (OSError, ValueError, IndexError):
        pass
    try:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return float("nan")
