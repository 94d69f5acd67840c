import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import _registry
from benchmarks.__main__ import Progress, main

ROOT = Path(__file__).resolve().parents[3]


class Stream(io.StringIO):
    def __init__(self, *, terminal):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal


def test_the_list_names_every_table(capsys):
    assert main(["--list"]) == 0

    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(_registry.tables())


def test_the_first_tables_are_there():
    assert {
        "starlette",
        "fastapi",
        "flask",
        "http-starlette",
        "log",
        "log-off",
        "envelope",
        "import",
        "start",
        "pytest",
    } <= set(_registry.tables())


def test_an_unknown_table_is_an_error_that_lists_the_tables(capsys):
    assert main(["logs"]) == 2

    assert "no table 'logs'; there are: " in capsys.readouterr().err


@pytest.mark.parametrize("rounds", ["0", "-3"])
def test_a_number_of_rounds_below_one_is_an_error(capsys, rounds):
    assert main(["log", "--rounds", rounds]) == 2

    assert "--rounds must be 1 or more" in capsys.readouterr().err


@pytest.mark.timeout(120)
def test_a_run_prints_the_table_and_writes_the_files(tmp_path):
    command = [
        "log-off",
        "--quick",
        "--rounds",
        "2",
        "--json",
        str(tmp_path / "all.json"),
        "--svg",
        str(tmp_path),
    ]

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "log-off: one debug call while the level is info  (2 rounds)" in done.stdout
    assert "of 1 goals met" in done.stdout
    assert "log-off: preparing 1/5: stdlib" in done.stderr
    data = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert data["tables"][0]["rows"]["stdlib"]["ratio"] == 1.0
    assert (tmp_path / "bench-log-off.svg").read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize(("options", "status"), [([], 0), (["--check"], 1)])
def test_a_goal_that_is_missed_ends_with_one_only_when_checked(monkeypatch, options, status):
    class Missed:
        table = _registry.table("log-off")
        failed = False

    monkeypatch.setattr("benchmarks.__main__._measured", lambda table, options: Missed)
    monkeypatch.setattr("benchmarks.__main__.verdicts", lambda result: [("goal", None, False)])

    assert main(["log-off", *options]) == status


@pytest.mark.parametrize("options", [[], ["--check"]])
def test_a_row_that_failed_ends_with_two(monkeypatch, options):
    class Failed:
        table = _registry.table("log-off")
        failed = True

    monkeypatch.setattr("benchmarks.__main__._measured", lambda table, options: Failed)
    monkeypatch.setattr("benchmarks.__main__.verdicts", lambda result: [])

    assert main(["log-off", *options]) == 2


def test_progress_rewrites_its_line_on_a_terminal():
    stream = Stream(terminal=True)

    progress = Progress(stream)
    progress("one")
    progress("two")
    progress.clear()

    assert stream.getvalue() == "\r\033[Kone\r\033[Ktwo\r\033[K"


def test_progress_writes_a_line_now_and_then_elsewhere():
    stream, now = Stream(terminal=False), [0.0]
    progress = Progress(stream, clock=lambda: now[0], every=10.0)

    for second in (0.0, 5.0, 11.0):
        now[0] = second
        progress(f"at {second:.0f}")
    progress.clear()

    assert stream.getvalue() == "at 0\nat 11\n"
