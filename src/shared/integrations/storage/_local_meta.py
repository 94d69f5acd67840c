"""What is known of a file: in a file of its own, named after the key and the version it belongs to."""

import hashlib
import os
from contextlib import suppress
from typing import Final

import orjson

from shared.integrations.storage._local_tree import OWN
from shared.integrations.storage._parts import Attributes

__all__ = ["META", "read_meta", "remove_meta", "version_of", "write_meta"]

META: Final = "meta"
_LARGEST: Final = 65_536  # bytes


def version_of(status: os.stat_result) -> str:
    """Return the name of the version of a file."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def _place(key: str, status: os.stat_result) -> tuple[str, str]:
    digest = hashlib.sha256(key.encode(), usedforsecurity=False).hexdigest()
    return f"{OWN}/{META}/{digest[:2]}", f"{digest[2:]}.{version_of(status)}"


def write_meta(root: int, key: str, status: os.stat_result, attributes: Attributes, *, fsync: bool) -> None:
    """Write what is known of the version of *key* that is about to take its place."""
    folder, name = _place(key, status)
    with suppress(FileExistsError):
        os.mkdir(folder, dir_fd=root)
    file = os.open(
        f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666, dir_fd=root
    )
    try:
        os.write(file, orjson.dumps({**_as_dict(attributes), "key": key}))
        if fsync:
            os.fsync(file)
    finally:
        os.close(file)
    if fsync:
        above = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
        try:
            os.fsync(above)
        finally:
            os.close(above)


def read_meta(root: int, key: str, status: os.stat_result) -> Attributes | None:
    """Return what is known of this version of *key*; None of a file that somebody else put there."""
    folder, name = _place(key, status)
    try:
        file = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=root)
    except FileNotFoundError:
        return None
    try:
        found = orjson.loads(os.read(file, _LARGEST))
    except ValueError:  # torn by a power failure: the file is there, what was known of it is not
        return None
    finally:
        os.close(file)
    found.pop("key", None)
    return Attributes(**found)


def remove_meta(root: int, key: str, status: os.stat_result) -> None:
    """Remove what was known of a version that is gone."""
    folder, name = _place(key, status)
    with suppress(FileNotFoundError):
        os.unlink(f"{folder}/{name}", dir_fd=root)


def _as_dict(attributes: Attributes) -> dict[str, object]:
    return {
        "content_type": attributes.content_type,
        "sha256": attributes.sha256,
        "metadata": dict(attributes.metadata),
        "cache_control": attributes.cache_control,
        "filename": attributes.filename,
        "sealed": attributes.sealed,
    }
