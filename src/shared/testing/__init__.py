"""What a test suite of a service needs, with nothing to set up.

The pytest plugin registers itself: after ``pip install 'libs-shared[testing]'`` the
fixtures are there, and with ``libs-shared[test-engines]`` a real PostgreSQL and a real
Redis, too. Importing this room loads the standard library only; a fixture loads what
it needs when a test asks for it.
"""

from typing import TYPE_CHECKING

from shared.testing._client import ApiClient, ApiResponse
from shared.testing._clock import FrozenClock

if TYPE_CHECKING:
    from shared.testing._postgres import PostgresServer
    from shared.testing._redis import RedisServer

__all__ = ["ApiClient", "ApiResponse", "FrozenClock", "PostgresServer", "RedisServer"]

# What starts servers is loaded when it is asked for. Guarded: an unguarded module
# __getattr__ makes type checkers accept every misspelt name of this package.
if not TYPE_CHECKING:
    _LAZY = {"PostgresServer": "_postgres", "RedisServer": "_redis"}

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _LAZY:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value = globals()[name] = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
        return value

    def __dir__() -> list[str]:
        return sorted(__all__)
