"""Everything the documentation shows runs: pages, README and docstrings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import run_page
from tests.house._repo import ROOT, module_name, repository_files, rooms, shown, source_files

HERE = Path(__file__).parent
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "VIRTUAL_ENV")
PAGES = [
    path
    for path in repository_files()
    if path.suffix == ".md" and shown(path).startswith(("docs/", "README"))
]


def run(script: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run *script* in a process of its own: examples may configure logging, enter runtimes, leave threads."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("COV")}
    path = os.pathsep.join(entry for entry in (str(ROOT / "src"), str(ROOT)) if Path(entry).is_dir())
    command = [sys.executable, "-W", "error", str(HERE / script), *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env={**kept, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def modules_of(room: str) -> list[str]:
    """Every module of *room*, private ones too."""
    names = (module_name(path) for path in source_files())
    return [
        name for name in names if f"{name}.".startswith(f"shared.{room}.") and not name.endswith("__main__")
    ]


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_block_of_a_page_runs(page, tmp_path):
    result = run("run_page.py", str(page), folder=tmp_path)

    assert result.returncode == 0, f"{shown(page)}\n{result.stdout}{result.stderr}"
    assert "Exception ignored" not in result.stderr, f"{shown(page)} leaks:\n{result.stderr}"


@pytest.mark.parametrize("room", rooms())
def test_every_docstring_example_of_a_room_gives_what_it_shows(room, tmp_path):
    result = run("run_doctests.py", *modules_of(room), folder=tmp_path)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "Exception ignored" not in result.stderr, f"{room} leaks:\n{result.stderr}"


def test_the_package_itself_has_examples_that_run(tmp_path):
    result = run("run_doctests.py", "shared", folder=tmp_path)

    assert result.returncode == 0, result.stdout + result.stderr
    assert int(result.stdout) > 0


def test_a_page_is_one_namespace(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1\n```\ntext\n```py title='b.py'\nassert x == 1\n```\n```sh\nexit 3\n```\n"
    )

    result = run("run_page.py", str(page), folder=tmp_path)

    assert (result.returncode, result.stdout) == (0, "2\n"), result.stderr


def test_a_failing_block_names_the_page_and_its_line(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# T\n\n```python\nx = 1\nraise KeyError(x)\n```\n")

    result = run("run_page.py", str(page), folder=tmp_path)

    assert result.returncode == 1
    assert 'page.md", line 5' in result.stderr


def test_a_session_that_shows_another_result_fails(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```pycon\n>>> 1 + 1\n3\n```\n")

    result = run("run_page.py", str(page), folder=tmp_path)

    assert result.returncode == 1
    assert "Expected" in result.stdout


def test_a_block_inside_an_admonition_is_found():
    text = "!!! note\n\n    ```python\n    if True:\n        x = 1\n    ```\n"

    blocks = run_page.blocks_of(text)

    assert blocks == [run_page.Block("python", 4, "if True:\n    x = 1\n")]


def test_a_longer_fence_holds_a_shorter_one():
    text = "````markdown\n```python\nboom(\n```\n````\n"

    blocks = run_page.blocks_of(text)

    assert [block.language for block in blocks] == ["markdown"]
