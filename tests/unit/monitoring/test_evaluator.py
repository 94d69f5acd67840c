import threading
from dataclasses import dataclass

import pytest

from shared.errors import InvalidArgumentError
from shared.monitoring import (
    SLO,
    AlertEvaluator,
    FileLeaderLock,
    Finding,
    HealthRegistry,
    Lifecycle,
    Metrics,
    Notification,
    Severity,
    ThresholdAlert,
    health_metrics,
)
from shared.runtime import Events
from tests.unit.monitoring.children import run_code


class Wall:
    now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def metrics():
    return Metrics("orders", multiprocess=False)


@pytest.fixture
def notices():
    return []


def evaluator(metrics, notices, wall, *alerts, **options):
    return AlertEvaluator(alerts, metrics=metrics, notifiers=[notices.append], wall_clock=wall, **options)


def said(notices):
    return [(notice.alert, notice.status, str(notice.severity)) for notice in notices]


def test_an_alert_is_told_when_it_fires_and_when_it_is_over(metrics, notices, wall):
    value = [200]
    alert = ThresholdAlert("queue", lambda: value[0], above=100, severity="page")
    watching = evaluator(metrics, notices, wall, alert)
    watching.tick()
    firing = watching.firing
    value[0] = 1
    watching.tick()

    assert said(notices) == [("queue", "firing", "page"), ("queue", "resolved", "page")]
    assert (firing, watching.firing) == (("queue",), ())
    assert notices[0].details["service"] == "orders"


def test_a_promise_is_watched_like_any_alert(metrics, notices, wall):
    histogram = metrics.histogram(
        "http_server_request_duration",
        "Help.",
        ("http_request_method", "http_route", "http_response_status_code", "error_type"),
        unit="seconds",
    )
    watching = evaluator(metrics, notices, wall, SLO("availability", objective=99.9))
    watching.tick()
    for _ in range(10):
        for status in ("200", "500"):
            for _ in range(20):
                histogram.labels("GET", "/a", status, "").observe(0.1)
        wall.now += 60
        watching.tick()

    assert said(notices) == [
        ("availability-page", "firing", "page"),
        ("availability-ticket", "firing", "ticket"),
    ]
    assert notices[0].details["objective"] == "99.9"


def test_a_notice_that_cannot_be_delivered_is_tried_again(metrics, wall, caplog):
    delivered, down = [], [True]

    def flaky(notice):
        if down:
            raise ConnectionError("down")
        delivered.append(notice)

    watching = AlertEvaluator(
        [ThresholdAlert("queue", lambda: 200, above=100)], metrics=metrics, notifiers=[flaky], wall_clock=wall
    )
    watching.tick()
    down.clear()
    watching.tick()
    watching.tick()

    assert len(delivered) == 1
    assert "could not deliver 'queue' (try 1)" in caplog.text


def test_a_notice_nobody_takes_is_given_up_after_ten_tries(metrics, wall):
    tries = []

    def broken(notice):
        tries.append(notice)
        raise ConnectionError

    watching = AlertEvaluator(
        [ThresholdAlert("queue", lambda: 200, above=100)],
        metrics=metrics,
        notifiers=[broken],
        wall_clock=wall,
    )
    for _ in range(30):
        watching.tick()

    assert len(tries) == 10


def test_one_notifier_that_fails_does_not_keep_the_others_from_knowing(metrics, notices, wall):
    def broken(_notice):
        raise RuntimeError

    watching = AlertEvaluator(
        [ThresholdAlert("queue", lambda: 200, above=100)],
        metrics=metrics,
        notifiers=[broken, notices.append],
        wall_clock=wall,
    )
    watching.tick()

    assert len(notices) == 1


def test_an_alert_that_cannot_be_looked_at_does_not_hide_the_others(metrics, notices, wall, caplog):
    broken = ThresholdAlert("broken", lambda: 1 / 0, above=1)
    watching = evaluator(metrics, notices, wall, broken, ThresholdAlert("queue", lambda: 200, above=100))
    watching.tick()

    assert said(notices) == [("queue", "firing", "ticket")]
    assert "alert 'broken' could not be looked at" in caplog.text


def test_without_notifiers_the_log_is_told(metrics, wall, caplog):
    AlertEvaluator([ThresholdAlert("queue", lambda: 200, above=100)], metrics=metrics, wall_clock=wall).tick()

    assert "alert firing: queue is 200, above 100" in caplog.text


def test_the_severity_of_the_finding_wins_and_is_remembered_to_the_end(metrics, notices, wall):
    class Custom:
        name, severity, wait, active = "custom", Severity.INFO, 0.0, True

        def look(self, readings, now):
            return Finding(self.active, "odd", Severity.PAGE if self.active else None)

    alert = Custom()
    watching = evaluator(metrics, notices, wall, alert)
    watching.tick()
    alert.active = False
    watching.tick()

    assert said(notices) == [("custom", "firing", "page"), ("custom", "resolved", "page")]


def test_a_name_is_given_once(metrics, notices, wall):
    watching = evaluator(metrics, notices, wall, SLO("x"))

    with pytest.raises(InvalidArgumentError, match="named 'x-page' already"):
        watching.add(SLO("x"))


@pytest.mark.parametrize("wrong", [{"interval": 0}, {"cooldown": -1}])
def test_numbers_out_of_range_are_refused(metrics, wrong):
    with pytest.raises(InvalidArgumentError, match="do not hold"):
        AlertEvaluator(metrics=metrics, **wrong)


# -- events: changes of flags, health of the system ----------------------------------------


@dataclass(frozen=True)
class FlagChanged:
    key: str
    actor: str


def test_the_change_of_a_flag_is_told_at_once(metrics, notices, wall):
    events = Events()
    watching = evaluator(metrics, notices, wall)

    def describe(event):
        return Notification(
            "flag-changed", "firing", Severity.INFO, f"{event.key} by {event.actor}", {}, wall.now
        )

    stop = watching.watch(events, FlagChanged, describe)
    events.emit(FlagChanged("new_checkout", "u-1"))
    stop()
    events.emit(FlagChanged("other", "u-1"))

    assert [notice.summary for notice in notices] == ["new_checkout by u-1"]


def test_an_event_that_is_no_news_is_not_told(metrics, notices, wall):
    events = Events()
    evaluator(metrics, notices, wall).watch(events, FlagChanged, lambda event: None)
    events.emit(FlagChanged("x", "y"))

    assert notices == []


def test_the_health_of_the_system_is_told_at_the_edges(metrics, notices, wall, clock):
    events, answer = Events(), [True]
    registry = HealthRegistry(events=events, cache_seconds=0, failure_threshold=1, clock=clock)
    registry.add("database", lambda: answer[0])
    evaluator(metrics, notices, wall).watch_health(events)
    registry.report()
    beginning = list(notices)
    answer[0] = False
    registry.report()
    registry.report()
    answer[0] = True
    registry.report()

    assert beginning == []
    assert said(notices) == [
        ("system-health", "firing", "page"),
        ("readiness", "firing", "page"),
        ("system-health", "resolved", "info"),
    ]
    assert notices[0].summary == "orders is unhealthy (failing: database)"


def test_a_drain_is_told_and_wakes_nobody(metrics, notices, wall):
    events, lifecycle = Events(), Lifecycle(drain_delay=0)
    lifecycle.mark_ready()
    registry = HealthRegistry(events=events, lifecycle=lifecycle)
    stop = evaluator(metrics, notices, wall).watch_health(events)
    registry.report()
    lifecycle.begin_drain()
    registry.report()
    stop()

    assert said(notices) == [("readiness", "firing", "info")]


def test_health_is_shown_as_metrics_for_rules_to_read(metrics, clock):
    events, answer = Events(), [True]
    registry = HealthRegistry(events=events, cache_seconds=0, failure_threshold=1, clock=clock)
    registry.add("database", lambda: answer[0])
    registry.add("search", lambda: False, critical=False)
    stop = health_metrics(metrics, events)
    registry.report()
    first = (metrics.value("service_ready"), metrics.value("service_health_status"))
    answer[0] = False
    registry.report()
    second = (metrics.value("service_ready"), metrics.value("service_health_status"))
    failing = metrics.value("service_check_failing", {"check": "database"})
    stop()
    answer[0] = True
    registry.report()

    assert (first, second, failing) == ((1, 1), (0, 2), 1)
    assert metrics.value("service_ready") == 0


# -- one of several processes ------------------------------------------------------------------


class Lock:
    def __init__(self, answer):
        self.answer = answer

    def acquire(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(("answer", "told"), [(True, 1), (False, 0), (ConnectionError("redis is down"), 1)])
def test_only_the_leader_tells_and_a_broken_lock_does_not_silence(metrics, notices, wall, answer, told):
    watching = evaluator(
        metrics, notices, wall, ThresholdAlert("queue", lambda: 200, above=100), leader=Lock(answer)
    )
    watching.tick()

    assert len(notices) == told


def test_a_file_makes_one_of_several_the_leader(tmp_path):
    first, second = FileLeaderLock(tmp_path / "leader"), FileLeaderLock(tmp_path / "leader")
    before = (first.acquire(), second.acquire(), first.acquire())
    first.close()
    after = second.acquire()
    second.close()

    assert (before, after) == ((True, False, True), True)


def test_where_no_file_can_be_had_every_process_tells(tmp_path):
    assert FileLeaderLock(tmp_path / "absent" / "leader").acquire()


def test_a_forked_child_does_not_lead_with_its_parents_lock(tmp_path):
    code, output, errors = run_code(
        """
        import os, sys
        from shared.monitoring import FileLeaderLock
        lock = FileLeaderLock(sys.argv[1])
        lock.acquire()
        pid = os.fork()
        if pid == 0:
            os._exit(10 + lock.acquire())
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), lock.acquire())
        lock.close()
        """,
        str(tmp_path / "leader"),
    )

    assert (code, output) == (0, ["10", "True"]), errors


# -- the thread ------------------------------------------------------------------------------------


def test_the_thread_looks_by_itself_and_ends(metrics):
    told = threading.Event()
    watching = AlertEvaluator(
        [ThresholdAlert("queue", lambda: 200, above=100)],
        metrics=metrics,
        notifiers=[lambda _: told.set()],
        interval=0.01,
    )
    watching.start()
    watching.start()
    heard = told.wait(5)
    watching.close()

    assert heard


def test_an_evaluator_nobody_holds_ends_its_thread(metrics):
    before = set(threading.enumerate())
    watching = AlertEvaluator(metrics=metrics, interval=0.01)
    watching.start()
    [thread] = set(threading.enumerate()) - before
    del watching
    thread.join(5)

    assert not thread.is_alive()


def test_closing_tries_what_is_pending_once_more(metrics, wall):
    delivered, down = [], [True]

    def flaky(notice):
        if down:
            raise ConnectionError
        delivered.append(notice)

    watching = AlertEvaluator(
        [ThresholdAlert("queue", lambda: 200, above=100)], metrics=metrics, notifiers=[flaky], wall_clock=wall
    )
    watching.tick()
    down.clear()
    watching.close()

    assert len(delivered) == 1


def test_a_forked_child_leaves_looking_to_its_parent(metrics, notices, wall):
    watching = evaluator(metrics, notices, wall, ThresholdAlert("queue", lambda: 200, above=100))
    watching.start()
    stop = watching._stop
    watching.after_fork()
    stop.set()

    assert watching._stop is None
    assert not watching._pending
