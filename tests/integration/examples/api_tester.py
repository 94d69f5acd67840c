"""Tests one example service by its own OpenAPI document; prints what was found as JSON.

python -m tests.integration.examples.api_tester NAME

Every operation gets data that fit the document and data that do not, and every answer is
compared with it: statuses, media types, bodies, headers. Seed and examples are fixed.
"""

import importlib
import json
import logging
import os
import sys
import threading
from typing import Any

EXAMPLES = 3
WEBHOOKS = "a secret of the payment supplier, long enough"
ENVIRONMENT = {
    "ENVIRONMENT": "testing",
    "LOG_LEVEL": "CRITICAL",
    "ADMIN_PASSWORD": "correct horse battery staple",
    "PAYMENTS_WEBHOOK_SECRET": WEBHOOKS,
    "MAX_QUANTITY": "10000",
}
# What no schema can say: the policy of passwords knows the common ones.
JUDGED = {"enabled": True, "expected-statuses": ["2xx", "401", "403", "404", "409", "422"]}
# The suppliers of an order may be slow on a busy machine; that answer is documented, too.
WAITING = {"enabled": True, "expected-statuses": ["2xx", "4xx", "503", "504"]}
OPERATIONS = [
    {"include-name": "POST /accounts", "checks": {"positive_data_acceptance": JUDGED}},
    {"include-name": "POST /orders", "checks": {"not_a_server_error": WAITING}},
]


def serve_suppliers() -> None:
    """Start what the orders service calls, each on a port of its own."""
    from werkzeug.serving import make_server

    for name, variable in (("catalog", "CATALOG_URL"), ("payments_stub", "PAYMENTS_URL")):
        app = importlib.import_module(f"examples.{name}.app").app
        server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        os.environ[variable] = f"http://127.0.0.1:{server.port}"
    logging.getLogger("werkzeug").disabled = True


def test(name: str) -> dict[str, Any]:
    """Return ``{"cases": int, "operations": [...], "found": [...]}``."""
    import schemathesis
    from openapi_spec_validator import validate
    from schemathesis.config import SchemathesisConfig
    from schemathesis.engine import events, from_schema

    app = importlib.import_module(f"examples.{name}.app").app
    config = SchemathesisConfig.from_dict(
        {
            "seed": 20261120,
            "continue-on-failure": True,
            "suppress-health-check": ["all"],
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
            "operations": OPERATIONS,
        }
    )
    load = schemathesis.openapi.from_wsgi if hasattr(app, "url_map") else schemathesis.openapi.from_asgi
    schema = load("/openapi.json", app, config=config)
    validate(schema.raw_schema)
    cases, labels, found = 0, set(), []
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            found.append(repr(vars(getattr(event, "info", event)))[:2000])
        if not isinstance(event, events.ScenarioFinished):
            continue
        labels.add(event.recorder.label)
        for checks in event.recorder.checks.values():
            cases += 1
            for check in checks:
                if check.failure_info is not None:
                    failure = check.failure_info
                    text = f"{event.recorder.label}: {failure.failure.title}: {failure.failure.message}"
                    found.append(f"{text} {failure.code_sample}"[:2000])
    return {"cases": cases, "operations": sorted(labels), "found": found}


def main() -> None:
    """Test the service named in the arguments."""
    os.environ.update(ENVIRONMENT)
    name = sys.argv[1]
    if name == "orders":
        serve_suppliers()
    print(json.dumps(test(name)))  # noqa: T201
    sys.stdout.flush()
    os._exit(0)  # the suppliers' threads have nothing to save


if __name__ == "__main__":
    main()
