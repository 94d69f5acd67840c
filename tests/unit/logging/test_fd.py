"""What can happen to a file descriptor while we write lines to it."""

import errno
import fcntl
import os
import pty
import socket
import sys
import threading

import pytest

from shared.logging import FdSink
from shared.logging import _fd as module
from shared.logging._levels import ERROR, INFO
from shared.logging._losses import Losses
from tests.unit.logging.forking import fork

LINE = b'{"event":"a line of ordinary length"}\n'


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            pass


def read_all(fd):
    os.set_blocking(fd, False)
    data = b""
    try:
        while chunk := os.read(fd, 65536):
            data += chunk
    except BlockingIOError:
        pass
    return data


def fill(fd):
    """Fill the pipe behind *fd* until it takes no more."""
    os.set_blocking(fd, False)
    try:
        while True:
            os.write(fd, b"x" * 4096)
    except BlockingIOError:
        pass
    try:
        while True:
            os.write(fd, b"x")
    except BlockingIOError:
        pass
    os.set_blocking(fd, True)


def quiet(fd, **kwargs):
    """A sink that keeps its complaints to itself."""
    sink = FdSink(fd, **kwargs)
    sink._losses = Losses("test", note_fd=None)
    return sink


def test_a_line_reaches_a_file(tmp_path):
    with open(tmp_path / "log", "wb") as file:
        FdSink(file.fileno()).write(LINE, INFO)

    assert (tmp_path / "log").read_bytes() == LINE


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
def test_a_line_reaches_whatever_has_a_reader(kind):
    if kind == "pipe":
        reader, writer = os.pipe()
    elif kind == "socket":
        left, right = socket.socketpair()
        reader, writer = left.detach(), right.detach()
    else:
        reader, writer = pty.openpty()
    sink = FdSink(writer)

    sink.write(LINE, INFO)

    assert os.read(reader, 1000).replace(b"\r\n", b"\n") == LINE
    assert sink.is_terminal() is (kind == "terminal")
    os.close(reader)
    os.close(writer)


def test_a_stalled_reader_costs_the_patience_once_and_then_nothing(pipe):
    reader, writer = pipe
    clock = Clock()
    waits = []
    sink = quiet(writer, patience=1.0, clock=clock)

    def wait(seconds):
        waits.append(seconds)
        clock.now += max(0.0, seconds)
        return False

    sink._wait_writable = wait
    fill(writer)

    for _ in range(100):
        sink.write(LINE, INFO)
    sink.write(LINE, ERROR)

    assert waits[0] == 1.0
    assert set(waits[1:-1]) == {0.0}
    assert waits[-1] == pytest.approx(0.05)
    assert sink.stats()["lost_by_reason"] == {"blocked": 101}


def test_a_stalled_reader_is_really_waited_for_only_so_long(pipe):
    reader, writer = pipe
    sink = quiet(writer, patience=0.05)
    fill(writer)
    done = threading.Event()

    def log():
        for _ in range(20):
            sink.write(LINE, ERROR)
        done.set()

    thread = threading.Thread(target=log, daemon=True)
    thread.start()

    assert done.wait(20)
    thread.join()
    assert sink.stats()["lost"] == 20


def test_lines_flow_again_when_the_reader_is_back(pipe):
    reader, writer = pipe
    sink = quiet(writer, patience=0.0)
    fill(writer)
    sink.write(LINE, INFO)

    read_all(reader)
    sink.write(LINE, INFO)

    assert read_all(reader) == LINE
    assert sink.stats()["lost"] == 1


def test_a_non_blocking_descriptor_delivers_everything_to_a_slow_reader(pipe):
    reader, writer = pipe
    os.set_blocking(writer, False)
    sink = quiet(writer, patience=30.0)
    lines = [b'{"n":%d,"pad":"%s"}\n' % (n, b"x" * 900) for n in range(2000)]
    received = []

    def read():
        while chunk := os.read(reader, 3000):
            received.append(chunk)

    thread = threading.Thread(target=read)
    thread.start()
    for line in lines:
        sink.write(line, INFO)
    os.close(writer)
    thread.join()

    assert b"".join(received) == b"".join(lines)
    assert sink.stats()["lost"] == 0


def test_the_shared_non_blocking_flag_is_not_touched(pipe):
    reader, writer = pipe

    sink = quiet(writer)
    sink.write(LINE, INFO)

    assert os.get_blocking(writer)


def test_a_line_torn_by_a_full_pipe_is_completed_before_the_next(pipe):
    reader, writer = pipe
    sink = quiet(writer, patience=0.0)
    long = b"A" * 300_000 + b"\n"
    sink.write(long, INFO)  # more than any pipe holds: the beginning is out

    received = b""
    while not received.endswith(LINE):
        received += read_all(reader)
        sink.flush(0.0)
        if received.endswith(b"\n") and LINE not in received:
            sink.write(LINE, INFO)

    assert received == long + LINE
    assert sink.stats()["lost"] == 0


def test_what_is_kept_for_later_is_bounded(pipe):
    reader, writer = pipe
    sink = quiet(writer, patience=0.0)
    sink.write(b"A" * 900_000 + b"\n", INFO)

    for _ in range(50):
        sink.write(b"B" * 100_000 + b"\n", INFO)

    assert len(sink._tail) <= 1 << 20
    assert sink.stats()["lost"] == 50


def test_a_reader_that_is_gone_is_counted(pipe):
    reader, writer = pipe
    sink = quiet(writer)
    os.close(reader)

    sink.write(LINE, INFO)
    sink.write(LINE, ERROR)

    assert sink.stats() == {"lost": 2, "lost_by_reason": {"EPIPE": 2}}


def test_a_full_disk_is_counted():
    fd = os.open("/dev/full", os.O_WRONLY)
    sink = quiet(fd)

    sink.write(LINE, INFO)

    assert sink.stats() == {"lost": 1, "lost_by_reason": {"ENOSPC": 1}}
    os.close(fd)


def test_a_closed_descriptor_is_counted(pipe):
    reader, writer = pipe
    sink = quiet(writer)
    os.close(writer)

    sink.write(LINE, INFO)
    before = quiet(writer)
    before.write(LINE, INFO)

    assert sink.stats()["lost_by_reason"] == {"EBADF": 1}
    assert before.stats()["lost_by_reason"] == {"EBADF": 1}
    assert before.is_terminal() is False


def test_a_line_cut_short_by_the_disk_does_not_spoil_the_next(tmp_path, monkeypatch):
    """A disk may take half a line; the next line must begin on its own."""
    with open(tmp_path / "log", "wb") as file:
        sink = quiet(file.fileno())
        real = os.write
        answers = [lambda fd, data: real(fd, data[:10]), fails(errno.ENOSPC)]
        monkeypatch.setattr(
            module.os, "write", lambda fd, data: (answers.pop(0) if answers else real)(fd, data)
        )
        sink._push = lambda fd, part: module.os.write(fd, part)

        sink.write(LINE, INFO)
        sink.write(LINE, INFO)
        monkeypatch.undo()

    assert (tmp_path / "log").read_bytes() == LINE[:10] + b"\n" + LINE
    assert sink.stats()["lost_by_reason"] == {"ENOSPC": 1}


def fails(number):
    def write(fd, data):
        raise OSError(number, os.strerror(number))

    return write


def test_a_short_write_to_a_file_is_completed(tmp_path, monkeypatch):
    with open(tmp_path / "log", "wb") as file:
        sink = quiet(file.fileno())
        real = os.write
        sink._push = lambda fd, part: real(fd, part[:7])
        monkeypatch.setattr(module.os, "write", lambda fd, data: real(fd, data[:3]))

        sink.write(LINE, INFO)
        monkeypatch.undo()

    assert (tmp_path / "log").read_bytes() == LINE


def test_a_descriptor_that_became_a_pipe_is_treated_as_one(tmp_path, pipe):
    reader, writer = pipe
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    sink = quiet(fd, patience=0.0)
    os.set_blocking(writer, False)
    os.dup2(writer, fd)
    fill(writer)
    os.set_blocking(writer, False)

    sink.write(LINE, INFO)
    read_all(reader)
    sink.write(LINE, INFO)

    assert read_all(reader) == LINE
    assert sink.stats()["lost_by_reason"] == {"blocked": 1}
    os.close(fd)


def test_a_descriptor_that_became_a_file_is_treated_as_one(tmp_path, pipe):
    reader, writer = pipe
    sink = quiet(writer)
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(fd, writer)
    os.close(fd)

    sink.write(LINE, INFO)
    sink.write(LINE, INFO)

    assert (tmp_path / "log").read_bytes() == LINE * 2


def test_without_the_flag_of_linux_a_pipe_is_polled(pipe, monkeypatch):
    monkeypatch.setattr(module, "_NOWAIT", None)
    reader, writer = pipe
    sink = quiet(writer, patience=0.0)

    sink.write(LINE, INFO)
    sink.write(b"B" * 10_000 + b"\n", INFO)
    received = read_all(reader)
    fill(writer)
    sink.write(LINE, INFO)

    assert received == LINE + b"B" * 10_000 + b"\n"
    assert sink.stats()["lost_by_reason"] == {"blocked": 1}


def test_without_poll_a_pipe_is_selected(pipe, monkeypatch):
    monkeypatch.setattr(module, "_NOWAIT", None)
    monkeypatch.delattr(module.select, "poll")
    reader, writer = pipe
    sink = quiet(writer, patience=0.0)

    sink.write(LINE, INFO)

    assert read_all(reader) == LINE


def test_a_line_logged_while_its_thread_is_writing_comes_after(pipe):
    """A signal handler or finalizer may log between two steps of a write."""
    reader, writer = pipe
    sink = quiet(writer)
    push = sink._push
    nested = [b"nested\n"]

    def interrupted(fd, part):
        if nested:
            sink.write(nested.pop(), INFO)
        return push(fd, part)

    sink._push = interrupted
    sink.write(LINE, INFO)
    sink.write(b"next\n", INFO)

    assert sorted(read_all(reader).splitlines()) == sorted([LINE.strip(), b"nested", b"next"])


def test_threads_do_not_mix_their_lines(pipe):
    reader, writer = pipe
    sink = quiet(writer, patience=30.0)
    received = []

    def read():
        while chunk := os.read(reader, 65536):
            received.append(chunk)

    def write(letter):
        for _ in range(100):
            sink.write(letter * 20_000 + b"\n", INFO)

    reading = threading.Thread(target=read)
    reading.start()
    writers = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    os.close(writer)
    reading.join()

    lines = b"".join(received).splitlines()
    assert len(lines) == 300
    assert all(len(set(line)) == 1 and len(line) == 20_000 for line in lines)


def test_a_lock_that_is_held_elsewhere_is_not_waited_for_without_bound(pipe):
    reader, writer = pipe
    sink = quiet(writer, patience=0.01)
    held, release = threading.Event(), threading.Event()

    def hold():
        with sink._lock:
            held.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()

    sink.write(LINE, INFO)

    release.set()
    thread.join()
    assert sink.stats()["lost_by_reason"] == {"blocked": 1}


def test_a_fork_leaves_the_child_a_working_sink(pipe):
    reader, writer = pipe
    sink = quiet(writer, patience=0.0)
    sink._lock.acquire()
    sink._tail = b"of the parent"
    child = fork()
    if child == 0:
        sink.write(b"child\n", INFO)
        os._exit(0)
    os.waitpid(child, 0)
    sink._lock.release()

    assert read_all(reader) == b"child\n"


def test_the_standard_streams_have_one_sink_each():
    assert module.standard_sink("stdout") is module.standard_sink("stdout")
    assert module.standard_sink("stdout") is not module.standard_sink("stderr")


def test_a_stream_closed_before_the_start_is_never_written_to(monkeypatch):
    monkeypatch.setattr(sys, "__stdout__", None)
    sink = module.standard_sink("stdout")
    sink._losses = Losses("test", note_fd=None)

    sink.write(LINE, INFO)

    assert sink.stats()["lost_by_reason"] == {"EBADF": 1}


def test_close_leaves_the_descriptor_open(pipe):
    reader, writer = pipe
    sink = quiet(writer)
    sink.close()

    assert fcntl.fcntl(writer, fcntl.F_GETFD) is not None
