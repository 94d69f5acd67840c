import io
import pathlib

import pytest

from shared.errors import ConfigurationError
from shared.logging import FdSink, FileSink, MemorySink, StreamSink, ThreadSink
from shared.logging._open import is_terminal, open_sink


@pytest.mark.parametrize("name", ["stdout", "stderr", " stdout "])
def test_a_standard_stream_is_shared_and_not_ours_to_close(name):
    sink, owned = open_sink(name)

    assert isinstance(sink, FdSink)
    assert not owned


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_a_path_is_a_file(tmp_path, kind):
    sink, owned = open_sink(kind(tmp_path / "x.log"))

    assert isinstance(sink, FileSink)
    assert owned
    sink.close()


def test_thread_is_a_thread_in_front_of_stdout_or_what_is_named(tmp_path):
    plain, owned = open_sink("thread")
    file, _ = open_sink(f"thread:{tmp_path / 'x.log'}")
    stderr, _ = open_sink("thread:stderr")

    assert owned
    assert isinstance(plain, ThreadSink)
    assert isinstance(file.sink, FileSink)
    assert stderr.sink.stats()["lost_by_reason"] is not None
    for sink in (plain, file, stderr):
        sink.close()


def test_a_sink_is_taken_as_it_is():
    memory = MemorySink()

    assert open_sink(memory) == (memory, False)


def test_a_file_object_is_wrapped():
    assert isinstance(open_sink(io.StringIO())[0], StreamSink)


@pytest.mark.parametrize("value", [7, None, "", "  ", object(), "stdot", "thread:stdot", "redis://cache"])
def test_what_cannot_be_written_to_is_a_configuration_error(value):
    with pytest.raises(ConfigurationError, match="LOG_SINK"):
        open_sink(value)


def test_memory_is_no_terminal():
    assert not is_terminal(MemorySink())
