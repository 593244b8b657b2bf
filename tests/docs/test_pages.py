"""The pages hold together: links lead somewhere, versions and libraries are those of the project."""

import re
import subprocess
import tomllib
from pathlib import Path

import proxy
from proxy.cli.main import banner
from tests.docs import found, pages
from tests.docs.pages import PAGES, PLUGIN_PAGES, REFERENCE, ROOT
from tests.tables import each_row

_TWO_SCREENS = 100
_SAY = {".py", ".toml", ".yaml", ".yml", ".service", ".html", ".js", ".json", ""}
_NAMED_PAGE = re.compile(r"\b(docs/[\w-]+(?:/[\w-]+)?\.(?:md|txt))(?:#([\w-]+))?")
MOST_WORDS = 23_700
"""Of the README and the pages in docs/, as `wc -w` counts them, without those that are generated, and without
`_TRANSLATED`. 760 are a first change, most of them code that a test runs. 970 are transcriptions and the
check of speech, 750 dubs, 390 a whole shop, and 900 agents."""
_TRANSLATED = {ROOT / "docs" / "dublar-um-video.md"}


@each_row("page", [*PAGES, *REFERENCE, *PLUGIN_PAGES], ids=pages.name)
def test_links_lead_to_a_page_and_a_heading_that_exist(page: Path) -> None:
    for link in pages.links(page.read_text()):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: there is no {target}"
        assert not anchor or anchor in pages.anchors(target.read_text()), f"{link}: no such heading"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            named = (link.partition("#")[0] for link in pages.links(page.read_text()))
            waiting += [(page.parent / path).resolve() for path in named if path]
    assert {*PAGES, *REFERENCE} <= reached


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


@each_row("page", pages.TRIED_PAGES, ids=pages.name)
def test_a_plugin_says_what_it_was_tried_with(page: Path) -> None:
    """Not what it could do: a live account, real weights, a card, a listener, or fakes alone."""
    assert len(re.findall(r"^Tried: \S.+\.$", page.read_text(), re.MULTILINE)) == 1


def test_the_newest_change_is_of_this_version() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert newest
    assert newest[1] == proxy.__version__ == project["version"]


def test_each_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    named = found.libraries()
    assert sorted(name for name, _, _ in named) == sorted(re.split(r"[<>=\[]", line)[0] for line in required)
    assert all(reason for _, reason, _ in named)


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
    written = {ROOT / "README.md", *(ROOT / "docs").glob("*.md")} - set(REFERENCE) - _TRANSLATED
    assert sum(len(pages.without_made(page.read_text()).split()) for page in written) <= MOST_WORDS


def test_what_files_and_messages_say_of_a_page_is_there() -> None:
    """Also in configurations, scripts and the strings of the code: a page that has moved is no help."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in files.decode().split("\0"):
        file = ROOT / name
        if file.suffix not in _SAY or not file.is_file():
            continue
        for path, anchor in _NAMED_PAGE.findall(file.read_text()):
            page = ROOT / path
            assert page.is_file(), f"{name}: there is no {path}"
            assert not anchor or anchor in pages.anchors(page.read_text()), f"{name}: {path} has no {anchor}"
