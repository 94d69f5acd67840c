import os
import threading

import pytest

from shared.logging import MemorySink, ThreadSink
from shared.logging._levels import ERROR, INFO
from tests.unit.logging.forking import fork


class Gate(MemorySink):
    """A sink that writes only while its gate is open."""

    def __init__(self):
        super().__init__()
        self.open = threading.Event()
        self.reached = threading.Event()
        self.closed = False

    def write(self, line, level):
        self.reached.set()
        self.open.wait()
        super().write(line, level)

    def close(self):
        self.closed = True


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open.set()


def full(gate, capacity=3):
    """A thread sink whose writer is stuck and whose queue is full."""
    sink = ThreadSink(gate, capacity=capacity)
    sink.write(b"stuck\n", INFO)
    gate.reached.wait()
    for number in range(capacity):
        sink.write(b"%d\n" % number, INFO)
    return sink


def text(memory):
    return b"".join(memory._lines).decode()


def test_lines_arrive_in_order():
    memory = MemorySink()
    sink = ThreadSink(memory)
    for number in range(1000):
        sink.write(b"%d\n" % number, INFO)

    assert sink.flush()
    assert text(memory).split() == [str(number) for number in range(1000)]
    sink.close()


def test_lines_are_joined_up_to_what_a_pipe_takes_whole(gate):
    sink = full(gate, capacity=100)
    gate.open.set()
    sink.flush()
    sink.close()

    assert len(gate._lines) < 10
    assert max(map(len, gate._lines)) <= 4096


def test_a_line_longer_than_a_batch_is_written_alone(gate):
    sink = ThreadSink(gate)
    sink.write(b"x" * 9000 + b"\n", INFO)
    sink.write(b"y\n", INFO)
    gate.open.set()
    sink.flush()
    sink.close()

    assert [len(line) for line in gate._lines] == [9001, 2]


def test_a_full_queue_drops_the_newest_below_error(gate):
    sink = full(gate)

    sink.write(b"dropped\n", INFO)
    gate.open.set()
    sink.flush()
    sink.close()

    assert "dropped" not in text(gate)
    assert sink.stats()["lost_by_reason"] == {"queue full": 1}


def test_an_error_waits_for_room(gate, monkeypatch):
    from shared.logging import _thread

    monkeypatch.setattr(_thread, "_URGENT_WAIT", 30.0)
    sink = full(gate)
    opener = threading.Timer(0.01, gate.open.set)
    opener.start()

    sink.write(b"error\n", ERROR)
    opener.join()
    sink.close()

    assert text(gate).endswith("error\n")
    assert sink.stats()["lost"] == 0


def test_an_error_does_not_wait_without_bound(gate):
    sink = full(gate)

    sink.write(b"error\n", ERROR)

    assert sink.stats()["lost"] == 1
    gate.open.set()
    sink.close()


def test_what_was_dropped_is_told_in_the_stream(gate):
    sink = full(gate)
    sink.report = lambda count: b"dropped %d\n" % count
    for _ in range(7):
        sink.write(b"no room\n", INFO)

    gate.open.set()
    sink.flush()
    sink.write(b"later\n", INFO)
    sink.flush()
    sink.close()

    assert text(gate).count("dropped 7") == 1


def test_close_writes_what_is_queued_and_closes_the_inner_sink(gate):
    sink = full(gate)
    gate.open.set()

    sink.close()
    sink.close()
    sink.write(b"late\n", INFO)

    assert text(gate) == "stuck\n0\n1\n2\n"
    assert gate.closed
    assert sink.stats()["lost_by_reason"] == {"closed": 1}


def test_close_does_not_wait_for_ever(gate, monkeypatch):
    from shared.logging import _thread

    monkeypatch.setattr(_thread, "_CLOSE_WAIT", 0.01)
    sink = full(gate)

    sink.close()

    assert sink.stats()["lost"] == 3
    assert sink.flush(0.01) is False


def test_a_sink_that_never_wrote_has_no_thread():
    sink = ThreadSink(MemorySink())

    assert sink._thread is None
    assert sink.flush()
    sink.close()


def test_the_losses_of_the_inner_sink_are_counted_too():
    class Lossy(MemorySink):
        def stats(self):
            return {"lost": 2, "lost_by_reason": {"EPIPE": 2}}

    sink = ThreadSink(Lossy())

    assert sink.stats() == {"lost": 2, "lost_by_reason": {"EPIPE": 2}, "queued": 0}
    sink.close()


def test_a_forked_child_has_a_working_thread_and_an_empty_queue():
    reader, writer = os.pipe()

    class Pipe(MemorySink):
        def write(self, line, level):
            os.write(writer, line)

    sink = ThreadSink(Pipe())
    sink.write(b"parent\n", INFO)
    sink.flush()
    with sink._changed:
        sink._queue.append((b"of the parent\n", INFO))
        child = fork()
        if child == 0:
            sink.write(b"child\n", INFO)
            ok = sink.flush()
            os._exit(0 if ok else 1)
        sink._queue.clear()
    _, status = os.waitpid(child, 0)
    sink.close()
    os.close(writer)

    assert status == 0
    assert os.read(reader, 1000) == b"parent\nchild\n"
    os.close(reader)


def test_a_child_of_a_closed_sink_stays_closed():
    sink = ThreadSink(MemorySink())
    sink.close()
    sink.after_fork()
    sink.write(b"x\n", INFO)

    assert sink.stats()["lost"] == 1


def test_the_writers_own_line_never_waits_for_itself():
    """What the inner sink logs while writing must not wait for room that only its thread makes."""
    sink = ThreadSink(MemorySink(), capacity=1)
    sink._thread = threading.current_thread()
    sink._queue.append((b"x\n", INFO))

    sink.write(b"y\n", ERROR)

    assert sink.stats()["lost"] == 1
    sink._thread = None
    sink.close()
