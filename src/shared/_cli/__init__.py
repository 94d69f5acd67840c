"""The command ``shared``: one lazily imported module for each verb.

Run ``shared --help`` for the verbs. Every verb understands ``--json``. Exit codes:
0 all is well, 1 the answer is no (something was found, two files differ), 2 the
command was called wrongly or could not be carried out; ``shared config`` answers
78 (``EX_CONFIG``) when the settings themselves are wrong.
"""

from shared._cli._main import main

__all__ = ["main"]
