"""``shared flags``."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared._cli._flags import parts_of
from shared.errors import SharedError
from shared.feature_flags import FileFlagStore, Flag, FlagAdmin
from tests.unit.config._helpers import PRODUCTION

DECLARED = """
from shared.feature_flags import Flag, Flags
MENU = Flag("menu", owner="web", tags=["client"])
FLAGS = [MENU, Flag("prices", kind="kill", default=True), Flag("size", default=20)]
READY = Flags(FLAGS)
"""


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store in a file, and the flags of a service in a module."""
    (tmp_path / "shop_flags.py").write_text(DECLARED)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("FLAGS_STORE_URL", f"file://{tmp_path}/flags.json")
    return FileFlagStore(tmp_path / "flags.json")


@pytest.fixture
def flags(shared, store):
    """Run a command that must succeed and return its answer as data."""

    def run(*arguments, code=0):
        done, out, err = shared("flags", *arguments, "--declared", "shop_flags:FLAGS", "--json")
        assert (done, err) == (code, "")
        return json.loads(out)

    return run


@pytest.fixture
def text(shared, store):
    """Run a command and return its exit code and what it wrote."""

    def run(*arguments):
        code, out, err = shared("flags", *arguments, "--declared", "shop_flags:FLAGS")
        return code, out + err

    return run


# --- looking ----------------------------------------------------------------------------------


def test_flags_of_the_code_and_of_the_store_are_listed(flags, store):
    FlagAdmin(store).set(Flag("extra", rollout=25), actor="ada")

    found = {flag["key"]: flag for flag in flags("list")["flags"]}

    assert sorted(found) == ["extra", "menu", "prices", "size"]
    assert (found["extra"]["stored"], found["menu"]["stored"]) == (True, False)
    assert (found["extra"]["state"], found["prices"]["state"]) == ("25 %", "on")


@pytest.mark.parametrize(
    ("option", "keys"),
    [(("--owner", "web"), ["menu"]), (("--tag", "client"), ["menu"]), (("--kind", "kill"), ["prices"])],
)
def test_the_list_can_be_narrowed(flags, option, keys):
    assert [flag["key"] for flag in flags("list", *option)["flags"]] == keys


def test_the_list_is_a_table_for_people(text, store, monkeypatch):
    monkeypatch.setenv("FLAG_MENU", "true")
    FlagAdmin(store, declared=[Flag("menu", owner="web")]).kill("menu", actor="ada")

    code, out = text("list")

    assert code == 0
    assert out.splitlines()[0].split() == [
        "menu",
        "release",
        "killed",
        "store",
        "web",
        "forced",
        "to",
        "true",
    ]
    assert out.splitlines()[-1] == "3 flags"


def test_the_catalogue_is_there_without_flags_of_ones_own(shared):
    code, out, _ = shared("flags", "list", "--json")

    assert code == 0
    assert len(json.loads(out)["flags"]) == 20


def test_a_definition_is_shown(flags, text):
    found = flags("show", "menu")

    assert (found["flag"]["owner"], found["stored"], found["overridden"]) == ("web", False, False)
    assert "declared in code" in text("show", "menu")[1]


def test_an_unknown_flag_is_no(flags, text):
    assert flags("show", "misspelt", code=1) == {"flag": None}
    assert text("explain", "misspelt")[0] == 1


def test_an_answer_is_explained(flags, text, store):
    rule = {"serve": "on", "when": {"attr": "age", "op": "ge", "value": 18}, "id": "adults"}
    FlagAdmin(store).set(Flag("menu", rules=[rule]), actor="ada")

    found = flags("explain", "menu", "--ctx", "age=20", "--ctx", "name=Ada", "--user", "7")

    assert found["detail"]["value"] is True
    assert found["detail"]["rule_id"] == "adults"
    assert "rule 'adults'" in text("explain", "menu", "--ctx", "age=7")[1]


def test_another_environment_can_be_asked_for(flags, store):
    FlagAdmin(store).set(Flag("menu", environments={"staging": {"default_variant": "on"}}), actor="ada")

    assert flags("explain", "menu", "--environment", "staging")["detail"]["value"] is True
    assert flags("explain", "menu")["detail"]["value"] is False


def test_a_variable_is_told_as_an_override(flags, monkeypatch):
    monkeypatch.setenv("FLAG_MENU", "on")

    assert flags("explain", "menu")["detail"]["reason"] == "OVERRIDE"
    assert flags("show", "menu")["override"] is True


@pytest.mark.parametrize("wrong", ["age", "=3", " =3"])
def test_an_attribute_without_a_name_is_refused(text, wrong):
    code, out = text("explain", "menu", "--ctx", wrong)

    assert code == 2
    assert "--ctx is NAME=VALUE" in out


# --- changing ---------------------------------------------------------------------------------


def test_fields_are_set(flags, store):
    answer = flags(
        "set", "menu", "default=true", "owner=shop", 'tags=["a","b"]', "--reason", "open it", "--actor", "ada"
    )

    flag = store.load().flags["menu"]
    assert answer == {"key": "menu", "revision": 1, "changed": True, "overridden": False}
    assert (flag.default, flag.owner, flag.tags) == (True, "shop", ("a", "b"))
    assert [(change.actor, change.reason) for change in store.history()] == [("ada", "open it")]


def test_a_flag_nobody_knew_is_defined(flags, store):
    flags("set", "new", 'default="blue"', 'variants={"b":"blue","g":"green"}')

    assert store.load().flags["new"].type == "str"
    assert store.load().flags["new"].salt


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("colour=red", "a flag has no field 'colour'"),
        ("rollout=101", "rollout"),
        ("kind=odd", "kind"),
        ("=1", "NAME=VALUE"),
    ],
)
def test_a_wrong_field_changes_nothing(text, store, field, message):
    code, out = text("set", "menu", field)

    assert code == 2
    assert message in out
    assert store.revision() == 0


def test_the_percentage_is_changed(flags, store, text):
    flags("rollout", "menu", "25")
    flags("rollout", "menu", "50", "--environment", "staging")

    flag = store.load().flags["menu"]
    assert (flag.rollout, flag.environments["staging"].rollout) == (25, 50)
    assert text("rollout", "menu", "50", "--environment", "staging")[1] == "menu: nothing to do, revision 2\n"


@pytest.mark.parametrize("percent", ["101", "-1", "nan", "inf", "many"])
def test_a_percentage_that_is_none_is_refused(text, store, percent):
    assert text("rollout", "menu", percent)[0] == 2
    assert store.revision() == 0


def test_a_flag_is_killed_and_comes_back(flags, store):
    flags("kill", "prices", "--reason", "wrong prices")
    assert store.load().flags["prices"].enabled is False

    flags("unkill", "prices")
    assert store.load().flags["prices"].enabled is True


def test_a_kill_that_a_variable_defeats_is_told(text, flags, monkeypatch):
    monkeypatch.setenv("PRICES", "true")

    assert flags("kill", "prices")["overridden"] is True
    assert "warning: a variable of this process forces true" in text("unkill", "prices")[1]


def test_a_flag_nobody_knows_cannot_be_changed(text):
    code, out = text("kill", "misspelt")

    assert code == 2
    assert "'misspelt'" in out


def test_a_revision_somebody_else_made_is_a_conflict(text, store):
    FlagAdmin(store).set(Flag("menu"), actor="bob")

    code, out = text("set", "menu", "default=true", "--expected", "0")

    assert code == 2
    assert "revision 1, not 0" in out


def test_production_asks_why(text, store, monkeypatch):
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)

    code, out = text("kill", "prices")
    assert code == 2
    assert "give --reason TEXT" in out
    assert store.revision() == 0

    assert text("kill", "prices", "--reason", "wrong prices")[0] == 0


def test_without_a_store_nothing_can_be_changed(shared):
    code, _, err = shared("flags", "kill", "dynamic_pricing")

    assert code == 2
    assert "a change made here would end with this command" in err


def test_the_store_can_be_named(shared, tmp_path):
    url = f"file://{tmp_path}/other.yaml"

    assert shared("flags", "rollout", "dynamic_pricing", "10", "--store", url)[0] == 0
    assert "rollout: 10" in (tmp_path / "other.yaml").read_text()


def test_who_changes_it_is_the_user_of_the_machine(flags, store):
    flags("kill", "menu")

    assert store.history()[0].actor.startswith("cli")


# --- rollouts in steps --------------------------------------------------------------------------

PLAN = {"steps": [{"percent": 25}, {"percent": 100, "after": 3600}], "on_breach": "rollback"}
FILES = {
    "plan.json": json.dumps(PLAN),
    "plan.yaml": "steps:\n- percent: 25\n- {percent: 100, after: 3600}\non_breach: rollback\n",
    "plan.toml": 'on_breach = "rollback"\nsteps = [{percent = 25}, {percent = 100, after = 3600}]\n',
}


@pytest.mark.parametrize("name", FILES)
def test_a_rollout_in_steps_begins(flags, text, store, tmp_path, name):
    (tmp_path / name).write_text(FILES[name])

    flags("ramp", "menu", name, "--reason", "go")

    assert [step.percent for step in store.load().flags["menu"].ramp.plan.steps] == [25, 100]
    assert flags("ramp", "menu")["ramp"]["plan"]["steps"][0]["percent"] == 25
    assert text("ramp", "menu") == (0, "menu: running at 0 %, step 0 of 2: go\n")


def test_a_rollout_is_paused_resumed_and_stopped(flags, text, store, tmp_path):
    (tmp_path / "plan.json").write_text(FILES["plan.json"])
    flags("ramp", "menu", "plan.json")

    flags("ramp", "menu", "--pause", "--reason", "holiday")
    assert text("ramp", "menu")[1].startswith("menu: paused at 0 %")
    flags("ramp", "menu", "--resume")
    assert store.load().flags["menu"].ramp.state.status == "running"
    flags("ramp", "menu", "--stop")
    assert store.load().flags["menu"].ramp is None


def test_without_a_plan_there_is_nothing_to_show_or_pause(text):
    assert text("ramp", "menu") == (1, "flag 'menu' has no rollout plan\n")
    assert text("ramp", "menu", "--pause")[0] == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.json", "{"),
        ("p.json", "[]"),
        ("p.yaml", "steps: ["),
        ("p.toml", "steps"),
        ("p.json", '{"steps": []}'),
    ],
)
def test_a_plan_that_cannot_be_read_changes_nothing(text, store, tmp_path, name, content):
    (tmp_path / name).write_text(content)

    assert text("ramp", "menu", name)[0] == 2
    assert text("ramp", "menu", "nowhere.json")[0] == 2
    assert store.revision() == 0


# --- history ----------------------------------------------------------------------------------


@pytest.fixture
def three(store):
    admin = FlagAdmin(store, declared=[Flag("menu"), Flag("prices")])
    admin.rollout("menu", 10, actor="ada", reason="begin")
    admin.rollout("menu", 50, actor="ada", reason="go on")
    admin.kill("prices", actor="bob", reason="wrong")
    return store


def test_changes_are_listed_newest_first(flags, text, three):
    assert [change["revision"] for change in flags("history")["changes"]] == [3, 2, 1]
    assert [change["revision"] for change in flags("history", "menu", "--limit", "1")["changes"]] == [2]
    assert "changed menu (rollout) by ada: go on" in text("history")[1]


def test_no_history_is_said(text):
    assert text("history") == (0, "no changes\n")


@pytest.mark.parametrize("limit", ["0", "-1", "100000"])
def test_an_endless_history_is_refused(text, limit):
    assert text("history", "--limit", limit)[0] == 2


def test_two_revisions_are_compared(flags, text, three):
    found = flags("diff", "1", "2", code=1)["differences"]

    assert found == [{"kind": "flag", "key": "menu", "fields": {"rollout": {"before": 10.0, "after": 50.0}}}]
    assert text("diff", "1", "2")[1] == "flag menu: rollout: 10.0 -> 50.0\n"
    assert text("diff", "3") == (0, "no difference\n")
    assert text("diff", "99")[0] == 2


def test_a_revision_is_gone_back_to(flags, text, three):
    answer = flags("rollback", "1", "--key", "menu", "--reason", "too fast")

    document = three.load()
    assert answer == {"revision": 4, "changed": True}
    assert (document.flags["menu"].rollout, document.flags["prices"].enabled) == (10, False)
    assert "nothing to do" in text("rollback", "4")[1]


# --- files ------------------------------------------------------------------------------------


def test_what_is_exported_can_be_imported(flags, three, tmp_path, shared):
    before = three.load().flags
    flags("export", "--output", "flags-copy.yaml")
    url = f"file://{tmp_path}/second.json"

    code, _, _ = shared("flags", "import", "flags-copy.yaml", "--store", url)

    assert code == 0
    assert FileFlagStore(tmp_path / "second.json").load().flags == before


def test_an_export_to_the_terminal_is_json(flags, three):
    assert flags("export")["flags"]["menu"]["rollout"] == 50


def test_what_the_code_declares_can_be_exported(flags):
    assert sorted(flags("export", "--code")["flags"]) == ["menu", "prices", "size"]


def test_an_export_to_an_unknown_kind_of_file_is_refused(text):
    code, out = text("export", "--output", "flags.ini")

    assert code == 2
    assert ".json, .yaml or .yml" in out


def test_an_import_can_be_tried(flags, three, tmp_path):
    (tmp_path / "new.json").write_text('{"flags": {"fresh": true}}')

    found = flags("import", "new.json", "--dry-run", "--replace")

    assert (found["written"], found["removed"]) == (["fresh"], ["menu", "prices"])
    assert three.revision() == 3

    flags("import", "new.json", "--replace")
    assert list(three.load().flags) == ["fresh"]


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"flags": {"a": {"rollout": 300}}}', '{"flags": {"a b": true}}']
)
def test_a_file_that_cannot_be_read_changes_nothing(text, three, tmp_path, content):
    (tmp_path / "new.json").write_text(content)

    assert text("import", "new.json")[0] == 2
    assert three.revision() == 3


def test_a_file_that_is_not_there_is_said(text):
    code, out = text("import", "nowhere.json")

    assert code == 2
    assert "there is no file 'nowhere.json'" in out


# --- judging ----------------------------------------------------------------------------------


def test_files_are_validated(flags, tmp_path):
    (tmp_path / "good.json").write_text('{"flags": {"a": true}}')
    (tmp_path / "bad.json").write_text(
        json.dumps(
            {"flags": {"a": {"prerequisites": [{"flag": "b", "variants": ["on"]}]}, "c": {"rollout": 7}}}
        )
    )

    assert flags("validate", "good.json") == {"ok": True, "documents": [{"name": "good.json", "faults": []}]}
    found = flags("validate", "good.json", "bad.json", code=1)
    assert found["ok"] is False
    assert any("'b'" in fault for fault in found["documents"][1]["faults"])


def test_overlays_of_every_environment_are_validated(flags, tmp_path):
    (tmp_path / "bad.json").write_text(
        json.dumps({"flags": {"a": {"environments": {"production": {"default_variant": "blue"}}}}})
    )

    assert "blue" in str(flags("validate", "bad.json", code=1))


def test_the_store_is_validated(flags, text, store, tmp_path):
    assert flags("validate")["ok"] is True

    (tmp_path / "flags.json").write_text('{"flags": {"a": {"rollout": 300}}}')
    code, out = text("validate")
    assert code == 1
    assert "rollout" in out


def test_stale_flags_are_found(flags, text, store, tmp_path):
    FlagAdmin(store).set(Flag("old", expires="2020-01-01", owner="web"), actor="ada")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "views.py").write_text(
        "from shared.feature_flags import is_feature_enabled as on\n"
        "import shop_flags\non('old'); on(shop_flags.MENU); on('misspelt'); on(f'pri{x}')\n"
    )

    found = flags("stale", "app", "shop_flags.py", code=1)

    by_key = {flag["key"]: flag for flag in found["flags"]}
    assert (by_key["old"]["reasons"], by_key["old"]["places"]) == (["expired"], ["views.py:3"])
    assert by_key["prices"]["code"] == "cannot tell"
    assert by_key["size"]["reasons"] == ["not in code"]
    assert [each["key"] for each in found["unknown"]] == ["misspelt"]
    code, out = text("stale", "app", "shop_flags.py")
    assert code == 1
    assert "2 of 4 flags stale" in out
    assert "cannot tell whether the code asks for: prices" in out


def test_nothing_stale_is_all_well(text):
    assert text("stale") == (0, "0 of 3 flags stale\n")


def test_usage_of_all_processes_counts(flags, tmp_path):
    from shared.database import Base, Database, tables_of
    from shared.feature_flags import AdoptionLog, UnitIds

    url = f"sqlite:///{tmp_path}/usage.db"
    with Database(url) as database:
        Base.metadata.create_all(database.engine, tables=tables_of("feature_flags"))
        log = AdoptionLog(database, UnitIds(plain=True), interval=None)
        log.evaluated("menu", "on")
        log.flush()

    found = flags("stale", "--usage", url, code=1)

    assert [flag["key"] for flag in found["flags"] if flag["is_stale"]] == ["prices", "size"]


def test_adoption_is_told(flags, text, tmp_path):
    from shared.database import Base, Database, tables_of
    from shared.feature_flags import AdoptionLog, FeedbackLog, UnitIds

    url = f"sqlite:///{tmp_path}/adoption.db"
    with Database(url) as database:
        Base.metadata.create_all(database.engine, tables=tables_of("feature_flags"))
        units = UnitIds(plain=True)
        log = AdoptionLog(database, units, interval=None)
        for number in range(4):
            log.exposed("menu", "on" if number else "off", number)
        log.evaluated("menu", "on", 3)
        log.flush()
        FeedbackLog(database, units).give("menu", "on", unit=1, score=5)

    found = flags("adoption", "--database", url)["flags"]
    code, out = text("adoption", "menu", "--database", url)

    assert [(each["flag"], each["exposed"], each["enabled"]) for each in found][0] == ("menu", 4, 3)
    assert code == 0
    assert out.splitlines()[0] == (
        "menu: 3 of 4 units have it (75.0%), 100.0% of 3 evaluations, score 5.00 of 1 answer"
    )
    assert text("adoption", "nobody", "--database", url) == (1, "no such flag\n")


def test_a_healthy_service_needs_no_doctor(flags):
    assert flags("doctor") == {"ok": True, "findings": []}


def findings(answer):
    return [(each["id"], each["severity"]) for each in answer["findings"]]


def test_a_forced_flag_is_a_warning_and_one_that_is_killed_an_error(flags, store, monkeypatch):
    monkeypatch.setenv("FLAG_MENU", "true")
    assert findings(flags("doctor")) == [("flags.forced", "warning")]
    assert findings(flags("doctor", "--strict", code=1)) == [("flags.forced", "warning")]

    FlagAdmin(store, declared=[Flag("menu")]).kill("menu", actor="ada")

    assert findings(flags("doctor", code=1)) == [("flags.killed-but-forced", "error")]


def test_a_variable_that_cannot_be_read_is_found(text, monkeypatch):
    monkeypatch.setenv("FLAG_MENU", "perhaps")

    code, out = text("doctor")

    assert code == 1
    assert "flags.variable" in out


def test_a_store_with_another_type_is_found(flags, store):
    FlagAdmin(store).set(Flag("menu", default="blue"), actor="ada")

    assert findings(flags("doctor", code=1)) == [("flags.type", "error")]


def test_a_store_that_cannot_be_read_is_found(flags, store, tmp_path):
    (tmp_path / "flags.json").write_text("{")

    assert findings(flags("doctor", code=1)) == [("flags.store", "error")]


def test_defaults_that_differ_between_services_are_found(flags, text, tmp_path):
    (tmp_path / "other.json").write_text('{"flags": {"menu": true, "size": 20, "theirs": true}}')

    found = flags("doctor", "--compare", "other.json")

    assert findings(found) == [("flags.drift", "warning")]
    assert "default False here, True there" in found["findings"][0]["message"]
    assert text("doctor", "--compare", "other.json", "--strict")[0] == 1


# --- what the code declares ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shop_flags:FLAGS", "shop_flags:READY"])
def test_flags_of_the_code_can_be_a_list_or_ready(shared, store, name):
    code, out, _ = shared("flags", "list", "--declared", name, "--json")

    assert code == 0
    assert len(json.loads(out)["flags"]) == 3


@pytest.mark.parametrize(
    "name", ["shop_flags", ":FLAGS", "nowhere:FLAGS", "shop_flags:NOTHING", "shop_flags:DECLARED"]
)
def test_flags_of_the_code_that_are_not_there_are_said(shared, store, name):
    code, _, err = shared("flags", "list", "--declared", name)

    assert code == 2
    assert err.startswith("error: ")


def test_the_file_of_the_settings_lies_below_the_store(shared, store, tmp_path, monkeypatch):
    (tmp_path / "base.json").write_text('{"flags": {"below": true}}')
    monkeypatch.setenv("FLAGS_FILE", str(tmp_path / "base.json"))

    assert shared("flags", "kill", "below")[0] == 0
    assert store.load().flags["below"].enabled is False
    assert '"below": true' in (tmp_path / "base.json").read_text()


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=30) | st.tuples(st.text(max_size=5), st.text(max_size=20)).map("=".join))
def test_any_attribute_is_read_or_refused(text):
    try:
        name, value = parts_of(text, "--ctx")
    except SharedError:
        return

    assert name
    json.dumps(value, allow_nan=False)
