"""[lexicons.NAME]: names, words, and the faults of both, with their keys."""

from pathlib import Path

from proxy.config.reload import merge_config
from proxy.config.sections import Config, EngineSection
from proxy.features.lexicons.section import SECTION
from tests.proxy.config.files import faults, load
from tests.tables import each_row


def test_words_are_kept_under_the_usual_name_of_their_language(tmp_path: Path) -> None:
    text = '[lexicons.PT-br]\nAna = " Âna "\n"São  Paulo" = "sampa"\n[lexicons.brands]\nnginx = "engine x"\n'
    assert SECTION.of(load(tmp_path, text)) == {
        "pt-BR": {"Ana": "Âna", "São Paulo": "sampa"},
        "brands": {"nginx": "engine x"},
    }
    assert SECTION.of(load(tmp_path, "")) == {}


@each_row(
    ("text", "fault"),
    [
        ("lexicons = 1", "lexicons: must be a table, [lexicons]"),
        ("[lexicons]\npt = 1", "lexicons.pt: must be a table, [lexicons.pt]"),
        ("[lexicons.pt]\nAna = 1", "lexicons.pt.Ana: must be what is said for the word, a text in quotes"),
        ("[lexicons.none]\na = 'b'", "lexicons.none: must have a name of 1 to 64 letters"),
        ('[lexicons."a b"]\na = "b"', "lexicons.a b: must have a name of 1 to 64 letters"),
        ("[lexicons.pt]\nAna = ''", "lexicons.pt: must have words with what is said for them; 'Ana' has a"),
        ("[lexicons.pt]\na = 'b'\n[lexicons.PT]\na = 'b'", "lexicons.PT: is there twice"),
    ],
)
def test_a_fault_is_told_by_its_place(tmp_path: Path, text: str, fault: str) -> None:
    (message,) = faults(tmp_path, text)
    assert message.startswith(fault)


def test_a_reload_takes_them_on_whatever_becomes_of_the_engines() -> None:
    words = {"pt": {"Ana": "Âna"}}
    read = Config(engines={"late": EngineSection("tone")}, features={"lexicons": words})
    reload = merge_config(Config(), read, (SECTION,))
    assert (reload.changed, reload.needs_restart) == (("lexicons",), ("engines",))
    assert SECTION.of(reload.config) == words
