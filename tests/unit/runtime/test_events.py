"""Events reach the listeners of their class, and nothing else happens."""

import gc
import logging
import threading
import weakref

import pytest

from shared.errors import ConfigurationError
from shared.runtime import Events


def test_subscribe_hears_the_class_and_its_subclasses():
    events, seen = Events(), []
    events.subscribe(ValueError, seen.append)
    matching = [ValueError("a"), UnicodeError("b")]

    for event in (*matching, KeyError("c")):
        events.emit(event)

    assert seen == matching


def test_emit_calls_listeners_in_order_of_subscription_across_classes():
    events, order = Events(), []
    events.subscribe(object, lambda _: order.append("first"))
    events.subscribe(str, lambda _: order.append("second"))
    events.subscribe(object, lambda _: order.append("third"))

    events.emit("event")

    assert order == ["first", "second", "third"]


def test_unsubscribe_twice_ends_one_subscription_only():
    events, seen = Events(), []
    stop = events.subscribe(str, seen.append)
    events.subscribe(str, seen.append)

    stop()
    stop()
    events.emit("event")

    assert seen == ["event"]


def test_subscribe_takes_effect_after_the_class_was_emitted_before():
    events, seen = Events(), []
    events.emit("unheard")

    stop = events.subscribe(str, seen.append)
    events.emit("heard")
    stop()
    events.emit("unheard")

    assert seen == ["heard"]


def test_unsubscribe_inside_a_listener_does_not_disturb_the_others():
    events, seen = Events(), []
    stop = events.subscribe(str, lambda _: stop())
    events.subscribe(str, seen.append)

    events.emit("one")
    events.emit("two")

    assert seen == ["one", "two"]


def test_emit_logs_a_failing_listener_and_calls_the_rest(caplog):
    events, seen = Events(), []

    def fail(event):
        raise RuntimeError("listener broke")

    events.subscribe(str, fail)
    events.subscribe(str, seen.append)

    with caplog.at_level(logging.ERROR, "shared.events"):
        events.emit("event")

    assert seen == ["event"]
    assert [(r.name, r.getMessage(), r.event_type) for r in caplog.records] == [
        ("shared.events", "listener failed", "str")
    ]
    assert "listener broke" in caplog.text


def test_emit_lets_an_interrupt_through():
    events = Events()

    def interrupt(event):
        raise KeyboardInterrupt

    events.subscribe(str, interrupt)

    with pytest.raises(KeyboardInterrupt):
        events.emit("event")


class Watcher:
    async def method(self, event):
        """Never awaited."""


async def function(event):
    """Never awaited."""


@pytest.mark.parametrize("listener", [function, Watcher().method], ids=["function", "method"])
def test_subscribe_refuses_a_listener_that_nothing_would_await(listener):
    with pytest.raises(ConfigurationError, match="async function"):
        Events().subscribe(str, listener)


@pytest.mark.parametrize(
    ("event_type", "expected"), [(UnicodeError, True), (ValueError, True), (OSError, False)]
)
def test_has_listeners_follows_the_classes(event_type, expected):
    events = Events()
    events.subscribe(ValueError, print)

    assert events.has_listeners(event_type) is expected


def test_concurrent_subscribe_and_unsubscribe_lose_nothing():
    events, seen = Events(), []
    barrier = threading.Barrier(8)

    def work():
        barrier.wait()
        for _ in range(200):
            stop = events.subscribe(str, print)
            events.subscribe(bytes, seen.append)
            events.emit(7)
            stop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events.emit(b"event")

    assert len(seen) == 8 * 200
    assert not events.has_listeners(str)


def test_an_ended_subscription_does_not_keep_its_listener_alive():
    events = Events()

    class Listener:
        def hear(self, event):
            """Hear."""

    listener = Listener()
    ref = weakref.ref(listener)
    stop = events.subscribe(str, listener.hear)
    events.emit("event")

    stop()
    del listener, stop
    gc.collect()

    assert ref() is None
