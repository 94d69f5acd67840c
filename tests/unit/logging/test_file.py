import os

import pytest

from shared.errors import ConfigurationError
from shared.logging import FileSink
from tests.unit.logging.forking import fork


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def path(tmp_path):
    return tmp_path / "service.log"


def test_lines_are_appended(path):
    path.write_bytes(b"before\n")
    sink = FileSink(path)
    sink.write(b"one\n")
    sink.close()

    assert path.read_bytes() == b"before\none\n"


def test_the_file_is_for_the_service_and_its_group(path):
    umask = os.umask(0)
    FileSink(path).close()
    os.umask(umask)

    assert path.stat().st_mode & 0o777 == 0o640


def test_a_moved_file_is_followed_within_a_second(path):
    clock = Clock()
    sink = FileSink(path, clock=clock)
    sink.write(b"one\n")
    path.rename(path.with_suffix(".1"))

    sink.write(b"two\n")
    clock.now = 1.5
    sink.write(b"three\n")
    sink.close()

    assert path.with_suffix(".1").read_bytes() == b"one\ntwo\n"
    assert path.read_bytes() == b"three\n"


def test_a_file_that_another_program_has_made_anew_is_followed(path):
    clock = Clock()
    sink = FileSink(path, clock=clock)
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"made by the rotation\n")
    clock.now = 2.0

    sink.write(b"line\n")
    sink.close()

    assert path.read_bytes() == b"made by the rotation\nline\n"


def test_an_unmoved_file_stays(path):
    clock = Clock()
    sink = FileSink(path, clock=clock)
    clock.now = 2.0
    sink.write(b"one\n")
    sink.close()

    assert path.read_bytes() == b"one\n"


def test_truncation_in_place_works(path):
    sink = FileSink(path)
    sink.write(b"a long first line\n")
    os.truncate(path, 0)
    sink.write(b"b\n")
    sink.close()

    assert path.read_bytes() == b"b\n"


def test_reopen_follows_at_once(path):
    sink = FileSink(path)
    path.rename(path.with_suffix(".1"))

    assert sink.reopen()
    sink.write(b"new\n")
    sink.close()

    assert path.read_bytes() == b"new\n"


def test_when_the_folder_is_gone_the_old_file_is_kept(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    clock = Clock()
    sink = FileSink(folder / "s.log", clock=clock)
    (folder / "s.log").rename(tmp_path / "moved")
    folder.rmdir()
    clock.now = 2.0

    sink.write(b"line\n")
    assert sink.reopen() is False
    sink.close()

    assert (tmp_path / "moved").read_bytes() == b"line\n"


def test_a_path_that_cannot_be_asked_about_keeps_the_file(path, monkeypatch):
    clock = Clock()
    sink = FileSink(path, clock=clock)
    monkeypatch.setattr(type(path), "stat", lambda self, **kwargs: (_ for _ in ()).throw(PermissionError()))
    clock.now = 2.0
    sink.write(b"line\n")
    monkeypatch.undo()
    sink.close()

    assert path.read_bytes() == b"line\n"


def test_a_closed_file_counts_what_comes_later(path):
    sink = FileSink(path)
    sink._sink._losses._note_fd = None
    sink.close()
    sink.close()

    sink.write(b"late\n")

    assert sink.reopen() is False
    assert sink.stats()["lost_by_reason"] == {"EBADF": 1}
    assert sink.flush()


def test_a_file_that_cannot_be_opened_is_a_configuration_error(tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"cannot open the log file '.*missing/x.log': No such file.*LOG_SINK"
    ):
        FileSink(tmp_path / "missing" / "x.log")


def test_a_fork_leaves_the_child_a_working_sink(path):
    sink = FileSink(path)
    sink._lock.acquire()
    child = fork()
    if child == 0:
        os._exit(0 if sink.reopen() else 1)
    _, status = os.waitpid(child, 0)
    sink._lock.release()
    sink.close()

    assert status == 0
