import errno
import os

import pytest

from shared.logging._losses import Losses


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def notes():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_losses_are_counted_by_reason():
    losses = Losses("x", note_fd=None)
    losses.add("blocked")
    losses.add("blocked", 3)
    losses.add(OSError(errno.ENOSPC, "full"))
    losses.add(OSError("of no number"))

    assert losses.by_reason() == {"blocked": 4, "ENOSPC": 1, "OSError": 1}
    assert losses.total == 6


def test_the_first_loss_is_noted_and_then_one_a_minute(notes):
    reader, writer = notes
    clock = Clock()
    losses = Losses("stdout", note_fd=writer, clock=clock)

    losses.add("blocked")
    for _ in range(100):
        losses.add("blocked")
    first = os.read(reader, 10_000)
    clock.now = 61.0
    losses.add("blocked")
    second = os.read(reader, 10_000)

    assert first == b"shared.logging: stdout: blocked: 1 log line(s) lost so far\n"
    assert second == b"shared.logging: stdout: blocked: 102 log line(s) lost so far\n"


def test_a_note_never_waits_for_its_reader(notes):
    reader, writer = notes
    os.set_blocking(writer, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)

    Losses("x", note_fd=writer).add("blocked")  # returns


def test_a_note_to_nowhere_is_no_error():
    losses = Losses("x", note_fd=987654)
    losses.add("blocked")

    assert losses.total == 1


def test_without_poll_the_note_is_written_anyway(notes, monkeypatch):
    from shared.logging import _losses

    reader, writer = notes
    monkeypatch.delattr(_losses.select, "poll")

    Losses("x", note_fd=writer).add("blocked")

    assert os.read(reader, 1000).startswith(b"shared.logging: x")


def test_a_child_counts_anew():
    losses = Losses("x", note_fd=None)
    losses.add("blocked")

    losses.after_fork()

    assert losses.total == 0
