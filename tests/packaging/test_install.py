"""Wheel, sdist and editable install work from another folder, with the base dependencies alone."""

import importlib.metadata
import json
import tarfile
import zipfile
from email.parser import Parser

import pytest
from packaging.requirements import Requirement

from tests.house._repo import PACKAGE, ROOT, public_modules, rooms
from tests.packaging._install import PROJECT, build

EXTRAS = PROJECT["optional-dependencies"]
# Imported by their host alone, which is there by then: pytest, gunicorn.
HOSTED = {*PROJECT["entry-points"]["pytest11"].values(), "shared.logging.gunicorn"}


def names_in(wheel) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def metadata_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_every_way_to_install_gives_the_same_package(installed):
    code = "import shared, json, pathlib; p = pathlib.Path(shared.__file__).parent; "
    code += "print(json.dumps([shared.__version__, (p / 'py.typed').is_file(), sorted(f.name for f in p.iterdir())]))"

    version, typed, names = json.loads(installed.python_prints(code))

    recorded = installed.python_prints("import importlib.metadata as m; print(m.version('libs-shared'))")
    assert version == recorded
    assert typed
    assert {"__init__.py", "_version.py", *(name for name in rooms() if (PACKAGE / name).is_dir())} <= set(
        names
    )


def test_the_wheel_records_the_distribution_that_owns_the_import(bare):
    code = "import importlib.metadata as m; print(m.packages_distributions().get('shared'))"

    owners = bare.python_prints(code)

    assert owners == "['libs-shared']"


def test_every_way_to_install_brings_the_command(installed):
    done = installed.run(str(installed.bin / "shared"), "--help")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "shared" in done.stdout


@pytest.mark.parametrize("room", rooms())
def test_every_room_imports_on_a_bare_install(bare, room):
    bare.python_prints(f"import shared.{room}")


@pytest.mark.parametrize("module", [name for name in public_modules() if name not in HOSTED])
def test_a_public_module_imports_or_says_what_to_install(bare, module):
    code = f"""
import importlib
from shared.errors import MissingDependencyError
try:
    importlib.import_module({module!r})
except MissingDependencyError as exc:
    print(exc.details['extra'], '|', exc)
"""
    said = bare.python_prints(code)

    if said:
        extra = said.partition(" |")[0]
        assert extra in EXTRAS
        assert f"pip install 'libs-shared[{extra}]'" in said


def test_the_bare_install_holds_no_extra(bare):
    names = bare.python_prints(
        "import importlib.metadata as m; print(*(d.name.lower() for d in m.distributions()))"
    )

    optional = {Requirement(text).name.lower() for texts in EXTRAS.values() for text in texts} - {
        "libs-shared"
    }
    assert optional.isdisjoint(names.split())


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    tops = {name.split("/")[0] for name in names_in(wheel)}

    assert tops == {"shared", wheel.name.split("-py3")[0] + ".dist-info"}


def test_the_wheel_holds_every_file_of_the_package(wheel):
    ours = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    expected = {path.relative_to(PACKAGE.parent).as_posix() for path in ours}

    assert expected <= names_in(wheel)


def test_the_wheel_names_itself_its_licence_and_every_extra(wheel):
    metadata = metadata_of(wheel)

    assert metadata["Name"] == "libs-shared"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra")) == set(EXTRAS)


def test_the_wheel_is_pure_python(wheel):
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_sdist_holds_what_its_tests_need(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    for needed in (
        "pyproject.toml",
        "src/shared/__init__.py",
        "README.md",
        "LICENSE",
        "Makefile",
        "mkdocs.yml",
    ):
        assert needed in names
    assert any(name.startswith("tests/") for name in names)
    assert not any(name.startswith((".venv", "site/", "dist/")) for name in names)


def test_the_same_tree_gives_the_same_wheel_twice(wheel, tmp_path):
    again = build("wheel", tmp_path)

    assert again.read_bytes() == wheel.read_bytes()


def test_the_installed_metadata_is_that_of_this_tree():
    installed = importlib.metadata.metadata("libs-shared")

    assert set(installed.get_all("Provides-Extra")) == set(EXTRAS), f"{ROOT.name}: run 'make install' again"
