"""The room's own random numbers.

A service that calls ``random.seed()`` and forked workers that inherit one state
would all draw the same jitter and come back together; ours is its own generator,
seeded anew in each child.
"""

import os
import random
from typing import Final

__all__ = ["draw"]

_generator: Final = random.Random()  # noqa: S311 - jitter is not a secret
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_generator.seed)

draw = _generator.random
