"""Exposures, use and feedback on SQLite and PostgreSQL."""

import threading

import pytest
from sqlalchemy import text

from shared.database import Base, Database
from shared.feature_flags import (
    AdoptionLog,
    FeedbackLog,
    FlagExposure,
    FlagFeedback,
    FlagUsage,
    UnitIds,
    adoption_report,
    last_used,
)

TABLES = [FlagExposure.__table__, FlagUsage.__table__, FlagFeedback.__table__]
UNITS = UnitIds(b"a secret of this service")


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    """A database with the tables and nothing in them; of PostgreSQL a schema of its own."""
    url = f"sqlite:///{tmp_path}/flags.db"
    if request.param == "postgres":
        server = request.getfixturevalue("shared_postgres")
        with Database(server) as db, db.transaction() as session:
            session.execute(text("drop schema if exists flag_adoption cascade"))
            session.execute(text("create schema flag_adoption"))
        url = f"{server}{'&' if '?' in server else '?'}schema=flag_adoption"
    with Database(url) as found:
        Base.metadata.create_all(found.engine, tables=TABLES)
        yield found


def test_writers_at_the_same_time_lose_nothing(database):
    def work(number):
        log = AdoptionLog(database, UNITS, interval=None)
        for unit in range(30):
            log.exposed("menu", "on" if unit % 2 else "off", f"u-{unit}")
            log.evaluated("menu", "on" if unit % 2 else "off")
        log.flush()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    (found,) = adoption_report(database)
    assert (found.exposed, found.enabled, found.evaluations, found.share) == (30, 15, 90, 0.5)
    assert list(last_used(database)) == ["menu"]


def test_feedback_is_replaced_summed_up_and_forgotten(database):
    adoption, log = AdoptionLog(database, UNITS, interval=None), FeedbackLog(database, UNITS)
    adoption.exposed("menu", "on", "u-1")
    adoption.flush()

    log.give("menu", unit="u-1", score=1)
    log.give("menu", unit="u-1", score=5, text="better now")
    log.give("menu", "on", unit="u-2", score=2)

    (found,) = log.summary("menu")
    assert (found.answers, found.exposed, found.scores, found.texts) == (2, 1, {2: 1, 5: 1}, 1)
    assert [said for _, _, said, _ in log.texts("menu")] == ["better now"]
    assert log.forget("u-1") == 2
    assert adoption.prune(0.0) == 0


def test_feedback_of_one_unit_at_the_same_time_is_one_opinion(database):
    log = FeedbackLog(database, UNITS)
    threads = [
        threading.Thread(target=log.give, args=("menu", "on"), kwargs={"unit": "u-1", "score": score})
        for score in (1, 2, 3, 4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [found.answers for found in log.summary()] == [1]
