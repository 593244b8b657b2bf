"""`voxgate check`: what it says of the lexicons of the configuration."""

from pathlib import Path

from tests.proxy.config.files import load
from tests.proxy.diagnosis.test_text_check import findings
from tests.tables import each_row


@each_row(
    ("name", "note", "is_warning"),
    [
        ("pt", "1 word(s), in texts of the language pt", False),
        ("pt-BR", "1 word(s), in texts of the language pt-BR", False),
        ("brands", "1 word(s), only for requests that name it", False),
        ("portuguese", "1 word(s), only for requests that name it", False),
        ("in_house", "1 word(s), only for requests that name it", False),
        (
            "pt_br",
            "1 word(s), only for requests that name it; for texts in the language, write [lexicons.pt-BR]",
            True,
        ),
    ],
)
def test_a_lexicon_says_when_it_counts(tmp_path: Path, name: str, note: str, is_warning: bool) -> None:
    found = findings(load(tmp_path, f'[lexicons.{name}]\na = "b"'), "lexicon")[name]
    assert (found.found, found.verdict) == (note, "note" if is_warning else "ok")
