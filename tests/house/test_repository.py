"""What may and may not stand in a file of the repository."""

import re
import tempfile
from pathlib import Path

import pytest
import yaml

from tests.house._repo import PACKAGE, ROOT, repository_files, shown, text_of
from tests.house.test_floors import floors

DOCS = ROOT / "docs"
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
FRAGMENTS = sorted(
    path for path in (ROOT / "changes").glob("*") if path.name not in {".gitignore", ".gitkeep"}
)
KINDS = ("added", "changed", "fixed", "removed", "security")


def texts() -> list[tuple[Path, str]]:
    """Every text file of the repository."""
    return [(path, text) for path in repository_files() if (text := text_of(path)) is not None]


def found(pattern: str, *, suffixes: tuple[str, ...] = ()) -> list[str]:
    """``file:line`` of every match of *pattern*."""
    matcher = re.compile(pattern)
    return [
        f"{shown(path)}:{text.count(chr(10), 0, match.start()) + 1}"
        for path, text in texts()
        if not suffixes or path.suffix in suffixes
        for match in matcher.finditer(text)
    ]


def joined(*parts: str) -> str:
    """A pattern that this file does not hold itself."""
    return re.escape("".join(parts))


@pytest.mark.parametrize(
    "host",
    [
        ("py", "pi.org"),
        ("python", "hosted.org"),
        ("registry.", "npmjs"),
        ("art", "ifactory"),
        ("crates", ".io"),
    ],
    ids=lambda host: "".join(host)[:3],
)
def test_no_file_names_the_host_of_a_package_registry(host):
    assert found(joined(*host)) == [], "indexes are the reader's configuration, not the repository's"


def test_no_file_names_a_path_of_a_machine():
    places = {str(ROOT), str(Path.home()), "/ho" + "me/", "/Use" + "rs/", "C:" + "\\Users"}
    places |= {tempfile.gettempdir() + "/"} - {"/tmp/"}

    spelled = {
        place: where for place in places if len(place) > 2 and (where := found(re.escape(place) + r"\b"))
    }

    assert spelled == {}, "write a relative path, ~ or a placeholder"


def test_no_file_tells_the_reader_to_install_the_foreign_distribution():
    wrong = "pip install " + r"""(?:-\S+ )*['"]?""" + "shared" + r"""(?![\w.-])"""

    assert found(wrong) == [], "the distribution is libs-shared"


@pytest.mark.parametrize("path", LOCKS, ids=shown)
def test_a_lock_pins_every_requirement_by_hash_and_names_no_index(path):
    text = path.read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if entry.strip() and not entry.startswith("#")]

    loose = [entry.split(" ")[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]

    assert loose == []
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host|://", text)


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.in")), ids=shown)
def test_every_requirement_file_has_its_lock(path):
    assert path.with_suffix(".txt") in LOCKS, "run: make lock"


@pytest.mark.parametrize("path", FRAGMENTS, ids=shown)
def test_a_news_fragment_is_named_for_its_issue_or_its_room(path):
    assert re.fullmatch(rf"(\d+|\+[a-z0-9_-]+)\.({'|'.join(KINDS)})(\.\d+)?\.md", path.name), (
        f"{shown(path)}: name it <issue>.<kind>.md or +<room>.<kind>.md with a kind of {KINDS}"
    )


@pytest.mark.parametrize("path", FRAGMENTS, ids=shown)
def test_a_news_fragment_is_sentences_that_name_a_symbol(path):
    text = path.read_text(encoding="utf-8").strip()

    assert text, f"{shown(path)} is empty"
    assert text.endswith((".", "!", "`.")), f"{shown(path)}: end with a full stop"
    assert "`" in text, f"{shown(path)}: name the public symbol in backticks"


def nav_pages(entries) -> list[str]:
    """The pages of a nav, in order."""
    pages = []
    for entry in entries:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        pages += nav_pages(value) if isinstance(value, list) else [value]
    return pages


NAV = nav_pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])


def test_every_page_is_in_the_navigation():
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}

    missing = sorted(pages - set(NAV))

    assert missing == [], f"run make nav, or add to nav in mkdocs.yml: {missing}"


def test_the_navigation_names_pages_that_exist_and_each_once():
    assert [page for page in NAV if not (DOCS / page).is_file()] == []
    assert len(NAV) == len(set(NAV))


def test_every_public_room_has_a_reference_page():
    rooms = {
        path.name.removesuffix(".py")
        for path in PACKAGE.iterdir()
        if not path.name.startswith(("_", "py.typed"))
    }

    missing = sorted(room for room in rooms if not (DOCS / "reference" / f"{room}.md").is_file())

    assert missing == [], "write docs/reference/<room>.md"


def test_every_decision_has_its_number_and_its_parts():
    records = sorted((DOCS / "explanation" / "adr").glob("[0-9]*.md"))

    numbers = [int(path.name[:4]) for path in records]
    incomplete = [
        path.name
        for path in records
        if not all(f"\n## {part}\n" in path.read_text() for part in ("Context", "Decision", "Consequences"))
    ]

    assert numbers == list(range(1, len(records) + 1))
    assert incomplete == []


def test_every_text_file_ends_with_a_newline_and_has_no_trailing_blanks():
    kinds = {".py", ".md", ".toml", ".yml", ".yaml", ".in", ".cfg"}
    open_ended = [
        shown(path) for path, text in texts() if path.suffix in kinds and text and not text.endswith("\n")
    ]

    assert open_ended == []
    assert found(r"[ \t]+\n", suffixes=(".py", ".toml", ".yml", ".in")) == []


def test_the_ignored_advisories_say_why():
    lines = (ROOT / ".ci" / "audit-ignore.txt").read_text(encoding="utf-8").splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    page = (DOCS / "explanation" / "security.md").read_text(encoding="utf-8")

    assert all(re.match(r"[A-Z]+-\S+  \S.{20,}", entry) for entry in entries)
    assert all(entry.split()[0] in page for entry in entries), (
        "docs/explanation/security.md carries the evidence"
    )


def test_the_page_on_floors_shows_the_floors_of_the_contract():
    page = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
    table = page.split("## The floors", 1)[1].split("\n## ", 1)[0]
    rows = [row.split("|")[2] for row in table.splitlines() if row.startswith("| ") and "`" in row]
    drawn = [room for row in rows for room in re.findall(r"`(\w+)`", row)]

    assert drawn == [room for floor in floors() for room in floor]


def test_the_reference_index_links_every_page_of_the_reference():
    index = (DOCS / "reference" / "index.md").read_text(encoding="utf-8")
    pages = sorted(path.name for path in (DOCS / "reference").glob("*.md") if path.name != "index.md")

    assert [page for page in pages if f"]({page})" not in index] == [], (
        "run make nav, or add a row to docs/reference/index.md"
    )
