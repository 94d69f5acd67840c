"""What a forked child finds."""

import gc
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from shared.errors import ConfigurationError
from shared.runtime import Runtime, _fork, after_fork_in_child
from shared.runtime._fork import rearm

WAIT = 10.0  # seconds; a bound, never slept through
forks = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def targets(monkeypatch):
    """A registry of this test's own: the process's holds what other tests left alive."""
    own = {}
    monkeypatch.setattr(_fork, "_targets", own)
    return own


def in_child(work) -> bytes:
    """Run *work* in a forked child and return what it gave, as text."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, str(work()).encode())
        except BaseException as exc:
            os.write(writer, repr(exc).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read()
    os.waitpid(pid, 0)
    return said


class Target:
    def __init__(self, name="target", log=None):
        self.name = name
        self.log = log if log is not None else []

    def after_fork(self):
        self.log.append(self.name)


@forks
def test_after_fork_is_called_in_the_child_and_not_in_the_parent():
    target = Target()
    after_fork_in_child(target)

    said = in_child(lambda: target.log)

    assert (said, target.log) == (b"['target']", [])


def test_targets_are_called_in_order_of_registration_and_once():
    log = []
    targets = [Target(name, log) for name in "abc"]
    for target in [*targets, targets[0]]:
        after_fork_in_child(target)

    rearm()

    assert log == ["a", "b", "c"]


def test_equal_targets_are_both_called():
    class Equal(Target):
        def __eq__(self, other):
            return True

        __hash__ = None

    log = []
    targets = [Equal("a", log), Equal("b", log)]
    for target in targets:
        after_fork_in_child(target)

    rearm()

    assert log == ["a", "b"]


def test_a_failing_target_does_not_keep_the_others_from_being_called():
    class Broken(Target):
        def after_fork(self):
            raise RuntimeError("broken")

    broken, target = Broken(), Target()
    after_fork_in_child(broken)
    after_fork_in_child(target)

    with pytest.raises(RuntimeError, match="broken"):
        rearm()

    assert target.log == ["target"]


def test_registration_does_not_keep_a_target_alive(targets):
    target = Target()
    key = id(target)
    after_fork_in_child(target)

    del target
    gc.collect()

    assert key not in targets


def test_a_target_that_cannot_be_referenced_weakly_is_refused_with_the_way_out():
    class Slotted:
        __slots__ = ()

        def after_fork(self):
            """Nothing."""

    with pytest.raises(ConfigurationError, match="Slotted .* add '__weakref__'"):
        after_fork_in_child(Slotted())


@forks
def test_runtime_builds_in_a_child_forked_while_another_thread_was_building():
    runtime = Runtime()
    started, release = threading.Event(), threading.Event()

    def slow(_):
        started.set()
        release.wait(WAIT)
        return "slow"

    thread = threading.Thread(target=runtime.get, args=(str, slow))
    thread.start()
    started.wait(WAIT)

    said = in_child(lambda: (runtime.get(str, lambda _: "child"), runtime.get(int, lambda _: 7)))

    release.set()
    thread.join()
    assert said == b"('child', 7)"
    assert runtime.get(str) == "slow"


@forks
def test_runtime_builds_in_a_child_forked_while_another_thread_held_its_lock():
    runtime = Runtime()
    held, release = threading.Event(), threading.Event()

    def hold():
        with runtime._lock:
            held.set()
            release.wait(WAIT)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(WAIT)

    said = in_child(lambda: runtime.get(int, lambda _: 7))

    release.set()
    thread.join()
    assert said == b"7"


def test_current_works_in_a_child_forked_while_another_thread_made_the_default():
    script = textwrap.dedent("""
        import os, threading
        from shared.runtime import current
        from shared.runtime._current import _process
        held, release = threading.Event(), threading.Event()
        def hold():
            with _process.lock:
                held.set()
                release.wait(10)
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(10)
        pid = os.fork()
        if pid == 0:
            os._exit(0 if current().name == "default" else 1)
        release.set()
        thread.join()
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """)
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}

    done = subprocess.run([sys.executable, "-c", script], timeout=30, env=path, check=False)

    assert done.returncode == 0


@forks
def test_a_factory_that_forks_ends_in_both_processes():
    runtime = Runtime()

    found = runtime.get(bytes, lambda _: in_child(lambda: "forked"))

    assert found == b"forked"
