"""What a test suite of a service needs, with nothing to set up.

The pytest plugin registers itself: after ``pip install 'libs-shared[testing]'`` the
fixtures ``shared_settings``, ``shared_runtime``, ``shared_client``, ``log_capture``
and ``frozen_clock`` are there. Importing this room loads the standard library
only; a fixture loads what it needs when a test asks for it.
"""

from shared.testing._client import ApiClient, ApiResponse
from shared.testing._clock import FrozenClock

__all__ = ["ApiClient", "ApiResponse", "FrozenClock"]
