"""Logging in real processes: broken outputs, crashes, forks, exits."""

import os
import subprocess
import sys

import pytest

from tests.integration.logging.programs import SOURCE, environment, events, run

CONFIGURE = """
from shared.logging import *
handle = configure_logging({"LOG_FORMAT": "json"}, service="svc")
log = get_logger("main")
"""


def test_importing_the_room_configures_and_starts_nothing():
    result = run(
        "import logging, sys, threading\n"
        "before = logging.root.handlers[:], sys.excepthook, logging.getLogRecordFactory(), threading.active_count()\n"
        "import shared.logging\n"
        "after = logging.root.handlers[:], sys.excepthook, logging.getLogRecordFactory(), threading.active_count()\n"
        "assert before == after\n"
    )

    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_a_script_logs_by_its_environment_without_configuring():
    result = run(
        "from shared.logging import get_api_logger\nget_api_logger().debug('it', user_id='1')",
        env={"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG", "SERVICE_NAME": "script"},
    )

    (event,) = events(result.stdout)
    assert (event["event"], event["logger"], event["service"]) == ("it", "api", "script")


def test_the_seeds_path_hack_fails_loudly():
    result = run(f"import sys; sys.path.insert(0, {str(SOURCE / 'shared')!r})\nimport logging")

    assert result.returncode == 1
    assert b"ImportError: shared/logging hides the standard library's logging" in result.stderr


def test_a_crash_is_one_json_line_and_nothing_else():
    result = run(
        CONFIGURE + "def main():\n    password = 'hunter2'\n    raise ValueError('token=abc')\nmain()"
    )

    (event,) = events(result.stdout)
    assert result.returncode == 1
    assert result.stderr == b""
    assert (event["level"], event["exception"]["message"]) == ("critical", "token=***")
    assert b"hunter2" not in result.stdout


def test_warnings_and_threads_and_tasks_land_in_the_stream():
    result = run(
        CONFIGURE
        + """
import asyncio, gc, threading, warnings
warnings.warn("old", FutureWarning)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start(); thread.join()
async def main():
    async def fail():
        raise ValueError("lost")
    task = asyncio.ensure_future(fail())
    await asyncio.sleep(0)
    del task
    gc.collect()
asyncio.run(main())
"""
    )

    assert result.stderr == b""
    found = [(event["logger"], event["level"]) for event in events(result.stdout)]
    assert found == [("py.warnings", "warning"), ("shared.uncaught", "error"), ("asyncio", "error")]


def test_a_closed_stdout_harms_nobody():
    with subprocess.Popen(
        [
            "/bin/sh",
            "-c",
            'exec "$0" -c "$1" >&-',
            sys.executable,
            CONFIGURE
            + "import sys\nfor n in range(100): log.info('it')\nopen('/dev/null').read()\nprint(handle.stats()['lost'], file=sys.stderr)",
        ],
        env=environment(),
        stderr=subprocess.PIPE,
    ) as process:
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 0
    assert errors.splitlines()[-1] == b"100"
    assert errors.count(b"shared.logging: stdout: EBADF: 1 log line(s) lost so far") == 1


def test_stdout_closed_on_the_way_harms_nobody():
    result = run(
        CONFIGURE
        + "import os, sys\nlog.info('one')\nos.close(1)\nlog.info('two')\nprint(handle.stats(), file=sys.stderr)\nos._exit(0)"
    )

    assert [event["event"] for event in events(result.stdout)] == ["one"]
    assert b"'EBADF': 1" in result.stderr


def test_a_full_disk_harms_nobody():
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [
                sys.executable,
                "-c",
                CONFIGURE
                + "for n in range(1000): log.error('it')\nimport sys, os\nprint(handle.stats()['lost_by_reason'], file=sys.stderr)",
            ],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    assert result.returncode == 0
    assert b"{'ENOSPC': 1000}" in result.stderr
    assert result.stderr.count(b"log line(s) lost so far") == 1


def test_a_reader_that_left_harms_nobody():
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            CONFIGURE + "import sys\nsys.stdin.read()\nfor n in range(1000): log.error('it')\nsys.exit(7)",
        ],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        process.stdin.close()
        errors = process.stderr.read()

    assert process.returncode == 7
    assert errors.count(b"EPIPE") == 1


def test_a_reader_that_stopped_reading_does_not_hang_the_service():
    reader, writer = os.pipe()
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            CONFIGURE
            + "import sys\nfor n in range(5000): log.info('it', n=n)\nprint(handle.stats()['lost'] > 0, file=sys.stderr)",
        ],
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writer)
    os.set_blocking(reader, False)
    received = b""
    while chunk := os.read(reader, 1 << 20):
        received += chunk
    os.close(reader)

    assert process.returncode == 0
    assert b"True" in process.stderr
    assert [event["n"] for event in events(received)] == list(range(received.count(b"\n")))


def test_a_stdout_that_another_process_made_non_blocking_loses_nothing():
    """The flag belongs to the pipe's end that both share; a plain write then drops most of it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with subprocess.Popen(
        [sys.executable, "-c", CONFIGURE + "for n in range(4000): log.info('it', n=n, pad='x' * 400)"],
        env=environment(),
        stdout=writer,
    ) as process:
        os.close(writer)
        received = b""
        while chunk := os.read(reader, 4096):
            received += chunk
    os.close(reader)

    assert process.returncode == 0
    assert [event["n"] for event in events(received)] == list(range(4000))


@pytest.mark.parametrize("lines", [2000])
def test_a_thread_sink_is_flushed_at_exit(lines):
    result = run(
        f"from shared.logging import *\nconfigure_logging({{'LOG_FORMAT': 'json'}}, sink='thread')\nlog = get_logger()\nfor n in range({lines}): log.info('it', n=n)"
    )

    assert [event["n"] for event in events(result.stdout)] == list(range(lines))


def test_a_thread_sink_works_in_forked_children():
    result = run(
        """
import os
from shared.logging import *
configure_logging({"LOG_FORMAT": "json"}, sink="thread")
log = get_logger()
log.info("parent")
children = []
for number in range(4):
    child = os.fork()
    if child == 0:
        for n in range(25):
            log.info("child", number=number, n=n)
        raise SystemExit
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""
    )

    found = [event["event"] for event in events(result.stdout)]
    assert found.count("child") == 100
    assert found.count("parent") == 1


def test_processes_that_share_a_pipe_do_not_mix_lines_of_3000_bytes():
    reader, writer = os.pipe()
    code = (
        CONFIGURE + "import sys\nfor n in range(200): log.info('it', who=sys.argv[1], pad=sys.argv[1] * 2800)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, letter], env=environment(), stdout=writer)
        for letter in "abcd"
    ]
    os.close(writer)
    received = b""
    while chunk := os.read(reader, 65536):
        received += chunk
    os.close(reader)
    for process in processes:
        process.wait()

    parsed = events(received)
    assert len(parsed) == 800
    assert all(set(event["pad"]) == {event["who"]} for event in parsed)


def test_a_signal_handler_may_log_while_its_thread_is_logging():
    result = run(
        CONFIGURE
        + """
import signal
signal.signal(signal.SIGALRM, lambda *_: log.warning("from the handler"))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for n in range(20000):
    log.info("it", n=n)
signal.setitimer(signal.ITIMER_REAL, 0)
"""
    )

    found = events(result.stdout)
    assert result.returncode == 0
    assert [event["n"] for event in found if event["event"] == "it"] == list(range(20000))
    assert sum(event["event"] == "from the handler" for event in found) > 0


def test_a_foreign_time_zone_that_fails_does_not_kill_the_process():
    """Given to orjson, such a value ends the process; no except clause helps."""
    result = run(
        CONFIGURE
        + """
import datetime
class Foreign(datetime.tzinfo):
    def utcoffset(self, moment):
        raise RuntimeError
moment = datetime.datetime(2026, 1, 1, tzinfo=Foreign())
for _ in range(3):
    log.info("it", moment=moment, nested=[{"moment": moment}])
"""
    )

    assert result.returncode == 0
    assert len(events(result.stdout)) == 3


def test_a_rotated_file_is_followed_by_a_running_process(tmp_path):
    result = run(
        f"""
import os, signal
from shared.logging import *
handle = configure_logging({{"LOG_FORMAT": "json"}}, sink={str(tmp_path / "s.log")!r})
signal.signal(signal.SIGHUP, lambda *_: handle.reopen())
get_logger().info("before")
os.rename({str(tmp_path / "s.log")!r}, {str(tmp_path / "s.log.1")!r})
os.kill(os.getpid(), signal.SIGHUP)
get_logger().info("after")
"""
    )

    assert result.returncode == 0
    assert events((tmp_path / "s.log.1").read_bytes())[0]["event"] == "before"
    assert events((tmp_path / "s.log").read_bytes())[0]["event"] == "after"
