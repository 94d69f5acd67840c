import os

import pytest

from shared.runtime import Runtime, use


@pytest.fixture(autouse=True)
def runtime(monkeypatch, tmp_path):
    """An empty environment, an empty folder and a runtime of its own for every test."""
    for name in list(os.environ):
        if name not in {
            "PATH",
            "HOME",
            "TMPDIR",
            "PYTHONPATH",
            "COVERAGE_PROCESS_START",
            "COVERAGE_PROCESS_CONFIG",
        }:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with use(Runtime("test")) as made:
        yield made
    made.close()


@pytest.fixture
def shared(capsys):
    """Run the command; returns its exit code, what it wrote and what it complained about."""
    from shared._cli import main

    def run(*arguments):
        code = main(list(arguments))
        done = capsys.readouterr()
        return code, done.out, done.err

    return run
