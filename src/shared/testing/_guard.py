"""Runs one server for a test run, and ends it when the run ends, however that happens.

Run as a program with only the standard library: it gets its orders as one line of
JSON on its input, answers with one line of JSON when the server is ready, and takes
the commands ``stop``, ``kill``, ``start`` and ``quit`` after that. It is the parent
of the server, so the server dies with it; it watches the test run, so it ends with
that, and it deletes the server's folder last.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__: list[str] = []

_INITDB_SECONDS = 90.0
_START_SECONDS = 40.0
_STOP_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1


class GuardError(Exception):
    """The server did not come up; the text says why."""


class Owner:
    """The test run this server belongs to.

    Args:
        pid: Its process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.fd = -1
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # gone, or forbidden in a sandbox: asked by number below
                self.fd = os.pidfd_open(pid)

    def is_gone(self) -> bool:
        """Tell whether the process has ended, also when nobody has collected it yet."""
        if self.fd >= 0:
            return bool(select.select([self.fd], [], [], 0)[0])
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        try:
            status = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return status.rpartition(")")[2].split()[:1] == ["Z"]


class Server:
    """One server process and its folder.

    Args:
        orders: What to run: ``kind``, ``program``, ``uid``, ``bundle``, ``secret``.
        folder: Where it may write.
        owner: Whose end is its end.
    """

    #: The signal that ends the server at once, without a checkpoint.
    end_signal = signal.SIGTERM

    def __init__(self, orders: dict[str, Any], folder: Path, owner: Owner) -> None:
        self.orders = orders
        self.folder = folder
        self.owner = owner
        self.uid: int | None = orders.get("uid")
        self.program = Path(orders["program"])
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Do what must be done once, before the first start."""

    def command(self) -> tuple[list[str], bytes]:
        """Return the command line and what the server reads from its input."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Return how to reach it."""
        raise NotImplementedError

    def spawn(self, command: list[str], read: bytes = b"") -> subprocess.Popen[bytes]:
        """Start a process that dies with this one, with nothing of the machine's environment."""
        as_user: dict[str, Any] = {}
        if self.uid is not None:
            as_user = {"user": self.uid, "group": self.uid, "extra_groups": []}
        with self.log.open("ab") as log, tempfile.TemporaryFile() as source:
            source.write(read)
            source.seek(0)
            try:
                return subprocess.Popen(  # noqa: S603 - the program is the order
                    command, cwd=self.folder, stdin=source, stdout=log, stderr=log,
                    preexec_fn=_die_with(self.end_signal),  # noqa: PLW1509 - there are no threads here
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.folder)},
                    **as_user,
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError) as exc:
                who = "" if self.uid is None else f" as uid {self.uid}"
                msg = f"{command[0]} cannot be run{who}: {exc}"
                raise GuardError(msg) from exc

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command, read = self.command()
        self.log.write_bytes(b"")
        self.process = self.spawn(command, read)
        until = time.monotonic() + _START_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None:
                msg = f"{command[0]} ended with {self.process.returncode}: {self.last_words()}"
                raise GuardError(msg)
            self.wait_a_moment(until, command[0])

    def wait_a_moment(self, until: float, what: str) -> None:
        """Sleep a few milliseconds; an error when the time is over or the test run has ended."""
        if self.owner.is_gone():
            raise GuardError("the test run has ended")
        if time.monotonic() > until:
            msg = f"{what} was not ready in time: {self.last_words()}"
            raise GuardError(msg)
        time.sleep(0.005)

    def stop(self, number: int | None = None) -> None:
        """End the server, by force when it does not obey."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(self.end_signal if number is None else number)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def last_words(self) -> str:
        """Return the end of the log, on one line."""
        with contextlib.suppress(OSError):
            lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
            return " | ".join(line.strip() for line in lines if line.strip())[-800:] or "it said nothing"
        return "it said nothing"


class Postgres(Server):
    """PostgreSQL on a socket in its own folder: no port, nobody else can connect."""

    end_signal = signal.SIGQUIT

    def prepare(self) -> None:
        """Make the cluster."""
        if self.orders.get("bundle"):
            self._copy_bundle()
        version = int(self.orders["version"].partition(".")[0])
        if version >= 17:  # the server's own locale: the same on every machine
            choices = [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
        else:  # the machine's, where it has one that knows letters beyond ASCII
            choices = [["--locale=C.UTF-8"], ["--locale=C"]]
        for locale in choices:
            if self._initdb(locale):
                return
        msg = f"{self.program.with_name('initdb')} failed: {self.last_words()}"
        raise GuardError(msg)

    def _copy_bundle(self) -> None:
        """Copy binaries that the server's user could not reach where they are."""
        root = Path(self.orders["bundle"])
        for name in self.orders["parts"]:
            shutil.copytree(root / name, self.folder / "bundle" / name, symlinks=True)
        self.program = self.folder / "bundle" / self.program.relative_to(root)

    def _initdb(self, locale: list[str]) -> bool:
        command = [
            str(self.program.with_name("initdb")), "--pgdata", str(self.folder / "data"),
            "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "--lc-messages=C", *locale,
        ]  # fmt: skip
        process = self.spawn(command)
        until = time.monotonic() + _INITDB_SECONDS
        try:
            while process.poll() is None:
                self.wait_a_moment(until, command[0])
        finally:
            process.kill()
            process.wait()
        return process.returncode == 0

    def start(self) -> None:
        """Start it; once more while the processes of a killed one have not all ended."""
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                return super().start()
            except GuardError as exc:
                if "pre-existing shared memory block" not in str(exc):
                    raise
                self.wait_a_moment(until, str(self.program))

    def command(self) -> tuple[list[str], bytes]:
        """Return the command: nothing listens on the network, nothing waits for the disk.

        What was committed survives the death of the server all the same, for tests of
        that: commits reach the system, which only need not write them down.
        """
        settings = {
            "listen_addresses": "", "unix_socket_directories": str(self.folder), "port": "5432",
            "unix_socket_permissions": "0700", "fsync": "off", "full_page_writes": "off",
            "max_connections": "200", "deadlock_timeout": "100ms", "checkpoint_timeout": "1h", "jit": "off",
            "timezone": "UTC", "log_timezone": "UTC",
            "logging_collector": "off", "log_destination": "stderr", "max_locks_per_transaction": "256",
        }  # fmt: skip
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.program), "-D", str(self.folder / "data"), *flags], b""

    def is_ready(self) -> bool:
        """Tell whether the server has written that it accepts connections."""
        with contextlib.suppress(OSError):
            lines = (self.folder / "data" / "postmaster.pid").read_text().split("\n")
            mine = self.process is not None and lines[0].strip() == str(self.process.pid)
            return mine and len(lines) > 7 and lines[7].strip() == "ready"
        return False

    def facts(self) -> dict[str, Any]:
        """Return the URL; it leaves nothing to the machine's environment."""
        return {"url": f"postgresql://postgres@/postgres?host={self.folder}&port=5432"}


class Redis(Server):
    """Redis or Valkey on a free port of the loopback address, behind a password."""

    port = 0

    def start(self) -> None:
        """Start it; another port when somebody was quicker."""
        keep, tries = self.port, 5
        while True:
            if not keep:
                with socket.socket() as free:
                    free.bind(("127.0.0.1", 0))
                    self.port = free.getsockname()[1]
            try:
                return super().start()
            except GuardError as exc:
                tries -= 1
                if keep or not tries or "address already in use" not in str(exc).lower():
                    raise

    def command(self) -> tuple[list[str], bytes]:
        """Return the command; the password goes through the input, where no list of processes shows it."""
        lines = [
            f"port {self.port}", "bind 127.0.0.1", "protected-mode yes", "databases 256", "daemonize no",
            f"requirepass {self.orders['secret']}", 'save ""', "appendonly no", f'dir "{self.folder}"',
            'logfile ""',
        ]  # fmt: skip
        return [str(self.program), "-"], "\n".join(lines).encode()

    def is_ready(self) -> bool:
        """Tell whether it answers to its password."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0) as client:
            client.sendall(f"AUTH {self.orders['secret']}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\n") < 2 and (part := client.recv(100)):
                answer += part
            return answer == b"+OK\r\n+PONG\r\n"
        return False

    def facts(self) -> dict[str, Any]:
        """Return the URL."""
        return {"url": f"redis://:{self.orders['secret']}@127.0.0.1:{self.port}/0"}


def _die_with(number: int) -> Callable[[], None] | None:
    """Return what makes a new process get *number* when this one ends; None where the system cannot."""
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def bind() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return bind


def _watch(server: Server) -> None:
    """Serve commands until the test run ends; a closed input means that no more come."""
    sources = [0] if server.owner.fd < 0 else [0, server.owner.fd]
    # Without a descriptor to wait on, the run is asked about five times a second.
    wait = 0.2 if server.owner.fd < 0 else None
    pending = b""
    while not server.owner.is_gone():
        ready = select.select(sources, [], [], wait)[0]
        if 0 in ready:
            part = os.read(0, 4096)
            if not part:
                sources.remove(0)
            pending += part
            while b"\n" in pending:
                line, _, pending = pending.partition(b"\n")
                if line == b"quit":
                    return
                _answer(_obey, server, line.decode())


def _obey(server: Server, command: str) -> dict[str, Any]:
    if command != "start":
        server.stop({"stop": None, "kill": signal.SIGKILL}[command])
    elif server.process is None or server.process.poll() is not None:
        try:
            server.start()
        except GuardError:
            server.stop()
            raise
    return {}


def _answer(work: Callable[..., dict[str, Any]], *arguments: Any) -> bool:
    try:
        reply = work(*arguments)
    except GuardError as exc:
        reply = {"error": str(exc)}
    except Exception as exc:  # noqa: BLE001 - the disk is full, a command is unknown: the starter is told
        reply = {"error": f"{type(exc).__name__}: {exc}"}
    _say(reply)
    return "error" not in reply


def _say(reply: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(1, json.dumps(reply).encode() + b"\n")


def _begin(server: Server) -> dict[str, Any]:
    """Make the server ready and tell how to reach it, also in the file the test run shares."""
    orders = server.orders
    if server.uid is not None:
        os.chown(server.folder, server.uid, server.uid)
    server.prepare()
    server.start()
    facts = {**orders["seen"], **server.facts(), "guard": os.getpid(), "folder": str(server.folder)}
    if orders["state"] is not None:
        scratch = Path(f"{orders['state']}.new")
        scratch.write_text(json.dumps(facts), encoding="utf-8")
        scratch.replace(orders["state"])
    return facts


def _main() -> None:
    with open(0, "rb", buffering=0, closefd=False) as orders_come:  # one byte more would be a command
        orders = json.loads(orders_come.readline())
    if orders["detach"] and os.fork():
        os._exit(0)  # the starter need not collect us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    owner = Owner(orders["owner"])
    if orders["lock"] is not None:  # held for life: whoever gets it knows that we are gone
        fcntl.flock(os.open(orders["lock"], os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX)
    try:
        folder = Path(tempfile.mkdtemp(prefix="shared-", dir=orders["tmp"]))
    except OSError as exc:
        _say({"error": str(exc)})
        return
    server = {"postgres": Postgres, "redis": Redis}[orders["kind"]](orders, folder, owner)
    try:
        if _answer(_begin, server):
            _watch(server)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _main()
