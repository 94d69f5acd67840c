"""accounts: registers people, logs them in, and hears from the payment supplier. FastAPI.

ADMIN_PASSWORD=… PAYMENTS_WEBHOOK_SECRET=… uvicorn examples.accounts.app:app --port 8004
"""

from typing import Annotated

from fastapi import Depends, FastAPI, Request

from examples.accounts.models import Credentials, Renewal
from examples.accounts.settings import AccountsSettings
from shared import auth
from shared.api import documented
from shared.api.fastapi import EnvelopeRoute
from shared.config import get_settings
from shared.errors import AuthenticationError, UserAlreadyExistsError, WebhookReplayError
from shared.security import MemoryReplayStore, verify_webhook
from shared.service import install

app = install(FastAPI(title="accounts"), AccountsSettings, service="accounts", authenticators=["bearer"])
app.router.route_class = EnvelopeRoute
own = get_settings(AccountsSettings).accounts
auth.use_roles([auth.Role("admin", ["accounts:*"])])
passwords, deliveries = auth.get_password_manager(), MemoryReplayStore()
admin = {"hash": passwords.hash_password(own.ADMIN_PASSWORD.get_secret_value()), "roles": ["admin"]}
accounts = {"admin@example.com": admin}  # a real service keeps them in a database: shared.auth.UserDAO


@app.post("/accounts", status_code=201)
@documented(errors=[UserAlreadyExistsError])
async def register(new: Credentials):
    await passwords.policy.arequire(new.password, personal=[new.email])
    if new.email in accounts:
        raise UserAlreadyExistsError
    accounts[new.email] = {"hash": await passwords.ahash_password(new.password), "roles": []}
    return {"email": new.email}


@app.post("/login")
async def login(claim: Credentials):
    account = accounts.get(claim.email)
    fits, better = await passwords.averify_and_update(claim.password, account and account["hash"])
    if account is None or not fits:
        raise AuthenticationError("e-mail address or password is wrong")
    account["hash"] = better or account["hash"]
    return tokens_of(claim.email, await auth.acreate_refresh_token(claim.email))


@app.post("/refresh")
async def refresh(renewal: Renewal):
    renewed = await auth.arotate_refresh_token(renewal.refresh_token)
    return tokens_of((await auth.adecode_token(renewed, token_type="refresh")).user_id, renewed)


def tokens_of(email: str, refresh_token: str):
    access = auth.create_access_token(email, email, roles=accounts[email]["roles"])
    return {"access_token": access, "refresh_token": refresh_token}


@app.get("/me")
async def me(who: Annotated[auth.Principal, Depends(auth.require_user())]):
    return {"email": who.email, "roles": sorted(who.roles)}


@app.get("/accounts")
@auth.require_permissions("accounts:list")
async def list_accounts():
    return sorted(accounts)


@app.post("/webhooks/payments")
async def paid(request: Request):
    try:
        event = verify_webhook("stripe", await request.body(), request.headers, own.PAYMENTS_WEBHOOK_SECRET,
                               replay_store=deliveries)  # fmt: skip
    except WebhookReplayError:
        return {"accepted": False}
    return {"accepted": True, "type": event.type}
