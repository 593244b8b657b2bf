"""The pages hold together: links lead somewhere, versions and libraries are those of the project."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import proxy
from proxy.cli.main import banner
from tests.docs import pages
from tests.docs.pages import PAGES, PLUGIN_PAGES, ROOT
from tests.tables import each_row

_TWO_SCREENS = 100
MOST_WORDS = 24_300
"""In docs/ and the README together; a sign alone is no word. Code and recorded output are not counted."""

_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@each_row("page", [*PAGES, *PLUGIN_PAGES], ids=pages.name)
def test_links_lead_to_a_page_and_a_heading_that_exist(page: Path) -> None:
    for link in pages.links(page.read_text()):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: there is no {target}"
        assert not anchor or anchor in pages.anchors(target.read_text()), f"{link}: no such heading"


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = {
        (ROOT / link.partition("#")[0]).resolve() for link in pages.links((ROOT / "README.md").read_text())
    }
    assert set(PAGES) - {ROOT / "README.md"} <= linked


@each_row("page", sorted((ROOT / "docs").glob("*.md")), ids=pages.name)
def test_a_page_of_more_than_two_screens_begins_with_its_contents(page: Path) -> None:
    text = page.read_text()
    if len(text.splitlines()) > _TWO_SCREENS:
        first, *parts = re.split(r"^(?=## )", pages.prose(text), flags=re.MULTILINE)
        tops = {anchor for part in parts for anchor in pages.anchors(part.splitlines()[0])}
        assert tops <= {link.removeprefix("#") for link in pages.links(first)}


def test_every_plugin_has_a_page() -> None:
    packages = {plugin.parent for plugin in (ROOT / "plugins").glob("*/plugin.py")}
    assert {page.parent for page in PLUGIN_PAGES} == packages


def test_the_newest_change_is_of_this_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert newest
    assert newest[1] == proxy.__version__ == project["version"]


def test_each_dependency_has_its_reason_and_no_other_has_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    table = pages.rows(pages.section(pages.doc("architecture.md"), "Why each library"))
    assert sorted(row[0] for row in table) == sorted(re.split(r"[<>=\[]", line)[0] for line in required)
    assert all(row[1] for row in table)


def test_the_readme_shows_what_make_serve_prints() -> None:
    shown = pages.blocks(ROOT / "README.md", "console")[0].text
    printed = banner("http://127.0.0.1:8000", "sk-vg-…")
    assert shown == "$ make serve\n…\n" + "".join(printed.splitlines(keepends=True)[:3]) + "…\n"


def test_the_first_screen_holds_a_request_and_its_answer() -> None:
    request = pages.blocks(ROOT / "README.md", "sh")[0]
    assert request.answer
    assert request.answer.line < 40


def test_the_architecture_names_files_and_rooms_that_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:/|\.py))`", text))
    roots = (ROOT, ROOT / "proxy")
    assert named, "the page names no file"
    assert not [name for name in named if not any((root / name).exists() for root in roots)]


def test_the_pages_are_short_enough_to_be_read() -> None:
    words = sum(
        len(re.findall(r"[^\s|]*\w[^\s|]*", _BLOCK.sub("", page.read_text())))
        for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    )
    assert words <= MOST_WORDS
