"""What people say about a variant, and where it must not go."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import select

from shared.database import Base, Database, tables_of
from shared.errors import ConfigurationError, InvalidArgumentError, SharedError
from shared.feature_flags import AdoptionLog, FeedbackGiven, FeedbackLog, FlagFeedback, UnitIds
from shared.runtime import current

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
def database():
    with Database("sqlite://") as found:
        Base.metadata.create_all(found.engine, tables=tables_of("feature_flags"))
        yield found


@pytest.fixture
def log(database, clock):
    return FeedbackLog(database, UnitIds(KEY), clock=clock)


def rows(database):
    with database.read() as session:
        return session.execute(select(FlagFeedback.__table__)).mappings().all()


def expose(database, clock, *units, variant="on", phase=1):
    log = AdoptionLog(database, UnitIds(KEY), interval=None, clock=clock)
    for unit in units:
        log.exposed("menu", variant, unit, phase=phase)
    log.flush()


def test_feedback_is_summed_up_by_variant(log, database, clock):
    expose(database, clock, "u-1")
    log.give("menu", "on", unit="u-1", score=5, text="nice")
    log.give("menu", "on", unit="u-2", score=2)
    log.give("menu", "off", unit="u-3", text="no buttons")

    off, on = log.summary("menu")

    assert (on.variant, on.answers, on.exposed, on.scored, on.mean, on.texts) == ("on", 2, 1, 2, 3.5, 1)
    assert (off.answers, off.scored, off.mean, off.scores) == (1, 0, None, {})
    assert on.to_dict()["scores"] == {"2": 1, "5": 1}


def test_a_unit_has_one_opinion_of_a_variant(log):
    log.give("menu", "on", unit="u-1", score=1, text="broken")
    log.give("menu", "on", unit="u-1", score=5)

    (found,) = log.summary("menu")

    assert (found.answers, found.scores, found.texts) == (1, {5: 1}, 0)


def test_without_a_variant_it_belongs_to_the_latest_exposure(log, database, clock):
    expose(database, clock, "u-1", variant="off", phase=1)
    expose(database, clock, "u-1", variant="on", phase=2)

    log.give("menu", unit="u-1", score=4)

    assert [found.variant for found in log.summary("menu")] == ["on"]


def test_without_a_variant_and_an_exposure_it_is_refused(log):
    with pytest.raises(InvalidArgumentError, match="name the variant it was shown"):
        log.give("menu", unit="u-1", score=4)


def test_the_unit_is_written_as_a_keyed_hash(log, database):
    log.give("menu", "on", unit="ada@example.com", score=4)

    (row,) = rows(database)

    assert row["unit"] == UnitIds(KEY)("ada@example.com")
    assert "ada" not in str(dict(row))


def test_the_unit_is_written_as_it_is_where_the_service_chose_so(database):
    FeedbackLog(database, UnitIds(plain=True)).give("menu", "on", unit="u-1", score=4)

    assert rows(database)[0]["unit"] == "u-1"


def test_the_text_reaches_neither_the_log_nor_the_event(log, log_capture):
    heard = []
    stop = current().events.subscribe(FeedbackGiven, heard.append)

    log.give("menu", "on", unit="u-1", score=4, text="call me at 555-0100")
    stop()

    assert heard == [FeedbackGiven("menu", "on", 4, has_text=True)]
    assert "555" not in str(log_capture)


def test_what_is_written_is_cut_and_cleaned(log, database):
    log.give("menu", "on", unit="u-1", text="\x1b[31mred\x00\nnext " + "x" * 50_000)

    (row,) = rows(database)

    assert row["text"].startswith("[31mred\nnext x")
    assert len(row["text"]) == 2000


def test_texts_come_newest_first(log, clock):
    log.give("menu", "on", unit="u-1", score=4, text="first")
    clock.now += timedelta(minutes=1)
    log.give("menu", "off", unit="u-2", text="second")

    assert [(variant, score, text) for variant, score, text, _ in log.texts("menu")] == [
        ("off", None, "second"),
        ("on", 4, "first"),
    ]
    assert [text for _, _, text, _ in log.texts("menu", variant="on", limit=1)] == ["first"]


def test_a_unit_can_be_forgotten(log, database, clock):
    expose(database, clock, "u-1", "u-2")
    log.give("menu", "on", unit="u-1", score=4)

    assert log.forget("u-1") == 2
    assert log.summary() == []


def test_old_feedback_leaves_the_summary_and_can_be_removed(log, clock):
    log.give("menu", "on", unit="u-1", score=4)
    clock.now += timedelta(days=40)
    log.give("menu", "on", unit="u-2", score=2)

    assert [found.answers for found in log.summary(days=30)] == [1]
    assert log.prune(30) == 1
    assert [found.answers for found in log.summary()] == [1]


@pytest.mark.parametrize("score", [0, 6, True, 3.0, "5"])
def test_a_score_outside_the_scale_is_refused(log, score):
    with pytest.raises(InvalidArgumentError, match="whole number from 1 to 5"):
        log.give("menu", "on", unit="u-1", score=score)


def test_another_scale_can_be_chosen(database):
    log = FeedbackLog(database, UnitIds(KEY), lowest=0, highest=10)

    log.give("menu", "on", unit="u-1", score=0)

    assert log.summary()[0].mean == 0.0


def test_a_scale_without_room_is_refused(database):
    with pytest.raises(InvalidArgumentError, match="got 5..5"):
        FeedbackLog(database, UnitIds(KEY), lowest=5, highest=5)


@pytest.mark.parametrize("given", [{}, {"text": ""}, {"text": " \x00 "}])
def test_nothing_said_is_refused(log, given):
    with pytest.raises(InvalidArgumentError, match="got neither"):
        log.give("menu", "on", unit="u-1", **given)


@pytest.mark.parametrize("limit", [0, 1001])
def test_an_endless_list_of_texts_is_refused(log, limit):
    with pytest.raises(InvalidArgumentError, match="limit: expected 1 to 1000"):
        log.texts("menu", limit=limit)


@pytest.mark.parametrize("unit", [None, "", True, b"u", [], 10**80])
def test_what_is_no_id_is_refused(unit):
    with pytest.raises(InvalidArgumentError, match="unit: expected"):
        UnitIds(KEY)(unit)


@pytest.mark.parametrize("unit", ["x" * 201, "a\x00b", "\ud800"])
def test_an_id_that_no_column_holds_can_be_hashed_only(unit):
    assert len(UnitIds(KEY)(unit)) == 24
    with pytest.raises(InvalidArgumentError, match="unit: expected") as caught:
        UnitIds(plain=True)(unit)

    assert "xxx" not in str(caught.value)


def test_a_number_and_its_text_are_one_unit():
    assert UnitIds(KEY)(7) == UnitIds(KEY)("7") == UnitIds(KEY)(7.0)


def test_the_key_may_be_hidden_in_a_secret():
    assert UnitIds(SecretStr(KEY.decode()))("u-1") == UnitIds(KEY)("u-1")


@pytest.mark.parametrize("key", [None, "short", b"", 7])
def test_a_key_that_anybody_can_guess_is_refused(key):
    with pytest.raises(ConfigurationError, match="FLAGS_UNIT_KEY"):
        UnitIds(key)


anything = (
    st.none() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=5) | st.booleans()
)


@settings(deadline=None, max_examples=50)
@given(flag=anything, variant=anything, unit=anything, score=anything, text=anything)
def test_only_our_errors_come_out_of_any_feedback(flag, variant, unit, score, text):
    with Database("sqlite://") as database:
        Base.metadata.create_all(database.engine, tables=tables_of("feature_flags"))
        log = FeedbackLog(database, UnitIds(KEY))

        try:
            log.give(flag, variant, unit=unit, score=score, text=text)
        except SharedError:
            assert log.summary() == []
        else:
            assert len(log.summary()) == 1
