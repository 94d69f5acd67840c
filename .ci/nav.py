"""Bring the navigation and the index of the reference in step with the pages that exist.

``make nav`` runs it. Pages that are listed keep their place and their words; a new page is added
with its own heading, in the order of the alphabet, and a page that is gone is dropped.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SECTIONS = {"tutorials": "Tutorials", "how-to": "How-to", "reference": "Reference"}


def heading(page: Path) -> str:
    """The first heading of *page*; for the page of a room its bare name."""
    found = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    title = found[1].strip("` ") if found else page.stem
    return title.removeprefix("shared.") if title == f"shared.{page.stem}" else title


def section(lines: list[str], folder: str) -> list[str]:
    """The entries of one *folder*: those that still exist, then the new ones, sorted by label."""
    pages = {f"{folder}/{page.name}": page for page in (DOCS / folder).glob("*.md")}
    kept = {line.rsplit(" ", 1)[1]: line for line in lines if line.rsplit(" ", 1)[1] in pages}
    index = (
        [kept.pop(f"{folder}/index.md", f"      - {folder}/index.md")]
        if f"{folder}/index.md" in pages
        else []
    )
    for name in set(pages) - set(kept) - {f"{folder}/index.md"}:
        label = heading(pages[name])
        kept[name] = f"      - {label!r}: {name}" if ":" in label else f"      - {label}: {name}"
    return index + sorted(kept.values(), key=str.casefold)


def navigation(text: str) -> str:
    """*text* of mkdocs.yml with its three page lists renewed."""
    for folder, title in SECTIONS.items():
        pattern = re.compile(rf"^  - {title}:\n((?:      - .*\n)*)", re.MULTILINE)
        found = pattern.search(text)
        if found is None:
            sys.exit(f"mkdocs.yml has no section {title!r} in nav")
        body = "\n".join(section(found[1].splitlines(), folder))
        text = f"{text[: found.start()]}  - {title}:\n{body}\n{text[found.end() :]}"
    return text


def rows(text: str) -> str:
    """*text* of the reference index with a row for every page, and none for a page that is gone."""
    gone = re.compile(r"^\| \[[^]]*\]\(([\w.-]+\.md)\) \|.*\n", re.MULTILINE)
    text = gone.sub(lambda row: row[0] if (DOCS / "reference" / row[1]).is_file() else "", text)
    missing = [
        f"| [`{page.stem}`]({page.name}) | {summary(page)} |\n"
        for page in sorted((DOCS / "reference").glob("*.md"))
        if page.name != "index.md" and f"]({page.name})" not in text
    ]
    end = [found.end() for found in re.finditer(r"^\|.*\n", text, re.MULTILINE)][-1]
    return text[:end] + "".join(missing) + text[end:]


def summary(page: Path) -> str:
    """The first sentence below the heading."""
    body = page.read_text(encoding="utf-8").split("\n", 1)[1].strip()
    return " ".join(re.split(r"(?<=[.:]) |\n\n", body, maxsplit=1)[0].split()).rstrip(".:")


def main() -> int:
    """Rewrite both files."""
    for path, renew in ((ROOT / "mkdocs.yml", navigation), (DOCS / "reference" / "index.md", rows)):
        path.write_text(renew(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
