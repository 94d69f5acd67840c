"""Processes that tests start."""

import os
import subprocess
import sys
import textwrap

from shared.monitoring import Metrics

# Not measured: coverage's own locks do not survive a fork among threads.
_QUIET = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
ENVIRONMENT = {**_QUIET, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}


def run_code(body, *arguments):
    """Run *body* in a process of its own; return its exit code and the words it printed."""
    command = [sys.executable, "-c", textwrap.dedent(body), *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=110, check=False)
    return done.returncode, done.stdout.split(), done.stderr


def count_a_hundred():
    """What a child does that is started and not forked."""
    counter = Metrics("spawned").counter("c", "Help.")
    for _ in range(100):
        counter.inc()
