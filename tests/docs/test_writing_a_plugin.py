"""docs/writing-a-plugin.md shows the code there is and all kinds; its command says what the page says."""

import re
import subprocess
import textwrap
from typing import get_args

from speech_engine.plugin import Kind
from tests.docs import pages
from tests.docs.pages import ROOT
from tests.server import VOXGATE
from tests.tables import each_row

_PAGE = ROOT / "docs" / "writing-a-plugin.md"
_PARTS = re.findall(r"^<!-- from (\S+) -->\n```\w+\n(.*?)^```$", _PAGE.read_text(), re.MULTILINE | re.DOTALL)


@each_row(("path", "shown"), _PARTS, ids=lambda part: part.split("\n")[0])
def test_each_excerpt_stands_in_its_file(path: str, shown: str) -> None:
    text = (ROOT / path).read_text()
    assert shown in text or textwrap.indent(shown, "    ") in text


def test_no_code_is_shown_that_is_not_from_a_file() -> None:
    code = pages.blocks(_PAGE, "python") + pages.blocks(_PAGE, "py")
    assert {block.text for block in code} <= {shown for _, shown in _PARTS}
    assert code


def test_every_kind_of_plugin_and_what_it_gives_is_named() -> None:
    rows = pages.rows(pages.section(_PAGE.read_text(), "The hook"))
    assert {pages.codes(row[0])[0] for row in rows} == {*get_args(Kind)} - {"trainer"}
    given = {code for row in rows for code in pages.codes(row[1])}
    headings = set(re.findall(r"^### (.+)$", pages.doc("reference/plugin.md"), re.MULTILINE))
    assert given <= headings


def test_check_says_of_the_first_example_what_the_page_says() -> None:
    command = pages.blocks(_PAGE, "console")[0]
    assert command.answer
    name, *arguments = command.text.removeprefix("$ ").split()
    assert name == "voxgate"
    done = subprocess.run([VOXGATE, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)
    for line in command.answer.text.splitlines():
        assert line == "…" or _has_row(done.stdout, line), done.stdout
    assert done.returncode == 1


def _has_row(table: str, line: str) -> bool:
    """Whether a row says so, however its cells are broken over lines."""
    rows = re.split(r"^(?=ok|wrong)", table, flags=re.MULTILINE)
    words = sorted(line.split())
    return any(sorted(row.split()) == words for row in rows)
