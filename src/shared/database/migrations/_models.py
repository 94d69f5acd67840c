"""The tables of the library's rooms, on the one metadata."""

import importlib
import importlib.util
import pkgutil

from sqlalchemy import MetaData

from shared.database._base import Base
from shared.database.migrations._locate import library_folder, room_folders

__all__ = ["library_metadata"]


def library_metadata() -> MetaData:
    """Return the metadata with the tables of every room that has revisions; imports those rooms.

    Example:
        >>> "database_outbox" in library_metadata().tables
        True
    """
    for room in room_folders(library_folder()):
        if importlib.util.find_spec(f"shared.{room}") is None:
            continue
        module = importlib.import_module(f"shared.{room}")
        for info in pkgutil.iter_modules(getattr(module, "__path__", ())):
            # A room may load its tables late; by the manner of the house they are in such modules.
            if "tables" in info.name:
                importlib.import_module(f"{module.__name__}.{info.name}")
    return Base.metadata
