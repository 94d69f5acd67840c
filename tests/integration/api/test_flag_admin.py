"""Administration of flags over HTTP: the same on FastAPI, Starlette and Flask."""

import json

import pytest
from fastapi import FastAPI
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from shared.api import AuthenticationJob
from shared.api import fastapi as on_fastapi
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from shared.api.flags import FlagAction, FlagAdminEndpoint, add_flag_admin_routes
from shared.auth import BearerAuthenticator, Principal
from shared.context import request_context
from shared.errors import SharedError
from shared.feature_flags import Flag, FlagAdmin, Flags, MemoryFlagStore
from shared.runtime import Runtime, use
from shared.testing import ApiClient

FACES = {"fastapi": (FastAPI, on_fastapi), "starlette": (Starlette, on_starlette), "flask": (Flask, on_flask)}
DECLARED = [Flag("menu", owner="web"), Flag("team/menu"), Flag("forced")]
WHO = {
    "reader": {"user_id": "reader", "permissions": ["flags:read"]},
    "ops": {"user_id": "ops", "permissions": ["flags:*"]},
    "nobody": {"user_id": "nobody"},
}


@pytest.fixture(params=FACES)
def kind(request):
    return request.param


@pytest.fixture
def runtime():
    made = Runtime("test")
    with use(made):
        yield made
    made.close()


@pytest.fixture
def store():
    return MemoryFlagStore()


@pytest.fixture
def flags(store, runtime):
    with Flags(DECLARED, store=store, overrides={"forced": True}) as made:
        yield made


@pytest.fixture
def app(kind, store, flags, runtime):
    made = Flask("admin") if kind == "flask" else FACES[kind][0]()
    face = FACES[kind][1]
    bearer = BearerAuthenticator(verify=lambda token: WHO.get(token))
    face.install_layer(made, runtime=runtime, jobs=[AuthenticationJob([bearer])])
    face.install_error_handlers(made, runtime=runtime)
    add_flag_admin_routes(made, FlagAdminEndpoint(FlagAdmin(store, declared=DECLARED), flags))
    return made


@pytest.fixture
def call(app):
    with ApiClient(app) as client:

        def run(method, path, who="ops", **body):
            headers = {"Authorization": f"Bearer {who}"} if who else {}
            options = {"json": body} if body else {}
            return client.request(method, f"/admin{path}", headers=headers, **options)

        yield run


def test_flags_are_listed(call, store):
    FlagAdmin(store).set(Flag("extra", rollout=25), actor="ada")

    data = call("GET", "/flags", "reader").assert_success()

    found = {flag["key"]: flag for flag in data["flags"]}
    assert data["revision"] == 1
    assert (found["extra"]["rollout"], found["extra"]["stored"], found["menu"]["stored"]) == (25, True, False)
    assert found["forced"]["overridden"] is True


def test_a_definition_is_shown(call):
    data = call("GET", "/flags/menu", "reader").assert_success()

    assert data == {
        "definition": DECLARED[0].to_dict(),
        "stored": False,
        "overridden": False,
        "override": None,
    }


def test_a_flag_nobody_knows_is_not_found(call):
    call("GET", "/flags/misspelt").assert_error(status=404)
    call("POST", "/flags/misspelt/kill", reason="x").assert_error(status=404)


def test_fields_are_set_and_in_force_at_once(call, store, flags):
    data = call(
        "PUT", "/flags/menu", fields={"default": True, "tags": ["client"]}, reason="open"
    ).assert_success()

    assert data == {"revision": 1, "overridden": False, "override": None}
    assert flags.is_enabled("menu") is True
    assert [(change.actor, change.reason) for change in store.history()] == [("ops", "open")]


def test_a_new_flag_is_defined(call, store):
    call("PUT", "/flags/fresh", fields={"rollout": 10}, reason="new").assert_success()

    assert store.load().flags["fresh"].rollout == 10


def test_the_percentage_is_changed(call, store):
    call("POST", "/flags/menu/rollout", percent=25, reason="begin").assert_success()
    call("POST", "/flags/menu/rollout", percent=50.5, environment="staging", reason="more").assert_success()

    flag = store.load().flags["menu"]
    assert (flag.rollout, flag.environments["staging"].rollout) == (25, 50.5)


def test_a_flag_is_killed_and_comes_back(call, flags):
    call("PUT", "/flags/menu", fields={"default": True}, reason="open").assert_success()

    call("POST", "/flags/menu/kill", reason="wrong").assert_success()
    assert flags.is_enabled("menu") is False

    call("POST", "/flags/menu/unkill", reason="right").assert_success()
    assert flags.is_enabled("menu") is True


def test_a_kill_that_this_process_defeats_is_told(call, flags):
    data = call("POST", "/flags/forced/kill", reason="wrong").assert_success()

    assert (data["overridden"], data["override"]) == (True, True)
    assert flags.is_enabled("forced") is True


def test_a_key_with_a_slash_is_found(call, store):
    call("POST", "/flags/team/menu/rollout", percent=5, reason="begin").assert_success()

    assert call("GET", "/flags/team/menu").assert_success()["stored"] is True


def test_history_and_rollback(call, store):
    call("POST", "/flags/menu/rollout", percent=10, reason="one").assert_success()
    call("POST", "/flags/menu/rollout", percent=90, reason="two").assert_success()

    changes = call("GET", "/flags/menu/history?limit=1", "reader").assert_success()["changes"]
    assert [change["reason"] for change in changes] == ["two"]
    assert len(call("GET", "/flag-history").assert_success()["changes"]) == 2

    assert call("POST", "/flag-rollback", revision=1, reason="too fast").assert_success() == {"revision": 3}
    assert store.load().flags["menu"].rollout == 10


def test_what_somebody_else_changed_meanwhile_is_a_conflict(call, store):
    FlagAdmin(store).set(Flag("menu"), actor="bob")

    call("PUT", "/flags/menu", fields={"owner": "x"}, reason="r", expected=0).assert_error(status=409)
    call("PUT", "/flags/menu", fields={"owner": "x"}, reason="r", expected=1).assert_success()


# --- who may ------------------------------------------------------------------------------------

READS = [("GET", "/flags"), ("GET", "/flags/menu"), ("GET", "/flags/menu/history"), ("GET", "/flag-history")]
WRITES = [
    ("PUT", "/flags/menu"),
    ("POST", "/flags/menu/rollout"),
    ("POST", "/flags/menu/kill"),
    ("POST", "/flags/menu/unkill"),
    ("POST", "/flag-rollback"),
]


@pytest.mark.parametrize(("method", "path"), READS + WRITES, ids=lambda part: part)
def test_nobody_gets_in_without_a_credential_or_a_permission(call, method, path):
    call(method, path, None).assert_error(status=401)
    call(method, path, "nobody").assert_error(status=403)


@pytest.mark.parametrize(("method", "path"), WRITES, ids=lambda part: part)
def test_who_may_only_look_changes_nothing(call, store, method, path):
    call(method, path, "reader", reason="x", percent=5).assert_error(status=403)

    assert store.revision() == 0


def test_a_write_is_told_and_logged(call, runtime, log_capture):
    heard = []
    runtime.events.subscribe(FlagAction, heard.append)

    call("POST", "/flags/menu/kill", reason="wrong prices").assert_success()

    assert heard == [FlagAction("kill", "ops", "menu", "wrong prices", 1)]
    (line,) = [event for event in log_capture if event["event"] == "flags were changed"]
    assert (line["actor"], line["key"], line["action"]) == ("ops", "menu", "kill")


def test_who_acts_for_somebody_is_named_too(store):
    endpoint = FlagAdminEndpoint(lambda: FlagAdmin(store, declared=DECLARED), Flags(DECLARED))

    with request_context(principal=Principal(user_id="ada", permissions=["flags:*"], actor="support-7")):
        endpoint.kill("menu", b'{"reason": "x"}')

    assert store.history()[0].actor == "ada (support-7)"


def test_other_permissions_can_be_asked_for(store):
    endpoint = FlagAdminEndpoint(FlagAdmin(store), Flags(DECLARED), read="ops:look", write="ops:act")

    with request_context(principal=Principal(user_id="ada", permissions=["ops:look"])):
        assert endpoint.list().status == 200
        with pytest.raises(SharedError):
            endpoint.kill("menu", b'{"reason": "x"}')


# --- hostile requests -----------------------------------------------------------------------------

WRONG = {
    "no reason": ("POST", "/flags/menu/kill", {"reason": ""}),
    "blank reason": ("POST", "/flags/menu/kill", {"reason": "  "}),
    "long reason": ("POST", "/flags/menu/kill", {"reason": "x" * 2001}),
    "reason of another type": ("POST", "/flags/menu/kill", {"reason": 7}),
    "unknown member": ("POST", "/flags/menu/kill", {"reason": "r", "force": True}),
    "no percent": ("POST", "/flags/menu/rollout", {"reason": "r"}),
    "percent too high": ("POST", "/flags/menu/rollout", {"reason": "r", "percent": 101}),
    "true percent": ("POST", "/flags/menu/rollout", {"reason": "r", "percent": True}),
    "environment of another type": (
        "POST",
        "/flags/menu/rollout",
        {"reason": "r", "percent": 1, "environment": []},
    ),
    "no fields": ("PUT", "/flags/menu", {"reason": "r"}),
    "unknown field": ("PUT", "/flags/menu", {"reason": "r", "fields": {"colour": 1}}),
    "key as a field": ("PUT", "/flags/menu", {"reason": "r", "fields": {"key": "other"}}),
    "field out of range": ("PUT", "/flags/menu", {"reason": "r", "fields": {"rollout": 300}}),
    "no revision": ("POST", "/flag-rollback", {"reason": "r"}),
    "revision of another type": ("POST", "/flag-rollback", {"reason": "r", "revision": "1"}),
    "keys of another type": ("POST", "/flag-rollback", {"reason": "r", "revision": 1, "keys": "menu"}),
    "limit": ("GET", "/flag-history?limit=0", {}),
    "limit of another type": ("GET", "/flag-history?limit=many", {}),
}


@pytest.mark.parametrize(("method", "path", "body"), WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_refused_and_changes_nothing(call, store, method, path, body):
    error = call(method, path, **body)

    assert 400 <= error.status < 500, error.body
    error.assert_error()
    assert store.revision() == 0


BODIES = st.binary(max_size=80) | st.dictionaries(
    st.sampled_from(["reason", "percent", "fields", "expected", "revision", "keys", "environment"]),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
    | st.dictionaries(st.sampled_from(["default", "rules", "rollout", "enabled", "variants"]), st.integers() | st.text(max_size=3), max_size=2),
    max_size=4,
).map(lambda body: json.dumps(body).encode())  # fmt: skip


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(body=BODIES, key=st.sampled_from(["menu", "x" * 300, "a b", ""]) | st.text(max_size=5))
def test_only_our_errors_come_out_of_any_request(body, key):
    endpoint = FlagAdminEndpoint(FlagAdmin(MemoryFlagStore(), declared=DECLARED), Flags(DECLARED))

    with request_context(principal=Principal(user_id="ops", permissions=["flags:*"])):
        statuses = [
            status_of(lambda: endpoint.set(key, body)),
            status_of(lambda: endpoint.rollout(key, body)),
            status_of(lambda: endpoint.kill(key, body)),
            status_of(lambda: endpoint.rollback(body)),
        ]

    assert max(statuses) < 500


def status_of(work):
    try:
        return work().status
    except SharedError as exc:
        return exc.status
