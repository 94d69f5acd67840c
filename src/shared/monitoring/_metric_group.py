"""Find the other processes of the same service, without being told.

Workers of one server have the same parent: uvicorn's and hypercorn's are started by
``multiprocessing``, gunicorn's are forked by its arbiter. The folder of the group is
named after that parent and the moment it started, so that a reused process id is not
taken for it.
"""

import os
import re
import shutil
import stat
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_KEY: Final = re.compile(r".*-(\d+)-(\d+)\Z").match


def parent_of_group() -> int | None:
    """Return the id of the process whose children serve together, or None when this one serves alone."""
    # A process that multiprocessing started has loaded it; nobody else must for this.
    started_by = sys.modules.get("multiprocessing.process")
    if (started_by is not None and started_by.parent_process() is not None) or _is_gunicorn_worker():
        return os.getppid()
    return None


def _is_gunicorn_worker() -> bool:
    """Tell whether the main thread runs below ``Arbiter.spawn_worker``: the arbiter itself never does."""
    if "gunicorn.arbiter" not in sys.modules:
        return False
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001 - documented by CPython
    while frame is not None:
        code = frame.f_code
        if code.co_name == "spawn_worker" and frame.f_globals.get("__name__") == "gunicorn.arbiter":
            return True
        frame = frame.f_back
    return False


def group_directory(service: str, pid: int, base: Path | None = None) -> Path:
    """Return the folder of the children of *pid*; it need not exist."""
    name = _UNSAFE.sub("_", service)[:64] or "service"
    return (base or _base()) / f"{name}-{pid}-{started(pid)}"


def _base() -> Path:
    # The folder below it is private, and checked to be.
    memory = Path("/dev/shm")  # noqa: S108  # nosec B108
    root = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    return root / f"shared-metrics-{os.getuid()}"


def open_group(directory: Path) -> Path:
    """Create the folder for this user alone, and remove those of groups that are gone.

    Raises:
        OSError: It cannot be created, or belongs to somebody else.
    """
    for folder in (directory.parent, directory):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        # Somebody may have put a link or a folder of theirs under a predictable name.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            msg = f"{folder} is not a private folder of this user"
            raise PermissionError(msg)
    for other in directory.parent.iterdir():
        if other != directory and _is_abandoned(other):
            shutil.rmtree(other, ignore_errors=True)
    return directory


def _is_abandoned(directory: Path) -> bool:
    match = _KEY(directory.name)
    if match is None:
        return False
    pid, start = int(match[1]), match[2]
    if started(pid) == start and _exists(pid):
        return False
    from shared.monitoring._metric_slots import SlotReader  # here: the two modules know each other

    reader = SlotReader(directory)
    try:
        return not reader.processes()
    finally:
        reader.close()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def started(pid: int) -> str:
    """Return when the process started, in clock ticks since boot; ``"0"`` where nobody tells.

    Source: Linux, proc(5), field 22 of /proc/pid/stat.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return str(int(text.rpartition(")")[2].split()[19]))
    except (OSError, ValueError, IndexError):
        return "0"
