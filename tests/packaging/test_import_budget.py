"""What an import loads, and that it does nothing else. Measured by sys.modules, not by a clock."""

import json
import subprocess
import sys

import pytest

from tests.house._repo import ROOT, rooms
from tests.packaging._install import PROJECT

PROBE = """
import json, sys, sysconfig
roots = tuple({sysconfig.get_path(kind) for kind in ("purelib", "platlib")})
before = set(sys.modules)
import %s
new = {name.partition(".")[0]: module for name, module in list(sys.modules.items()) if name not in before}
foreign = {
    name.partition(".")[0] for name in set(sys.modules) - before
    if (getattr(getattr(sys.modules[name], "__spec__", None), "origin", None) or "").startswith(roots)
}
print(json.dumps({"foreign": sorted(foreign - {"shared"}), "all": sorted(set(sys.modules) - before)}))
"""

# Rooms that need nothing but the standard library until a function of theirs is called.
LIGHT = ["", ".constants", ".errors", ".context", ".runtime", ".security", ".resilience", ".utils", "._cli"]
# Rooms that own tables load SQLAlchemy; nobody else does.
TABLES = {
    "database",
    "auth",
    "audit",
    "privacy",
    "feature_flags",
    "jobs",
    "agents",
    "commerce",
    "models",
    "agent_config",
}
HEAVY = {
    "alembic", "argon2", "bcrypt", "boto3", "botocore", "factory", "faker", "fastapi", "flask", "google", "httpx",
    "httpx2", "jinja2", "jose", "nh3", "obstore", "openai", "openfeature", "opentelemetry", "PIL", "passlib", "phonenumbers", "psycopg", "pytest", "redis",
    "sentry_sdk", "sqlalchemy", "starlette", "taskiq", "tenacity", "uvicorn", "werkzeug", "yaml",
}  # fmt: skip


def loaded_by(module: str) -> dict[str, list[str]]:
    """Names that importing *module* adds: top-level third-party ones, and all."""
    probe = PROBE % module
    path = str(ROOT / "src")
    done = subprocess.run(
        [sys.executable, "-c", probe],
        env={"PYTHONPATH": path, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def existing(names):
    """Those of *names* whose room is there."""
    return [f"shared{name}" for name in names if not name or name[1:] in rooms()]


@pytest.mark.parametrize("module", existing(LIGHT))
def test_a_light_import_loads_no_third_party_module(module):
    assert loaded_by(module)["foreign"] == []


def test_importing_the_package_loads_one_file():
    assert loaded_by("shared")["all"] == ["shared"]


@pytest.mark.parametrize("module", existing([".constants", ".errors", ".context"]))
def test_the_lowest_rooms_do_not_load_an_event_loop(module):
    assert "asyncio" not in loaded_by(module)["all"]


@pytest.mark.parametrize("room", rooms())
def test_importing_a_room_loads_no_heavy_library(room):
    allowed = {"sqlalchemy"} if room in TABLES else set()

    heavy = (HEAVY & set(loaded_by(f"shared.{room}")["foreign"])) - allowed

    assert heavy == set(), f"shared.{room} loads {sorted(heavy)}: import it inside the call that needs it"


@pytest.mark.parametrize("module", sorted(PROJECT["entry-points"]["pytest11"].values()))
def test_the_pytest_plugin_loads_pytest_alone(module):
    probe = "import pytest, _pytest.config, _pytest.fixtures\n" + PROBE % module
    env = {"PYTHONPATH": str(ROOT / "src"), "PATH": ""}

    done = subprocess.run([sys.executable, "-c", probe], env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["foreign"]) <= {"pytest", "_pytest", "pluggy", "iniconfig"}


QUIET = """
import atexit, json, logging, os, signal, sys, threading
said = []

class Spy(type(os.environ)):
    def __getitem__(self, key):
        frame = sys._getframe(1)
        while frame is not None and not frame.f_globals.get("__name__", "").startswith("shared"):
            name = frame.f_globals.get("__name__", "")
            if name not in ("os", "_collections_abc", "collections.abc") and not name.startswith("<frozen"):
                break
            frame = frame.f_back
        if frame is not None and frame.f_globals.get("__name__", "").startswith("shared"):
            said.append(f"read the environment: {key} in {frame.f_globals['__name__']}")
        return super().__getitem__(key)

os.environ.__class__ = Spy
def hook(event, args):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.fork", "sqlite3.connect"):
        said.append(event)
    elif event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        said.append(f"wrote {args[0]}")
sys.addaudithook(hook)
handlers, filters = list(logging.root.handlers), len(__import__("warnings").filters)
signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
import MODULE
LOOK
if threading.active_count() > 1: said.append("started a thread")
if logging.root.handlers != handlers or logging.root.level != logging.WARNING: said.append("set up logging")
if any(signal.getsignal(n) != h for n, h in signals.items()): said.append("installed a signal handler")
print(json.dumps(said))
"""


@pytest.mark.parametrize("room", rooms())
def test_importing_a_room_does_nothing(room):
    env = {"PYTHONPATH": str(ROOT / "src"), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    code = QUIET.replace("MODULE", f"shared.{room}").replace("LOOK", "")

    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_the_probe_notices_a_read_of_the_environment(tmp_path):
    (tmp_path / "shared_probe.py").write_text(
        "import os\nx = os.environ.get('HOME')\ny = os.getenv('HOME')\n"
    )
    env = {"PYTHONPATH": str(tmp_path), "PATH": "", "HOME": "h", "PYTHONDONTWRITEBYTECODE": "1"}

    done = subprocess.run(
        [sys.executable, "-c", QUIET.replace("MODULE", "shared_probe").replace("LOOK", "")],
        env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert json.loads(done.stdout) == ["read the environment: HOME in shared_probe"] * 2


@pytest.mark.parametrize("room", [room for room in rooms() if not room.startswith("_")])
def test_looking_at_the_names_of_a_room_does_nothing(room):
    look = f"[hasattr(getattr(shared.{room}, name), '__wrapped__') for name in shared.{room}.__all__]"
    env = {"PYTHONPATH": str(ROOT / "src"), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    code = QUIET.replace("MODULE", f"shared.{room}").replace("LOOK", look)

    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [], "tools that inspect a module ask every object for dunder names"
