"""How what is in force follows the store: with a thread, after a fork, and with no thread at all."""

import gc
import os
import threading
import time

import pytest

from shared.errors import InvalidArgumentError, ServiceUnavailableError
from shared.feature_flags import (
    Flag,
    FlagChanges,
    FlagRefresher,
    Flags,
    FlagsChanged,
    FlagStoreFailed,
    LastKnownGood,
    MemoryFlagStore,
)
from shared.runtime import Events

PATIENCE = 30.0  # seconds; what takes longer does not happen


class Hand:
    """Monotonic seconds that the test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Faulty(MemoryFlagStore):
    """A store that can be switched off, emptied and damaged."""

    def __init__(self):
        super().__init__()
        self.fault = None
        self.looks = 0

    def revision(self):
        self.looks += 1
        if self.fault is not None:
            raise self.fault
        return super().revision()

    def forget(self):
        self._state = (0, {"flags": {}, "segments": {}})

    def damage(self):
        revision, form = self._state
        self._state = (revision + 1, {**form, "flags": {"beta": {"default": {"no": object}}}})


def put(store, *flags, actor="ada", reason=""):
    return store.apply(FlagChanges({flag.key: flag for flag in flags}), actor=actor, reason=reason)


@pytest.fixture
def store():
    return Faulty()


@pytest.fixture
def clock():
    return Hand()


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def told(events):
    found = []
    events.subscribe(FlagStoreFailed, found.append)
    events.subscribe(FlagsChanged, found.append)
    return found


@pytest.fixture
def make(store, events):
    """Makes flags that follow the store; closed at the end."""
    made = []

    def build(**options):
        options = {"store": store, "refresh_seconds": 10.0, "threads": False, "events": events} | options
        made.append(Flags([Flag("beta")], **options))
        return made[-1]

    yield build
    for flags in made:
        flags.close()


def eventually(condition):
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


# --- with a thread --------------------------------------------------------------------------


def test_the_first_evaluation_knows_what_the_store_says(store, make):
    put(store, Flag("beta", default=True))

    assert make(threads=True, refresh_seconds=600.0).is_enabled("beta")


def test_a_thread_puts_a_change_in_force_at_a_hint(store, make):
    flags = make(threads=True, refresh_seconds=600.0)
    flags.is_enabled("beta")

    put(store, Flag("beta", default=True))

    assert eventually(lambda: flags.is_enabled("beta"))


def test_a_thread_puts_a_change_in_force_without_hints(store, make, monkeypatch):
    monkeypatch.setattr(Faulty, "wait_hint", lambda self, timeout: False)
    flags = make(threads=True, refresh_seconds=0.05)
    flags.is_enabled("beta")

    put(store, Flag("beta", default=True))

    assert eventually(lambda: flags.is_enabled("beta"))


def test_hints_that_raise_leave_polling(store, make, monkeypatch):
    def broken(self, timeout):
        raise RuntimeError("no hints")

    monkeypatch.setattr(Faulty, "wait_hint", broken)
    flags = make(threads=True, refresh_seconds=0.05)
    flags.is_enabled("beta")

    put(store, Flag("beta", default=True))

    assert eventually(lambda: flags.is_enabled("beta"))


def test_closing_ends_the_thread(store, make):
    flags = make(threads=True, refresh_seconds=600.0)
    flags.is_enabled("beta")
    thread = flags._refresher._thread
    assert thread.is_alive()

    flags.close()

    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_flags_that_nobody_holds_end_their_thread(store, events):
    flags = Flags([Flag("beta")], store=store, refresh_seconds=600.0, events=events)
    flags.is_enabled("beta")
    thread = flags._refresher._thread

    del flags

    assert eventually(lambda: gc.collect() is not None and not thread.is_alive())


def test_where_no_thread_can_start_evaluation_looks_itself(store, make, clock, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    flags = make(threads=True)
    flags._refresher._clock = clock
    flags.is_enabled("beta")

    put(store, Flag("beta", default=True))
    clock.now += 11.0

    assert flags.is_enabled("beta")


def test_a_thread_that_is_starved_does_not_keep_evaluation_from_looking(store, make, clock, monkeypatch):
    """As in a server that forks its workers without support for threads."""
    monkeypatch.setattr("shared.feature_flags._refresher._run", lambda reference, stop: stop.wait(PATIENCE))
    flags = make(threads=True)
    flags._refresher._clock = clock
    flags.is_enabled("beta")

    put(store, Flag("beta", default=True))
    clock.now += 21.0

    assert flags.is_enabled("beta")


# --- without ---------------------------------------------------------------------------------


def test_without_threads_a_change_is_seen_after_the_interval(store, make, clock):
    flags = make()
    flags._refresher._clock = clock
    flags.is_enabled("beta")
    put(store, Flag("beta", default=True))

    before = flags.is_enabled("beta")
    clock.now += 10.5
    after = flags.is_enabled("beta")

    assert (before, after) == (False, True)


def test_without_threads_a_scope_looks_too(store, make, clock):
    flags = make()
    flags._refresher._clock = clock
    flags.is_enabled("beta")
    put(store, Flag("beta", default=True))
    clock.now += 10.5

    with flags.scope():
        assert flags.is_enabled("beta")


def test_a_change_waits_for_the_end_of_the_scope(store, make, clock):
    flags = make()
    flags._refresher._clock = clock
    with flags.scope():
        first = flags.is_enabled("beta")
        put(store, Flag("beta", default=True))
        clock.now += 100.0
        second = flags.is_enabled("beta")
        flags.refresh()
        third = flags.is_enabled("beta")

    assert (first, second, third, flags.is_enabled("beta")) == (False, False, False, True)


def test_between_two_looks_the_store_is_left_alone(store, make, clock):
    flags = make()
    flags._refresher._clock = clock
    flags.is_enabled("beta")
    looks = store.looks

    for _ in range(100):
        flags.is_enabled("beta")

    assert store.looks == looks


# --- fork ------------------------------------------------------------------------------------


def in_child(work):
    """Run *work* in a forked child and return what it says within its time."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(write, b"yes" if work() else b"no")
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said.decode()


def test_a_forked_child_goes_on_by_itself(store, make):
    flags = make(threads=True, refresh_seconds=600.0)
    flags.is_enabled("beta")

    def work():
        before = flags.is_enabled("beta")
        put(store, Flag("beta", default=True))
        return not before and eventually(lambda: flags.is_enabled("beta"))

    assert in_child(work) == "yes"


def test_a_forked_child_goes_on_while_the_parent_holds_the_lock(store, make):
    flags = make(threads=False, refresh_seconds=0.01)
    flags.is_enabled("beta")
    flags._refresher._looking.acquire()

    def work():
        put(store, Flag("beta", default=True))
        return eventually(lambda: flags.is_enabled("beta"))

    said = in_child(work)
    flags._refresher._looking.release()

    assert said == "yes"


def test_a_fork_of_a_fork_goes_on_too(store, make):
    flags = make(threads=True, refresh_seconds=600.0)
    flags.is_enabled("beta")

    def inner():
        put(store, Flag("beta", default=True))
        return eventually(lambda: flags.is_enabled("beta"))

    assert in_child(lambda: in_child(inner) == "yes") == "yes"


# --- what goes wrong -------------------------------------------------------------------------


def test_a_store_that_is_down_at_the_start_leaves_the_code(store, make):
    store.fault = ServiceUnavailableError("away")

    flags = make()

    assert flags.is_enabled("beta") is False
    status = flags.refresh_status()
    assert (status.revision, status.source, status.cause) == (None, "none", "unavailable")


def test_a_store_that_goes_down_leaves_what_was_in_force(store, make):
    put(store, Flag("beta", default=True))
    flags = make()
    flags.is_enabled("beta")

    store.fault = ServiceUnavailableError("away")
    flags.refresh()

    assert flags.is_enabled("beta") is True
    assert (flags.refresh_status().failures, flags.refresh_status().error) == (1, "away")


@pytest.mark.parametrize(
    "fault", [OSError("x"), RuntimeError("x"), KeyError("x")], ids=["os", "runtime", "key"]
)
def test_whatever_a_store_raises_evaluation_goes_on(store, make, fault):
    put(store, Flag("beta", default=True))
    flags = make()
    flags.is_enabled("beta")

    store.fault = fault

    assert flags.refresh() is False
    assert flags.is_enabled("beta")


def test_a_store_that_comes_back_is_followed_again(store, make):
    flags = make()
    flags.is_enabled("beta")
    store.fault = ServiceUnavailableError("away")
    flags.refresh()
    store.fault = None
    put(store, Flag("beta", default=True))

    assert flags.refresh() is True
    assert flags.is_enabled("beta")
    assert flags.refresh_status().is_current


def test_a_store_that_lost_everything_changes_nothing(store, make):
    put(store, Flag("beta", default=True))
    flags = make()
    flags.is_enabled("beta")

    store.forget()
    flags.refresh()

    assert flags.is_enabled("beta")
    assert flags.refresh_status().cause == "empty"


def test_a_store_that_was_filled_again_is_followed(store, make):
    put(store, Flag("beta", default=True), Flag("x"))
    put(store, Flag("x", rollout=1))
    flags = make()
    flags.is_enabled("beta")
    store.forget()
    flags.refresh()

    put(store, Flag("beta"))
    flags.refresh()

    assert (flags.is_enabled("beta"), flags.refresh_status().revision) == (False, 1)


def test_a_bad_document_is_refused_whole(store, make):
    put(store, Flag("beta", default=True))
    flags = make()
    flags.is_enabled("beta")

    store.damage()
    flags.refresh()

    assert flags.is_enabled("beta")
    assert (flags.refresh_status().cause, flags.refresh_status().revision) == ("refused", 1)


def test_a_circle_is_refused_whole(store, make):
    put(store, Flag("beta", default=True))
    flags = make()
    flags.is_enabled("beta")
    circle = {"a": {"prerequisites": [{"flag": "b"}]}, "b": {"prerequisites": [{"flag": "a"}]}}
    store._state = (2, {"flags": {**circle, "beta": {"default": False}}, "segments": {}})

    flags.refresh()

    assert flags.is_enabled("beta")
    assert "circle" in flags.refresh_status().error


def test_a_failure_is_told_once_and_again_when_it_is_another(store, make, told):
    flags = make()
    flags.is_enabled("beta")
    told.clear()

    for fault in ("away", "away", "locked", "locked"):
        store.fault = ServiceUnavailableError(fault)
        flags.refresh()

    assert told == [FlagStoreFailed("away"), FlagStoreFailed("locked")]


def test_a_change_is_told_with_who_and_why(store, make, told):
    flags = make()
    flags.is_enabled("beta")
    put(store, Flag("beta", rollout=5), actor="bob", reason="a few")

    flags.refresh()

    assert told[-1] == FlagsChanged(1, ("beta",), "bob", "a few")


def test_a_listener_may_refresh(store, make):
    flags = make()
    flags.is_enabled("beta")
    answers = []
    flags.on_change(lambda change: answers.append(flags.refresh()))
    put(store, Flag("beta", default=True))

    flags.refresh()

    assert answers == [False]


def test_reasons_tell_when_the_store_has_been_silent_for_long(store, make, clock):
    put(store, Flag("beta", default=True))
    flags = make()
    flags._refresher._clock = clock
    flags._refresher.refresh()
    store.fault = ServiceUnavailableError("away")
    clock.now += 31.0

    silent = flags.detail("beta").reason
    store.fault = None
    clock.now += 10.0
    again = flags.detail("beta").reason

    assert (silent, again) == ("STALE", "STATIC")


def test_the_age_is_that_of_the_last_word_of_the_store(store, make, clock):
    flags = make()
    flags._refresher._clock = clock
    flags.refresh()
    clock.now += 4.0

    assert flags.refresh_status().age == 4.0


# --- the last known good ---------------------------------------------------------------------


def test_a_start_without_the_store_takes_the_last_known_good(store, make, tmp_path):
    put(store, Flag("beta", default=True))
    make(last_known_good=str(tmp_path / "flags.json")).is_enabled("beta")
    store.fault = ServiceUnavailableError("away")

    flags = make(last_known_good=str(tmp_path / "flags.json"))

    assert flags.is_enabled("beta")
    assert flags.detail("beta").reason == "STALE"
    assert (flags.refresh_status().source, flags.refresh_status().revision) == ("disk", 1)


def test_a_store_that_is_back_takes_over_from_the_disk(store, make, tmp_path):
    put(store, Flag("beta", default=True))
    make(last_known_good=str(tmp_path / "flags.json")).is_enabled("beta")
    store.fault = ServiceUnavailableError("away")
    flags = make(last_known_good=str(tmp_path / "flags.json"))
    flags.is_enabled("beta")

    store.fault = None
    flags.refresh()

    assert (flags.refresh_status().source, flags.detail("beta").reason) == ("store", "STATIC")


def test_an_empty_store_does_not_replace_the_last_known_good(store, make, tmp_path):
    put(store, Flag("beta", default=True))
    kept = LastKnownGood(tmp_path / "flags.json")
    make(last_known_good=kept).is_enabled("beta")
    store.fault = ServiceUnavailableError("away")
    flags = make(last_known_good=kept)
    flags.is_enabled("beta")

    store.fault = None
    store.forget()
    flags.refresh()

    assert flags.is_enabled("beta")
    assert kept.load().revision == 1


def test_a_damaged_last_known_good_leaves_the_code(store, make, tmp_path):
    path = tmp_path / "flags.json"
    path.write_text("{not json")
    store.fault = ServiceUnavailableError("away")

    assert make(last_known_good=str(path)).is_enabled("beta") is False


def test_a_disk_that_cannot_be_written_stops_nothing(store, make, tmp_path):
    (tmp_path / "file").write_text("")
    put(store, Flag("beta", default=True))

    assert make(last_known_good=str(tmp_path / "file" / "flags.json")).is_enabled("beta")


# --- the object ------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [0.0, -1.0, 0.001, 86_401.0, float("nan")])
def test_an_interval_is_bounded(store, every):
    with pytest.raises(InvalidArgumentError, match="every"):
        FlagRefresher(store, print, every=every)


def test_flags_without_a_store_have_nothing_to_look_at():
    flags = Flags([Flag("beta")])

    assert (flags.refresh(), flags.refresh_status().source) == (False, "none")
    flags.close()


def test_a_required_flag_raises_until_the_store_was_reached(store, make):
    from shared.errors import FlagUnavailableError

    store.fault = ServiceUnavailableError("away")
    flags = Flags([Flag("guard", required=True)], store=store, threads=False)

    with pytest.raises(FlagUnavailableError):
        flags.is_enabled("guard")
    store.fault = None
    put(store, Flag("guard", default=True))
    flags.refresh()

    assert flags.is_enabled("guard")
    flags.close()


def test_a_url_is_opened_and_closed(tmp_path):
    path = tmp_path / "flags.json"
    path.write_text('{"flags": {"beta": {"default": true}}}')

    with Flags([Flag("beta")], store=path.as_uri()) as flags:
        assert flags.is_enabled("beta")


def test_8_threads_evaluate_while_the_store_changes_and_none_sees_a_mixture(store, make):
    """Two flags always change together; in a scope nobody ever sees one without the other."""
    flags = make(threads=True, refresh_seconds=0.01)
    put(store, Flag("a", default=0, variants={"v": 0}), Flag("b", default=0, variants={"v": 0}))
    flags.refresh()
    wrong, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            with flags.scope():
                pair = flags.value("a"), flags.value("b")
            if pair[0] != pair[1]:
                wrong.append(pair)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(1, 31):
        put(store, *(Flag(key, default=number, variants={"v": number}) for key in ("a", "b")))
        flags.refresh()
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)

    assert wrong == []
    assert flags.value("a") == 30
