"""The documents of the example services are valid, and the services do what they say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OPERATIONS = {
    "orders": {
        "DELETE /orders/{order_id}",
        "GET /orders/{order_id}",
        "GET /stock/{sku}",
        "POST /orders",
        "POST /stock/{sku}",
    },
    "catalog": {"GET /items", "GET /items/{sku}", "POST /items"},
    "accounts": {
        "GET /accounts",
        "GET /me",
        "POST /accounts",
        "POST /login",
        "POST /refresh",
        "POST /webhooks/payments",
    },
    "agents": {
        "GET /agents/{agent_id}/config",
        "GET /tasks/{task_id}/executions",
        "POST /agents",
        "POST /agents/{agent_id}/tasks",
        "POST /conversations",
        "POST /conversations/{conversation_id}/messages",
    },
    "payments_stub": {"POST /charges", "PUT /dial"},
}


@pytest.mark.timeout(400)  # a few seconds of work, on a machine that may be busy with all the others
@pytest.mark.parametrize("name", OPERATIONS)
def test_service_does_what_its_document_says(name, tmp_path):
    environment = {
        key: value
        for key, value in os.environ.items()
        if key in ("PATH", "HOME", "LANG", "SYSTEMROOT", "COVERAGE_PROCESS_START", "COVERAGE_FILE")
    }
    environment |= {
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "DATABASE_URL": f"sqlite:///{tmp_path}/examples.db",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path / "hypothesis"),
    }

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.integration.examples.api_tester", name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=360,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-4000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["found"] == []
    assert set(result["operations"]) >= OPERATIONS[name]
    assert result["cases"] >= 10 * len(OPERATIONS[name])
