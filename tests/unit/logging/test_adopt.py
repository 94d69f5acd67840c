"""Libraries that attach handlers of their own, before us and after."""

import io
import logging
import logging.config
import sys

import pytest
import sqlalchemy
from uvicorn.config import LOGGING_CONFIG

from shared.logging import configure_logging


@pytest.fixture(autouse=True)
def as_before():
    """Restore what these tests do to global loggers."""
    names = [
        "uvicorn",
        "uvicorn.error",
        "uvicorn.access",
        "gunicorn.error",
        "sqlalchemy.engine.Engine",
        "mine",
    ]
    saved = {
        name: (
            list(logging.getLogger(name).handlers),
            logging.getLogger(name).propagate,
            logging.getLogger(name).level,
        )
        for name in names
    }
    root = list(logging.getLogger().handlers)
    yield
    for name, (handlers, propagate, level) in saved.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = handlers
        logger.propagate = propagate
        logger.setLevel(level)
    logging.getLogger().handlers[:] = root


def uvicorn_defaults():
    logging.config.dictConfig(LOGGING_CONFIG)


def snapshot():
    loggers = [
        logging.getLogger(),
        *(logging.getLogger(name) for name in list(logging.root.manager.loggerDict)),
    ]
    return {
        logger.name: (list(logger.handlers), logger.propagate, logger.level, list(logger.filters))
        for logger in loggers
    }


@pytest.mark.parametrize("when", ["before", "after", "before and after"])
def test_uvicorns_lines_are_written_once_whenever_it_configures_logging(memory, capsys, when):
    if "before" in when:
        uvicorn_defaults()
    with configure_logging({}, sink=memory, format="json"):
        if "after" in when:
            uvicorn_defaults()
        logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
        logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "c", "GET", "/", "1.1", 200)

    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
    assert [event["logger"] for event in memory.events] == ["uvicorn.error", "uvicorn.access"]


def test_uvicorns_silenced_access_log_stays_silent(memory):
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False
    with configure_logging({}, sink=memory, format="json"):
        access.info("no")

        assert access.propagate is False
    assert memory.lines == []


def test_gunicorns_handlers_are_taken_over(memory, capsys):
    error = logging.getLogger("gunicorn.error")
    error.propagate = False
    error.addHandler(logging.StreamHandler(sys.stderr))
    error.setLevel(logging.INFO)
    with configure_logging({}, sink=memory, format="json"):
        error.info("Booting worker")

    assert capsys.readouterr().err == ""
    assert memory.events[0]["event"] == "Booting worker"
    assert error.propagate is False
    assert len(error.handlers) == 1


@pytest.mark.parametrize("name", [None, "orders"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_echo_of_an_engine_is_written_once_whatever_its_name(memory, capsys, name, when):
    def make():
        extra = {} if name is None else {"logging_name": f"{name}_{when}"}
        return sqlalchemy.create_engine("sqlite://", echo=True, **extra)

    engine = make() if when == "before" else None
    with configure_logging({}, sink=memory, format="json"):
        engine = engine or make()
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("select 1"))
    engine.dispose()

    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
    assert [event["event"] for event in memory.events].count("select 1") == 1


def test_a_console_handler_of_the_root_is_taken_over_and_given_back(memory, capsys):
    root = logging.getLogger()
    mine = logging.StreamHandler(sys.stderr)
    root.addHandler(mine)
    before = list(root.handlers)
    with configure_logging({}, sink=memory, format="json"):
        logging.getLogger("x").warning("once")

        assert mine not in root.handlers
    logging.getLogger("x").warning("again theirs")

    assert root.handlers == before
    assert capsys.readouterr().err.strip() == "again theirs"
    assert len(memory.lines) == 1


def test_handlers_that_are_no_console_stay(memory, tmp_path):
    kept = io.StringIO()
    mine = logging.getLogger("mine")
    mine.addHandler(logging.StreamHandler(kept))
    mine.addHandler(logging.NullHandler())
    with configure_logging({}, sink=memory, format="json"):
        mine.warning("both")

        assert len(mine.handlers) == 2
    assert kept.getvalue() == "both\n"
    assert memory.events[0]["event"] == "both"


def test_the_console_handler_of_a_logger_of_the_applications_own_stays(memory, capsys):
    mine = logging.getLogger("mine")
    mine.addHandler(logging.StreamHandler(sys.stderr))
    with configure_logging({}, sink=memory, format="json"):
        mine.warning("meant")

    assert capsys.readouterr().err == "meant\n"


def test_a_handler_on_the_raw_descriptor_counts_as_console(memory):
    class Raw(io.StringIO):
        def fileno(self):
            return 2

    class Broken(io.StringIO):
        def fileno(self):
            raise ValueError

    engine = logging.getLogger("sqlalchemy.engine.Engine")
    raw, broken = logging.StreamHandler(Raw()), logging.StreamHandler(Broken())
    engine.addHandler(raw)
    engine.addHandler(broken)
    with configure_logging({}, sink=memory, format="json"):
        assert raw not in engine.handlers
        assert broken in engine.handlers


def test_close_restores_every_logger_exactly(memory):
    uvicorn_defaults()
    engine = sqlalchemy.create_engine("sqlite://", echo=True)
    logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
    logging.getLogger("mine").setLevel(logging.CRITICAL)
    before, factory = snapshot(), logging.getLogRecordFactory()

    with configure_logging(
        {}, sink=memory, format="json", level="DEBUG", levels={"mine": "INFO", "uvicorn": "ERROR"}
    ):
        logging.getLogger("uvicorn.error").error("x")

    after = snapshot()
    assert {name: after[name] for name in before} == before
    assert logging.getLogRecordFactory() is factory
    engine.dispose()


def test_somebody_elses_record_factory_stays_in_the_chain(memory):
    original = logging.getLogRecordFactory()
    handle = configure_logging({}, sink=memory, format="json")
    ours = logging.getLogRecordFactory()

    def theirs(*args, **kwargs):
        made = ours(*args, **kwargs)
        made.added = "by them"
        return made

    logging.setLogRecordFactory(theirs)
    try:
        logging.getLogger("x").warning("it")
        handle.close()
        logging.getLogger("x").warning("still works")

        assert logging.getLogRecordFactory() is theirs
    finally:
        logging.setLogRecordFactory(original)
    assert memory.events[0]["added"] == "by them"


def test_records_made_by_hand_are_no_trouble(handle, memory):
    logging.getLogger("x").handle(logging.makeLogRecord({"name": "x", "msg": "by hand", "levelno": 30}))

    assert memory.events[0]["event"] == "by hand"


def test_names_of_loggers_are_remembered_within_bounds(handle, memory):
    from shared.logging._adopt import Adoption

    adoption = Adoption()
    for number in range(10_000):
        adoption.meet(f"logger.{number}")

    assert len(adoption._chains) <= 4096
