"""``shared flags import --from``."""

import json

import pytest

from shared.feature_flags import FileFlagStore

DOCUMENTS = {
    "unleash": {
        "features": [
            {"name": "menu", "enabled": True},
            {"name": "odd", "enabled": True, "strategies": [{"name": "gradualRolloutRandom"}]},
        ]
    },
    "flagd": {
        "flags": {
            "menu": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"},
            "odd": {"state": "ENABLED", "variants": {"on": True}},
        }
    },
    "growthbook": {
        "features": {
            "menu": {"defaultValue": True},
            "odd": {"defaultValue": 1, "rules": [{"force": 2, "filters": [{"ranges": []}]}]},
        }
    },
}


@pytest.fixture
def run(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("FLAGS_STORE_URL", f"file://{tmp_path}/flags.json")

    def command(format, content, *options, name="foreign.json"):
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return shared("flags", "import", str(tmp_path / name), "--from", format, *options)

    return command


@pytest.mark.parametrize("format", sorted(DOCUMENTS))
def test_a_document_of_another_service_is_imported_and_what_is_left_out_is_told(run, tmp_path, format):
    code, out, _ = run(format, DOCUMENTS[format], "--json")

    found = json.loads(out)
    assert (code, found["written"]) == (0, ["menu"])
    assert [note.split(":")[0] for note in found["notes"]] == ["odd"]
    assert list(FileFlagStore(tmp_path / "flags.json").load().flags) == ["menu"]


def test_an_import_of_another_service_can_be_tried(run, tmp_path):
    code, out, _ = run("unleash", DOCUMENTS["unleash"], "--dry-run")

    assert code == 0
    assert "odd: left out: the strategy 'gradualRolloutRandom'" in out
    assert not (tmp_path / "flags.json").exists()


def test_a_document_of_another_service_may_be_yaml(run):
    content = "flags:\n  menu: {state: ENABLED, variants: {'on': true, 'off': false}, defaultVariant: 'on'}\n"

    code, out, _ = run("flagd", content, "--json", name="flags.yaml")

    assert (code, json.loads(out)["written"]) == (0, ["menu"])


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.json", "{", "not JSON"),
        ("a.yaml", "a: [", "is no YAML"),
        ("a.json", "{}", "neither 'features' nor 'events'"),
    ],
    ids=range(3),
)
def test_a_file_that_is_no_such_document_is_refused(run, name, content, what):
    code, _, err = run("unleash", content, name=name)

    assert code == 2
    assert what in err


def test_a_foreign_file_that_is_not_there_is_said(shared, monkeypatch, tmp_path):
    monkeypatch.setenv("FLAGS_STORE_URL", f"file://{tmp_path}/flags.json")

    code, _, err = shared("flags", "import", "nowhere.json", "--from", "flagd")

    assert (code, "there is no file 'nowhere.json'" in err) == (2, True)
