"""Let the reference render docstrings as they are read in the code.

The Google style that the docs tool reads knows only ``Examples:``; the singular would become a note
whose ``>>>`` is read as Markdown. Roles such as ``:class:`Cache``` would be shown letter by letter.
"""

import re
from typing import Any

import griffe

HEADING = re.compile(r"^Example:$", re.MULTILINE)
ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod|obj|ref):`~?([^`]+)`")
LITERAL_BLOCK = re.compile(r"(?<=\S)::$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrite every docstring that is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of *obj*."""
        if obj.docstring is not None:
            text = HEADING.sub("Examples:", obj.docstring.value)
            obj.docstring.value = LITERAL_BLOCK.sub(":", ROLE.sub(r"`\1`", text))
