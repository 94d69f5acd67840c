"""A fork in a test process that has threads."""

import os
import warnings


def fork() -> int:
    """Fork without the warning of newer Pythons about threads: they are what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
