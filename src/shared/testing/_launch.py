"""Starts a server under a guard, and talks to the guard."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from shared.errors import ServiceUnavailableError
from shared.testing._binaries import NOBODY, Binary, is_reachable

__all__ = ["Guard", "begin"]

_GUARD: Final = Path(__file__).with_name("_guard.py")
#: A socket's path has room for 103 bytes on the narrowest system; the folder and the name are in it, too.
_LONGEST_TMP: Final = 70


class Guard:
    """The process that keeps one server.

    Args:
        process: As started.
        facts: What it said when the server was ready: ``url``, ``folder``, ``guard``.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", facts: dict[str, Any]) -> None:
        self.process = process
        self.facts = facts

    def tell(self, command: str) -> None:
        """Send ``stop``, ``kill`` or ``start`` and wait until it is done.

        Raises:
            ServiceUnavailableError: The server did not come up, or the guard is gone.
        """
        answer = _talk(self.process, command.encode())
        if "error" in answer:
            msg = f"the test server could not {command}: {answer['error']}"
            raise ServiceUnavailableError(msg)

    def quit(self) -> None:
        """End the server and delete its folder; calling it twice does nothing."""
        process = self.process
        if process.stdin is not None and not process.stdin.closed:
            with contextlib.suppress(OSError):
                process.stdin.write(b"quit\n")
                process.stdin.flush()
        try:
            process.wait(20.0)
        except subprocess.TimeoutExpired:
            process.kill()  # the server dies with it
            process.wait()
        self.release()

    def release(self) -> None:
        """Close this end of the conversation; the guard goes on."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def begin(
    binary: Binary,
    kind: str,
    *,
    owner: int | None = None,
    state: Path | None = None,
    seen: dict[str, Any] | None = None,
) -> Guard:
    """Start a server from *binary* and return when it answers.

    Args:
        binary: What to run.
        kind: ``postgres`` or ``redis``.
        owner: The process whose end is the server's end; this one when None.
        state: File that shall tell other processes how to reach it. With it, the guard
            is nobody's child and lives until its owner ends or a signal comes.
        seen: Further facts for that file.

    Raises:
        ServiceUnavailableError: It did not come up; the message says what it said.
    """
    as_root = kind == "postgres" and os.geteuid() == 0
    orders: dict[str, Any] = {
        "kind": kind,
        "program": str(binary.program),
        "version": binary.version,
        "owner": os.getpid() if owner is None else owner,
        "tmp": _temporary(kind, as_root=as_root),
        "uid": NOBODY if as_root else None,
        "secret": secrets.token_urlsafe(24),
        "detach": state is not None,
        "state": None if state is None else str(state),
        "lock": None if state is None else f"{state}.alive",
        "seen": seen or {},
    }
    if as_root and not is_reachable(binary.program):
        if binary.bundle is None:
            msg = (
                f"{binary.program} is in a folder that uid {NOBODY} may not enter, "
                "and PostgreSQL refuses to run as root"
            )
            raise ServiceUnavailableError(msg)
        orders |= {"bundle": str(binary.bundle), "parts": binary.parts}
    return _run(orders)


def _run(orders: dict[str, Any]) -> Guard:
    try:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, and a file of ours
            [sys.executable, "-I", str(_GUARD)], cwd="/", start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as exc:
        msg = f"{sys.executable} cannot be run: {exc}"
        raise ServiceUnavailableError(msg) from exc
    try:
        facts = _talk(process, json.dumps(orders).encode())
    except BaseException:  # interrupted: nothing may stay behind
        Guard(process, {}).quit()
        raise
    guard = Guard(process, facts)
    if orders["detach"] or "error" in facts:
        process.wait()  # the first of two processes, or one that has given up
        guard.release()
    if "error" in facts:
        raise ServiceUnavailableError(str(facts["error"]))
    return guard


def _talk(process: "subprocess.Popen[bytes]", line: bytes) -> dict[str, Any]:
    """Send one line and return the answer."""
    if process.stdin is None or process.stdout is None or process.stdin.closed:
        return {"error": "its guard was closed"}
    with contextlib.suppress(OSError):
        process.stdin.write(line + b"\n")
        process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        return {"error": "its guard has ended"}
    found: dict[str, Any] = json.loads(answer)
    return found


def _temporary(kind: str, *, as_root: bool) -> str:
    """Return a folder for the server's own that is short enough for a socket and open to its user."""
    wanted = tempfile.gettempdir()
    if kind != "postgres":
        return wanted
    for place in (wanted, "/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108 - a private folder is made inside
        short = len(os.fsencode(place)) <= _LONGEST_TMP
        if short and os.access(place, os.W_OK) and (not as_root or is_reachable(Path(place))):
            return place
    msg = (
        f"no folder for PostgreSQL's files: {wanted!r} is too long for a socket or closed to uid {NOBODY}, "
        "and so are /tmp, /var/tmp and /dev/shm; set TMPDIR to a short one"
    )
    raise ServiceUnavailableError(msg)
