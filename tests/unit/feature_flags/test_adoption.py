"""Who was shown what, how often, and what is made of it."""

import os
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from shared.database import Base, Database, tables_of
from shared.errors import InvalidArgumentError, SharedError
from shared.feature_flags import (
    AdoptionLog,
    FeedbackLog,
    Flag,
    FlagExposure,
    Flags,
    FlagUsage,
    Rule,
    Split,
    UnitIds,
    adoption_report,
)
from shared.runtime import Events

KEY = b"a secret of this service"
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def database(tmp_path):
    with Database(f"sqlite:///{tmp_path}/flags.db") as found:
        Base.metadata.create_all(found.engine, tables=tables_of("feature_flags"))
        yield found


@pytest.fixture
def log(database, clock):
    return AdoptionLog(database, UnitIds(KEY), interval=None, clock=clock)


def count(database, table):
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table))


def test_a_unit_that_is_exposed_again_is_one_row(log, database, clock):
    log.exposed("menu", "on", "u-1")
    log.flush()
    clock.now += timedelta(hours=1)
    log.exposed("menu", "on", "u-1")
    log.flush()

    with database.read() as session:
        (row,) = session.execute(select(FlagExposure.first_at, FlagExposure.last_at)).all()

    assert tuple(row) == (START, START + timedelta(hours=1))


def test_a_new_phase_is_a_new_exposure(log, database):
    log.exposed("menu", "on", "u-1", phase=1)
    log.exposed("menu", "on", "u-1", phase=2)

    assert log.flush() == 2
    assert count(database, FlagExposure) == 2


def test_evaluations_of_several_processes_add_up(database, clock):
    for _ in range(3):
        log = AdoptionLog(database, UnitIds(KEY), interval=None, clock=clock)
        log.evaluated("menu", "on", 10)
        log.evaluated("menu", "on")
        log.evaluated("menu", "on", 0)
        log.close()

    with database.read() as session:
        assert session.execute(select(FlagUsage.day, FlagUsage.evaluations)).all() == [(START.date(), 33)]


def test_days_are_counted_apart(log, database, clock):
    log.evaluated("menu", "on")
    clock.now += timedelta(days=1)
    log.evaluated("menu", "on")
    log.flush()

    assert count(database, FlagUsage) == 2


def test_nothing_to_write_asks_no_database(tmp_path):
    with Database(f"sqlite:///{tmp_path}/without-tables.db") as database:
        assert AdoptionLog(database, UnitIds(KEY), interval=None).flush() == 0


def test_what_is_no_unit_is_dropped_and_counted(log):
    log.exposed("menu", "on", None)

    assert (log.dropped, log.waiting) == (1, 0)


def test_what_does_not_fit_is_dropped_and_counted(database, clock):
    log = AdoptionLog(database, UnitIds(KEY), interval=None, max_rows=2, clock=clock)

    for unit in range(5):
        log.exposed("menu", "on", unit)
    log.exposed("menu", "on", 0)  # is there already
    log.evaluated("menu", "on")

    assert (log.waiting, log.dropped) == (2, 4)


def test_what_could_not_be_written_waits_for_the_next_time(tmp_path, clock):
    with Database(f"sqlite:///{tmp_path}/flags.db") as database:
        log = AdoptionLog(database, UnitIds(KEY), interval=None, clock=clock)
        log.exposed("menu", "on", "u-1")
        log.evaluated("menu", "on", 5)
        with pytest.raises(SharedError):
            log.flush()
        log.evaluated("menu", "on", 2)
        Base.metadata.create_all(database.engine, tables=tables_of("feature_flags"))

        written = log.flush()

        assert (written, log.failures, log.dropped) == (2, 1, 0)
        with database.read() as session:
            assert session.scalar(select(FlagUsage.evaluations)) == 7


def test_closing_without_a_database_drops_and_does_not_raise(tmp_path, clock):
    with Database(f"sqlite:///{tmp_path}/flags.db") as database:
        log = AdoptionLog(database, UnitIds(KEY), interval=None, clock=clock)
        log.exposed("menu", "on", "u-1")

        log.close()

    assert (log.waiting, log.dropped) == (0, 1)


def test_the_buffer_is_written_by_itself_when_it_is_due(database, clock):
    log = AdoptionLog(database, UnitIds(KEY), interval=15.0, clock=clock)
    log.exposed("menu", "on", "u-1")
    clock.now += timedelta(seconds=16)
    log.exposed("menu", "on", "u-2")

    for thread in threading.enumerate():
        if thread.name == "shared-flags-adoption":
            thread.join(30)

    assert count(database, FlagExposure) == 2


def test_a_failed_write_in_the_background_is_told_in_the_log(tmp_path, clock, log_capture):
    with Database(f"sqlite:///{tmp_path}/flags.db") as database:
        log = AdoptionLog(database, UnitIds(KEY), interval=1.0, clock=clock)
        log.exposed("menu", "on", "u-secret")
        clock.now += timedelta(seconds=2)
        log.exposed("menu", "on", "u-secret")
        for thread in threading.enumerate():
            if thread.name == "shared-flags-adoption":
                thread.join(30)

    assert log.waiting == 1
    assert "adoption of flags was not written" in str(log_capture)
    assert "u-secret" not in str(log_capture)


def test_a_forked_child_leaves_the_parents_rows_to_the_parent(log, database):
    log.exposed("menu", "on", "u-1")
    child = os.fork()
    if child == 0:
        os._exit(log.waiting)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert log.waiting == 1


def test_threads_lose_nothing(log, database):
    def work(number):
        for unit in range(50):
            log.exposed("menu", "on", f"u-{number}-{unit}")
            log.evaluated("menu", "on")
        log.flush()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    log.flush()

    assert count(database, FlagExposure) == 200
    with database.read() as session:
        assert session.scalar(select(func.sum(FlagUsage.evaluations))) == 200


def test_old_rows_are_removed(log, database, clock):
    log.exposed("menu", "on", "u-1")
    log.evaluated("menu", "on")
    log.flush()
    clock.now += timedelta(days=100)
    log.exposed("menu", "on", "u-2")
    log.flush()

    assert log.prune(90) == 2
    assert count(database, FlagExposure) == 1


@pytest.mark.parametrize("wrong", [{"interval": 0}, {"max_rows": 0}])
def test_numbers_out_of_range_are_refused(database, wrong):
    with pytest.raises(InvalidArgumentError, match="expected interval > 0"):
        AdoptionLog(database, UnitIds(KEY), **wrong)


# --- following flags ----------------------------------------------------------------------------


def half(**options):
    return Flags([Flag("menu", rules=[Rule(split=Split({"on": 1, "off": 1}))])], events=Events(), **options)


def usage(database):
    with database.read() as session:
        return dict(session.execute(select(FlagUsage.variant, FlagUsage.evaluations)).all())


def test_exposures_and_evaluations_of_flags_are_kept(log, database):
    flags = half()
    flags.is_enabled("menu", "before")
    end = log.follow(flags)

    found = [flags.is_enabled("menu", f"u-{number}") for number in range(10)]
    flags.is_enabled("misspelt")
    end()
    flags.is_enabled("menu", "after")
    log.flush()

    assert count(database, FlagExposure) == 10
    assert usage(database) == {"on": found.count(True), "off": found.count(False)}


def test_evaluations_are_written_once(log, database):
    flags = half()
    end = log.follow(flags)

    for _ in range(3):
        flags.is_enabled("menu", "u-1")
        log.flush()
    end()

    assert sum(usage(database).values()) == 3


def test_a_thread_writes_until_nothing_is_followed(database):
    log = AdoptionLog(database, UnitIds(KEY), interval=0.05)
    flags = half()
    end = log.follow(flags)
    flags.is_enabled("menu", "u-1")

    for _ in range(600):
        if usage(database):
            break
        threading.Event().wait(0.05)
    end()

    assert sum(usage(database).values()) == 1
    assert log._writer is None


def test_a_forked_child_follows_on(tmp_path, database):
    log = AdoptionLog(database, UnitIds(KEY), interval=3600)
    flags = half()
    end = log.follow(flags)
    flags.is_enabled("menu", "parent")
    child = os.fork()
    if child == 0:
        try:
            log.flush()
            flags.is_enabled("menu", "child")
            end()
            log.close()
            os._exit(0)
        except BaseException:
            os._exit(1)

    _, status = os.waitpid(child, 0)
    end()

    assert os.waitstatus_to_exitcode(status) == 0
    assert sum(usage(database).values()) == 2
    assert count(database, FlagExposure) == 2


def test_closing_ends_the_thread(database):
    log = AdoptionLog(database, UnitIds(KEY), interval=3600)
    log.follow(half())

    log.close()

    assert log._writer is None


# --- the report -------------------------------------------------------------------------------


def report(database, clock, flags=None, **options):
    return {each.flag: each for each in adoption_report(database, flags, clock=clock, **options)}


def test_the_report_tells_exposed_enabled_and_score(log, database, clock):
    for number in range(10):
        log.exposed("menu", "on" if number < 4 else "off", number)
    log.evaluated("menu", "on", 40)
    log.evaluated("menu", "off", 60)
    log.flush()
    feedback = FeedbackLog(database, UnitIds(KEY), clock=clock)
    feedback.give("menu", "on", unit=1, score=5)
    feedback.give("menu", "on", unit=2, score=4)
    feedback.give("menu", "off", unit=9, score=1)

    found = report(database, clock)["menu"]

    assert (found.exposed, found.enabled, found.rate) == (10, 4, 0.4)
    assert (found.evaluations, found.share) == (100, 0.4)
    assert (found.score, found.answers, found.last_evaluated) == (4.5, 3, START)
    assert [(each.variant, each.is_enabled, each.units) for each in found.variants] == [
        ("off", False, 6),
        ("on", True, 4),
    ]
    assert found.to_dict()["variants"][1]["feedback"]["mean"] == 4.5


def test_a_unit_that_saw_two_variants_counts_once(log, database, clock):
    log.exposed("price", "blue", "u-1")
    log.exposed("price", "red", "u-1")
    log.flush()

    found = report(database, clock)["price"]

    assert (found.exposed, found.enabled, found.rate) == (1, 1, 1.0)


def test_the_flag_tells_which_variants_are_the_feature(log, database, clock):
    flags = {
        "price": Flag("price", default="low", variants={"low": "low", "high": "high"}, off_variant="low"),
        "inverse": Flag(
            "inverse", variants={"yes": True, "no": False}, default_variant="no", off_variant="no"
        ),
    }
    for unit, variant in enumerate(["low", "low", "high"]):
        log.exposed("price", variant, unit)
    for unit, variant in enumerate(["yes", "no", "gone"]):
        log.exposed("inverse", variant, unit)
    log.flush()

    found = report(database, clock, flags)

    assert (found["price"].enabled, found["inverse"].enabled) == (1, 1)


def test_a_flag_nobody_met_is_in_the_report_when_it_is_in_force(database, clock):
    found = report(database, clock, {"menu": Flag("menu")})["menu"]

    assert (found.exposed, found.rate, found.share, found.score) == (0, None, None, None)
    assert found.last_evaluated is None


def test_the_report_looks_at_the_given_days_only(log, database, clock):
    log.exposed("menu", "on", "u-1")
    log.flush()
    clock.now += timedelta(days=31)

    assert report(database, clock, days=30) == {}
    assert report(database, clock, days=32)["menu"].exposed == 1


@pytest.mark.parametrize("days", [0, -1, 1e9])
def test_days_out_of_range_are_refused(database, days):
    with pytest.raises(InvalidArgumentError, match="days: expected more than 0"):
        adoption_report(database, days=days)
