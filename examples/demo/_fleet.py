"""Start real servers on free loopback ports and stop them again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT = 60.0  # seconds; a loaded machine imports slowly


def free_port() -> int:
    """Return a port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _lower(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


@dataclass
class Answer:
    """What a service said; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class Server:
    """One service in a process of its own; its output goes to a log file."""

    name: str
    command: list[str]
    port: int
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the process; :meth:`wait_until_live` says when it answers."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("COV_CORE")} | self.env
        self.started = time.monotonic()
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, *self.command], cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT
            )

    def wait_until_live(self) -> float:
        """Return the seconds from start until /live answered 200."""
        assert self.process is not None
        while time.monotonic() - self.started < START_TIMEOUT:
            if self.process.poll() is not None:
                msg = f"{self.name} ended with {self.process.returncode}:\n{self.log.read_text()}"
                raise RuntimeError(msg)
            try:
                if self.get("/live", timeout=1.0).status == 200:
                    return time.monotonic() - self.started
            except OSError:
                time.sleep(0.05)
        msg = f"{self.name} did not answer within {START_TIMEOUT:g} s:\n{self.log.read_text()}"
        raise RuntimeError(msg)

    def get(self, path: str, **options: Any) -> Answer:
        """GET *path*."""
        return self.request("GET", path, **options)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 10.0,
    ) -> Answer:
        """Send one request; every status is an answer, only a broken connection raises."""
        headers = dict(headers or {})
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                return Answer(reply.status, _lower(reply.headers.items()), reply.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Answer(refusal.code, _lower(refusal.headers.items()), refusal.read())

    def log_events(self) -> list[dict[str, Any]]:
        """Return the JSON lines the service has logged so far."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def stop(self, timeout: float = 15.0) -> int:
        """Ask it to end as an orchestrator does, and return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return int(self.process.returncode)
