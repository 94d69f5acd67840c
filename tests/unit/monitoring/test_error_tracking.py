import asyncio
import logging

import pytest

from shared.context import TraceContext, request_context
from shared.errors import InvalidArgumentError, ResourceNotFoundError, ServiceUnavailableError
from shared.monitoring import ErrorTracker, get_error_tracker
from shared.monitoring._error_report import error_report
from shared.runtime import Runtime, use


class Collect:
    def __init__(self):
        self.reports = []

    def report(self, report, exc):
        self.reports.append((report, exc))


@pytest.fixture
def collect():
    return Collect()


@pytest.fixture
def tracker(collect, clock):
    return ErrorTracker([collect], clock=clock)


def raised(error):
    try:
        raise error
    except BaseException as exc:  # noqa: BLE001
        return exc


def place_order(number):
    secret_local = f"card-{number}"
    raise ValueError(f"order {number} is odd {len(secret_local)}")


def failed(number=1):
    try:
        place_order(number)
    except ValueError as exc:
        return exc


# -- what is told ----------------------------------------------------------------------


def test_a_report_says_what_where_and_for_whom(tracker, collect):
    trace = TraceContext.new()
    with request_context(correlation_id="c-1", request_id="r-1", trace=trace):
        tracker.capture(failed(), order="o-1")

    report, _ = collect.reports[0]
    assert (report.type, report.message) == ("ValueError", "order 1 is odd 6")
    assert report.frames[-1].function == "place_order"
    assert report.frames[-1].in_app
    assert report.context == {
        "correlation_id": "c-1",
        "request_id": "r-1",
        "trace_id": trace.trace_id,
        "span_id": trace.span_id,
    }
    assert report.facts == {"order": "o-1"}


def test_no_local_variable_and_no_secret_is_told(tracker, collect):
    error = raised(ConnectionError("postgresql://app:hunter2-pw@db/orders"))
    tracker.capture(error, password="hunter3-pw", headers={"Authorization": "Bearer abc.def"})
    tracker.capture(failed())

    text = repr(collect.reports)
    assert "hunter2-pw" not in collect.reports[0][0].message
    assert "hunter3-pw" not in text
    assert "abc.def" not in text
    assert "card-1" not in repr([report for report, _ in collect.reports])


def test_the_causes_are_told_and_circles_end():
    inner = ValueError("inner token=abcdef0123456789")
    outer = KeyError("outer")
    outer.__cause__ = inner
    inner.__context__ = outer

    report = error_report(outer)

    assert [name for name, _ in report.causes] == ["ValueError"]


def test_a_cause_that_was_hidden_on_purpose_stays_hidden():
    error = KeyError("outer")
    error.__context__ = ValueError("inner")
    error.__suppress_context__ = True

    assert error_report(error).causes == ()


def test_errors_of_one_place_have_one_fingerprint_whatever_they_say():
    assert error_report(failed(1)).fingerprint == error_report(failed(22222)).fingerprint


def test_errors_of_other_places_or_classes_have_others():
    def elsewhere():
        raise ValueError("order 1 is odd 6")

    try:
        elsewhere()
    except ValueError as exc:
        other = error_report(exc)

    assert other.fingerprint != error_report(failed(1)).fingerprint
    assert error_report(raised(KeyError())).fingerprint != error_report(raised(ValueError())).fingerprint


def test_library_frames_are_not_the_services_own():
    import json

    try:
        json.loads("{")
    except ValueError as exc:
        frames = error_report(exc).frames

    assert [frame.in_app for frame in frames if frame.module.startswith("json")] == [False] * (
        len(frames) - 1
    )
    assert frames[0].in_app


def test_an_error_without_a_traceback_is_told():
    assert error_report(ValueError("x")).frames == ()


def test_a_deep_recursion_is_cut():
    def down(level):
        if level == 0:
            raise ValueError
        down(level - 1)

    with pytest.raises(ValueError) as caught:
        down(200)

    assert len(error_report(caught.value).frames) == 50


def test_a_hostile_exception_is_told_anyway(tracker, collect):
    class Hostile(Exception):
        __slots__ = ()

        def __str__(self):
            raise RuntimeError

        def __setattr__(self, name, value):
            raise RuntimeError

        def __getattr__(self, name):
            raise RuntimeError

    error = raised(Hostile())

    assert [tracker.capture(error), tracker.capture(error)] == [True, False]
    assert collect.reports[0][0].message == "<Hostile>"


# -- how often ------------------------------------------------------------------------------


def test_one_exception_is_told_once_however_many_catch_it(tracker, collect):
    error = failed()
    with pytest.raises(ValueError), tracker.guard(), tracker.guard():
        raise error
    tracker.capture(error)

    assert len(collect.reports) == 1


def test_many_of_a_kind_are_told_five_times_a_minute_and_then_counted(tracker, collect, clock):
    told = [tracker.capture(failed(number)) for number in range(20)]
    clock.advance(61)
    tracker.capture(failed())

    assert sum(told) == 5
    assert [report.suppressed for report, _ in collect.reports] == [0, 0, 0, 0, 0, 15]


def test_many_kinds_together_are_limited_too(collect, clock):
    tracker = ErrorTracker([collect], per_minute=10, clock=clock)
    for number in range(50):
        tracker.capture(raised(type(f"Kind{number}", (Exception,), {})()))

    assert len(collect.reports) == 10


def test_memory_is_bounded_however_many_kinds_there_are(tracker):
    for number in range(1500):
        tracker.capture(raised(type(f"Kind{number}", (Exception,), {})()))

    assert len(tracker._windows) <= 1000


@pytest.mark.parametrize(
    "error",
    [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(), GeneratorExit(), ResourceNotFoundError()],
)
def test_what_is_nobodys_fault_is_not_told(tracker, collect, error):
    assert tracker.capture(raised(error)) is False
    assert collect.reports == []


def test_our_own_failures_are_told(tracker, collect):
    tracker.capture(raised(ServiceUnavailableError("db is down")))

    assert collect.reports[0][0].type.endswith("ServiceUnavailableError")


@pytest.mark.parametrize("wrong", [{"per_fingerprint": 0}, {"per_minute": 0}])
def test_limits_below_one_are_refused(wrong):
    with pytest.raises(InvalidArgumentError, match="1 or more"):
        ErrorTracker(**wrong)


# -- reporters ---------------------------------------------------------------------------------


def test_a_reporter_that_fails_harms_neither_work_nor_the_others(collect, clock, caplog):
    class Broken:
        def report(self, report, exc):
            raise RuntimeError("no network")

        def close(self):
            raise RuntimeError("no network")

    tracker = ErrorTracker([Broken()], clock=clock)
    tracker.add_reporter(collect)

    assert tracker.capture(failed())
    tracker.close()
    assert len(collect.reports) == 1
    assert "Broken failed" in caplog.text


def test_without_reporters_nothing_is_done():
    assert ErrorTracker().capture(failed()) is False


# -- logging -------------------------------------------------------------------------------------


@pytest.fixture
def logger(tracker):
    logger, handler = logging.getLogger("test.errors"), tracker.handler()
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


def test_a_line_with_a_traceback_is_a_report(logger, collect):
    try:
        place_order(3)
    except ValueError:
        logger.exception("placing failed")

    report, _ = collect.reports[0]
    assert report.facts == {"logger": "test.errors", "log_message": "placing failed"}


def test_lines_without_a_traceback_or_below_the_level_are_none(logger, collect):
    logger.error("no traceback")
    logger.warning("a warning", exc_info=failed())

    assert collect.reports == []


def test_errors_of_the_request_layer_arrive(tracker, collect):
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    from shared.api.fastapi import install_layer

    app = FastAPI()
    install_layer(app)

    @app.get("/boom")
    async def boom():
        raise LookupError("nowhere")

    handler = tracker.handler()
    logging.getLogger().addHandler(handler)
    try:
        with TestClient(app, raise_server_exceptions=False) as client:
            assert client.get("/boom").status_code == 500
    finally:
        logging.getLogger().removeHandler(handler)

    assert [report.type for report, _ in collect.reports] == ["LookupError"]
    assert "correlation_id" in collect.reports[0][0].context


def test_complaints_about_reporters_do_not_come_back(collect, clock):
    class Broken:
        calls = 0

        def report(self, report, exc):
            Broken.calls += 1
            raise RuntimeError

    tracker = ErrorTracker([Broken()], clock=clock)
    handler = tracker.handler(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        tracker.capture(failed())
    finally:
        logging.getLogger().removeHandler(handler)

    assert Broken.calls == 1


def test_the_runtimes_tracker_tells_nobody_without_an_address():
    with use(Runtime("test")) as runtime:
        told = get_error_tracker().capture(failed())
        runtime.close()

    assert told is False
