import concurrent.futures
import multiprocessing
import os
import string
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError, SharedError
from shared.utils import (
    generate_short_id,
    generate_slug,
    generate_timestamp_id,
    generate_uuid,
    parse_timestamp_id,
)
from shared.utils._ids import TimeSequence
from tests.unit.utils.hostile import HUGE, MEGABYTES, any_text, anything


class Clock:
    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


# --- UUIDs -----------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 7])
def test_generate_uuid_makes_the_version_asked_for(version):
    value = uuid.UUID(generate_uuid(version))

    assert (value.version, value.variant) == (version, uuid.RFC_4122)


def test_generate_uuid_is_random_by_default():
    assert uuid.UUID(generate_uuid()).version == 4


def test_generate_uuid_version_7_grows():
    ids = [generate_uuid(7) for _ in range(2000)]

    assert ids == sorted(set(ids))


@pytest.mark.parametrize("version", [1, 5, 6, 8, "4", None, 4.0, True])
def test_generate_uuid_refuses_other_versions(version):
    with pytest.raises(InvalidArgumentError, match="version must be"):
        generate_uuid(version)


# --- short ids ---------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 8, 22, 4096])
def test_generate_short_id_has_the_length_asked_for(length):
    assert len(generate_short_id(length)) == length


def test_generate_short_id_is_letters_and_digits_by_default():
    assert set(generate_short_id(4096)) == set(string.ascii_letters + string.digits)


def test_generate_short_id_draws_from_the_alphabet_given():
    assert set(generate_short_id(500, alphabet="äöü")) == set("äöü")


def test_generate_short_id_does_not_repeat():
    assert len({generate_short_id(12) for _ in range(5000)}) == 5000


@pytest.mark.parametrize("length", [0, -1, 4097, HUGE, 8.0, True, "8", None, float("nan")])
def test_generate_short_id_refuses_a_hostile_length(length):
    with pytest.raises(InvalidArgumentError, match="length must be"):
        generate_short_id(length)


@pytest.mark.parametrize("alphabet", ["", "a", "aa", "aab", 7, None, b"ab"])
def test_generate_short_id_refuses_an_alphabet_without_choice(alphabet):
    with pytest.raises(InvalidArgumentError, match="alphabet must"):
        generate_short_id(8, alphabet=alphabet)


# --- timestamp ids -------------------------------------------------------------------------


def test_timestamp_ids_sort_in_the_order_they_were_made():
    ids = [generate_timestamp_id() for _ in range(5000)]

    assert ids == sorted(set(ids))


def test_timestamp_ids_of_many_threads_are_unique():
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: [generate_timestamp_id() for _ in range(1000)], range(8)))

    assert len({value for batch in batches for value in batch}) == 8000


def _batch(_):
    return [generate_timestamp_id() for _ in range(500)]


def test_timestamp_ids_of_forked_processes_are_unique():
    generate_timestamp_id()  # the state to be copied exists before the fork
    with multiprocessing.get_context("fork").Pool(3) as pool:
        batches = [*pool.map(_batch, range(3)), _batch(0)]
        pool.close()
        pool.join()

    assert len({value for batch in batches for value in batch}) == 2000


def test_a_forked_child_parts_from_the_sequence_of_its_parent():
    sequence = TimeSequence(80, clock=Clock())
    sequence.next()
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, repr(sequence.next()).encode())
        os._exit(0)

    os.waitpid(child, 0)
    theirs = os.read(reader, 200).decode()
    os.close(reader)
    os.close(writer)

    assert theirs != repr(sequence.next())


def test_a_sequence_draws_a_new_tail_after_a_fork():
    tails = iter([5, 100])
    sequence = TimeSequence(80, clock=Clock(), random_bits=lambda bits: next(tails))
    first = sequence.next()

    sequence.after_fork()

    assert (first[1], sequence.next()[1]) == (5, 101)


def test_a_sequence_counts_up_within_a_millisecond():
    sequence = TimeSequence(80, clock=Clock(), random_bits=lambda bits: 5)

    assert [sequence.next()[1] for _ in range(3)] == [5, 6, 7]


def test_a_sequence_does_not_go_back_with_the_clock():
    clock = Clock()
    sequence = TimeSequence(80, clock=clock)
    before = sequence.next()

    clock.now -= 3600

    assert sequence.next() > before


def test_a_sequence_borrows_the_next_millisecond_when_the_tail_is_used_up():
    sequence = TimeSequence(4, clock=Clock(1.0), random_bits=lambda bits: 0)

    pairs = [sequence.next() for _ in range(17)]

    assert pairs[15:] == [(1000, 15), (1001, 0)]


@pytest.mark.parametrize("now", [-5.0, 1e18])
def test_a_sequence_survives_a_clock_outside_of_the_format(now):
    moment, _ = TimeSequence(80, clock=Clock(now)).next()

    assert 0 <= moment < 1 << 48


def test_a_timestamp_id_carries_its_prefix():
    value = generate_timestamp_id("order")

    assert value.startswith("order_")
    assert len(value) == len("order_") + 26


@pytest.mark.parametrize("prefix", ["a b", "é", "x" * 33, "a/b", 7, "--"])
def test_a_timestamp_id_refuses_a_prefix_that_is_no_word(prefix):
    with pytest.raises(InvalidArgumentError, match="prefix must be"):
        generate_timestamp_id(prefix)


def test_parse_timestamp_id_reads_the_time_back():
    before = datetime.now(UTC)

    made = parse_timestamp_id(generate_timestamp_id("order"))

    assert -0.001 <= (made - before).total_seconds() < 60


def test_parse_timestamp_id_takes_lower_case():
    value = generate_timestamp_id()

    assert parse_timestamp_id(value.lower()) == parse_timestamp_id(value)


@pytest.mark.parametrize(
    "value", ["", "x", "8" + "0" * 25, "I" * 26, "7" + "Z" * 25, None, HUGE, "\ud800" * 26]
)
def test_parse_timestamp_id_refuses_what_is_no_such_id(value):
    with pytest.raises(InvalidArgumentError, match="value"):
        parse_timestamp_id(value)


@given(anything)
def test_parse_timestamp_id_never_raises_a_foreign_error(value):
    try:
        parse_timestamp_id(value)
    except SharedError:
        pass


# --- slugs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Hello, World!", "hello-world"),
        ("  --  ", ""),
        ("Straße zum Café", "strasse-zum-cafe"),
        ("你好 世界", "ni-hao-shi-jie"),
        ("AT&T &lt;tag&gt;", "at-t-lt-tag-gt"),
        ("Ünïcödé\u202e test", "unicode-test"),
        ("\ud800 broken", "broken"),
        ("🎉", ""),
    ],
)
def test_generate_slug_reads_as_a_part_of_a_url(text, slug):
    assert generate_slug(text) == slug


def test_generate_slug_keeps_words_whole_when_one_fits():
    assert generate_slug("one two three", max_length=9) == "one-two"


def test_generate_slug_cuts_a_word_that_is_longer_than_the_limit():
    assert generate_slug("incomprehensibilities", max_length=8) == "incompre"


def test_generate_slug_joins_by_the_separator_given():
    assert generate_slug("one two", separator="_") == "one_two"


def test_generate_slug_keeps_other_scripts_when_asked():
    assert generate_slug("Привет Мир", allow_unicode=True) == "привет-мир"


@given(any_text, st.integers(1, 60), st.booleans())
def test_a_slug_is_never_longer_than_the_limit(text, limit, allow_unicode):
    assert len(generate_slug(text, max_length=limit, allow_unicode=allow_unicode)) <= limit


@given(any_text)
def test_a_slug_has_only_lower_case_letters_digits_and_single_separators(text):
    slug = generate_slug(text)

    assert set(slug) <= set(string.ascii_lowercase + string.digits + "-")
    assert "--" not in slug
    assert slug == slug.strip("-")


@pytest.mark.parametrize(
    "options", [{"separator": "/"}, {"separator": ""}, {"separator": None}, {"max_length": 0}]
)
def test_generate_slug_refuses_wrong_options(options):
    with pytest.raises(InvalidArgumentError):
        generate_slug("text", **options)


@given(anything)
def test_generate_slug_never_raises_a_foreign_error(value):
    try:
        generate_slug(value)
    except SharedError:
        pass


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", MEGABYTES)
def test_generate_slug_takes_a_megabyte_in_bounded_time(name):
    assert len(generate_slug(MEGABYTES[name])) <= 80
