"""A second opinion: the linter squawk on the SQL of each revision, when it is installed."""

import io
import json
import shutil
import subprocess
from typing import Any, Final

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from shared.database.migrations._alembic import parents_of
from shared.database.migrations._chain import MigrationChain, alembic_alone
from shared.database.migrations._findings import LintFinding
from shared.errors import ConfigurationError, MigrationError

__all__ = ["second_opinion"]

#: What the run of a revision takes care of, whatever its SQL says.
_OURS: Final = ("require-lock-timeout", "require-statement-timeout", "prefer-robust-stmts")
_TIMEOUT: Final = 60.0  # seconds


def second_opinion(chain: MigrationChain, *, since: str | None = None) -> tuple[LintFinding, ...]:
    """Return what squawk says of the revisions of *chain* on PostgreSQL, as warnings.

    Args:
        chain: Whose revisions.
        since: Only those that follow this one.

    Raises:
        ConfigurationError: squawk is not installed.
        MigrationError: It cannot be understood.

    Example:
        >>> try:
        ...     opinion = second_opinion(MigrationChain.library())
        ... except ConfigurationError as exc:
        ...     print("pip install squawk-cli" in str(exc))
        ... else:
        ...     print(all(finding.severity == "warning" for finding in opinion))
        True
    """
    program = shutil.which("squawk")
    if program is None:
        msg = "squawk is not installed; run: pip install squawk-cli"
        raise ConfigurationError(msg)
    found: list[LintFinding] = []
    script = chain.script()
    for each in reversed(list(script.walk_revisions())):
        if since is None or _follows(script, each, since):
            found.extend(_asked(program, each))
    return tuple(found)


def _follows(script: Any, each: Any, since: str) -> bool:
    seen, queue = set(), list(parents_of(each))
    while queue:
        parent = queue.pop()
        if parent == since:
            return True
        if parent not in seen:
            seen.add(parent)
            queue.extend(parents_of(script.get_revision(parent)))
    return False


def _asked(program: str, script: Any) -> list[LintFinding]:
    sql = _sql_of(script)
    if not sql.strip():
        return []
    command = [program, "--reporter", "json", "--assume-in-transaction"]
    for rule in _OURS:
        command += ["--exclude", rule]
    try:
        done = subprocess.run(  # noqa: S603 - the program of the PATH, no shell
            command, input=sql, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
        entries = json.loads(done.stdout or "[]")
        return [
            LintFinding(
                f"squawk:{entry['rule_name']}",
                "warning",
                script.revision,
                "postgresql",
                message=str(entry["message"]),
                recipe=str(entry.get("help") or ""),
            )
            for entry in entries
        ]
    except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError) as exc:
        msg = f"squawk gave no answer that is understood for revision {script.revision!r}"
        raise MigrationError(msg) from exc


def _sql_of(script: Any) -> str:
    """Return the SQL of a revision by itself; empty when it asks the database something."""
    buffer = io.StringIO()
    options = {"as_sql": True, "output_buffer": buffer, "literal_binds": True}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    try:
        with alembic_alone(), Operations.context(context):
            script.module.upgrade()
    except Exception:  # noqa: BLE001 - a revision is any code; our own linter reports it
        return ""
    return buffer.getvalue()
