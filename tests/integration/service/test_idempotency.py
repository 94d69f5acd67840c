"""``install()`` answers repeated requests once as the settings say."""

import pytest
from fastapi import FastAPI
from flask import Flask

from shared.config import Settings
from shared.database import IdempotencyKey, get_database
from shared.runtime import use
from shared.service import explain, install, installed, uninstall


def settings(**values):
    return Settings(environ={}, env_file=None, ENVIRONMENT="testing", LOG_SINK="stderr", **values)


@pytest.fixture
def app():
    made, taken = Flask("orders"), []

    @made.post("/orders")
    def orders():
        taken.append(1)
        return {"number": len(taken)}, 201

    yield made
    uninstall(made)


def numbers(app):
    client = app.test_client()
    answers = [client.post("/orders", json={}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    return [answer.json["number"] for answer in answers]


def test_without_the_setting_keys_are_not_read(app):
    install(app, settings())

    assert numbers(app) == [1, 2]
    assert explain(app).part("idempotency").reason == "IDEMPOTENCY_STORE is not set"


@pytest.mark.parametrize("store", ["memory://", "sqlite"])
def test_with_the_setting_a_request_is_carried_out_once(app, store, tmp_path):
    url = f"sqlite:///{tmp_path}/keys.db" if store == "sqlite" else store
    install(app, settings(IDEMPOTENCY_STORE=url, IDEMPOTENCY_REQUIRED="/orders"))

    assert numbers(app) == [1, 1]
    assert app.test_client().post("/orders", json={}).status_code == 400
    assert explain(app).part("idempotency").enabled


def test_answers_can_be_kept_in_redis(app, shared_redis):
    install(app, settings(IDEMPOTENCY_STORE=str(shared_redis)))

    assert numbers(app) == [1, 1]


def test_answers_can_be_kept_in_the_database_of_the_service(app, tmp_path):
    install(app, settings(IDEMPOTENCY_STORE="database://", DATABASE_URL=f"sqlite:///{tmp_path}/service.db"))
    with use(installed(app).runtime):
        IdempotencyKey.__table__.create(get_database().engine)

    assert numbers(app) == [1, 1]


@pytest.mark.parametrize("part", ["idempotency", "request_layer"])
def test_keys_can_be_left_out(app, part):
    install(app, settings(IDEMPOTENCY_STORE="memory://"), without=[part])

    assert numbers(app) == [1, 2]
    assert explain(app).part("idempotency").reason == f"without={part!r}"


def test_the_document_of_an_installed_service_names_the_header():
    app = FastAPI()

    @app.post("/orders")
    async def orders():
        return {}

    install(app, settings(IDEMPOTENCY_STORE="memory://", IDEMPOTENCY_REQUIRED="/orders"))

    operation = app.openapi()["paths"]["/orders"]["post"]

    assert [parameter["name"] for parameter in operation["parameters"]] == ["Idempotency-Key"]
    assert operation["responses"]["409"] == {"$ref": "#/components/responses/Conflict"}
    assert app.openapi() is app.openapi()
    uninstall(app)
