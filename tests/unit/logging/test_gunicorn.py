import datetime as dt
import logging
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from shared.logging import configure_logging
from shared.logging._state import STATE
from shared.logging.gunicorn import GunicornLogger


@pytest.fixture(autouse=True)
def as_before():
    names = ["gunicorn.error", "gunicorn.access"]
    saved = {
        name: (list(logging.getLogger(name).handlers), logging.getLogger(name).propagate) for name in names
    }
    yield
    for name, (handlers, propagate) in saved.items():
        logging.getLogger(name).handlers[:] = handlers
        logging.getLogger(name).propagate = propagate


def config(**settings):
    made = Config()
    for name, value in settings.items():
        made.set(name, value)
    return made


def test_the_setting_loads_the_class():
    assert config(logger_class="shared.logging.gunicorn.GunicornLogger").logger_class is GunicornLogger


def test_its_lines_join_the_stream_once(handle, memory, capfd):
    logger = GunicornLogger(config())
    logger.info("Booting worker with pid: %s", 7)
    logger.error("failed")

    assert [event["event"] for event in memory.events] == ["Booting worker with pid: 7", "failed"]
    assert memory.events[0]["logger"] == "gunicorn.error"
    assert capfd.readouterr().err == ""


def access(logger, **environ):
    response = SimpleNamespace(status="200 OK", sent=12, headers=[])
    environ = {"REQUEST_METHOD": "GET", "RAW_URI": "/x?token=abc", "REMOTE_ADDR": "10.0.0.1", **environ}
    logger.access(response, SimpleNamespace(headers=[]), environ, dt.timedelta(milliseconds=15))


def test_an_access_line_has_fields(handle, memory):
    access(GunicornLogger(config(accesslog="-")))

    event = memory.events[0]
    assert (event["method"], event["path"], event["status"], event["duration_ms"]) == (
        "GET",
        "/x?token=***",
        200,
        15.0,
    )
    assert (event["logger"], event["bytes_sent"], event["client"]) == ("gunicorn.access", 12, "10.0.0.1")


def test_without_an_access_log_there_is_none(handle, memory):
    access(GunicornLogger(config()))

    assert memory.lines == []


def test_it_configures_logging_when_nobody_has(monkeypatch, capfd):
    monkeypatch.setenv("LOG_FORMAT", "json")
    GunicornLogger(config()).info("first words")
    (slot,) = STATE.slots
    slot.close()

    assert '"event":"first words"' in capfd.readouterr().out


def test_wrong_settings_do_not_keep_it_from_speaking(monkeypatch, capfd):
    monkeypatch.setenv("LOG_LEVEL", "loud")
    GunicornLogger(config()).info("first words")
    (slot,) = STATE.slots
    slot.close()

    out = capfd.readouterr().out
    assert "logging runs on its defaults" in out
    assert '"event":"first words"' in out


def test_it_leaves_an_existing_configuration_alone(memory):
    with configure_logging({}, sink=memory, format="json"):
        GunicornLogger(config())

        assert len(STATE.slots) == 1
        assert STATE.only.sink is memory
