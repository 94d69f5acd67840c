"""Where settings come from: raw values with their origin, nothing decoded yet.

Each source is a :class:`Layer`: names to raw values. What cannot be read is a
:class:`Problem`, never an exception, so that one report can list everything.
"""

import io
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shared.config._report import Problem, printable

MAX_FILE_BYTES: Final = 1_048_576  # a settings file above this is a mistake
MAX_SECRET_BYTES: Final = 65_536
#: What marks the root of a project; the search for a .env file does not go above it.
_REPOSITORY: Final = (".git", ".hg")
_PROJECT: Final = ("pyproject.toml", "setup.py", "setup.cfg", "Pipfile")


class Raw:
    """A value as it was found. Shows its origin and never itself."""

    __slots__ = ("name", "origin", "value")

    def __init__(self, name: str, value: Any, origin: str) -> None:
        self.name = name
        self.value = value
        self.origin = origin

    def __repr__(self) -> str:
        return f"Raw({self.name}, from {self.origin})"


@dataclass(slots=True)
class Layer:
    """One source: its kind, its values by name, and what went wrong reading it."""

    kind: str
    values: dict[str, Raw] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reads_files: bool = False  # NAME_FILE points to a file with the value of NAME
    base: Path | None = None  # where relative paths of NAME_FILE start
    path: Path | None = None  # the file it was read from

    def fresh(self) -> "Layer":
        """Return the same values without what was found wrong with them."""
        return Layer(self.kind, dict(self.values))

    def add(self, name: str, value: Any, origin: str) -> None:
        """Keep *value* unless it is empty: an empty variable counts as not set."""
        if isinstance(value, str) and not value.strip():
            return
        self.values[name] = Raw(name, value, origin)


# --- overrides and environment -----------------------------------------------------------


def from_overrides(values: Mapping[str, Any]) -> Layer:
    """Values given in code; even empty text counts."""
    layer = Layer("override")
    layer.values = {name: Raw(name, value, "override") for name, value in values.items()}
    return layer


def from_environment(environ: Mapping[str, str]) -> Layer:
    """The variables of the process."""
    layer = Layer("environment", reads_files=True)
    for name, value in environ.items():
        layer.add(name, value, "environment")
    return layer


# --- .env -----------------------------------------------------------------------------------


def find_env_file(start: Path) -> Path | None:
    """Return the nearest ``.env`` from *start* up to the root of the project, or None.

    The root is the nearest folder with a repository, else with a project file,
    else *start* itself: a stranger's ``.env`` further up is never read. A folder
    named ``.env`` (some virtual environments) is passed over.
    """
    folders = [start, *start.parents]
    root = _first(folders, _REPOSITORY) or _first(folders, _PROJECT) or start
    for folder in folders:
        candidate = folder / ".env"
        if _exists(candidate) and not os.path.isdir(candidate):  # noqa: PTH112 - never raises
            return candidate
        if folder == root:
            break
    return None


def _first(folders: Iterable[Path], markers: tuple[str, ...]) -> Path | None:
    return next((folder for folder in folders if any(_exists(folder / marker) for marker in markers)), None)


def _exists(path: Path) -> bool:
    # lexists: a .env that is a broken link or a loop is an error to report, not an absence.
    return os.path.lexists(path)


def from_env_file(path: Path, environ: Mapping[str, str]) -> Layer:
    """The assignments of a ``.env`` file, in the syntax of python-dotenv.

    ``${NAME}`` and ``${NAME:-default}`` are replaced from the environment, then
    from what stands above in the file.
    """
    layer = Layer(".env", reads_files=True, base=path.parent, path=path)
    text = _read_text(path, "ENV_FILE", layer, MAX_FILE_BYTES)
    if text is None:
        return layer
    seen: dict[str, str] = {}
    for name, value, line in _assignments(text, path, layer):
        origin = f"{printable(path)}:{line}"
        seen[name] = _expand(value, environ, seen) if "${" in value else value
        layer.values.pop(name, None)  # the last assignment counts, also when it is empty
        layer.add(name, seen[name], origin)
    return layer


def _assignments(text: str, path: Path, layer: Layer) -> Iterator[tuple[str, str, int]]:
    from dotenv.parser import parse_stream

    for binding in parse_stream(io.StringIO(text, newline="")):
        line = binding.original.line + _leading_newlines(binding.original.string)
        if binding.error:
            layer.problems.append(
                Problem(
                    f"{printable(path)}:{line}",
                    "expected NAME=value; the line, or a quote that it opens, cannot be read",
                    id="settings.file",
                )
            )
        elif binding.key is not None and binding.value is not None:
            yield binding.key, binding.value, line


def _leading_newlines(text: str) -> int:
    blank = text[: len(text) - len(text.lstrip())]
    return len(re.findall(r"\r\n|\n|\r", blank))


def _expand(value: str, environ: Mapping[str, str], seen: Mapping[str, str]) -> str:
    from dotenv.variables import parse_variables

    known = {**seen, **environ}
    return "".join(atom.resolve(known) for atom in parse_variables(value))


# --- files ----------------------------------------------------------------------------------


def from_secrets_dir(folder: Path, names: Iterable[str]) -> Layer:
    """One file per setting, named like the setting in capitals or small letters."""
    layer = Layer("secrets")
    if not os.path.isdir(folder):  # noqa: PTH112 - never raises
        layer.problems.append(
            Problem(
                "SECRETS_DIR", "expected a directory that exists", value=printable(folder), id="settings.file"
            )
        )
        return layer
    for name in names:
        for spelling in (name, name.lower()):
            path = folder / spelling
            if _exists(path) and name not in layer.values:
                text = _read_text(path, name, layer, MAX_SECRET_BYTES)
                if text is not None:
                    layer.add(name, text.rstrip("\r\n"), printable(path))
    return layer


def read_pointer(pointer: Raw, target: str, layer: Layer) -> Raw | None:
    """Return the value in the file that ``NAME_FILE`` points to, or None with a problem."""
    path = (layer.base or Path()) / str(pointer.value).strip()
    text = _read_text(path, pointer.name, layer, MAX_SECRET_BYTES, origin=pointer.origin)
    if text is None or not text.strip():
        return None
    return Raw(target, text.rstrip("\r\n"), f"{printable(path)}, named by {pointer.name} ({pointer.origin})")


def _read_text(
    path: Path, variable: str, layer: Layer, limit: int, *, origin: str | None = None
) -> str | None:
    data: bytes | None = None
    try:
        data = _read_bytes(path, limit)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = 1 + (data or b"")[: exc.start].count(b"\n")
        message = f"expected UTF-8 text; line {line} of {printable(path)} is not"
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        message = f"cannot read {printable(path)}: {printable(reason)}"
    layer.problems.append(Problem(variable, message, origin=origin, id="settings.file"))
    return None


def _read_bytes(path: Path, limit: int) -> bytes:
    # Opened without blocking and checked by descriptor: a pipe without a writer
    # must not hang the start, and the file cannot be exchanged in between.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(kind):
            raise ValueError("is a directory" if stat.S_ISDIR(kind) else "is not a regular file")
        data = bytearray()
        while chunk := os.read(descriptor, limit + 1 - len(data)):
            data += chunk
    finally:
        os.close(descriptor)
    if len(data) > limit:
        msg = f"more than {limit} bytes"
        raise ValueError(msg)
    return bytes(data)


# --- one file with many settings --------------------------------------------------------------


def from_settings_file(path: Path, sections: Iterable[str]) -> Layer:
    """A TOML, YAML or JSON file: settings at the top or in a table named like their section."""
    layer = Layer("file", path=path)
    parse = _PARSERS.get(path.suffix.lower())
    if parse is None:
        known = ", ".join(sorted(_PARSERS))
        layer.problems.append(
            Problem(
                "SETTINGS_FILE",
                f"expected a file ending in {known}",
                value=printable(path),
                id="settings.file",
            )
        )
        return layer
    text = _read_text(path, "SETTINGS_FILE", layer, MAX_FILE_BYTES)
    if text is None:
        return layer
    try:
        document = parse(text)
    except ImportError:
        problem = Problem("SETTINGS_FILE", "YAML needs a library; run: pip install 'pydantic-settings[yaml]'")
        layer.problems.append(problem)
        return layer
    except Exception as exc:  # noqa: BLE001 - every parser has its own errors, and some quote the text
        line = _error_line(exc)
        where = f"{printable(path)}:{line}" if line else printable(path)
        layer.problems.append(
            Problem(where, f"not valid {path.suffix[1:].upper()}", origin="SETTINGS_FILE", id="settings.file")
        )
        return layer
    _collect(document, path, text, frozenset(sections), layer)
    return layer


def _collect(document: Any, path: Path, text: str, sections: frozenset[str], layer: Layer) -> None:
    if not isinstance(document, Mapping):
        layer.problems.append(
            Problem(
                "SETTINGS_FILE", "expected names with values at the top of the file", value=printable(path)
            )
        )
        return
    for key, value in document.items():
        if key in sections and isinstance(value, Mapping):
            for name, inner in value.items():
                layer.add(str(name), inner, _line_of(str(name), path, text))
        else:
            layer.add(str(key), value, _line_of(str(key), path, text))


def _line_of(name: str, path: Path, text: str) -> str:
    found = re.search(rf"(?m)^[\s{{,]*[\"']?{re.escape(name)}[\"']?\s*[:=]", text)
    if found is None:
        return printable(path)
    # The match may begin on blank lines above the name.
    end = text.index(name, found.start())
    return f"{printable(path)}:{text.count(chr(10), 0, end) + 1}"


def _error_line(exc: Exception) -> int | None:
    mark = getattr(exc, "problem_mark", None)
    if mark is not None:
        return int(mark.line) + 1
    line = getattr(exc, "lineno", None)
    if isinstance(line, int):
        return line
    found = re.search(r"at line (\d+)", str(exc))
    return int(found.group(1)) if found else None


def _parse_toml(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


def _parse_json(text: str) -> Any:
    import json

    return json.loads(text)


def _parse_yaml(text: str) -> Any:
    import yaml

    return yaml.safe_load(text) or {}


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    ".toml": _parse_toml,
    ".json": _parse_json,
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
}
