"""The command: verbs, help, exit codes, streams."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import shared as shared_package
from shared._cli._main import VERBS
from shared._version import __version__

SOURCE = str(Path(shared_package.__file__).parent.parent)


def run(*arguments, code=None, stdout=subprocess.PIPE, **environ):
    """The command in a process of its own."""
    call = [sys.executable, "-m", "shared._cli", *arguments] if code is None else [sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": SOURCE, **environ}
    return subprocess.run(call, stdout=stdout, stderr=subprocess.PIPE, timeout=60, env=env)


def test_help_lists_every_verb(shared):
    code, out, _ = shared("--help")

    assert code == 0
    assert all(f"    {verb}" in out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_understands_json(shared, verb):
    code, out, _ = shared(verb, "--help")

    assert code == 0
    assert "--json" in out


def test_the_version_is_the_librarys(shared):
    assert shared("--version") == (0, f"shared {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments", [(), ("dcotor",), ("config",), ("config", "everything"), ("doctor", "--nonsense")]
)
def test_a_wrong_call_exits_with_2(shared, arguments):
    code, out, err = shared(*arguments)

    assert (code, out) == (2, "")
    assert err.startswith("usage: shared")


@pytest.mark.parametrize("where", [0, 1, 3])
def test_json_is_understood_everywhere(shared, where):
    arguments = ["config", "explain", "DB_POOL_SIZE"]
    arguments.insert(where, "--json")

    code, out, _ = shared(*arguments)

    assert (code, json.loads(out)[0]["value"]) == (0, 5)


def test_only_the_module_of_the_verb_is_imported():
    done = run(code="import sys; from shared._cli import main; main(['--help']); print(sorted(sys.modules))")

    modules = done.stdout.decode().splitlines()[-1]
    assert "shared._cli._main" in modules
    assert not any(name in modules for name in ("_cli._config", "_cli._doctor", "pydantic", "shared.config"))


def test_an_error_of_the_library_is_one_line_on_the_error_stream(shared):
    code, out, err = shared("config", "explain", "DB_POOLSIZE")

    assert (code, out) == (2, "")
    assert err == "error: 'DB_POOLSIZE' is not a setting: did you mean DB_POOL_SIZE?\n"


def test_an_error_is_json_when_json_was_asked_for(shared):
    code, out, err = shared("config", "explain", "DB_POOLSIZE", "--json")

    assert (code, out) == (2, "")
    assert json.loads(err)["error"]["code"] == "CONFIGURATION_ERROR"


def test_an_error_of_the_system_names_the_file(shared):
    code, _, err = shared("config", "schema", "--output", "missing/folder/schema.json")

    assert code == 2
    assert err == "error: No such file or directory: missing/folder/schema.json\n"


def test_a_reader_that_goes_away_is_no_error():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as stdout:
        done = run("config", "docs", stdout=stdout)

    assert (done.returncode, done.stderr) == (0, b"")


def test_an_interrupt_exits_like_a_shell_counts(shared, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("shared.config.check_settings", interrupted)

    assert shared("config", "check")[0] == 130


def test_what_the_terminal_cannot_show_is_escaped():
    done = run("config", "check", PYTHONIOENCODING="ascii", API_VERSION="vé")

    assert done.returncode == 78
    assert rb"v\xe9" in done.stdout
