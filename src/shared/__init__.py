"""One library for every Python microservice: import a room, not this package.

``import shared`` loads nothing but this file. Users write
``from shared.config import get_settings``, ``from shared.service import install``
and so on; each room says in its own docstring what it needs.

Example:
    >>> import shared
    >>> shared.__version__.count(".") >= 1
    True
"""

TYPE_CHECKING = False  # typing itself costs more to import than this package

if TYPE_CHECKING:
    from shared._version import __version__

__all__ = ["__version__"]

# Guarded: an unguarded module __getattr__ makes type checkers accept every
# misspelt name of this package.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from shared._version import __version__

            globals()["__version__"] = __version__
            return __version__
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)

    def __dir__() -> list[str]:
        return sorted(__all__)
