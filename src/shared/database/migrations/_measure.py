"""Count migrations, for whoever reads the metrics of the process that runs them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from shared.runtime import current

__all__ = ["Moved", "measured"]


class Moved:
    """How many rows a migration has moved so far."""

    rows: int = 0


@contextmanager
def measured(operation: str) -> Iterator[Moved]:
    """Count the block as one run of *operation*: its outcome, its duration, the rows it moved.

    In a process that has metrics; a command that migrates and ends has nobody to show them to.
    """
    from shared.monitoring import JobMetrics, Metrics

    moved, began, outcome = Moved(), time.perf_counter(), "failure"
    try:
        yield moved
        outcome = "success"
    finally:
        metrics = current().find(Metrics)
        if metrics is not None:
            JobMetrics(metrics).migrated(operation, outcome, time.perf_counter() - began, moved.rows)
