"""What importing the room loads, seen from a fresh interpreter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import shared

HEAVY = {
    "alembic", "boto3", "fastapi", "flask", "openai", "orjson", "prometheus_client", "redis", "sqlalchemy", "starlette",
    "structlog", "yaml",
}  # fmt: skip


def loaded_by(code):
    """The top-level modules that *code* loads."""
    script = f"import sys\n{code}\nimport json; print(json.dumps(sorted(m.partition('.')[0] for m in sys.modules)))"
    env = {**os.environ, "PYTHONPATH": str(Path(shared.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_room_loads_no_third_party_package():
    assert not loaded_by("import shared.config; from shared.config import get_settings, settings") & (
        HEAVY | {"pydantic", "pydantic_settings", "dotenv"}
    )


def test_building_the_settings_loads_only_pydantic():
    modules = loaded_by("from shared.config import settings; settings.database.DB_POOL_SIZE")

    assert {"pydantic", "pydantic_settings"} <= modules
    assert not modules & HEAVY


def test_every_name_of_the_room_exists():
    import shared.config as room

    assert [name for name in room.__all__ if getattr(room, name, None) is None] == []
    assert set(room.__all__) <= set(dir(room))


def test_a_name_that_is_not_there_is_an_attribute_error():
    import shared.config as room

    with pytest.raises(AttributeError, match="nothing"):
        room.nothing  # noqa: B018
