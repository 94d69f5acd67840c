"""The floors hold, and the contracts that hold them notice every kind of fault."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house._repo import ROOT, SRC, rooms

CONFIG = ROOT / "pyproject.toml"
RUN = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"


def contracts() -> dict[str, dict]:
    """The contracts of pyproject.toml by their id."""
    table = tomllib.loads(CONFIG.read_text())["tool"]["importlinter"]["contracts"]
    return {contract["id"]: contract for contract in table}


def floors() -> list[list[str]]:
    """The floors from top to bottom, each a list of room names."""
    return [re.findall(r"\w+", layer) for layer in contracts()["floors"]["layers"]]


def lint(source: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts against the package below *source*."""
    command = [sys.executable, "-c", RUN, "--config", str(CONFIG), "--no-cache", "--no-logo"]
    env = {"PYTHONPATH": str(source), "PATH": "", "COLUMNS": "200"}
    return subprocess.run(
        command, cwd=source, env=env, capture_output=True, text=True, check=False, timeout=60
    )


def build_house(folder: Path) -> Path:
    """An empty house: every room that has a floor, and nothing in it."""
    package = folder / "shared"
    for room in (room for floor in floors() for room in floor):
        (package / room).mkdir(parents=True)
        (package / room / "__init__.py").touch()
        (package / room / "_work.py").touch()
    (package / "__init__.py").touch()
    return package


@pytest.fixture
def house(tmp_path: Path) -> Path:
    return build_house(tmp_path)


# Each fault stands in a module of its own and is looked for in the report of one run.
UPWARD = [(floors()[number - 1][0], floors()[number][0]) for number in range(1, len(floors()))]
SIDEWAYS = [(floor[0], floor[1]) for floor in floors() if len(floor) > 1]
HEAVY = [
    library
    for contract in contracts().values()
    if contract["type"] == "forbidden" and contract["id"] != "utils"
    for library in contract["forbidden_modules"]
]


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    """What the contracts say of a house with one fault of every kind."""
    package = build_house(tmp_path_factory.mktemp("faults"))
    for upper, lower in UPWARD:
        (package / lower / f"_up_{upper}.py").write_text(f"def work():\n    import shared.{upper}\n")
    for left, right in SIDEWAYS:
        (package / left / f"_beside_{right}.py").write_text(f"import shared.{right}\n")
    for library in HEAVY:
        (package / "security" / f"_heavy_{library}.py").write_text(
            f"def work():\n    import {library}.part\n"
        )
    result = lint(package.parent)
    assert result.returncode == 1
    return result.stdout


def test_every_contract_is_kept_by_the_package():
    result = lint(SRC)

    assert result.returncode == 0, result.stdout + result.stderr


def test_every_contract_is_kept_by_an_empty_house(house):
    result = lint(house.parent)

    assert result.returncode == 0, result.stdout + result.stderr


def test_every_room_has_a_floor():
    declared = {room for floor in floors() for room in floor}

    homeless = sorted(set(rooms()) - declared)

    assert homeless == [], f"give {homeless} a floor in [tool.importlinter] of pyproject.toml"


def test_a_new_room_without_a_floor_is_refused(house):
    (house / "mystery").mkdir()
    (house / "mystery" / "__init__.py").touch()

    result = lint(house.parent)

    assert result.returncode == 1
    assert "mystery" in result.stdout


@pytest.mark.parametrize(("upper", "lower"), UPWARD)
def test_a_room_that_imports_upwards_is_refused(report, upper, lower):
    assert f"shared.{lower}._up_{upper} -> shared.{upper}" in report


@pytest.mark.parametrize(("left", "right"), SIDEWAYS)
def test_rooms_of_one_floor_that_import_each_other_are_refused(report, left, right):
    assert f"shared.{left}._beside_{right} -> shared.{right}" in report


@pytest.mark.parametrize("library", HEAVY)
def test_a_heavy_library_outside_its_rooms_is_refused(report, library):
    assert f"shared.security._heavy_{library} -> {library}" in report


def test_an_upward_import_for_types_alone_is_refused(house):
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import shared.api\n"
    (house / "config" / "_work.py").write_text(source)

    result = lint(house.parent)

    assert result.returncode == 1
    assert "shared.config._work -> shared.api" in result.stdout


@pytest.mark.parametrize(
    "spelling", ["from shared.utils import retry", "from shared.utils._work import retry"]
)
def test_a_room_that_imports_utils_is_refused(house, spelling):
    for room in ("service", "testing", "_cli", "auth"):
        (house / room / "_work.py").write_text(f"def work():\n    {spelling}\n")

    result = lint(house.parent)

    assert result.returncode == 1
    assert all(
        f"shared.{room}._work -> shared.utils" in result.stdout
        for room in ("service", "testing", "_cli", "auth")
    )


def test_modules_of_a_room_that_import_each_other_in_a_circle_are_refused(house):
    (house / "config" / "_a.py").write_text("import shared.config._b\n")
    (house / "config" / "_b.py").write_text("def later():\n    import shared.config._a\n")

    result = lint(house.parent)

    assert result.returncode == 1
    assert "_a" in result.stdout


def test_a_heavy_library_inside_its_room_is_allowed(house):
    (house / "database" / "_work.py").write_text("import sqlalchemy.orm\n")
    (house / "api" / "_work.py").write_text("def app():\n    from fastapi import FastAPI\n")

    result = lint(house.parent)

    assert result.returncode == 0, result.stdout
