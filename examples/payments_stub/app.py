"""payments_stub: what a payment supplier does on good and on bad days.

    waitress-serve --listen=127.0.0.1:8003 examples.payments_stub.app:app

`PUT /dial {"fault": "ok" | "slow" | "500" | "hang"}` chooses the day.
"""

import time
from itertools import count
from typing import Literal

from flask import Flask, request
from pydantic import BaseModel

from shared.api import documented, load_model
from shared.api.flask import add_openapi, enveloped
from shared.service import install

app = install(Flask(__name__), service="payments-stub")
add_openapi(app, title="payments-stub")
numbers = count(1)
dial = {"fault": "ok"}


class Dial(BaseModel):
    """The kind of day."""

    fault: Literal["ok", "slow", "500", "hang"]


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
@documented(returns=Charge, status=201)
@enveloped
def charge():
    time.sleep({"slow": 0.1, "hang": 3.0}.get(dial["fault"], 0.0))
    if dial["fault"] == "500":
        raise RuntimeError("the supplier has a bad day")
    return {"id": f"ch_{next(numbers)}"}, 201
