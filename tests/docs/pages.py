"""The written pages as the tests read them: headings, tables, fenced blocks and links."""

import re
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
REFERENCE = (*sorted((ROOT / "docs" / "reference").glob("*.md")), ROOT / "docs" / "index.md")
"""Made by `python -m tests.docs.reference`. The index is among the pages, too."""
PLUGIN_PAGES = tuple(sorted((ROOT / "plugins").glob("*/README.md")))

TRIED_PAGES = (*PLUGIN_PAGES, *sorted((ROOT / "plugins").glob("*/*/README.md")))
"""Each says in a line `Tried: ….` what its plugin was tried with."""

_MADE = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CELL_BAR = re.compile(r"(?<!\\)\|")


class Block(NamedTuple):
    """A fenced block. `line` is that of its first line in the page, `answer` the block right after it."""

    page: Path
    line: int
    language: str
    text: str
    answer: "Block | None" = None

    @property
    def where(self) -> str:
        return f"{name(self.page)}:{self.line}"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def doc(page: str) -> str:
    return (ROOT / "docs" / page).read_text()


def blocks(page: Path, language: str) -> list[Block]:
    text = page.read_text()
    found = [
        Block(page, text.count("\n", 0, match.start(2)) + 1, match[1], match[2])
        for match in _FENCE.finditer(text)
    ]
    return [
        block._replace(answer=_answer(block, after))
        for block, after in zip_longest(found, found[1:])
        if block.language == language
    ]


def with_made(text: str, parts: Mapping[str, str]) -> str:
    """Return a page whose made parts are these, by their names."""
    return _MADE.sub(lambda found: f"{found[1]}{parts[found[2]]}{found[3]}", text)


def without_made(text: str) -> str:
    """Return what is written by hand."""
    return _MADE.sub("", text)


def prose(text: str) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", text)


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"there is no heading {heading!r}"
    return match[1]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, heads and rules left out."""
    lines = [line for line in prose(text).splitlines() if line.startswith("|")]
    body = [
        line
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if not _is_rule(line) | _is_rule(after)
    ]
    return [[cell.strip() for cell in _CELL_BAR.split(line)[1:-1]] for line in body]


def codes(text: str) -> list[str]:
    """What is set in backticks."""
    return re.findall(r"`([^`]+)`", text)


def links(text: str) -> list[str]:
    return [link for link in _LINK.findall(prose(text)) if "://" not in link]


def anchors(text: str) -> set[str]:
    """The headings as links name them: lower case, blanks to hyphens, punctuation gone."""
    headings = _HEADING.findall(prose(text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _answer(block: Block, after: Block | None) -> Block | None:
    if after is None or after.language not in ("text", "json"):
        return None
    is_next = after.line == block.line + block.text.count("\n") + 3
    return after if is_next else None


def _is_rule(line: str) -> bool:
    return bool(line) and set(line) <= set("|- ")
