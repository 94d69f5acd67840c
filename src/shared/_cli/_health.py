"""``shared health URL``: ask a probe and say by the exit code what it answered."""

import argparse
import http.client
import json
import socket
import ssl
import time
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from shared._cli._main import FAILED, FOUND, OK, add_json
from shared._cli._output import answer, complain
from shared.errors import ValidationError

_MAX_BODY: Final = 65_536  # bytes
_MARKS: Final = {"healthy": "ok  ", "pass": "ok  ", "degraded": "warn", "warn": "warn"}


class Probe(NamedTuple):
    """What came back: HTTP status, the body when it was a JSON object, seconds it took."""

    status: int
    body: dict[str, Any] | None
    seconds: float

    @property
    def is_healthy(self) -> bool:
        """As a kubelet judges: 200 to 399 passes. Source: Kubernetes, HTTPGetAction."""
        return 200 <= self.status < 400


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to *parser*."""
    add_json(parser)
    parser.epilog = (
        "Exit code: 0 healthy or degraded, 1 unhealthy, 2 no answer. Fit for a container's HEALTHCHECK."
    )
    parser.add_argument("url", help="such as http://127.0.0.1:8000/ready")
    parser.add_argument(
        "--timeout", type=float, default=2.0, metavar="SECONDS", help="for the whole answer (default 2)"
    )
    parser.add_argument(
        "--header", action="append", default=[], metavar="NAME:VALUE", help="sent along; may be repeated"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask once and return the exit code."""
    url, headers = _url(args.url), dict(map(_header, args.header))
    if not 0 < args.timeout < 3600:
        msg = f"--timeout is seconds above 0 and below 3600, got {args.timeout:g}"
        raise ValidationError(msg)
    try:
        probe = ask(url, headers=headers, timeout=args.timeout)
    except (OSError, http.client.HTTPException) as exc:
        reason = str(exc) or type(exc).__name__
        complain(args, f"no answer from {url.netloc.rpartition('@')[2]}: {reason}")
        return FAILED
    shown = {"healthy": probe.is_healthy, "http_status": probe.status, "seconds": round(probe.seconds, 3)}
    answer(args, {**shown, "report": probe.body}, _text(probe))
    return OK if probe.is_healthy else FOUND


def ask(url: SplitResult, *, headers: dict[str, str], timeout: float) -> Probe:
    """Send one GET and read the answer, all within *timeout* seconds.

    Raises:
        OSError: No connection, no valid certificate, or the time is up.
        http.client.HTTPException: The answer is no HTTP.
    """
    began = time.monotonic()
    connection: http.client.HTTPConnection
    if url.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(url.netloc, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(url.netloc, timeout=timeout)
    try:
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("GET", target, headers={"Accept": "application/json", **headers})
        response = connection.getresponse()
        body = _read(response, connection.sock, began + timeout)
    finally:
        connection.close()
    return Probe(response.status, _object(body), time.monotonic() - began)


def _read(response: http.client.HTTPResponse, sock: socket.socket | None, until: float) -> bytes:
    body = b""
    while len(body) < _MAX_BODY:
        left = until - time.monotonic()
        if left <= 0:  # the socket's own limit is per read: an answer may drip for ever
            raise TimeoutError("the answer took too long")
        if sock is not None and sock.fileno() >= 0:
            sock.settimeout(left)
        part = response.read1(8192)
        if not part:
            break
        body += part
    return body


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(probe: Probe) -> str:
    body = probe.body or {}
    status = str(body.get("status") or ("healthy" if probe.is_healthy else "unhealthy"))
    lines = [f"{status} (HTTP {probe.status}, {probe.seconds * 1000:.0f} ms)"]
    checks = body.get("checks")
    for name, value in (checks if isinstance(checks, dict) else {}).items():
        entry = value if isinstance(value, dict) else {"status": value}
        word = str(entry.get("status"))
        details = ", ".join(f"{key}={item}" for key, item in entry.items() if key != "status")
        lines.append(f"  {_MARKS.get(word, 'FAIL')}  {name}: {word}{f' ({details})' if details else ''}")
    return "\n".join(lines)


def _url(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as exc:
        msg = f"{text!r} is no URL: {exc}"
        raise ValidationError(msg) from exc
    if url.scheme not in {"http", "https"} or not url.hostname or port == 0:
        msg = f"{text!r} is no URL to probe: http://HOST[:PORT]/PATH or https://..."
        raise ValidationError(msg)
    if url.username is not None or any(ord(char) <= 32 or ord(char) == 127 for char in text):
        msg = "the URL holds credentials, spaces or control characters: send credentials with --header"
        raise ValidationError(msg)
    return url


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (colon and name.strip()) or any(ord(char) < 32 for char in text):
        msg = f"--header needs NAME:VALUE, got {name[:40]!r}"
        raise ValidationError(msg)
    return name.strip(), value.strip()
