"""One log line, and one debug call that is switched off."""

import contextlib
import io
import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import check, log_file, looped, raw_file

FIELDS: dict[str, Any] = {
    "order_id": 48151623,
    "user_id": "0b6f6d0e-7f6e-4f7b-9a6e-3d1d0f2b7c11",
    "amount": 129.95,
    "currency": "EUR",
    "items": 3,
}


def _checked(run: Run, path: Path) -> Run:
    """Return *run* after one line of it was found in *path*, complete."""
    run(1)
    lines = path.read_bytes().splitlines()
    check(len(lines) == 1, f"one call wrote {len(lines)} lines")
    text = json.dumps(json.loads(lines[0]))
    for part in ("order placed", "48151623", "EUR"):
        check(part in text, f"{part!r} is not in the line")
    return run


@contextlib.contextmanager
def floor() -> Iterator[Run]:
    """The least that can be done: a dict, orjson, one system call."""
    import orjson

    with log_file() as path, raw_file(path) as descriptor:
        newline = orjson.OPT_APPEND_NEWLINE

        def info(event: str, **fields: Any) -> None:
            line = {
                "timestamp": datetime.now(UTC),
                "level": "info",
                "logger": "bench",
                "event": event,
                **fields,
            }
            os.write(descriptor, orjson.dumps(line, option=newline))

        yield _checked(looped(partial(info, "order placed", **FIELDS)), path)


@contextlib.contextmanager
def ours() -> Iterator[Run]:
    """Our logger as a service has it: JSON, time, service, context, redaction."""
    from shared.logging import configure_logging, get_logger

    with log_file() as path, configure_logging({"LOG_FORMAT": "json"}, service="bench", sink=str(path)):
        log = get_logger("bench")

        def line() -> None:
            log.info("order placed", **FIELDS)

        run = _checked(looped(line), path)
        log.info("secret", api_key="k-12345")
        check(b"k-12345" not in path.read_bytes(), "a secret was written")
        yield run


@contextlib.contextmanager
def ours_in_request(**bound: str) -> Iterator[Run]:
    """The same inside of a request: four ids, and what is bound, on every line."""
    from shared.context import bind, request_context

    with ours() as run, request_context():
        if bound:
            bind(**bound)
        yield run


@contextlib.contextmanager
def structlog_bytes() -> Iterator[Run]:
    """structlog's fast recipe: filtering logger, orjson, BytesLogger; no redaction."""
    import orjson
    import structlog

    with log_file() as path, path.open("ab") as file:
        log = structlog.wrap_logger(
            structlog.BytesLogger(file),
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso"),
                structlog.processors.JSONRenderer(serializer=orjson.dumps),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        ).bind(logger="bench")

        def line() -> None:
            log.info("order placed", **FIELDS)

        yield _checked(looped(line), path)


def processor_formatter_logger(file: Any) -> Any:
    """Return the logger of the recipe most services use: structlog through stdlib's handlers."""
    import structlog

    common = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    handler = logging.StreamHandler(file)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    target = logging.getLogger("bench.recipe")
    target.handlers, target.propagate = [handler], False
    target.setLevel(logging.INFO)
    return structlog.wrap_logger(
        target,
        processors=[
            structlog.stdlib.filter_by_level,
            *common,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )


@contextlib.contextmanager
def structlog_recipe() -> Iterator[Run]:
    """structlog with stdlib's ProcessorFormatter."""
    with log_file() as path, path.open("a", encoding="utf-8") as file:
        log = processor_formatter_logger(file).bind()

        def line() -> None:
            log.info("order placed", **FIELDS)

        yield _checked(looped(line), path)


@contextlib.contextmanager
def json_logger() -> Iterator[Run]:
    """stdlib logging with python-json-logger, its orjson form."""
    from pythonjsonlogger.orjson import OrjsonFormatter

    with log_file() as path, path.open("a", encoding="utf-8") as file:
        handler = logging.StreamHandler(file)
        handler.setFormatter(OrjsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        log = logging.getLogger("bench.json")
        log.handlers, log.propagate = [handler], False
        log.setLevel(logging.INFO)

        def line() -> None:
            log.info("order placed", extra=FIELDS)

        yield _checked(looped(line), path)


@contextlib.contextmanager
def loguru() -> Iterator[Run]:
    """loguru with serialize=True."""
    from loguru import logger

    with log_file() as path, path.open("a", encoding="utf-8") as file:
        logger.remove()
        logger.add(file.write, serialize=True, level="INFO")

        def line() -> None:
            logger.bind(**FIELDS).info("order placed")

        run = looped(line)
        run(1)
        file.flush()
        check("order placed" in path.read_text(), "no line")
        yield run


# --- switched off -----------------------------------------------------------------------


@contextlib.contextmanager
def stdlib_off() -> Iterator[Run]:
    log = logging.getLogger("bench.off")
    log.setLevel(logging.INFO)

    def call() -> None:
        log.debug("order placed", extra=FIELDS)

    yield looped(call)


@contextlib.contextmanager
def ours_off() -> Iterator[Run]:
    from shared.logging import configure_logging, get_logger

    with log_file() as path, configure_logging({"LOG_FORMAT": "json"}, service="bench", sink=str(path)):
        log = get_logger("bench")

        def call() -> None:
            log.debug("order placed", extra=FIELDS)

        call()
        check(path.read_bytes() == b"", "a debug line was written")
        yield looped(call)


@contextlib.contextmanager
def structlog_off() -> Iterator[Run]:
    """A module-level ``structlog.get_logger()``, as its documentation shows."""
    import structlog

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO), cache_logger_on_first_use=True
    )
    log = structlog.get_logger()

    def call() -> None:
        log.debug("order placed", extra=FIELDS)

    yield looped(call)


@contextlib.contextmanager
def recipe_off() -> Iterator[Run]:
    log = processor_formatter_logger(io.StringIO()).bind()

    def call() -> None:
        log.debug("order placed", extra=FIELDS)

    yield looped(call)


@contextlib.contextmanager
def loguru_off() -> Iterator[Run]:
    from loguru import logger

    logger.remove()
    logger.add(io.StringIO(), level="INFO")

    def call() -> None:
        logger.debug("order placed", extra=FIELDS)

    yield looped(call)


LINE = Table(
    name="log",
    title="one JSON log line with five fields into a file",
    base="floor: orjson + os.write",
    cases=(
        Case("floor: orjson + os.write", floor, kind="floor"),
        Case("ours, with redaction", ours, kind="ours", requires=("shared.logging",)),
        Case("ours, inside a request", ours_in_request, kind="ours", requires=("shared.logging",)),
        Case(
            "ours, inside a request, one field bound",
            partial(ours_in_request, tenant="acme"),
            kind="ours",
            requires=("shared.logging",),
        ),
        Case("structlog BytesLogger + orjson", structlog_bytes),
        Case("structlog ProcessorFormatter", structlog_recipe),
        Case("python-json-logger, orjson", json_logger, requires=("pythonjsonlogger",)),
        Case("loguru serialize", loguru, requires=("loguru",)),
    ),
    goals=(
        Goal("ours, with redaction", "floor: orjson + os.write", at_most=1.6),
        Goal("ours, with redaction", "structlog ProcessorFormatter", at_least=4.0),
    ),
)

OFF = Table(
    name="log-off",
    title="one debug call while the level is info",
    base="stdlib",
    cases=(
        Case("stdlib", stdlib_off, kind="floor"),
        Case("ours", ours_off, kind="ours", requires=("shared.logging",)),
        Case("structlog, module-level proxy", structlog_off),
        Case("structlog ProcessorFormatter", recipe_off),
        Case("loguru", loguru_off, requires=("loguru",)),
    ),
    goals=(Goal("ours", "stdlib", at_most=1.1),),
)

TABLES = (LINE, OFF)
