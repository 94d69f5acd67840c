"""Checks that every service can have: memory, disk, and any number with a limit."""

import inspect
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from shared.errors import InvalidArgumentError
from shared.monitoring._check import HealthCheck, HealthStatus
from shared.monitoring._process import MemoryLimit, MemoryUse, container_memory, mebibytes, memory_use


def memory_check(
    *,
    max_rss: int | None = None,
    degraded_above: float = 0.9,
    name: str = "memory",
    read: Callable[[], MemoryUse] = memory_use,
    container: Callable[[], MemoryLimit | None] = container_memory,
) -> HealthCheck:
    """Return the documented ``memory`` check: ``rss`` and ``heapUsed`` in MiB.

    Degraded, never unhealthy: a full process still answers, and taking all replicas
    out of traffic because of memory makes the others fuller.

    Args:
        max_rss: Bytes of resident memory that are too much for this process; the
            container's limit decides when None.
        degraded_above: Part of the container's limit from which it is too much, in (0, 1].
        name: Name of the check.
        read: Source of the process' figures.
        container: Source of the container's figures.

    Example:
        >>> check = memory_check(read=lambda: MemoryUse(150 << 20, 80 << 20), container=lambda: None)
        >>> check.check()
        {'status': 'healthy', 'rss': 150, 'heapUsed': 80}
    """
    if not 0 < degraded_above <= 1:
        msg = f"degraded_above is a part of the limit, above 0 and at most 1, got {degraded_above!r}"
        raise InvalidArgumentError(msg)

    def check() -> dict[str, Any]:
        use = read()
        facts: dict[str, Any] = {"rss": mebibytes(use.rss), "heapUsed": mebibytes(use.heap)}
        if max_rss is not None:
            full = use.rss > max_rss
        else:
            group = container()
            full = group is not None and group.used > group.limit * degraded_above
            if full and group is not None:
                facts["limit"] = mebibytes(group.limit)
        return {"status": str(HealthStatus.DEGRADED if full else HealthStatus.HEALTHY), **facts}

    return HealthCheck(name, check, critical=False)


def disk_check(
    path: str | Path = ".",
    *,
    degraded_below: float = 0.1,
    unhealthy_below: float = 0.02,
    critical: bool = False,
    name: str = "disk",
) -> HealthCheck:
    """Return a check of the free space where *path* lies, in MiB.

    Args:
        path: Any path on the file system meant.
        degraded_below: Free part of the whole below which it is degraded, in [0, 1].
        unhealthy_below: Free part below which it is unhealthy, at most *degraded_below*.
        critical: Whether a full disk makes the service unready.
        name: Name of the check.

    Example:
        >>> sorted(disk_check("/").check())
        ['free', 'status', 'total']
    """
    if not 0 <= unhealthy_below <= degraded_below <= 1:
        limits = f"{unhealthy_below!r}, {degraded_below!r}"
        msg = f"0 <= unhealthy_below <= degraded_below <= 1 does not hold: {limits}"
        raise InvalidArgumentError(msg)

    def check() -> dict[str, Any]:
        total, _, free = shutil.disk_usage(path)
        part = free / total if total else 0.0
        status = HealthStatus.HEALTHY
        if part < degraded_below:
            status = HealthStatus.UNHEALTHY if part < unhealthy_below else HealthStatus.DEGRADED
        return {"status": str(status), "free": mebibytes(free), "total": mebibytes(total)}

    return HealthCheck(name, check, critical=critical)


def threshold_check(
    name: str,
    read: Callable[[], float | Awaitable[float]],
    *,
    degraded_above: float | None = None,
    unhealthy_above: float | None = None,
    unit: str = "",
    critical: bool = False,
    timeout: float | None = None,
) -> HealthCheck:
    """Return a check of any number that must not grow: outbox lag, replica lag, pending migrations.

    Args:
        name: Name of the check.
        read: Synchronous or asynchronous function that returns the number.
        degraded_above: Number above which it is degraded.
        unhealthy_above: Number above which it is unhealthy.
        unit: Shown beside the value, such as ``"s"``.
        critical: Whether unhealthy makes the service unready.
        timeout: Seconds *read* may take; the registry's default when None.

    Example:
        >>> threshold_check("outbox", lambda: 12.5, degraded_above=10, unit="s").check()
        {'status': 'degraded', 'value': 12.5, 'unit': 's'}
    """
    if degraded_above is None and unhealthy_above is None:
        msg = f"health check {name!r} has no limit: give degraded_above, unhealthy_above, or both"
        raise InvalidArgumentError(msg)

    def judge(value: float) -> dict[str, Any]:
        status = HealthStatus.HEALTHY
        if unhealthy_above is not None and value > unhealthy_above:
            status = HealthStatus.UNHEALTHY
        elif degraded_above is not None and value > degraded_above:
            status = HealthStatus.DEGRADED
        facts: dict[str, Any] = {"status": str(status), "value": value}
        return {**facts, "unit": unit} if unit else facts

    def check() -> Any:
        value = read()
        return _later(value, judge) if inspect.isawaitable(value) else judge(value)

    async def acheck() -> Any:
        value = read()
        return judge(await value if inspect.isawaitable(value) else value)

    chosen = acheck if inspect.iscoroutinefunction(read) else check
    return HealthCheck(name, chosen, critical=critical, timeout=timeout)


async def _later(value: Awaitable[float], judge: Callable[[float], dict[str, Any]]) -> dict[str, Any]:
    return judge(await value)
