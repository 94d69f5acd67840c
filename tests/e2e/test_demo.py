"""`make demo`: the tour holds, and says so when it does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.demo import __main__ as demo
from examples.demo._fleet import Server
from examples.demo._report import Report, equal

ROOT = Path(__file__).resolve().parents[2]


def take_the_tour(*arguments):
    result = subprocess.run(
        [sys.executable, "-m", "examples.demo", "--json", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    report = json.loads(result.stdout)
    failed = [step for step in report["steps"] if not step["ok"]]
    assert failed == []
    assert len(report["steps"]) > 20
    assert result.returncode == 0


@pytest.mark.timeout(180)
def test_every_step_of_the_tour_holds():
    take_the_tour()


@pytest.mark.timeout(200)
def test_every_step_of_the_tour_holds_on_postgresql(shared_postgres_database):
    take_the_tour("--postgres", str(shared_postgres_database()))


def test_demo_takes_no_other_url(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["demo", "--postgres", "mysql://x"])

    with pytest.raises(SystemExit) as ended:
        demo.main()

    assert ended.value.code == 2
    assert "--postgres takes a URL" in capsys.readouterr().err


def test_demo_fails_when_a_service_does_not_start(monkeypatch, capsys):
    def broken_fleet(folder, redis, database_url):
        return (Server("catalog", ["-c", "raise SystemExit(3)"], 1, folder / "log"),)

    monkeypatch.setattr(demo, "_fleet", broken_fleet)
    monkeypatch.setattr(sys, "argv", ["demo"])
    monkeypatch.setattr(demo, "_row", lambda *_: {})

    assert demo.main() == 1
    assert "FAIL catalog answers /live" in capsys.readouterr().out


def test_failed_expectation_is_a_line_of_the_report(capsys):
    report = Report()

    with report.step("two and two"):
        equal(2 + 2, 5, "sum")

    assert [step.ok for step in report.steps] == [False]
    assert "sum: wanted 5, found 4" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["orders", "catalog", "accounts", "agents"])
def test_each_example_stays_small(name):
    lines = (ROOT / "examples" / name / "app.py").read_text().splitlines()

    assert len(lines) <= 80
