import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from shared.errors import ConfigurationError
from shared.monitoring import DrainOnSignal, Lifecycle
from tests.unit.monitoring.children import ENVIRONMENT

USR = signal.SIGUSR1  # a test run must survive, so not SIGTERM


@pytest.fixture
def restored():
    before = signal.getsignal(USR)
    yield
    signal.signal(USR, before)


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def test_the_old_handler_gets_the_signal_after_the_delay(restored):
    got, lifecycle = [], Lifecycle(drain_delay=0.1, drain_timeout=30)
    lifecycle.mark_ready()
    signal.signal(USR, lambda signum, _frame: got.append((signum, threading.current_thread())))
    chain = DrainOnSignal(lifecycle, signals=(USR,))
    chain.install()

    signal.raise_signal(USR)
    at_once = (lifecycle.is_ready, list(got))
    until(lambda: got)
    chain.uninstall()

    assert at_once == (False, [])
    assert got == [(USR, threading.main_thread())]
    assert lifecycle.drain_reason == "SIGUSR1"


def test_a_second_signal_is_handed_on_at_once(restored):
    got, lifecycle = [], Lifecycle(drain_delay=30)
    signal.signal(USR, lambda *_: got.append(1))
    chain = DrainOnSignal(lifecycle, signals=(USR,))
    chain.install()

    signal.raise_signal(USR)
    signal.raise_signal(USR)
    chain.uninstall()

    assert got == [1]


def test_uninstall_puts_the_old_handler_back(restored):
    def old(*_):
        pass

    signal.signal(USR, old)
    chain = DrainOnSignal(Lifecycle(), signals=(USR,))
    chain.install()
    chain.install()
    chain.uninstall()

    assert signal.getsignal(USR) is old


def test_uninstall_leaves_a_handler_that_came_later(restored):
    def later(*_):
        pass

    chain = DrainOnSignal(Lifecycle(), signals=(USR,))
    chain.install()
    signal.signal(USR, later)
    chain.uninstall()

    assert signal.getsignal(USR) is later


def test_another_thread_may_not_install_and_changes_nothing(restored):
    chain, answers = DrainOnSignal(Lifecycle(), signals=(USR,)), []
    before = signal.getsignal(USR)
    thread = threading.Thread(target=lambda: answers.extend([chain.install(), chain.uninstall()]))
    thread.start()
    thread.join()

    assert answers == [False, None]
    assert signal.getsignal(USR) is before


def test_an_ignored_signal_stays_ignored_and_still_drains(restored):
    lifecycle = Lifecycle(drain_delay=0)
    signal.signal(USR, signal.SIG_IGN)
    chain = DrainOnSignal(lifecycle, signals=(USR,))
    chain.install()

    signal.raise_signal(USR)
    time.sleep(0.05)
    chain.uninstall()

    assert lifecycle.is_draining


async def test_a_handler_of_the_event_loop_is_chained_too():
    loop, got, lifecycle = asyncio.get_running_loop(), [], Lifecycle(drain_delay=0.05, drain_timeout=30)
    loop.add_signal_handler(USR, got.append, "server")
    chain = DrainOnSignal(lifecycle, signals=(USR,))
    chain.install()
    chain.install()

    signal.raise_signal(USR)
    await asyncio.sleep(0.02)
    early = (lifecycle.is_draining, list(got))
    for _ in range(200):
        await asyncio.sleep(0.01)
        if got:
            break
    chain.uninstall()
    signal.raise_signal(USR)
    await asyncio.sleep(0.02)
    loop.remove_signal_handler(USR)

    assert early == (True, [])
    assert got == ["server", "server"]


def test_no_signal_at_all_is_refused():
    with pytest.raises(ConfigurationError, match="signals is empty"):
        DrainOnSignal(Lifecycle(), signals=())


# -- whole processes: what happens when nobody handles the signal --------------------------------


def run_and_stop(body):
    code = textwrap.dedent("""
        import signal, sys, time, threading
        from shared.monitoring import DrainOnSignal, Lifecycle
    """) + textwrap.dedent(body)
    child = subprocess.Popen([sys.executable, "-c", code], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGTERM)
        output, _ = child.communicate(timeout=20)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    return child.returncode, output.split()


def test_a_worker_finishes_its_work_flushes_and_exits_by_the_signal():
    code, output = run_and_stop("""
        lifecycle = Lifecycle(drain_delay=0, drain_timeout=10)
        lifecycle.on_flush("log", lambda: print("flushed", flush=True))
        DrainOnSignal(lifecycle).install()
        try:
            with lifecycle.work():
                print("up", flush=True)
                while not lifecycle.is_draining:
                    time.sleep(0.01)
                time.sleep(0.2)
                print("worked", flush=True)
            time.sleep(30)
        finally:
            print("cleaned", flush=True)
    """)

    assert (code, output) == (143, ["worked", "flushed", "cleaned"])


def test_an_asyncio_worker_is_cleaned_up_too():
    code, output = run_and_stop("""
        import asyncio
        async def main():
            lifecycle = Lifecycle(drain_delay=0, drain_timeout=10)
            DrainOnSignal(lifecycle).install()
            try:
                print("up", flush=True)
                await asyncio.sleep(30)
            finally:
                print("cleaned", flush=True)
        asyncio.run(main())
    """)

    assert (code, output) == (143, ["cleaned"])


def test_a_process_that_will_not_end_is_flushed_and_dies_at_the_deadline():
    code, output = run_and_stop("""
        lifecycle = Lifecycle(drain_delay=0.1, drain_timeout=0.3)
        lifecycle.enter("a connection that never ends")
        lifecycle.on_flush("log", lambda: print("flushed", flush=True))
        signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
        DrainOnSignal(lifecycle).install()
        print("up", flush=True)
        while True:
            time.sleep(1)
    """)

    assert (code, output) == (-signal.SIGTERM, ["asked", "flushed"])


def test_a_forked_child_installs_its_own_chain():
    code, output = run_and_stop("""
        import os
        lifecycle = Lifecycle(drain_delay=0, drain_timeout=1)
        chain = DrainOnSignal(lifecycle)
        chain.install()
        pid = os.fork()
        if pid == 0:
            chain.install()
            print("child-drains" if lifecycle.is_draining else "up", flush=True)
            time.sleep(30)
        else:
            signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
            print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]), flush=True)
    """)

    assert (code, output) == (0, ["143"])
