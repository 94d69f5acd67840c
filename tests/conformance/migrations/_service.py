"""A service with revisions of its own, written into a folder."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from shared.database.migrations import MigrationChain

ROOT = Path(__file__).resolve().parents[3]

ENV = """
from sqlalchemy import MetaData

from shared.database.migrations import run_environment

run_environment({metadata})
"""

REVISION = '''"""{message}"""

import sqlalchemy as sa
from alembic import op

from shared.database import migrations as tools

revision = {revision!r}
down_revision = {parent!r}
branch_labels = None
depends_on = None
phase = {phase!r}


def upgrade():
{up}


def downgrade():
{down}
'''


class Service:
    """Revisions in a folder, each following the one before."""

    def __init__(self, folder: Path, metadata: str = "MetaData()") -> None:
        self.folder = folder
        (folder / "versions").mkdir(parents=True)
        (folder / "env.py").write_text(ENV.format(metadata=metadata))
        (folder / "script.py.mako").write_text((ROOT / "migrations" / "script.py.mako").read_text())
        self.last: str | None = None

    def add(
        self, revision: str, up: str, down: str = "pass", *, phase: str = "expand", parent: str | None = ""
    ) -> Path:
        """Write a revision; *up* and *down* are bodies of functions."""
        path = self.folder / "versions" / f"{revision}.py"
        path.write_text(
            REVISION.format(
                message=revision.replace("_", " "),
                revision=revision,
                parent=self.last if parent == "" else parent,
                phase=phase,
                up=textwrap.indent(textwrap.dedent(up).strip(), "    "),
                down=textwrap.indent(textwrap.dedent(down).strip(), "    "),
            )
        )
        self.last = revision
        return path

    @property
    def chain(self) -> MigrationChain:
        """The chain of the folder."""
        return MigrationChain.service(self.folder)


def python(code: str, *arguments: str) -> subprocess.Popen:
    """Start another interpreter that runs *code* with this tree's package."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
