"""Read what the operating system says about this process."""

import os
import sys
from pathlib import Path
from typing import Final, NamedTuple

_MIB: Final = 1024 * 1024


class MemoryUse(NamedTuple):
    """Bytes of memory in use.

    ``rss`` is resident; ``heap`` the part of it that is anonymous, that is, held by
    the allocators of Python and C, and equal to ``rss`` where the platform does not
    tell the two apart.
    """

    rss: int
    heap: int


def memory_use(statm: Path = Path("/proc/self/statm")) -> MemoryUse:
    """Return the memory this process uses now."""
    try:
        fields = statm.read_text(encoding="ascii").split()
        page = os.sysconf("SC_PAGE_SIZE")
        rss, file_backed = int(fields[1]) * page, int(fields[2]) * page
    except (OSError, ValueError, IndexError):
        return _peak_memory()
    return MemoryUse(rss, max(0, rss - file_backed))


def _peak_memory() -> MemoryUse:
    """Return the peak, which is all that other systems tell without a third-party library."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rss = peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB elsewhere
    return MemoryUse(rss, rss)


class MemoryLimit(NamedTuple):
    """What the container may use and uses, in bytes."""

    limit: int
    used: int


def container_memory(root: Path = Path("/sys/fs/cgroup")) -> MemoryLimit | None:
    """Return the limit of the control group and its working set, or None when there is no limit.

    The working set is what the kernel counts when it decides to kill: usage
    without the file cache that can be dropped. Source: Linux cgroup v2
    (memory.max, memory.current, memory.stat) and v1 (memory.limit_in_bytes).
    """
    for maximum, current, stat, cache in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    ):
        try:
            limit = int((root / maximum).read_text(encoding="ascii"))
            used = int((root / current).read_text(encoding="ascii"))
            droppable = _field((root / stat).read_text(encoding="ascii"), cache)
        except (OSError, ValueError):  # absent, or the word "max"
            continue
        if limit < 1 << 60:  # v1 spells "no limit" as a number near 2**63
            return MemoryLimit(limit, max(0, used - droppable))
    return None


def _field(text: str, name: str) -> int:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def mebibytes(count: float) -> int:
    """Return *count* bytes as whole MiB."""
    return round(count / _MIB)
