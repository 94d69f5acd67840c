"""Each way to install the package, done once per test process."""

import shutil

import pytest

from tests.house._repo import ROOT
from tests.packaging._install import Environment, build


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The built wheel."""
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(tmp_path_factory):
    """The built source distribution."""
    return build("sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="session")
def bare(tmp_path_factory, wheel):
    """An environment with the wheel and its base dependencies: no extra, no test tool."""
    environment = Environment(tmp_path_factory.mktemp("bare") / "venv")
    environment.install(str(wheel))
    return environment


@pytest.fixture(scope="session", params=["wheel", "sdist", "editable"])
def installed(request, tmp_path_factory):
    """One environment for each way to install."""
    if request.param == "wheel":
        return request.getfixturevalue("bare")
    environment = Environment(tmp_path_factory.mktemp(request.param) / "venv")
    if request.param == "sdist":
        environment.install(str(request.getfixturevalue("sdist")))
    else:
        checkout = tmp_path_factory.mktemp("checkout")
        for name in ("src", "pyproject.toml", "README.md", "LICENSE", "migrations"):
            source = ROOT / name
            if source.exists():
                (shutil.copytree if source.is_dir() else shutil.copy)(source, checkout / name)
        environment.install("--editable", str(checkout))
    return environment
