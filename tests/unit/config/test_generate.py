"""Documents made from the declarations."""

import json
import re
from pathlib import Path

import pytest

from shared.config import (
    Section,
    Settings,
    check_settings,
    render_env_example,
    render_json_schema,
    render_settings_table,
    setting,
)
from shared.config._describe import expected
from shared.config._specs import specs_of
from tests.unit.config._helpers import load

ROOT = Path(__file__).resolve().parents[3]
SPECS = specs_of(Settings)


class Desk(Section):
    """The packing desk: ``settings.desk``."""

    DESK_NAME: str = setting(..., "Who packs | the order.")
    DESK_TEXT: str = setting("two words # here", "Text with spaces.")


class DeskSettings(Settings):
    desk: Desk


def test_every_setting_has_a_description_that_ends_with_a_full_stop():
    assert [spec.name for spec in SPECS.values() if not spec.description.endswith(".")] == []


def test_every_quantity_says_its_unit():
    units = re.compile(r"second|minute|hour|day|byte|character|power of two|0 to [12]|[Nn]umber of|per process|Tokens|share|"
                       r"Connections|Failures|Probes|Calls|Runs|Jobs|Steps|Messages|Port", re.IGNORECASE)  # fmt: skip
    numbers = [spec for spec in SPECS.values() if re.search(r"\b(integer|number)\b", expected(spec))]

    assert [spec.name for spec in numbers if not units.search(spec.description)] == []


def test_every_default_is_valid_in_every_profile():
    for environment in ("development", "testing", "staging"):
        assert check_settings(environ={"ENVIRONMENT": environment}, env_file=None).ok


# --- .env.example -----------------------------------------------------------------------


def test_the_example_names_every_setting_once():
    names = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", render_env_example(), re.MULTILINE)

    assert names == list(SPECS)


def test_the_example_can_be_used_as_it_is(tmp_path):
    (tmp_path / ".env").write_text(render_env_example())

    settings = load(tmp_path / ".env")

    assert settings.to_dict() == load().to_dict()
    assert settings.warnings == ()


def test_the_example_can_be_used_with_every_line_switched_on(tmp_path):
    text = re.sub(r"^# ([A-Z][A-Z0-9_]+=)", r"\1", render_env_example(), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(text)

    assert load(tmp_path / ".env").to_dict() == load().to_dict()


def test_the_example_holds_no_secret():
    for spec in SPECS.values():
        if spec.secret:
            assert f"# {spec.name}=\n" in render_env_example()


def test_a_required_setting_stands_open_and_a_text_with_spaces_in_quotes():
    text = render_env_example(DeskSettings)

    assert "\nDESK_NAME=\n" in text
    assert '\n# DESK_TEXT="two words # here"\n' in text


def test_the_example_names_the_defaults_of_other_profiles():
    assert "; production: 20\n# DB_POOL_SIZE=5\n" in render_env_example()


# --- table and schema ----------------------------------------------------------------------


def test_the_table_has_a_row_for_every_setting():
    rows = re.findall(r"^\| `([A-Z0-9_]+)`", render_settings_table(), re.MULTILINE)

    assert rows == list(SPECS)


def test_the_table_names_aliases_profiles_and_required_settings():
    table = render_settings_table(DeskSettings)

    assert "| `JWT_EXPIRE_MINUTES`<br>`JWT_ACCESS_TOKEN_EXPIRE_MINUTES` | `30` |" in table
    assert "| `DB_POOL_SIZE` | `5`<br>production: `20` |" in table
    assert "| `DESK_NAME` | required | text | Who packs \\| the order. |" in table
    assert "development, testing: generated" in table


def test_the_schema_describes_every_setting():
    schema = json.loads(render_json_schema(DeskSettings))

    assert set(schema["properties"]) == set(specs_of(DeskSettings))
    assert schema["required"] == ["DESK_NAME"]
    assert schema["properties"]["LOG_FORMAT"]["enum"] == ["json", "ecs", "console"]
    assert schema["properties"]["DB_POOL_SIZE"]["x-profiles"] == {"production": 20}
    assert "$ref" not in json.dumps(schema["properties"])
    assert "x-shared" not in json.dumps(schema)


# --- the committed documents --------------------------------------------------------------------


def test_the_committed_example_is_up_to_date():
    assert (ROOT / ".env.example").read_text() == render_env_example(), (
        "run: shared config env-example --output .env.example"
    )


def test_the_committed_schema_is_up_to_date():
    path = ROOT / "docs" / "reference" / "config.schema.json"

    assert path.read_text() == render_json_schema(), (
        f"run: shared config schema --output {path.relative_to(ROOT)}"
    )


def test_the_committed_page_is_up_to_date():
    page = (ROOT / "docs" / "reference" / "config.md").read_text()

    assert render_settings_table() in page, "run: shared config docs --output docs/reference/config.md"


@pytest.mark.parametrize(
    "name",
    sorted({"JWT_SECRET_KEY", "DATABASE_URL", "AWS_REGION", "USERS_TABLE", "REDIS_PASSWORD", "ENVIRONMENT"}),
)
def test_the_names_of_the_source_documents_are_settings(name):
    assert name in SPECS
