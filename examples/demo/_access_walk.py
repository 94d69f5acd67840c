"""Who may come in: passwords, tokens, roles, headers nobody signed, webhooks."""

import json

from examples.demo._fleet import Answer, Server
from examples.demo._report import Report, check, equal
from shared.security import sign_webhook

ADA = {"email": "ada@example.com", "password": "correct horse battery"}


def walk_past_the_door(report: Report, accounts: Server, *, admin_password: str, webhook_secret: str) -> None:
    """Register, log in, be refused, renew, and send a webhook twice."""
    report.heading("Who may come in")
    with report.step("a weak password is refused with every reason, a good one is taken") as facts:
        weak = _post(accounts, "/accounts", {**ADA, "password": "ada123"})
        equal(weak.status, 422, "status")
        facts.append(weak.json["error"]["message"])
        equal(_post(accounts, "/accounts", ADA).status, 201, "status")
    with report.step("a wrong password and an unknown user get the same answer"):
        wrong = _post(accounts, "/login", {**ADA, "password": "wrong"})
        unknown = _post(accounts, "/login", {**ADA, "email": "nobody@example.com"})
        equal((wrong.status, wrong.json["error"]), (unknown.status, unknown.json["error"]), "answers")
        equal(wrong.status, 401, "status")
    with report.step("a login gives tokens that open /me; without one it is 401 with a challenge") as facts:
        equal(accounts.get("/me").status, 401, "status without a token")
        facts.append(f"WWW-Authenticate: {accounts.get('/me').headers['www-authenticate']}")
        ada = _post(accounts, "/login", ADA).json["data"]
        equal(_as(accounts, "/me", ada["access_token"]).json["data"]["email"], ADA["email"], "who")
    _roles(report, accounts, ada["access_token"], admin_password)
    with report.step("a refresh token is used once, an access token is no refresh token"):
        renewed = _post(accounts, "/refresh", {"refresh_token": ada["refresh_token"]})
        equal(renewed.status, 200, "status")
        equal(_as(accounts, "/me", renewed.json["data"]["access_token"]).status, 200, "with the new token")
        equal(
            _post(accounts, "/refresh", {"refresh_token": ada["access_token"]}).status, 401, "the other kind"
        )
    _webhooks(report, accounts, webhook_secret)


def _roles(report: Report, accounts: Server, token: str, admin_password: str) -> None:
    with report.step("a role is asked for: 403 says what is missing, the admin gets in") as facts:
        refused = _as(accounts, "/accounts", token)
        equal(refused.status, 403, "status")
        facts.append(refused.json["error"]["message"])
        admin = {"email": "admin@example.com", "password": admin_password}
        token = _post(accounts, "/login", admin).json["data"]["access_token"]
        equal(
            _as(accounts, "/accounts", token).json["data"], ["ada@example.com", "admin@example.com"], "list"
        )
    with report.step("a header that nobody signed makes nobody an admin"):
        for name in ("X-User-Id", "X-Auth-User", "X-Forwarded-User", "X-Gateway-User"):
            answer = accounts.get("/accounts", headers={name: "admin@example.com", "X-User-Roles": "admin"})
            equal(answer.status, 401, f"status with {name}")
    with report.step("who was refused, and why, is in the log; no password is") as facts:
        denied = [event for event in accounts.log_events() if event.get("event_type") == "access_denied"]
        check(denied, "no refusal was logged")
        facts.append(f"{len(denied)} refusals: {denied[0]['reason']}")
        for secret in (ADA["password"], admin_password):
            check(secret not in accounts.log.read_text(), "a password is in the log")


def _webhooks(report: Report, accounts: Server, secret: str) -> None:
    with report.step("a signed webhook is taken once; a changed one is refused"):
        body = json.dumps({"id": "evt_1", "type": "charge.succeeded"}).encode()
        headers = {**sign_webhook("stripe", body, secret), "Content-Type": "application/json"}
        first, again = (_hook(accounts, body, headers) for _ in range(2))
        equal((first.json["data"], again.json["data"]), (
            {"accepted": True, "type": "charge.succeeded"}, {"accepted": False}), "answers")  # fmt: skip
        equal(
            _hook(accounts, body.replace(b"evt_1", b"evt_2"), headers).status,
            401,
            "status of the changed one",
        )


def _post(server: Server, path: str, body: dict[str, str]) -> Answer:
    return server.request("POST", path, body=dict(body))


def _as(server: Server, path: str, token: str) -> Answer:
    return server.get(path, headers={"Authorization": f"Bearer {token}"})


def _hook(server: Server, body: bytes, headers: dict[str, str]) -> Answer:
    return server.request("POST", "/webhooks/payments", body=body, headers=headers)
