"""payments_stub: what a payment supplier does on good and on bad days.

    waitress-serve --listen=127.0.0.1:8003 examples.payments_stub.app:app

`PUT /dial {"fault": "ok" | "slow" | "500" | "hang"}` chooses the day. A charge with a `reference` is
told to NOTICE_URL a moment later, signed, again and again until it is taken.
"""

import time
from itertools import count
from typing import Literal

from flask import Flask, request
from pydantic import BaseModel, Field

from examples.payments_stub.notices import send_notice
from examples.payments_stub.settings import StubSettings
from shared.api import documented, load_model
from shared.api.flask import add_openapi, enveloped
from shared.service import install

app = install(Flask(__name__), StubSettings, service="payments-stub")
add_openapi(app, title="payments-stub")
numbers = count(1)
dial = {"fault": "ok"}


class Dial(BaseModel):
    """The kind of day."""

    fault: Literal["ok", "slow", "500", "hang"]


class NewCharge(BaseModel):
    """Money to take, and whom to tell."""

    amount_cents: int = Field(gt=0, le=100_000_000)
    reference: str | None = Field(default=None, max_length=64)


class Charge(BaseModel):
    """Money that was taken."""

    id: str


@app.put("/dial")
@documented(body=Dial, returns=Dial)
@enveloped
def set_dial():
    dial["fault"] = load_model(Dial, request.get_json()).fault
    return dial


@app.post("/charges")
@documented(body=NewCharge, returns=Charge, status=201)
@enveloped
def charge():
    time.sleep({"slow": 0.1, "hang": 3.0}.get(dial["fault"], 0.0))
    if dial["fault"] == "500":
        raise RuntimeError("the supplier has a bad day")
    wanted, charge_id = load_model(NewCharge, request.get_json()), f"ch_{next(numbers)}"
    if wanted.reference:
        send_notice(charge_id, wanted.amount_cents, wanted.reference)
    return {"id": charge_id}, 201
