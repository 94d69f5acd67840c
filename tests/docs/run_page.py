"""Run every Python block of one page, top to bottom, in one namespace.

Usage: ``python run_page.py page.md``. A traceback names the page and the line in it.
"""

import doctest
import re
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*\{?[ \t]*\.?(?P<language>[\w+-]*)")
PYTHON = {"python", "py", "python3"}
SESSION = {"pycon", "doctest"}


class Block(NamedTuple):
    """One fenced block: *line* is that of its first line of code, counted from 1."""

    language: str
    line: int
    code: str


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a page; an unclosed fence runs to the end, as Markdown says."""
    found: list[Block] = []
    opened: tuple[str, str, int] | None = None
    body: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if opened is None:
            if match := FENCE.match(line):
                opened, body = (match["fence"], match["language"].lower(), number + 1), []
        elif line.strip().startswith(opened[0]) and not line.strip().strip(opened[0][0]):
            found.append(Block(opened[1], opened[2], textwrap.dedent("\n".join(body) + "\n")))
            opened = None
        else:
            body.append(line)
    if opened is not None:
        found.append(Block(opened[1], opened[2], textwrap.dedent("\n".join(body) + "\n")))
    return found


def run(page: Path) -> int:
    """Run the blocks of *page*; return how many ran. The first failure is raised."""
    namespace: dict[str, object] = {"__name__": "__main__", "__file__": str(page)}
    sys.modules["__main__"].__dict__.update(namespace)
    namespace = sys.modules["__main__"].__dict__  # so that pickling and typing find the page's classes
    count = 0
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.language in PYTHON:
            source = "\n" * (block.line - 1) + block.code
            exec(compile(source, str(page), "exec"), namespace)
        elif block.language in SESSION:
            _run_session(block, page, namespace)
        else:
            continue
        count += 1
    return count


def _run_session(block: Block, page: Path, namespace: dict[str, object]) -> None:
    parser = doctest.DocTestParser()
    test = parser.get_doctest(block.code, namespace, page.name, str(page), block.line - 1)
    test.globs = namespace
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    if runner.run(test, clear_globs=False).failed:
        sys.exit(1)


if __name__ == "__main__":
    print(run(Path(sys.argv[1]).resolve()))
