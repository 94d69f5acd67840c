"""``shared db``: what each command answers, in words and as JSON, and its exit codes."""

import json
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conformance.migrations._service import Service

ORDERS = "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True))"


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'live.db'}"


@pytest.fixture
def db(shared, url):
    """Run ``shared db COMMAND --url …``; the answer as data."""

    def run(command, *arguments, expect=0):
        code, out, err = shared("db", command, "--json", "--url", url, *arguments)
        assert code == expect, out + err
        return json.loads(out) if out else json.loads(err)

    return run


@pytest.fixture
def service(tmp_path):
    made = Service(tmp_path / "migrations")
    made.add("svc_0001", ORDERS, "op.drop_table('orders')")
    made.add(
        "svc_0002", "op.add_column('orders', sa.Column('a', sa.Integer))", "op.drop_column('orders', 'a')"
    )
    return made


def test_the_library_goes_up_and_down(db):
    up = db("upgrade")["revisions"]

    assert "database_0001" in [step["revision"] for step in up]
    assert db("check")["ok"]
    assert "database_0001" in db("current")["current"]
    assert len(db("downgrade", "base")["revisions"]) == len(up)
    assert db("current")["current"] == []


def test_a_service_goes_up_and_down_in_its_usual_folder(db, service):
    assert [step["revision"] for step in db("upgrade", "--service")["revisions"]] == ["svc_0001", "svc_0002"]
    assert db("downgrade", "-1", "--service")["revisions"][0]["direction"] == "down"
    assert [state["applied"] for state in db("history", "--service")["revisions"]] == [True, False]


def test_only_the_rooms_that_are_named_are_migrated(db):
    steps = db("upgrade", "--rooms", "database")["revisions"]

    assert {step["revision"].rpartition("_")[0] for step in steps} == {"database"}


def test_a_room_without_revisions_is_named(db):
    assert "'kitchen' has no revisions" in db("upgrade", "--rooms", "kitchen", expect=2)["error"]["message"]


def test_words_are_for_people_and_progress_goes_to_the_error_stream(shared, url):
    code, out, err = shared("db", "upgrade", "--url", url, "--rooms", "database")

    assert code == 0
    assert "1 revision applied" in out
    assert "[1/1] database_0001 started" in err


def test_every_asking_command_has_words(shared, url, service):
    shared("db", "upgrade", "svc_0001", "--service", "--url", url)

    assert "x svc_0001" in shared("db", "history", "--service", "--url", url)[1]
    assert shared("db", "current", "--service", "--url", url)[1] == "svc_0001\n"
    code, out, _err = shared("db", "check", "--service", "--url", url)
    assert (code, "pending     svc_0002" in out) == (1, True)


def test_sql_is_printed_and_nothing_is_run(shared, url):
    code, out, _err = shared("db", "upgrade", "--sql", "--url", url)

    assert code == 0
    assert "CREATE TABLE database_outbox" in out
    assert "no revision is applied" in shared("db", "current", "--url", url)[1]
    assert "DROP TABLE" in shared("db", "downgrade", "database_0001:base", "--sql", "--url", url)[1]


def test_a_phase_is_applied_and_not_printed(db, service):
    service.add("svc_0003", "op.drop_column('orders', 'a')", phase="contract")

    assert len(db("upgrade", "--phase", "expand", "--service")["revisions"]) == 2
    assert "do not go together" in db("upgrade", "--phase", "expand", "--sql", expect=2)["error"]["message"]


def test_a_stamp_is_answered_with_where_the_database_is(db):
    assert "database_0001" in db("stamp", "heads")["current"]


def test_the_database_of_the_settings_is_the_default(shared, url, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", url)

    assert shared("db", "upgrade")[0] == 0


def test_a_service_writes_a_revision_in_its_own_folder(db, service):
    path = db("revision", "--service", "-m", "add totals", "--phase", "migrate", "--rev-id", "svc_0003")[
        "path"
    ]

    assert path == str(service.folder / "versions" / "svc_0003_add_totals.py")


def test_a_revision_is_filled_from_the_models(db, service, tmp_path, monkeypatch):
    (tmp_path / "shop_models.py").write_text(
        "import sqlalchemy as sa\nmetadata = sa.MetaData()\n"
        "sa.Table('orders', metadata, sa.Column('id', sa.Integer, primary_key=True),\n"
        "         sa.Column('a', sa.Integer), sa.Column('total', sa.Integer))\n"
    )
    env = service.folder / "env.py"
    env.write_text(env.read_text().replace("MetaData()", "__import__('shop_models').metadata"))
    monkeypatch.syspath_prepend(tmp_path)
    db("upgrade", "--service")

    path = db("revision", "--service", "-m", "totals", "--autogenerate")["path"]

    text = Path(path).read_text()
    assert "'total'" in text
    assert "drop_" not in text.partition("def downgrade")[0]


SEEDS = """
from sqlalchemy.orm import Mapped, mapped_column
from shared.database import Base, Seed

class {name}(Base):
    __tablename__ = "{name}"
    code: Mapped[str] = mapped_column(primary_key=True)

def seeds():
    return [Seed({name}, [{{"code": "EUR"}}], key=["code"])]

NOTHING = [1]
"""


@pytest.fixture
def seeds(tmp_path, monkeypatch, url):
    from sqlalchemy import create_engine

    from shared.database import Base

    name = "cli_seeded_currencies"
    (tmp_path / f"{name}_module.py").write_text(SEEDS.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__(f"{name}_module")
    engine = create_engine(url)
    module.cli_seeded_currencies.__table__.create(engine)
    engine.dispose()
    yield f"{name}_module"
    Base.metadata.remove(module.cli_seeded_currencies.__table__)
    Base.registry._dispose_cls(module.cli_seeded_currencies)
    sys.modules.pop(f"{name}_module")


def test_seeds_are_put_in_once(db, seeds):
    assert db("seed", f"{seeds}:seeds")["rows"] == 1
    assert db("seed", f"{seeds}:seeds")["rows"] in {0, 1}


def test_production_is_not_seeded_unless_it_is_named(db, seeds, monkeypatch):
    from shared.config import override_settings

    with override_settings(ENVIRONMENT="staging"):
        assert "rows" in db("seed", f"{seeds}:seeds")
    assert "holds a int" in db("seed", f"{seeds}:NOTHING", expect=2)["error"]["message"]
    assert "cannot load" in db("seed", "nowhere:seeds", expect=2)["error"]["message"]


# --- lint ------------------------------------------------------------------------------


def test_lint_is_silent_about_our_own_revisions(shared):
    code, out, _err = shared("db", "lint", "--strict")

    assert code == 0, out
    assert "0 errors, 0 warnings" in out


@pytest.fixture
def hurting(service):
    service.add("svc_0003", "op.create_index('ix', 'orders', ['a'])", "op.drop_index('ix', 'orders')")
    return service


def test_lint_exits_with_one_for_what_hurts(shared, hurting):
    code, out, _err = shared("db", "lint", "--service", "--json")

    report = json.loads(out)
    assert (code, report["ok"]) == (1, False)
    assert [each["rule"] for each in report["findings"]] == ["index-not-concurrent"]


def test_lint_with_a_baseline_finds_what_is_new(shared, hurting, tmp_path):
    assert shared("db", "lint", "--service", "--write-baseline", "known.json")[0] == 0
    assert shared("db", "lint", "--service", "--baseline", "known.json")[0] == 0
    hurting.add("svc_0004", "op.drop_table('orders')", "op.execute('SELECT 1')")

    assert shared("db", "lint", "--service", "--baseline", "known.json")[0] == 1
    assert shared("db", "lint", "--service", "--since", "svc_0004")[0] == 0


def test_warnings_count_when_asked_for(shared, service):
    service.add("svc_0003", "op.execute('FROBNICATE')", "op.execute('SELECT 1')")

    assert shared("db", "lint", "--service")[0] == 0
    assert shared("db", "lint", "--service", "--strict")[0] == 1


def test_lint_finds_what_was_edited_after_it_was_applied(shared, service, url):
    shared("db", "upgrade", "--service", "--url", url)
    path = service.folder / "versions" / "svc_0001.py"
    path.write_text(path.read_text().replace("sa.Integer", "sa.BigInteger"))

    code, out, _err = shared("db", "lint", "--service", "--applied", "--url", url)

    assert code == 1
    assert "edited-revision" in out


def test_lint_knows_the_models_that_are_named(shared, service, tmp_path, monkeypatch):
    (tmp_path / "lint_models.py").write_text(
        "import sqlalchemy as sa\nmetadata = sa.MetaData()\nsa.Table('orders', metadata, sa.Column('a', sa.Integer))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    service.add("svc_0003", "op.drop_column('orders', 'a')", "op.execute('SELECT 1')", phase="contract")

    assert shared("db", "lint", "--service")[0] == 0
    assert "drop-mapped" in shared("db", "lint", "--service", "--metadata", "lint_models:metadata")[1]
    assert "cannot load" in shared("db", "lint", "--service", "--metadata", "nowhere:Base")[2]


def fake_squawk(folder, answer):
    program = folder / "squawk"
    program.write_text(
        textwrap.dedent(f"""\
        #!{sys.executable}
        import sys
        assert "CREATE INDEX" in sys.stdin.read() or True
        sys.stdout.write({answer!r})
        """)
    )
    program.chmod(0o755)


SQUAWKED = (
    '[{"file":"stdin","line":0,"level":"Warning","message":"blocked","help":"do","rule_name":"require-x"}]'
)


def test_a_second_opinion_is_added_as_warnings(shared, service, tmp_path, monkeypatch):
    fake_squawk(tmp_path, SQUAWKED)
    monkeypatch.setenv("PATH", str(tmp_path))

    code, out, _err = shared("db", "lint", "--service", "--squawk", "--since", "svc_0001")

    assert code == 0
    assert "squawk:require-x [postgresql]: blocked" in out
    assert out.count("squawk:") == 1


def test_a_second_opinion_without_squawk_says_what_to_install(shared, service, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    code, _out, err = shared("db", "lint", "--service", "--squawk")

    assert code == 2
    assert "pip install squawk-cli" in err


@pytest.mark.parametrize("answer", ["nonsense", "{}", "[1]", '[{"message": 1}]'])
def test_an_answer_of_squawk_that_is_not_understood_is_told(shared, service, tmp_path, monkeypatch, answer):
    fake_squawk(tmp_path, answer)
    monkeypatch.setenv("PATH", str(tmp_path))

    code, out, err = shared("db", "lint", "--service", "--squawk")

    assert code == (0 if answer == "{}" else 2), out + err
