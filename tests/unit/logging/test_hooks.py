import asyncio
import sys
import threading
import warnings

import pytest

from shared.logging import MemorySink, configure_logging, log_loop_errors


@pytest.fixture(autouse=True)
def hooks():
    """Note what the hooks were, and require them back."""
    before = sys.excepthook, threading.excepthook, warnings.showwarning
    yield before
    assert (sys.excepthook, threading.excepthook, warnings.showwarning) == before


def raised(error):
    try:
        raise error
    except BaseException as exc:
        return exc


def test_an_uncaught_exception_is_one_critical_line(handle, memory, capsys):
    exc = raised(ValueError("password=hunter2"))
    sys.excepthook(type(exc), exc, exc.__traceback__)

    event = memory.events[0]
    assert (event["level"], event["event"], event["logger"]) == (
        "critical",
        "uncaught exception",
        "shared.uncaught",
    )
    assert event["exception"]["message"] == "password=***"
    assert capsys.readouterr().err == ""


def test_ctrl_c_goes_the_usual_way(handle, memory, capsys):
    exc = raised(KeyboardInterrupt())
    sys.excepthook(type(exc), exc, exc.__traceback__)

    assert memory.lines == []
    assert "KeyboardInterrupt" in capsys.readouterr().err


def test_last_words_that_the_sink_loses_are_printed(capsys):
    class Lossy(MemorySink):
        lost = 0

        def write(self, line, level):
            self.lost += 1

        def stats(self):
            return {"lost": self.lost, "lost_by_reason": {"ENOSPC": self.lost}}

    with configure_logging({}, sink=Lossy(), format="json"):
        exc = raised(ValueError("heard anyway"))
        sys.excepthook(type(exc), exc, exc.__traceback__)

    assert "heard anyway" in capsys.readouterr().err


def test_an_uncaught_exception_of_a_thread_is_one_error_line(handle, memory, capsys):
    thread = threading.Thread(target=lambda: 1 / 0, name="worker-1")
    thread.start()
    thread.join()

    event = memory.events[0]
    assert (event["level"], event["thread"], event["exception"]["type"]) == (
        "error",
        "worker-1",
        "ZeroDivisionError",
    )
    assert capsys.readouterr().err == ""


def test_a_thread_that_exits_is_no_error(memory):
    before, seen = threading.excepthook, []
    threading.excepthook = seen.append
    try:
        with configure_logging({}, sink=memory, format="json"):
            thread = threading.Thread(target=sys.exit)
            thread.start()
            thread.join()
    finally:
        threading.excepthook = before

    assert memory.lines == []
    assert [args.exc_type for args in seen] == [SystemExit]


def test_a_hook_call_without_a_thread_is_fine(handle, memory):
    exc = raised(ValueError("x"))
    threading.excepthook(threading.ExceptHookArgs((type(exc), exc, exc.__traceback__, None)))

    assert memory.events[0]["thread"] is None


def test_a_warning_is_one_line(handle, memory, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = sys.modules["shared.logging._configure"]._PROCESS._hooks._on_warning
        warnings.warn("old thing: token=abc", FutureWarning, stacklevel=1)

    event = memory.events[0]
    assert (event["level"], event["logger"], event["category"]) == ("warning", "py.warnings", "FutureWarning")
    assert event["event"] == "old thing: token=***"
    assert event["file"] == __file__
    assert capsys.readouterr().err == ""


def test_a_warning_meant_for_a_file_goes_there(memory):
    before, seen = warnings.showwarning, []
    warnings.showwarning = lambda *args: seen.append(args)
    try:
        with configure_logging({}, sink=memory, format="json"):
            warnings.showwarning("to the file", UserWarning, "f.py", 1, file=sys.stdout)
    finally:
        warnings.showwarning = before

    assert seen == [("to the file", UserWarning, "f.py", 1, sys.stdout, None)]
    assert memory.lines == []


def test_lines_below_the_level_are_left_out(memory):
    with configure_logging({}, sink=memory, format="json", levels={"py.warnings": "ERROR"}):
        warnings.showwarning("quiet", UserWarning, "f.py", 1)

    assert memory.lines == []


def test_a_hook_that_somebody_has_wrapped_only_passes_on(memory, capsys):
    before = sys.excepthook, threading.excepthook, warnings.showwarning
    seen = []
    warnings.showwarning = lambda *args: seen.append(args[0])
    handle = configure_logging({}, sink=memory, format="json")
    inner = sys.excepthook, threading.excepthook, warnings.showwarning
    sys.excepthook = lambda *args: inner[0](*args)
    threading.excepthook = lambda args: inner[1](args)
    warnings.showwarning = lambda *args, **kwargs: inner[2](*args, **kwargs)
    try:
        handle.close()
        exc = raised(ValueError("printed"))
        sys.excepthook(type(exc), exc, exc.__traceback__)
        warnings.showwarning("shown", UserWarning, "f.py", 1)
    finally:
        sys.excepthook, threading.excepthook, warnings.showwarning = before

    assert "printed" in capsys.readouterr().err
    assert seen == ["shown"]
    assert memory.lines == []


async def test_errors_of_the_loop_have_fields_and_no_objects(handle, memory):
    restore = log_loop_errors()
    task = asyncio.ensure_future(asyncio.sleep(0), loop=asyncio.get_running_loop())
    task.set_name("poll")
    memory.clear()
    loop = asyncio.get_running_loop()

    loop.call_exception_handler(
        {"message": "never retrieved", "exception": ValueError("token=abc"), "future": task}
    )
    loop.call_exception_handler({"message": "callback failed", "handle": object()})
    loop.call_exception_handler({})
    await task
    restore()
    restore()

    assert loop.get_exception_handler() is None
    assert memory.events[0]["task"] == "poll"
    assert memory.events[0]["exception"]["message"] == "token=***"
    assert memory.events[1]["callback"] == "object"
    assert memory.events[2]["event"] == "event loop error"


def test_without_a_loop_there_is_nothing_to_watch():
    with pytest.raises(RuntimeError):
        log_loop_errors()
