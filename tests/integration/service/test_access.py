"""Who may, through real applications of the three frameworks."""

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from fastapi import WebSocket as FastApiWebSocket
from flask import Flask, request
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from shared.auth import (
    BearerAuthenticator,
    GatewaySigner,
    MemoryRecordStore,
    Principal,
    SessionAuthenticator,
    Sessions,
    create_access_token,
    create_refresh_token,
    current_principal,
    get_api_keys,
    get_sessions,
    require_permissions,
    require_roles,
    require_scope,
    require_user,
)
from shared.config import override_settings
from shared.errors import AuthenticationError, ConfigurationError, ServiceUnavailableError
from shared.logging import capture_logs
from shared.runtime import Runtime, use
from shared.service import explain, install, installed, uninstall

TOKENS = {
    "admin": {"sub": "u-1", "roles": ["admin"], "tenant": "acme"},
    "user": {"sub": "u-2", "permissions": ["orders:read"], "scope": "orders:read"},
}


def verify(token):
    if token == "down":
        raise ServiceUnavailableError("the store of revocations is down")
    if token == "expired":
        raise AuthenticationError("token expired 42 s ago", challenge='Bearer error="invalid_token"')
    return TOKENS.get(token)


def ways():
    return [BearerAuthenticator(verify=verify)]


def seen(headers):
    who = current_principal()
    found = sorted(name.lower() for name in headers if "user" in name.lower() or "gateway" in name.lower())
    return {"user": who and who.user_id, "headers": [name for name in found if name != "user-agent"]}


def fastapi_app():
    app = FastAPI()

    @app.get("/public")
    async def public():
        return {"user": (current_principal() or Principal(user_id="nobody")).user_id}

    @app.get("/seen")
    async def headers(request: __import__("fastapi").Request):
        return seen(request.headers)

    @app.get("/admin")
    @require_roles("admin")
    async def admin():
        return {"ok": True}

    @app.get("/sync")
    @require_roles("admin")
    def sync():
        return {"ok": True}

    @app.get("/depends")
    async def depends(who: Annotated[Principal, Depends(require_permissions("orders:read"))]):
        return {"user": who.user_id}

    @app.get("/scoped", dependencies=[Depends(require_scope("orders:write"))])
    async def scoped():
        return {"ok": True}

    return app


def starlette_app():
    async def public(_request):
        return JSONResponse({"user": (current_principal() or Principal(user_id="nobody")).user_id})

    async def headers(request):
        return JSONResponse(seen(request.headers))

    @require_roles("admin")
    async def admin(_request):
        return JSONResponse({"ok": True})

    @require_roles("admin")
    def sync(_request):
        return JSONResponse({"ok": True})

    @require_permissions("orders:read")
    async def depends(_request):
        return JSONResponse({"user": current_principal().user_id})

    @require_scope("orders:write")
    async def scoped(_request):
        return JSONResponse({"ok": True})

    pairs = {
        "/public": public,
        "/seen": headers,
        "/admin": admin,
        "/sync": sync,
        "/depends": depends,
        "/scoped": scoped,
    }
    return Starlette(routes=[Route(path, view) for path, view in pairs.items()])


def flask_app():
    app = Flask("access")

    @app.get("/public")
    def public():
        return {"user": (current_principal() or Principal(user_id="nobody")).user_id}

    @app.get("/seen")
    def headers():
        return seen(request.headers.keys())

    @app.get("/admin")
    @require_roles("admin")
    def admin():
        return {"ok": True}

    @app.get("/sync")
    @require_roles("admin")
    def sync():
        return {"ok": True}

    @app.get("/depends")
    @require_permissions("orders:read")
    def depends():
        return {"user": current_principal().user_id}

    @app.get("/scoped")
    @require_scope("orders:write")
    def scoped():
        return {"ok": True}

    return app


class FlaskClient:
    def __init__(self, app):
        self._client = app.test_client(use_cookies=False)

    def get(self, path, headers=None):
        answer = self._client.get(path, headers=headers)
        answer.json_body = answer.get_json()
        return answer


class AsgiClient:
    def __init__(self, app):
        self.client = TestClient(app, raise_server_exceptions=False)

    def get(self, path, headers=None):
        answer = self.client.get(path, headers=headers)
        answer.json_body = answer.json()
        return answer


KINDS = {
    "fastapi": (fastapi_app, AsgiClient),
    "starlette": (starlette_app, AsgiClient),
    "flask": (flask_app, FlaskClient),
}


@pytest.fixture(params=KINDS)
def client(request):
    make, face = KINDS[request.param]
    app = install(make(), service="access", authenticators=ways(), without=["logging"])
    yield face(app)
    uninstall(app)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_a_public_route_answers_anybody_also_with_a_stale_token(client):
    assert client.get("/public").json_body["user"] == "nobody"
    assert client.get("/public", bearer("user")).json_body["user"] == "u-2"
    assert client.get("/public", bearer("expired")).json_body["user"] == "nobody"


@pytest.mark.parametrize("path", ["/admin", "/sync", "/depends", "/scoped"])
def test_a_protected_route_refuses_nobody_with_a_challenge(client, path):
    answer = client.get(path)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json_body["error"]["code"] == "AUTHENTICATION_ERROR"


def test_a_protected_route_answers_who_may(client):
    assert client.get("/admin", bearer("admin")).json_body == {"ok": True}
    assert client.get("/sync", bearer("admin")).json_body == {"ok": True}
    assert client.get("/depends", bearer("user")).json_body == {"user": "u-2"}


@pytest.mark.parametrize("path", ["/admin", "/sync"])
def test_a_protected_route_refuses_who_may_not_and_says_why(client, path):
    answer = client.get(path, bearer("user"))

    assert answer.status_code == 403
    assert answer.json_body["error"]["message"] == "not allowed: has none of the roles 'admin'"
    assert "WWW-Authenticate" not in answer.headers


def test_a_missing_scope_names_the_scope_to_ask_for(client):
    answer = client.get("/scoped", bearer("user"))

    assert answer.status_code == 403
    assert 'error="insufficient_scope", scope="orders:write"' in answer.headers["WWW-Authenticate"]


def test_a_token_that_does_not_hold_is_the_reason_of_the_401(client):
    answer = client.get("/admin", bearer("expired"))

    assert answer.status_code == 401
    assert answer.json_body["error"]["message"] == "token expired 42 s ago"
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_store_that_is_down_lets_nobody_in(client):
    assert client.get("/admin", bearer("down")).status_code == 503


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer " + "x" * 9000,
        "bearerx",
        "Bearer a,Bearer b",
    ],
    ids=["bare", "space", "two", "9 kB", "no space", "comma"],
)
def test_a_malformed_bearer_header_is_refused_cleanly(client, value):
    assert client.get("/admin", {"Authorization": value}).status_code == 401


def test_another_scheme_is_nobody(client):
    assert client.get("/public", {"Authorization": "Basic dTpw"}).json_body["user"] == "nobody"


@pytest.mark.parametrize(
    "name",
    ["X-User-Id", "x-user-email", "X-USER-ROLES", "X-Auth-User", "X-Gateway-User", "X-Remote-User", "Remote-User",
     "X-Forwarded-User", "X-User"],
)  # fmt: skip
def test_a_bare_identity_header_makes_nobody_and_never_reaches_the_application(client, name):
    answer = client.get("/seen", {name: "u-1"})

    assert answer.json_body == {"user": None, "headers": []}
    assert client.get("/admin", {name: "u-1"}).status_code == 401


def test_what_was_refused_is_logged_with_who_and_why(client):
    with capture_logs() as logs:
        client.get("/admin", bearer("user"))
        client.get("/admin", bearer("expired"))

    told = [(line["event"], line.get("user_id"), line["reason"]) for line in logs if line.get("event_type")]
    assert told == [
        ("access denied", "u-2", "has none of the roles 'admin'"),
        ("authentication failed", None, "token expired 42 s ago"),
        ("access denied", None, "nobody is authenticated"),
    ]


# --- what only ASGI can get ---------------------------------------------------------------


def raw_get(app, headers, path="/seen"):
    """One request with headers as bytes that no client library would send."""
    import asyncio

    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": headers, "http_version": "1.1", "scheme": "http", "client": ("127.0.0.1", 1),
        "server": ("x", 80), "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


@pytest.fixture
def asgi_app():
    app = install(starlette_app(), service="access", authenticators=ways(), without=["logging"])
    yield app
    uninstall(app)


@pytest.mark.parametrize("name", [b"x_user_id", b"X_User_Id", b"x-user_id"])
def test_an_identity_header_with_underscores_never_reaches_the_application(asgi_app, name):
    assert raw_get(asgi_app, [(name, b"u-1")]) == (200, b'{"user":null,"headers":[]}')


def test_a_bearer_header_beyond_ascii_is_refused_cleanly(asgi_app):
    assert raw_get(asgi_app, [(b"authorization", b"Bearer \xff\xe9\x00")], "/admin")[0] == 401


def test_a_doubled_authorization_header_is_refused(asgi_app):
    headers = [(b"authorization", b"Bearer user"), (b"authorization", b"Bearer admin")]

    status, body = raw_get(asgi_app, headers, "/admin")

    assert status == 401
    assert b"is there twice" in body


def test_an_authorization_header_with_an_underscore_is_no_credential(asgi_app):
    assert raw_get(asgi_app, [(b"author_ization", b"Bearer admin"), (b"x", b"y")], "/admin")[0] == 401


# --- websockets, documents, installation ---------------------------------------------------


def test_a_websocket_knows_who_opened_it():
    app = FastAPI()

    @app.websocket("/ws")
    async def ws(socket: FastApiWebSocket):
        require_roles("admin")()
        await socket.accept()
        await socket.send_text(current_principal().user_id)
        await socket.close()

    install(app, service="access", authenticators=ways(), without=["logging"])
    client = TestClient(app)
    with client.websocket_connect("/ws", headers=bearer("admin")) as socket:
        assert socket.receive_text() == "u-1"
    with pytest.raises(Exception) as caught, client.websocket_connect("/ws", headers=bearer("user")):
        pass
    uninstall(app)

    assert "AssertionError" not in type(caught.value).__name__


def test_the_openapi_document_names_schemes_and_protected_routes():
    app = install(fastapi_app(), service="access", authenticators=ways(), without=["logging"])
    document = app.openapi()
    uninstall(app)

    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    paths = document["paths"]
    assert "security" not in paths["/public"]["get"]
    assert paths["/admin"]["get"]["security"] == [{"bearer": []}]
    assert paths["/depends"]["get"]["x-required"] == ["the permission 'orders:read'"]
    assert paths["/scoped"]["get"]["security"] == [{"bearer": ["orders:write"]}]
    assert paths["/admin"]["get"]["responses"]["403"]["$ref"].endswith("Forbidden")


def test_the_explanation_says_how_callers_are_known_and_when_they_are_not():
    app = install(Flask("a"), service="access", authenticators=ways())
    bare = install(Flask("b"), service="other")

    assert explain(app).part("auth").does.startswith("who sends a request, by bearer;")
    assert explain(bare).part("auth").reason == "no authenticators given, AUTHENTICATORS is empty"
    uninstall(app)
    uninstall(bare)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_above_the_route_is_told_with_the_first_request(kind):
    make, face = KINDS[kind]
    app = make()

    def plain():
        return {}

    def with_request(_request):
        return JSONResponse({})

    view = with_request if kind == "starlette" else plain
    require_roles("admin")(view)  # what stands above the route's decorator gets the same function
    if kind == "starlette":
        app.routes.append(Route("/bare", view))
    else:
        app.get("/bare")(view)
    install(app, service="access", authenticators=ways(), without=["logging"])
    client = face(app)

    with capture_logs() as logs:
        client.get("/public")
        client.get("/public")

    told = [line for line in logs if "not protected" in line["event"]]
    assert [(line["path"], line["requirement"]) for line in told] == [("/bare", "the role 'admin'")]
    uninstall(app)


# --- cookies of other sites -------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200), ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403), ({"Origin": "null"}, 403), ({"Origin": "https://evil.example"}, 403),
        ({}, 403),
    ],
    ids=str,
)  # fmt: skip
def test_a_cookie_is_worth_nothing_when_another_site_sends_it(kind, headers, status):
    make, _ = KINDS[kind]
    sessions = Sessions(MemoryRecordStore())
    token, _ = sessions.start(Principal(user_id="u-1"))
    app = make()
    view = require_user()(lambda *_: JSONResponse({}) if kind != "flask" else {})
    if kind == "flask":
        app.post("/pay", endpoint="pay")(view)
    else:
        app.router.routes.append(Route("/pay", view, methods=["POST"]))
    install(app, service="access", authenticators=[SessionAuthenticator(sessions)], without=["logging"])
    cookie = {"Cookie": f"__Host-session={token.get_secret_value()}", **headers}

    if kind == "flask":
        answer = app.test_client(use_cookies=False).post("/pay", headers=cookie)
    else:
        answer = TestClient(app).post("/pay", headers=cookie)

    assert answer.status_code == status
    uninstall(app)


@pytest.mark.parametrize("kind", KINDS)
def test_the_tokens_of_this_library_open_a_protected_route(kind):
    make, face = KINDS[kind]
    app = install(make(), service="access", authenticators=[BearerAuthenticator()], without=["logging"])
    with use(installed(app).runtime):
        admin = create_access_token("u-1", roles=["admin"])
        refresh = create_refresh_token("u-1")
    client = face(app)

    assert client.get("/admin", bearer(admin)).json_body == {"ok": True}
    assert client.get("/admin", bearer(refresh)).status_code == 401
    assert client.get("/admin", bearer(admin[:-2] + "xx")).status_code == 401
    uninstall(app)


# --- by name, from the settings ---------------------------------------------------------------

GATEWAY = "gateway-secret-of-at-least-32-bytes"


@pytest.fixture
def own_runtime():
    """A runtime of the test's own: what a service is given inside an override stays with it."""
    runtime = Runtime("access")
    with use(runtime):
        yield runtime
    runtime.close()


@pytest.mark.parametrize("kind", KINDS)
def test_ways_can_be_named_in_the_settings(kind, own_runtime):
    make, face = KINDS[kind]
    settings = {
        "AUTHENTICATORS": ["session", "api_key", "gateway", "bearer"],
        "GATEWAY_SECRET_KEYS": [GATEWAY],
    }
    with override_settings(**settings):
        app = install(make(), service="access", without=["logging"])
    service = installed(app)
    with use(service.runtime):
        key = get_api_keys().create("billing", scopes=["orders:read"]).secret.get_secret_value()
        admin = Principal(user_id="u-1", roles=["admin"])
        cookie = get_sessions().start(admin).token.get_secret_value()
    header = GatewaySigner(GATEWAY).sign("GET", "/admin", audience="access", principal=admin)
    client = face(app)

    assert client.get("/depends", {"X-API-Key": key}).json_body == {"user": "billing"}
    assert client.get("/admin", {"Cookie": f"__Host-session={cookie}"}).json_body == {"ok": True}
    assert client.get("/admin", {"X-Gateway-Token": header}).json_body == {"ok": True}
    assert client.get("/admin", {"X-Gateway-Token": header}).status_code == 401
    assert client.get("/admin").headers["WWW-Authenticate"] == (
        'Cookie cookie-name="__Host-session", ApiKey, Gateway, Bearer'
    )
    assert "session, api_key, gateway, bearer" in explain(app).part("auth").does
    uninstall(app)


@pytest.mark.parametrize(
    ("names", "settings"),
    [(["magic"], {}), (["gateway"], {}), (["bearer", "bearer"], {})],
    ids=["unknown", "no secret", "twice"],
)
def test_a_way_that_cannot_be_is_refused_at_start(names, settings, own_runtime):
    with override_settings(**settings), pytest.raises(ConfigurationError):
        install(Flask("a"), service="access", authenticators=names)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pepper_that_is_too_short_ends_the_start(kind, own_runtime):
    with override_settings(API_KEY_PEPPER="short"), pytest.raises(ConfigurationError, match="pepper"):
        install(KINDS[kind][0](), service="access", authenticators=["api_key"])


def test_ways_without_the_request_layer_are_refused_at_start(own_runtime):
    with pytest.raises(ConfigurationError, match="request layer"):
        install(Flask("a"), service="access", authenticators=["bearer"], without=["request_layer"])
