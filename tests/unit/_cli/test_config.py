"""``shared config``."""

import json
import sys
import textwrap

import pytest

from tests.unit.config._helpers import STRONG


@pytest.fixture
def service(tmp_path, monkeypatch):
    """A service's own settings class in the working directory."""
    (tmp_path / "orders_config.py").write_text(
        textwrap.dedent(
            """
            from shared.config import Section, Settings, setting

            class Orders(Section):
                '''Orders.'''
                ORDER_TTL: float = setting(900.0, "Life of an unpaid order, in seconds.", gt=0)
                ORDER_DESK: str = setting(..., "Who packs the order.")

            class OrdersSettings(Settings):
                orders: Orders
            """
        )
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "orders_config:OrdersSettings"
    sys.modules.pop("orders_config", None)


# --- check ----------------------------------------------------------------------------


def test_check_is_content_with_the_defaults(shared):
    assert shared("config", "check") == (0, "profile development: 0 errors, 0 warnings\n", "")


def test_check_exits_with_78_and_lists_everything_that_is_wrong(shared, monkeypatch):
    monkeypatch.setenv("DB_POOL_SIZE", "many")
    monkeypatch.setenv("API_PORT", "0")
    monkeypatch.setenv("JWT_SECRET", "t0p-secret")

    code, out, err = shared("config", "check")

    assert (code, err) == (78, "")
    assert out.splitlines() == [
        "error    API_PORT: expected an integer, at least 1, at most 65535, got '0' (environment)",
        "error    DB_POOL_SIZE: expected an integer, at least 1, at most 1000, got 'many' (environment)",
        "warning  JWT_SECRET: is not a setting (environment); did you mean JWT_SECRET_KEY?",
        "         fix: rename it to JWT_SECRET_KEY",
        "profile development: 2 errors, 1 warning",
    ]


def test_check_answers_in_json(shared, monkeypatch):
    monkeypatch.setenv("DB_POOL_SIZE", "many")

    code, out, _ = shared("config", "check", "--json")

    assert code == 78
    assert json.loads(out)["problems"][0]["variable"] == "DB_POOL_SIZE"


def test_check_judges_by_the_rules_of_production_when_asked(shared, monkeypatch):
    assert shared("config", "check", "--prod")[0] == 78
    monkeypatch.setenv("JWT_SECRET_KEY", STRONG)
    assert shared("config", "check", "--prod")[0] == 0


@pytest.mark.parametrize(("name", "code"), [("DB_POOLSIZE", 78), ("OPENAI_APIKEY", 1)])
def test_a_strict_check_does_not_overlook_a_misspelt_name(shared, monkeypatch, name, code):
    monkeypatch.setenv(name, "3")

    assert shared("config", "check", "--strict")[0] == code
    assert shared("config", "check")[0] == 0


def test_check_knows_the_settings_of_a_service(shared, service):
    code, out, _ = shared("config", "check", "--settings", service)

    assert code == 78
    assert "ORDER_DESK: expected text, but it is not set" in out


@pytest.mark.parametrize(
    "name",
    [
        "no_such_module:Settings",
        "orders_config:Nothing",
        "orders_config:Orders",
        "json:dumps",
        ":",
        "..x:y",
        "",
    ],
)
def test_a_settings_class_that_cannot_be_had_is_an_error(shared, service, name):
    code, _, err = shared("config", "check", "--settings", name)

    assert code == 2
    assert err.startswith("error: ")


# --- explain -----------------------------------------------------------------------------


def test_explain_says_which_source_won(shared, monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("DB_POOL_SIZE=7\n")
    monkeypatch.setenv("DB_POOL_SIZE", "9")

    code, out, _ = shared("config", "explain", "DB_POOL_SIZE")

    assert code == 0
    assert out.splitlines()[:3] == [
        "DB_POOL_SIZE = 9",
        "  from: environment",
        f"  shadowed: {tmp_path}/.env:1 = 7",
    ]


def test_explain_without_a_name_shows_what_is_set(shared, monkeypatch):
    assert shared("config", "explain")[1] == "every setting has its default\n"
    monkeypatch.setenv("DB_POOL_SIZE", "9")

    names = [item["name"] for item in json.loads(shared("config", "explain", "--json")[1])]

    assert names == ["DB_POOL_SIZE"]


def test_explain_shows_no_secret(shared, monkeypatch):
    monkeypatch.setenv("JWT_SECRET_KEY", "t0p-secret")

    assert "t0p" not in shared("config", "explain", "JWT_SECRET_KEY")[1]


def test_explain_of_wrong_settings_reports_them(shared, monkeypatch):
    monkeypatch.setenv("DB_POOL_SIZE", "many")

    code, out, _ = shared("config", "explain", "API_PORT")

    assert code == 78
    assert "DB_POOL_SIZE" in out


# --- documents ---------------------------------------------------------------------------

DOCUMENTS = ["env-example", "docs", "schema"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_is_printed(shared, document, service):
    code, out, _ = shared("config", document, "--settings", service)

    assert code == 0
    assert "DB_POOL_SIZE" in out
    assert "ORDER_TTL" in out


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_is_printed_as_json(shared, document):
    assert "DB_POOL_SIZE" in json.loads(shared("config", document, "--json")[1])["text"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_that_was_written_is_up_to_date(shared, document, tmp_path):
    path = tmp_path / "page.md"
    path.write_text("Before.\n<!-- settings: begin -->\nold\n<!-- settings: end -->\nAfter.\n")

    assert shared("config", document, "--check", str(path))[0] == 1
    assert shared("config", document, "--output", str(path)) == (0, f"wrote {path}\n", "")
    assert shared("config", document, "--check", str(path)) == (0, f"{path} is up to date\n", "")
    assert (path.read_text().startswith("Before.\n") and path.read_text().endswith("\nAfter.\n")) is (
        document == "docs"
    )


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_that_is_missing_is_out_of_date(shared, document):
    code, out, _ = shared("config", document, "--check", "missing")

    assert code == 1
    assert out.endswith(f"missing is out of date; run: shared config {document} --output missing\n")


def test_a_document_that_is_out_of_date_is_shown_as_a_diff(shared, tmp_path):
    shared("config", "env-example", "--output", ".env.example")
    path = tmp_path / ".env.example"
    path.write_text(path.read_text().replace("# DB_POOL_SIZE=5", "# DB_POOL_SIZE=6"))

    code, out, _ = shared("config", "env-example", "--check", "--json")

    assert code == 1
    assert "-# DB_POOL_SIZE=6\n+# DB_POOL_SIZE=5" in json.loads(out)["diff"]


def test_a_page_without_a_place_for_the_tables_is_an_error(shared, tmp_path):
    (tmp_path / "page.md").write_text("nothing here")

    code, _, err = shared("config", "docs", "--output", "page.md")

    assert code == 2
    assert "<!-- settings: begin -->" in err
