"""Write new revisions: for a service anywhere but where packages are installed."""

import re
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from shared.database.migrations._alembic import use_folder
from shared.database.migrations._chain import MigrationChain, alembic_alone
from shared.database.migrations._locate import is_installed
from shared.database.migrations._options import Phase, as_phase
from shared.database.migrations._target import MigrationTarget, run_on, translating
from shared.errors import MigrationError

__all__ = ["write_revision"]

_NUMBERED = re.compile(r"^(?P<room>\w+)_(?P<number>\d{4,})$")


def write_revision(
    chain: MigrationChain,
    message: str,
    *,
    target: MigrationTarget | None = None,
    room: str | None = None,
    phase: Phase | str = Phase.EXPAND,
    revision: str | None = None,
    depends_on: str | None = None,
) -> Path:
    """Write a new revision at the end of *chain* and return its file.

    Args:
        chain: Where to.
        message: First line of the file.
        target: A database at the newest revision, to fill the file with what it lacks of
            the models; empty functions without one.
        room: Whose revision, in the library's chain.
        phase: When it may be applied.
        revision: Its id; numbered within the room, or drawn at random for a service.
        depends_on: A revision of another room that must be applied before.

    Raises:
        MigrationError: The folder is one that packages are installed in, the chain has
            several heads, or the database is not at the newest revision.

    Example:
        >>> from pathlib import Path
        >>> from shared.database.migrations._locate import library_folder
        >>> Path("orders").mkdir()
        >>> for name in ("env.py", "script.py.mako"):
        ...     _ = Path("orders", name).write_text((library_folder() / name).read_text())
        >>> write_revision(MigrationChain.service("orders"), "add orders", revision="orders_0001").name
        'orders_0001_add_orders.py'
    """
    from alembic.autogenerate import RevisionContext

    folder = _folder_for(chain, room)
    script = chain.script()
    head = _head_of(script, folder, room)
    folder.mkdir(parents=True, exist_ok=True)
    use_folder(script, folder)
    arguments = {
        "message": message, "autogenerate": target is not None, "sql": False, "head": head or "base",
        "splice": False, "branch_label": room if head is None and room else None, "version_path": str(folder),
        "rev_id": revision or (_next_id(script, room) if room else None), "depends_on": depends_on,
    }  # fmt: skip
    config = chain.config(rooms=(room,) if room else ())
    with alembic_alone():
        revisions = RevisionContext(config, script, arguments)
        template_arguments: dict[str, Any] = revisions.template_args
        template_arguments["phase"] = as_phase(phase).value
        if target is not None:
            _compare(script, config, revisions, target)
        (made,) = list(revisions.generate_scripts())
    if made is None:
        msg = f"the revision {message!r} was written and cannot be read back"
        raise MigrationError(msg)
    return _with_phase(Path(str(made.path)), as_phase(phase))


def _with_phase(path: Path, phase: Phase) -> Path:
    """Add the phase to a file whose template knows none."""
    text = path.read_text(encoding="utf-8")
    if not re.search(r"^phase\b", text, re.MULTILINE):
        line = f"phase: str = {phase.value!r}\n"
        text = re.sub(
            r"^(depends_on\b.*\n)", lambda match: match[1] + line, text, count=1, flags=re.MULTILINE
        )
        path.write_text(text, encoding="utf-8")
    return path


def _compare(script: Any, config: Any, revisions: Any, target: MigrationTarget) -> None:
    from alembic.runtime.environment import EnvironmentContext

    def steps(heads: Any, context: Any) -> list[Any]:
        revisions.run_autogenerate(heads, context)
        return []

    def work(connection: Connection) -> None:
        with translating(connection.engine):
            config.attributes["connection"] = connection
            with EnvironmentContext(
                config, script, fn=steps, template_args=revisions.template_args, revision_context=revisions
            ):
                script.run_env()

    run_on(target, work)


def _folder_for(chain: MigrationChain, room: str | None) -> Path:
    if chain.name == "library":
        if room is None or not room.isidentifier():
            msg = f"a revision of the library belongs to a room, got {room!r}: name it"
            raise MigrationError(msg)
        folder = chain.folder / "versions" / room
    else:
        folder = chain.versions[0]
    if is_installed(folder):
        msg = (
            f"{str(folder)!r} is where packages are installed, and the next installation deletes what is "
            "written there: write revisions in the repository they belong to"
        )
        raise MigrationError(msg)
    return folder


def _head_of(script: Any, folder: Path, room: str | None) -> str | None:
    heads = [
        each
        for each in script.get_heads()
        if room is None or Path(script.get_revision(each).path).parent == folder
    ]
    if len(heads) > 1:
        named = ", ".join(sorted(heads))
        msg = f"the chain has {len(heads)} heads ({named}): merge them with 'alembic merge heads'"
        raise MigrationError(msg)
    return heads[0] if heads else None


def _next_id(script: Any, room: str | None) -> str:
    numbers = [0]
    for each in script.walk_revisions():
        match = _NUMBERED.match(each.revision)
        if match and match["room"] == room:
            numbers.append(int(match["number"]))
    return f"{room}_{max(numbers) + 1:04d}"
