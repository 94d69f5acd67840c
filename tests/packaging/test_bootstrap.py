"""``make demo`` and ``make test`` on a fresh machine: what goes wrong is said, and nothing half-made stays."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house._repo import ROOT

MAKEFILE = ROOT / "Makefile"
MAKE_VENV = ROOT / ".ci" / "make_venv.py"
COMMIT_TITLE = ROOT / ".ci" / "commit_title.py"


def run(*command: object, cwd: Path = ROOT, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTHON"))}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env={**kept, **env}, input=stdin, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


def make(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run("make", "--no-print-directory", *arguments)


def targets() -> dict[str, str]:
    """Every target with its prerequisites."""
    return dict(re.findall(r"^([a-z-]+):([^#\n=]*)", MAKEFILE.read_text(), re.MULTILINE))


@pytest.fixture
def stub(tmp_path):
    """A folder that looks like a made environment with this interpreter."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "pyvenv.cfg").touch()
    (tmp_path / ".made").touch()
    return tmp_path


def fake_python(folder: Path, answer: str) -> Path:
    """A program that answers like an interpreter of another version."""
    program = folder / "other-python"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)
    return program


def test_an_old_interpreter_is_refused_with_the_version_that_is_needed(tmp_path):
    code = f"import runpy; ns = runpy.run_path({str(MAKE_VENV)!r}); ns['check_interpreter'].__globals__['NEEDED'] = (99, 0)"

    done = run(sys.executable, "-c", f"{code}; ns['main']('fresh')", cwd=tmp_path)

    assert done.returncode == 1
    assert "Python 99.0 or newer is needed" in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not (tmp_path / "fresh").exists()


def test_a_missing_ensurepip_is_named_with_the_package_to_install(tmp_path):
    (tmp_path / "ensurepip.py").write_text("raise ImportError\n")

    done = run(sys.executable, MAKE_VENV, "fresh", cwd=tmp_path, PYTHONPATH=str(tmp_path))

    assert done.returncode == 1
    assert "has no ensurepip module" in done.stderr
    assert "python3-venv" in done.stderr
    assert not (tmp_path / "fresh").exists()


def test_the_bootstrap_runs_on_interpreters_that_are_too_old():
    text = MAKE_VENV.read_text()

    compile(text, str(MAKE_VENV), "exec", dont_inherit=True)
    assert not re.search(r"\bf['\"]|:=|match |-> ", text), (
        "an old Python must reach the sentence, not a syntax error"
    )


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "work.txt").write_text("mine")

    done = run(sys.executable, MAKE_VENV, "precious", cwd=tmp_path)

    assert done.returncode == 1
    assert "make VENV=" in done.stderr
    assert (tmp_path / "precious" / "work.txt").read_text() == "mine"


def test_the_remains_of_an_interrupted_run_are_replaced(tmp_path):
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "pyvenv.cfg").touch()
    (tmp_path / "v" / "half").touch()

    done = run(sys.executable, MAKE_VENV, "v", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "v" / ".made").exists()
    assert not (tmp_path / "v" / "half").exists()


@pytest.mark.parametrize("stamp", [".test", ".dev", ".bench"])
def test_an_interrupted_install_leaves_no_stamp(stub, stamp):
    done = make(f"VENV={stub}", "PIP=false", stub / stamp)

    assert done.returncode != 0
    assert not (stub / stamp).exists()


def test_an_install_that_succeeded_is_not_repeated(stub):
    first = make(f"VENV={stub}", "PIP=true", stub / ".dev")
    second = make(f"VENV={stub}", "PIP=false", stub / ".dev")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr


def test_two_targets_at_once_install_once(stub):
    done = make("-j4", f"VENV={stub}", "PIP=echo", stub / ".dev", stub / ".bench")

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("-r requirements/test.txt") == 1


def test_asking_for_another_interpreter_is_answered(stub, tmp_path):
    other = fake_python(tmp_path, "(9, 9)")

    done = make(f"VENV={stub}", f"PYTHON={other}", "-n", "test")

    assert done.returncode == 2
    assert "made with another Python" in done.stderr


def test_asking_for_the_same_interpreter_is_fine(stub):
    done = make(f"VENV={stub}", f"PYTHON={sys.executable}", "-n", "test")

    assert done.returncode == 0, done.stderr


def test_a_pythonpath_of_the_shell_does_not_reach_the_suite(stub):
    (stub / ".test").touch()
    printer = stub / "printer"
    printer.write_text("#!/bin/sh\nenv\n")
    printer.chmod(0o755)

    done = run("make", f"VENV={stub}", f"PY={printer}", "api", PYTHONPATH="/elsewhere", MARK="seen")

    assert "MARK=seen" in done.stdout
    assert "PYTHONPATH" not in done.stdout


def test_the_help_names_every_target():
    phony = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE.read_text(), re.MULTILINE)[1].split())

    named = set(re.findall(r"^  make ([a-z-]+)", make("help").stdout, re.MULTILINE))

    assert named == phony
    assert phony <= set(targets())


def test_check_is_all_that_the_gate_runs():
    assert targets()["check"].split() == ["lint", "types", "imports", "docs", "build", "demo", "test"]
    gate = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [line for line in gate if "make" in line and not line.startswith("#")] == ["make check && exit 0"]


@pytest.mark.parametrize(
    "title",
    [
        "feat(api): answer in one envelope",
        "fix!: refuse a negative limit",
        "ci: pin",
        "Merge branch 'x'",
        "docs(a, b): y z",
    ],
)
def test_a_conventional_title_passes(title):
    assert run(sys.executable, COMMIT_TITLE, "-", stdin=title + "\n").returncode == 0


@pytest.mark.parametrize(
    "title",
    ["Added things", "feat: ends with a stop.", "feature(api): x y", "fix(api):x", "feat: " + "x" * 100],
)
def test_another_title_is_refused_with_the_pattern(title):
    done = run(sys.executable, COMMIT_TITLE, "-", stdin=title + "\n")

    assert done.returncode == 1
    assert repr(title) in done.stderr


def bandit_report(source: Path, line: int, rule: str) -> str:
    finding = {
        "filename": str(source), "line_number": line, "test_id": rule, "issue_severity": "LOW", "issue_text": "risky",
    }  # fmt: skip
    return json.dumps({"results": [finding], "errors": []})


def test_a_security_finding_is_answered_by_the_reason_on_its_line(tmp_path):
    source = tmp_path / "module.py"
    source.write_text('HOST = "0.0.0.0"  # noqa: S104 - a container listens on all\n')

    done = run(sys.executable, ROOT / ".ci" / "bandit_findings.py", stdin=bandit_report(source, 1, "B104"))

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("comment", ["", "  # noqa: S105 - another rule", "  # S104"])
def test_a_security_finding_without_its_reason_fails(tmp_path, comment):
    source = tmp_path / "module.py"
    source.write_text(f'HOST = "0.0.0.0"{comment}\n')

    done = run(sys.executable, ROOT / ".ci" / "bandit_findings.py", stdin=bandit_report(source, 1, "B104"))

    assert done.returncode == 1
    assert "B104 low: risky" in done.stdout


def test_a_security_scan_that_broke_fails():
    assert run(sys.executable, ROOT / ".ci" / "bandit_findings.py", stdin="").returncode != 0


def type_report(score: float, *messages: str) -> str:
    place = {"start": {"line": 41, "character": 0}}
    found = [
        {"file": str(ROOT / "src" / "x.py"), "severity": "error", "message": text, "range": place}
        for text in messages
    ]
    symbols = [{"name": "shared.x.Thing.size", "diagnostics": found}]
    counts = {"withKnownType": 7, "withAmbiguousType": 0, "withUnknownType": 0}
    return json.dumps(
        {"typeCompleteness": {"completenessScore": score, "symbols": symbols, "exportedSymbolCounts": counts}}
    )


def test_a_public_name_without_a_declared_type_is_named_with_its_line():
    report = type_report(0.9, "Type is missing type annotation", 'Type of parameter "x" is partially unknown')

    done = run(sys.executable, ROOT / ".ci" / "type_gaps.py", stdin=report)

    assert done.returncode == 1
    assert done.stdout == (
        "src/x.py:42: shared.x.Thing.size: Type is missing type annotation\n90.0% of the public API has a declared type\n"
    )


def test_a_public_api_that_is_declared_whole_passes():
    assert run(sys.executable, ROOT / ".ci" / "type_gaps.py", stdin=type_report(1)).returncode == 0


def test_a_type_report_without_names_fails():
    empty = type_report(1).replace('"withKnownType": 7', '"withKnownType": 0')

    assert run(sys.executable, ROOT / ".ci" / "type_gaps.py", stdin=empty).returncode == 1


def nav_script() -> dict:
    return runpy.run_path(str(ROOT / ".ci" / "nav.py"))


def test_the_navigation_is_what_make_nav_writes():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")

    assert nav_script()["navigation"](text) == text, "run: make nav"


def test_a_new_page_gets_its_place_and_a_page_that_is_gone_loses_it(tmp_path):
    script = nav_script()
    script["section"].__globals__["DOCS"] = tmp_path
    for name, title in (("index", "Reference"), ("cache", "shared.cache"), ("zoo", "Zoo: animals")):
        (tmp_path / "reference").mkdir(exist_ok=True)
        (tmp_path / "reference" / f"{name}.md").write_text(
            f"# {title}\n\nKeeps things\nnear: always. More.\n"
        )

    entries = script["section"](
        ["      - Kept words: reference/zoo.md", "      - gone: reference/gone.md"], "reference"
    )
    rows = script["rows"](
        "# Reference\n\n| Room | Gives |\n|---|---|\n| [`gone`](gone.md) | x |\n| [`zoo`](zoo.md) | y |\n\nEnd\n"
    )

    assert entries == [
        "      - reference/index.md",
        "      - cache: reference/cache.md",
        "      - Kept words: reference/zoo.md",
    ]
    assert rows.splitlines()[4:] == [
        "| [`zoo`](zoo.md) | y |",
        "| [`cache`](cache.md) | Keeps things near |",
        "",
        "End",
    ]
