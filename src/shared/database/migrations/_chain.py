"""A chain of revisions: the library's own, or that of a service beside it."""

import contextlib
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from shared.database.migrations._alembic import parents_of
from shared.database.migrations._locate import library_folder, room_folders
from shared.errors import MigrationError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

__all__ = ["MigrationChain", "alembic_alone"]

#: Alembic keeps the environment it runs in module globals: one run at a time per process.
_ALONE: Final = threading.RLock()


@contextlib.contextmanager
def alembic_alone() -> Iterator[None]:
    """Use Alembic alone in this process, leaving no compiled files beside revisions.

    Raises:
        MigrationError: Alembic refuses; its words are the message.
    """
    from alembic.util import CommandError

    with _ALONE:
        before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            yield
        except CommandError as exc:
            raise MigrationError(str(exc)) from exc
        finally:
            sys.dont_write_bytecode = before


@dataclass(frozen=True, slots=True)
class MigrationChain:
    """Where the revisions of a chain are, and under which name they are counted.

    Make one with :meth:`library` or :meth:`service`.

    Attributes:
        name: ``library`` or ``service``.
        folder: With ``env.py``.
        versions: The folders that hold revisions.
        ini: The service's ``alembic.ini``, when it has one.
        rooms: The rooms of the library that are meant; empty for a service. All others are
            known, too: the database may have them.

    Example:
        >>> chain = MigrationChain.library(["database"])
        >>> chain.name, chain.rooms
        ('library', ('database',))
    """

    name: str
    folder: Path
    versions: tuple[Path, ...]
    ini: Path | None = None
    rooms: tuple[str, ...] = ()

    @classmethod
    def library(cls, rooms: Iterable[str] | None = None) -> Self:
        """Return the library's chain.

        Args:
            rooms: Only these, and those they depend on; all when None.

        Raises:
            MigrationError: A room has no revisions, or the installation holds none at all.

        Example:
            >>> "database" in MigrationChain.library().rooms
            True
        """
        folder = library_folder()
        found = room_folders(folder)
        if rooms is None:
            return cls("library", folder, tuple(found.values()), rooms=tuple(found))
        wanted = tuple(dict.fromkeys(rooms))
        for room in wanted:
            if room not in found:
                msg = f"room {room!r} has no revisions (known: {', '.join(found)})"
                raise MigrationError(msg)
        whole = cls("library", folder, tuple(found.values()), rooms=tuple(found))
        return replace(whole, rooms=whole._with_needed(wanted))

    @classmethod
    def service(cls, path: str | Path) -> Self:
        """Return a service's own chain.

        Args:
            path: The folder with the service's ``env.py``, or its ``alembic.ini``, or the
                folder with that.

        Raises:
            MigrationError: There is neither.

        Example:
            >>> MigrationChain.service("/nowhere")
            Traceback (most recent call last):
                ...
            shared.errors.MigrationError: '/nowhere' holds no env.py and no alembic.ini: ...
        """
        given = Path(path)
        ini = given if given.suffix == ".ini" else given / "alembic.ini"
        if given.suffix != ".ini" and (given / "env.py").is_file():
            folder = given.resolve()
            near = _ini_of(folder)
            return cls._from_ini(near) if near else cls("service", folder, (folder / "versions",))
        if not ini.is_file():
            msg = f"{str(path)!r} holds no env.py and no alembic.ini: make the folder with 'alembic init'"
            raise MigrationError(msg)
        return cls._from_ini(ini.resolve())

    @classmethod
    def _from_ini(cls, ini: Path) -> Self:
        with alembic_alone():
            script = _script_from(ini)
            places = script.version_locations or [str(Path(script.dir) / "versions")]
            return cls("service", Path(script.dir), tuple(map(Path, places)), ini=ini)

    def script(self) -> "ScriptDirectory":
        """Return Alembic's view of the files, read anew.

        Example:
            >>> MigrationChain.library(["database"]).script().get_revision("database_0001").doc
            'outbox, inbox and idempotency keys'
        """
        from alembic.script import ScriptDirectory

        with alembic_alone():
            if self.ini is not None:
                script = _script_from(self.ini)
            else:
                script = ScriptDirectory(
                    str(self.folder), version_locations=[str(path) for path in self.versions]
                )
            script.messaging_opts = {"quiet": True}
            _ = script.revision_map.heads  # read lazily otherwise, not under our rules
            return script

    def owns(self, script: Any) -> bool:
        """Tell whether the revision *script* is one of those meant: of a chosen room, or of the service.

        Example:
            >>> chain = MigrationChain.library(["database"])
            >>> [each.revision for each in chain.script().walk_revisions() if chain.owns(each)]
            ['database_0001']
        """
        return not self.rooms or Path(script.path).parent.name in self.rooms

    def heads(self, script: "ScriptDirectory") -> tuple[str, ...]:
        """Return the newest of the revisions meant.

        Example:
            >>> chain = MigrationChain.library(["database"])
            >>> chain.heads(chain.script())
            ('database_0001',)
        """
        heads = {head for head in script.get_heads() if self.owns(script.get_revision(head))}
        implied: set[str] = set()  # another one depends on them, so they come along
        queue = [parent for head in heads for parent in parents_of(script.get_revision(head))]
        while queue:
            parent = queue.pop()
            if parent not in implied:
                implied.add(parent)
                queue.extend(parents_of(script.get_revision(parent)))
        return tuple(sorted(heads - implied))

    def config(self, **attributes: Any) -> "Config":
        """Return a configuration for Alembic with *attributes*, from the ini when there is one.

        Example:
            >>> MigrationChain.library().config(connection=None).attributes
            {'connection': None}
        """
        from alembic.config import Config

        config = Config() if self.ini is None else Config(str(self.ini))
        config.set_main_option("script_location", str(self.folder).replace("%", "%%"))
        config.attributes.update(attributes)
        return config

    def _with_needed(self, rooms: Iterable[str]) -> tuple[str, ...]:
        """Return *rooms* and all rooms their revisions depend on."""
        script = self.script()
        home = {each.revision: Path(each.path).parent.name for each in script.walk_revisions()}
        needed: dict[str, set[str]] = {}
        for each in script.walk_revisions():
            parents = parents_of(each)
            needed.setdefault(home[each.revision], set()).update(home[parent] for parent in parents)
        found = set(rooms)
        queue = list(found)
        while queue:
            for room in needed.get(queue.pop(), set()) - found:
                found.add(room)
                queue.append(room)
        return tuple(sorted(found))


def _script_from(ini: Path) -> "ScriptDirectory":
    """Return what *ini* describes; relative paths in it count from its own folder, not from the caller's."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(str(ini))
    location = config.get_main_option("script_location") or ""
    folder = ini.parent / location
    if not location or not folder.is_dir():
        msg = f"{str(ini)!r}: script_location is {location!r}, which is no folder beside it"
        raise MigrationError(msg)
    config.set_main_option("script_location", str(folder.resolve()).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    script.version_locations = [str((ini.parent / each).resolve()) for each in script.version_locations]
    return script


def _ini_of(folder: Path) -> Path | None:
    """Return the ini beside *folder* when it speaks of it."""
    from alembic.config import Config

    ini = folder.parent / "alembic.ini"
    if not ini.is_file():
        return None
    location = Config(str(ini)).get_main_option("script_location") or ""
    return ini if location and (ini.parent / location).resolve() == folder else None
