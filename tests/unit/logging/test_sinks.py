import io
import tempfile

from shared.logging import FdSink, FileSink, MemorySink, Sink, StreamSink, ThreadSink


def test_every_sink_keeps_the_protocol(tmp_path):
    file = FileSink(tmp_path / "x")
    sinks = [MemorySink(), StreamSink(io.StringIO()), FdSink(1), file, ThreadSink(MemorySink())]

    assert all(isinstance(sink, Sink) for sink in sinks)
    assert all({"lost", "lost_by_reason"} <= set(sink.stats()) for sink in sinks)
    file.close()


def test_memory_keeps_the_last_lines():
    sink = MemorySink(capacity=2)
    for line in (b"1\n", b"2\n", b"3\n"):
        sink.write(line, 20)

    assert sink.lines == ["2", "3"]
    assert sink.flush()
    sink.close()
    sink.clear()
    assert sink.lines == []


def test_a_text_stream_gets_text():
    stream = io.StringIO()
    StreamSink(stream).write("é\n".encode(), 20)

    assert stream.getvalue() == "é\n"


def test_a_binary_stream_gets_bytes():
    stream = io.BytesIO()
    StreamSink(stream).write(b"x\n", 20)

    assert stream.getvalue() == b"x\n"


def test_a_text_file_gets_text():
    with tempfile.TemporaryFile("w+") as file:
        StreamSink(file).write(b"x\n", 20)
        file.seek(0)

        assert file.read() == "x\n"


def test_a_writer_of_unknown_kind_is_asked_what_it_takes():
    class TextOnly:
        def __init__(self):
            self.got = []

        def write(self, text):
            if isinstance(text, bytes):
                raise TypeError
            self.got.append(text)

    class Anything(TextOnly):
        def write(self, text):
            self.got.append(text)

    text, anything = TextOnly(), Anything()
    StreamSink(text).write(b"x\n", 20)
    StreamSink(anything).write(b"x\n", 20)

    assert text.got == ["x\n"]
    assert anything.got[-1] == b"x\n"


def test_what_a_stream_raises_is_counted():
    class Broken:
        def write(self, data):
            raise OSError(28, "full")

    closed = io.StringIO()
    closed.close()
    broken = StreamSink(Broken())
    shut = StreamSink(closed)
    for sink in (broken, shut):
        sink._losses._note_fd = None
        sink.write(b"x\n", 20)
        sink.close()

    assert broken.stats() == {"lost": 1, "lost_by_reason": {"ENOSPC": 1}}
    assert shut.stats() == {"lost": 1, "lost_by_reason": {"ValueError": 1}}
