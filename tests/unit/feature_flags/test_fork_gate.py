"""No fork happens while a thread of ours is inside a driver; and a driver that hangs stops no fork."""

import os
import threading

from shared.feature_flags._fork_gate import ForkGate

WAIT = 30.0


def fork_and_ask(work):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, b"1" if work() else b"0")
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said == b"1"


def test_a_fork_waits_for_a_thread_that_is_inside():
    gate, entered, inside = ForkGate(), threading.Event(), []

    def work():
        with gate:
            inside.append(True)
            entered.set()
            threading.Event().wait(0.2)
            inside.clear()

    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(WAIT)

    was_outside = fork_and_ask(lambda: inside == [])
    thread.join(WAIT)

    assert was_outside


def test_a_thread_that_stays_inside_does_not_stop_the_fork():
    gate, entered, leave = ForkGate(), threading.Event(), threading.Event()

    def work():
        with gate:
            entered.set()
            leave.wait(WAIT)

    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(WAIT)

    def enter_in_child():
        with gate:
            return True

    works = fork_and_ask(enter_in_child)
    leave.set()
    thread.join(WAIT)

    assert works
    with gate:
        pass


def test_a_fork_from_inside_does_not_wait_for_itself():
    gate = ForkGate()

    with gate:
        works = fork_and_ask(lambda: True)

    assert works


def test_after_a_fork_the_parent_s_gate_is_open():
    gate, entered = ForkGate(), threading.Event()
    fork_and_ask(lambda: True)

    def enter():
        with gate:
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join(WAIT)

    assert entered.is_set()
