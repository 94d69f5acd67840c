"""SHA-256 as the interpreter itself has it.

The one of OpenSSL takes memory from the system for every object, which at times costs more
than the hashing. Both give the same; where the interpreter was built without, OpenSSL's is used.
"""

# mypy: disable-error-code="import-not-found, no-redef, unused-ignore"

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["sha256"]

sha256: "Callable[[bytes], _Hash]"

try:
    from _sha2 import sha256  # Python 3.12 and later
except ImportError:
    try:
        from _sha256 import sha256
    except ImportError:
        from hashlib import sha256
