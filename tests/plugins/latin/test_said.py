"""What is said of realistic lines in the five languages, and of the pages of docs/: nothing is lost."""

import re
from itertools import pairwise
from pathlib import Path

from plugins.latin.front_end import LatinFrontEnd
from tests.tables import each_row

FOLDER = Path(__file__).parent
PAGES = sorted((FOLDER.parents[2] / "docs").glob("*.md"))


def rows() -> list[tuple[str, str, str]]:
    """The rows `written|said` of said.txt, each with the language of the last heading above it."""
    found, language = [], ""
    for line in (FOLDER / "said.txt").read_text().splitlines():
        if line.startswith("# "):
            language = line[2:4]
        else:
            written, said = line.split("|")
            found.append((language, written, said))
    return found


def words(text: str) -> str:
    """The words of a text, without case, hyphens and punctuation. A `_` stands between sentences."""
    found = re.findall(r"[\w']+(?:[.,][0-9]+)*|[+=/<>~]", text.lower().replace("-", " "))
    return f" {' '.join(found)} "


@each_row(("language", "written", "said"), rows())
def test_a_line_is_read_as_a_person_reads_it(language: str, written: str, said: str) -> None:
    spoken = " _ ".join(segment.spoken for segment in LatinFrontEnd().prepare(written, language, {}))
    assert words(said) in words(spoken)


@each_row("page", PAGES, ids=[page.stem for page in PAGES])
def test_nothing_of_a_page_is_lost(page: Path) -> None:
    """What is not said otherwise is said as it is written, in its order."""
    text = page.read_text()
    segments = LatinFrontEnd().prepare(text, "en", {})
    assert all(left.source_end == right.source_start for left, right in pairwise(segments))
    for segment in segments:
        kept, at, begins = [], 0, segment.source_start
        said = []
        for one in segment.rewritten:
            kept.append(text[begins : one.source_start])
            said.append(segment.spoken[at : one.spoken_start])
            at, begins = one.spoken_end, one.source_end
        kept.append(text[begins : segment.source_end])
        said.append(segment.spoken[at:])
        assert [" ".join(each.split()) for each in kept] == [" ".join(each.split()) for each in said]
