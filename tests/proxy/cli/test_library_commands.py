"""`voxgate lexicons|voices`: on the store itself and beside a live server, and what they refuse."""

import signal
from pathlib import Path

import pytest

from plugins.tone.decode import decode
from tests import server
from tests.proxy.cli.test_main import Run, folder, refused, run
from tests.sound import decoded
from tests.waiting import until

pytestmark = pytest.mark.slow

__all__ = ["folder", "run"]

SHARED = '\n[lexicons.brands]\nnginx = "engine x"\n[voices.duo]\ncast = { Ana = "alloy" }\n'


@pytest.fixture
def ada(run: Run) -> str:
    run("accounts", "create", "ada")
    return "ada"


def words(run: Run, name: str) -> object:
    return run("lexicons", "list", name, "--account", "ada", "--json").json["words"]


def test_a_lexicon_is_set_listed_and_deleted(run: Run, ada: str) -> None:
    run("lexicons", "set", "PT-br", "Ana=Âna", "a b=c=d", "--account", ada)
    assert words(run, "pt-BR") == {"Ana": "Âna", "a b": "c=d"}
    again = run("lexicons", "set", "pt-BR", "x=y", "--account", ada, "--json").json
    assert (again["revision"], again["size"]) == (2, 1)
    listed = run("lexicons", "list", "--account", ada).out
    assert ["pt-BR", "account", "1", "2"] in [line.split() for line in listed.splitlines()]
    assert "Ana" not in run("lexicons", "list", "--json").out
    assert run("lexicons", "delete", "pt-br", "--account", ada, "--json").json["deleted"]
    assert "no lexicon 'pt-BR'" in refused(run("lexicons", "delete", "pt-br", "--account", ada))
    acts = run("audit", "--account", ada, "--json").json["data"]
    assert [act["action"] for act in acts] == [
        "lexicon.deleted",
        "lexicon.set",
        "lexicon.set",
        "account.created",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("words.csv", 'Ana,Âna\n\n"São Paulo", "sampa" \n'),
        ("words.csv", '\ufeffWord, spoken\nAna,Âna\n"São Paulo",sampa\n'),
        ("words.toml", 'Ana = "Âna"\n"São Paulo" = "sampa"\n'),
        ("words.json", '{"Ana": "Âna", "São Paulo": "sampa"}'),
    ],
)
def test_words_come_from_a_file_and_those_of_the_line_win(
    run: Run, ada: str, tmp_path: Path, name: str, text: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    run("lexicons", "set", "pt", "Ana=own", "--account", ada, "--file", str(file))
    assert words(run, "pt") == {"Ana": "own", "São Paulo": "sampa"}


def test_a_word_may_be_called_word(run: Run, ada: str, tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text("Ana,Âna\nword,spoken\n")
    run("lexicons", "set", "pt", "--account", ada, "--file", str(file))
    assert words(run, "pt") == {"Ana": "Âna", "word": "spoken"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("words.csv", "Ana,Âna,more\n"),
        ("words.toml", "Ana = 1"),
        ("words.toml", "Ana = "),
        ("words.json", '["Ana"]'),
        ("words.json", "Ana"),
        ("gone.json", None),
    ],
)
def test_a_file_that_has_no_words_is_refused(
    run: Run, ada: str, tmp_path: Path, name: str, text: str | None
) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    told = refused(run("lexicons", "set", "pt", "--account", ada, "--file", str(file)))
    assert "--file: " in told
    assert name in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("lexicons", "set", "pt", "Ana", "--account", "ada"), "write word=spoken"),
        (("lexicons", "set", "pt", "--account", "ada"), "give a word and what is spoken for it"),
        (("lexicons", "set", "pt", "Ana=x"), "--account: name an account"),
        (
            ("lexicons", "set", "pt", "Ana=", "--account", "ada"),
            "'Ana' has a spoken form that is not 1 to 200",
        ),
        (("lexicons", "set", "none", "a=b", "--account", "ada"), "'name': it must be a name"),
        (("lexicons", "set", "pt", "a=b", "--account", "bob"), "no account 'bob'"),
        (("lexicons", "list", "gone"), "no lexicon 'gone'"),
        (("lexicons", "delete", "pt"), "--account: name an account"),
        (("voices", "add", "stage", "--cast", "Ana"), "write Ana=nova,Ben=onyx"),
        (("voices", "add", "stage", "--cast", "Ana=nova,ana=onyx"), "its names must differ"),
        (("voices", "add", "stage", "--cast", "Ana=nova", "--account", "bob"), "no account 'bob'"),
        (("voices", "add", "alloy", "--cast", "Ana=onyx"), "'alloy' is a voice of the server"),
        (
            ("voices", "add", "nova", "--cast", "Ana=onyx", "--account", "ada"),
            "'nova' is a voice of the server",
        ),
        (("voices", "add", "a/b", "--cast", "Ana=onyx", "--account", "ada"), "'name': it must have no '/'"),
        (("voices", "delete", "alloy"), "'alloy' is in the configuration"),
        (("voices", "delete", "stage"), "No voice 'stage' was saved for everybody"),
        (("voices", "delete", "stage", "--account", "ada"), "The account has no voice 'stage'"),
    ],
)
def test_a_command_that_cannot_be_done_is_one_line(
    run: Run, ada: str, arguments: tuple[str, ...], told: str
) -> None:
    assert told in refused(run(*arguments))


def test_a_name_that_is_not_there_is_answered_with_those_that_are(run: Run, ada: str) -> None:
    run("voices", "add", "stage", "--cast", "Ana=nova", "--account", ada)
    run("lexicons", "set", "brands", "a=b", "--account", ada)
    stag = refused(run("voices", "delete", "stag", "--account", ada))
    assert stag.endswith("no voice 'stag'. Did you mean stage? The saved voices are: stage.")
    brand = refused(run("lexicons", "delete", "brand", "--account", ada))
    assert brand.endswith("no lexicon 'brand'. Did you mean brands? The lexicons are: brands.")


def test_a_cast_is_added_listed_and_deleted(run: Run, ada: str) -> None:
    own = run("voices", "add", "stage", "--cast", "Ana=nova, Ben=onyx", "--account", ada, "--json").json
    shared = run("voices", "add", "stage", "--cast", "Ana=nova", "--json").json
    assert own["cast"] == {"Ana": "nova", "Ben": "onyx"}
    assert own["account"].startswith("acc_")
    assert shared["account"] is None
    assert "already" in refused(run("voices", "add", "stage", "--cast", "Ana=nova"))
    listed = run("voices", "list", "--wide").out
    assert own["id"] in listed
    assert "Ana: nova, Ben: onyx" in listed
    assert "everybody" in listed
    assert ["alloy", "config", "tone"] in [line.split() for line in listed.splitlines()]
    only = run("voices", "list", "--account", ada, "--json").json
    assert [voice["id"] for voice in only["data"]] == [own["id"]]
    assert f"{own['id']} is gone" in run("voices", "delete", own["id"]).out
    assert "No voice" in refused(run("voices", "delete", own["id"]))
    assert run("voices", "delete", "stage", "--json").json["id"] == shared["id"]
    again = run("voices", "add", "stage", "--cast", "Ana=nova", "--account", ada, "--json").json
    assert "No voice 'stage' was saved" in refused(run("voices", "delete", "stage"))
    assert run("voices", "delete", "stage", "--account", ada, "--json").json["id"] == again["id"]


def test_a_cast_is_added_with_what_it_is_found_by(run: Run, ada: str) -> None:
    like = ("--tags", "warm, calm", "--description", "Two friends.")
    made = run("voices", "add", "stage", "--cast", "Ana=nova", *like, "--json").json
    assert (made["tags"], made["description"]) == (["warm", "calm"], "Two friends.")


def test_beside_a_live_server_they_are_heard_at_once(tmp_path: Path) -> None:
    with server.running(tmp_path, server.TONE + SHARED) as live:

        def heard(text: str, **more: object) -> str:
            answer = live.speech(text, response_format="wav", **more)
            assert answer.status_code == 200, answer.text
            return " ".join(decode(*decoded(answer.content, "wav")))

        assert heard("Ana, nginx.", lexicon="brands") == "Ana, engine x."
        live.cli("lexicons", "set", "en", "Ana=Anna", "--account", "dev")
        assert heard("Ana, nginx.") == "Anna, nginx."
        live.cli("voices", "add", "stage", "--cast", "Ana=alloy,Ben=tone/slow")
        assert heard("[Ben] Hi.", voice="stage") == "Hi."
        told = live.cli("voices", "add", "other", "--cast", "Ana=duo", check=False)
        assert "is a cast itself" in told.stderr
        live.config.write_text(live.config.read_text().replace("engine x", "engine ex"))
        live.process.send_signal(signal.SIGHUP)
        until(lambda: '"config.reload.complete"' in live.log.read_text())
        assert heard("nginx.", lexicon="brands") == "engine ex."
