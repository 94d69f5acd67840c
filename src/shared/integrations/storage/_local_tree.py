"""Folders of a directory, opened one from the other so that nothing leads out of it."""

import errno
import os
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from shared.errors import ConflictError, ValidationError
from shared.integrations.storage._keys import check_key

__all__ = ["LINK", "OWN", "make_folders", "open_folder", "prune", "same_spelling", "walk"]

OWN: Final = ".shared-storage"
LINK: Final = frozenset({errno.ELOOP, errno.EMLINK, errno.ENXIO})
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIES: Final = 100


def open_folder(root: int, key: str, *, make: bool = False) -> tuple[int, str]:
    """Return the opened folder of *key* and the name in it; close the folder.

    Raises:
        FileNotFoundError: There is no such folder.
        NotADirectoryError: Something on the way is an object or a link.
    """
    *folders, name = key.split("/")
    here = os.dup(root)
    try:
        for folder in folders:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(folder, dir_fd=here)
            here = _step(here, folder)
    except BaseException:
        os.close(here)
        raise
    return here, name


def _step(here: int, folder: str) -> int:
    """Return *folder* opened, and close *here*; leaves *here* open when it fails."""
    try:
        below = os.open(folder, _FOLDER, dir_fd=here)
    except OSError as exc:
        if exc.errno in LINK:
            raise NotADirectoryError(errno.ENOTDIR, "a link on the way") from exc
        raise
    os.close(here)
    return below


def make_folders(root: int, key: str) -> tuple[int, str]:
    """As :func:`open_folder`, and make what is missing, also while others take empty folders away."""
    for _ in range(_TRIES):
        try:
            return open_folder(root, key, make=True)
        except FileNotFoundError:
            continue
        except NotADirectoryError as exc:
            msg = f"a folder of {key!r} is an object or a link here: in a directory nothing can be beneath it"
            raise ConflictError(msg) from exc
    msg = f"the folders of {key!r} are taken away as fast as they are made"
    raise ConflictError(msg)


def prune(root: int, key: str) -> None:
    """Remove the folders of *key* that are empty."""
    folders = key.split("/")[:-1]
    while folders:
        try:
            above, name = open_folder(root, "/".join(folders))
        except OSError:
            return
        try:
            os.rmdir(name, dir_fd=above)
        except OSError:
            return
        finally:
            os.close(above)
        folders.pop()


def same_spelling(folder: int, name: str) -> str | None:
    """Return the name in *folder* that differs from *name* by case only, if there is one."""
    wanted = _folded(name)
    return next((other for other in os.listdir(folder) if other != name and _folded(other) == wanted), None)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def walk(root: int, prefix: str, after: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield keys and states of the objects behind *after* that begin with *prefix*, in order."""
    folder = prefix.rpartition("/")[0]
    try:
        here, name = open_folder(root, f"{folder}/x" if folder else "x")
    except (FileNotFoundError, NotADirectoryError):
        return
    del name
    yield from _walk(here, f"{folder}/" if folder else "", prefix.encode(), after.encode())


def _walk(here: int, path: str, prefix: bytes, after: bytes) -> Iterator[tuple[str, os.stat_result]]:
    """Walk one folder and close it."""
    try:
        for sort_key, name, is_folder in _entries(here, path):
            if not (sort_key.startswith(prefix) or (is_folder and prefix.startswith(sort_key))):
                continue
            if is_folder:
                if sort_key > after or after.startswith(sort_key):
                    try:
                        below = os.open(name, _FOLDER, dir_fd=here)
                    except OSError:  # gone meanwhile
                        continue
                    yield from _walk(below, f"{path}{name}/", prefix, after)
            elif sort_key > after:
                with suppress(FileNotFoundError, ValidationError):
                    status = os.stat(name, dir_fd=here, follow_symlinks=False)
                    yield check_key(path + name), status
    finally:
        os.close(here)


def _entries(here: int, path: str) -> list[tuple[bytes, str, bool]]:
    """Return what is in a folder, in the order of the keys: a folder counts as its name with a slash."""
    found = []
    with os.scandir(here) as entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if (not path and entry.name == OWN) or not (is_folder or entry.is_file(follow_symlinks=False)):
                continue
            key = (path + entry.name).encode("utf-8", "surrogateescape")
            found.append((key + b"/" if is_folder else key, entry.name, is_folder))
    return sorted(found)
