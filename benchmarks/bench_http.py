"""The same stacks behind uvicorn, over loopback: what is left of the throughput."""

from functools import partial

from benchmarks._http import served
from benchmarks._model import Case, Goal, Table

PEERS = ("asgi_correlation_id", "prometheus_fastapi_instrumentator", "uvicorn")


def _table(name: str) -> Table:
    lower, base = name.lower(), f"bare {name}"
    return Table(
        name=f"http-{lower}",
        title=f"one request to {name} under uvicorn (h11, one worker, eight connections)",
        base=base,
        metrics=("wall", "server CPU"),
        rounds=(15, 3),
        cases=(
            Case(base, partial(served, f"{lower}-bare"), kind="floor", requires=("uvicorn",), seconds=0.6),
            Case(
                "ours, the full layer",
                partial(served, f"{lower}-ours"),
                kind="ours",
                requires=("uvicorn", "shared.service"),
                seconds=0.6,
            ),
            Case(
                "one BaseHTTPMiddleware that does nothing",
                partial(served, f"{lower}-base"),
                requires=("uvicorn",),
                seconds=0.6,
            ),
            Case(
                "correlation-id + structlog + instrumentator",
                partial(served, f"{lower}-peers"),
                requires=PEERS,
                seconds=0.6,
            ),
        ),
        # 0.85 of the throughput is 1 / 0.85 of the time.
        goals=(Goal("ours, the full layer", base, at_most=round(1 / 0.85, 3)),),
        notes=(
            "0.85 of the bare throughput is a ratio of 1.176. The client shares the machine with the server.",
        ),
    )


TABLES = (_table("Starlette"), _table("FastAPI"))
