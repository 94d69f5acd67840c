"""Which flags a code base asks for, read from its syntax trees; nothing is imported or run."""

import ast
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from shared.errors import InvalidArgumentError
from shared.feature_flags._code_names import collect_bindings
from shared.feature_flags._code_visit import visit_module

__all__ = ["CodeScan", "CodeUse", "scan_code"]

_MAX_BYTES: Final = 2_000_000  # of one file; generated tables are larger and ask for no flag
_MAX_FILES: Final = 50_000
_SKIPPED: Final = frozenset(
    {"__pycache__", "node_modules", "site-packages", "build", "dist", "venv", "env", "target"}
)
_TEXTS: Final = frozenset(
    {".html", ".jinja", ".jinja2", ".j2", ".js", ".mjs", ".jsx", ".ts", ".tsx", ".vue", ".svelte"}
)


@dataclass(frozen=True, slots=True)
class CodeUse:
    """One place in the code that has to do with flags.

    Attributes:
        key: The flag; None when the key is known at run time only.
        path: File, as it was found below the given path.
        line: Counted from 1.
        how: ``call`` (it is evaluated there), ``declared``, ``mention`` (its key stands
            there as a text), ``dynamic`` (some flag is evaluated, nobody can tell which).
        pattern: Of a dynamic key, what it looks like, such as ``beta_*``.

    Example:
        >>> str(CodeUse("new_checkout", "app/views.py", 12, "call"))
        'app/views.py:12'
    """

    key: str | None
    path: str
    line: int
    how: str
    pattern: str = "*"

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class CodeScan:
    """What :func:`scan_code` found.

    Attributes:
        uses: Every place, by path and line.
        files: How many files were read.
        unread: Files that could not be read or parsed, with the reason: what they ask
            for is unknown.

    Example:
        >>> scan = CodeScan((CodeUse(None, "app.py", 3, "dynamic", "beta_*"),), 1)
        >>> scan.may_be_used("beta_search"), scan.may_be_used("analytics_enabled")
        (True, False)
    """

    uses: tuple[CodeUse, ...] = ()
    files: int = 0
    unread: tuple[tuple[str, str], ...] = ()
    _by_key: dict[str | None, list[CodeUse]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        for use in self.uses:
            self._by_key.setdefault(use.key, []).append(use)

    @property
    def dynamic(self) -> tuple[CodeUse, ...]:
        """Places whose key is known at run time only."""
        return tuple(self._by_key.get(None, ()))

    def of(self, key: str, *how: str) -> tuple[CodeUse, ...]:
        """Return the places of *key*, of the kinds *how* when given."""
        return tuple(use for use in self._by_key.get(key, ()) if not how or use.how in how)

    def is_used(self, key: str) -> bool:
        """Tell whether the flag is certainly evaluated somewhere."""
        return bool(self.of(key, "call"))

    def may_be_used(self, key: str) -> bool:
        """Tell whether a text, a dynamic key or an unread file leaves open that it is evaluated."""
        if self.unread or self.of(key, "mention"):
            return True
        return any(fnmatchcase(key, use.pattern) for use in self.dynamic)


def scan_code(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    known: Iterable[str] = (),
    exclude: Iterable[str] = (),
    max_files: int = _MAX_FILES,
) -> CodeScan:
    """Find where flags are evaluated and declared below *paths*.

    A call counts when its key is a literal, a constant of the code base (of a module, a
    class, an enumeration) or a declared ``Flag``. ``f"beta_{name}"`` is dynamic, with the
    pattern ``beta_*``. Folders such as ``node_modules``, virtual environments and those
    that begin with a dot are left out.

    Args:
        paths: Files and folders.
        known: Keys whose mere text counts as a mention, in templates and scripts, too.
        exclude: Patterns of paths to leave out, such as ``tests/*``.
        max_files: Where it stops with an error, >= 1.

    Raises:
        InvalidArgumentError: A path does not exist, or there are too many files.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = pathlib.Path(folder, "app.py").write_text("is_feature_enabled('new_checkout')")
        ...     scan = scan_code(folder)
        >>> scan.is_used("new_checkout"), scan.is_used("old_checkout")
        (True, False)
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    files = list(_files(given, tuple(exclude), max_files))
    trees, unread = _parsed(files)
    bindings = collect_bindings({name: tree for name, (_, tree) in trees.items()})
    keys = frozenset(known)
    uses = [
        CodeUse(found.key, shown, found.line, found.how, found.pattern)
        for name, (shown, tree) in trees.items()
        for found in visit_module(name, tree, bindings, keys)
    ]
    uses += _mentions(files, keys)
    uses.sort(key=lambda use: (use.path, use.line, use.key or "", use.how))
    return CodeScan(tuple(dict.fromkeys(uses)), len(files), tuple(unread))


class _File:
    __slots__ = ("name", "path", "shown")

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self.shown = (path if path == root else path.relative_to(root)).as_posix()
        # Two roots may have a file of one name: the whole path tells modules apart.
        self.name = path.with_suffix("").as_posix()


def _files(
    given: Sequence[str | os.PathLike[str]], exclude: tuple[str, ...], max_files: int
) -> Iterator[_File]:
    seen: set[Path] = set()
    for each in given:
        root = Path(each)
        if not root.exists():
            msg = f"{root.as_posix()!r}: there is no such file or folder to look for flags in"
            raise InvalidArgumentError(msg)
        for path in [root] if root.is_file() else _walk(root):
            found = _File(path, root)
            if path in seen or any(fnmatchcase(found.shown, pattern) for pattern in exclude):
                continue
            seen.add(path)
            if len(seen) > max_files:
                msg = f"more than {max_files} files below {root.as_posix()!r}: name the folders of the code"
                raise InvalidArgumentError(msg)
            yield found


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_skipped(Path(folder, name)))
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix == ".py" or path.suffix in _TEXTS:
                yield path


def _is_skipped(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name in _SKIPPED or (folder / "pyvenv.cfg").exists()


def _parsed(files: Sequence[_File]) -> tuple[dict[str, tuple[str, ast.Module]], list[tuple[str, str]]]:
    trees: dict[str, tuple[str, ast.Module]] = {}
    unread: list[tuple[str, str]] = []
    for file in files:
        if file.path.suffix != ".py":
            continue
        try:
            trees[file.name] = (file.shown, _tree(file.path))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as exc:
            unread.append((file.shown, _reason(exc)))
    return trees, unread


def _tree(path: Path) -> ast.Module:
    if path.stat().st_size > _MAX_BYTES:
        msg = f"larger than {_MAX_BYTES} bytes"
        raise ValueError(msg)
    import warnings

    with warnings.catch_warnings():  # a stray backslash in their code is not our news
        warnings.simplefilter("ignore")
        return ast.parse(path.read_bytes())


def _reason(exc: BaseException) -> str:
    if isinstance(exc, SyntaxError):
        return f"line {exc.lineno}: {exc.msg}"
    return str(exc) or type(exc).__name__


def _mentions(files: Sequence[_File], keys: frozenset[str]) -> Iterator[CodeUse]:
    """Yield where known keys stand in templates and scripts."""
    if not keys:
        return
    words = "|".join(map(re.escape, sorted(keys, key=len, reverse=True)))
    find = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])").finditer
    for file in files:
        if file.path.suffix not in _TEXTS:
            continue
        try:
            if file.path.stat().st_size > _MAX_BYTES:
                continue
            text = file.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for match in find(text):
            yield CodeUse(match[0], file.shown, text.count("\n", 0, match.start()) + 1, "mention")
