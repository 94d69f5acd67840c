"""``shared api``: the migration guide of an application."""

import json

import pytest

PROGRAM = """
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Route

from shared.api import ApiVersion, Versions, VersionChange, deprecated
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette

RULE = deprecated("2025-01-01", sunset="2025-07-01", reason="Nobody needs it.")
VERSIONS = Versions(
    [ApiVersion("v1", deprecated=RULE), "v2"],
    changes=[VersionChange("money has a currency", version="v2", routes=["/orders"])],
)

app = Flask("orders")
on_flask.install_layer(app)
on_flask.add_versions(app, VERSIONS)

@app.get("/v2/old")
@RULE
def old():
    return "old"

other = Starlette(routes=[Route("/v2/old", old)])
on_starlette.install_layer(other)
on_starlette.add_versions(other, VERSIONS)

bare = Flask("bare")
seven = 7
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    name = f"guided_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


@pytest.mark.parametrize("name", ["app", "other", "VERSIONS"])
def test_guide_is_printed(shared, program, name):
    code, out, _ = shared("api", "guide", f"{program}:{name}", "--title", "Orders")

    assert code == 0
    assert out.startswith("# Orders\n")
    assert "### money has a currency" in out
    assert ("| `GET /v2/old` |" in out) is (name != "VERSIONS")


def test_guide_as_data(shared, program):
    _, out, _ = shared("api", "guide", program, "--json")

    found = json.loads(out)
    assert [each["version"] for each in found["versions"]] == ["v2", "v1"]
    assert found["versions"][1]["sunset"] == "2025-07-01"
    assert found["deprecated_routes"] == ["GET /v2/old"]


def test_guide_is_written_and_checked(shared, program, tmp_path):
    path = tmp_path / "guide.md"

    assert shared("api", "guide", program, "--check", str(path))[0] == 1
    assert shared("api", "guide", program, "--output", str(path))[0] == 0
    assert shared("api", "guide", program, "--check", str(path))[0] == 0
    path.write_text("old")
    code, out, _ = shared("api", "guide", program, "--check", str(path))
    assert (code, "-old" in out) == (1, True)


@pytest.mark.parametrize(
    ("name", "message"),
    [("bare", "has no versions"), ("seven", "no application"), ("nothing", "cannot load")],
)
def test_what_has_no_versions_is_an_error(shared, program, name, message):
    code, _, error = shared("api", "guide", f"{program}:{name}")

    assert code == 2
    assert message in error
