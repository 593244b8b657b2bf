"""`voxgate voices|consents`: voices of recordings, on the store itself and beside a live server."""

import stat
import wave
import zipfile
from pathlib import Path

import pytest
import structlog

from proxy.features.erasure import erasure
from proxy.file_store import vault
from tests import speech_clips
from tests.features.own_voices.trained_files import tone_voice
from tests.proxy.cli.test_main import Run, folder, refused, run
from tests.server import Server

pytestmark = pytest.mark.slow

__all__ = ["folder", "run"]


@pytest.fixture
def ada(run: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    # As `run` does with others that log: the command's stdout is the test's.
    for module in (erasure, vault):
        monkeypatch.setattr(module, "_log", structlog.wrap_logger(structlog.ReturnLogger()))
    run("accounts", "create", "ada")
    return "ada"


@pytest.fixture
def recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    file = tmp_path / "ana.wav"
    file.write_bytes(speech_clips.wav())
    capsys.readouterr()  # the voice of the recording has logged that it is loaded
    return str(file)


def agree(run: Run, *more: str) -> str:
    made = run("consents", "add", "Ana", *more, "--account", "ada", "--language", "pt-BR", "--json")
    id_: str = made.json["id"]
    return id_


def test_a_consent_is_kept_shown_and_deleted(run: Run, ada: str, recording: str) -> None:
    spoken = agree(run, recording, "--providers", "tone")
    stated = agree(run, "--statement", "Ana agreed on paper.")
    listed = run("consents", "list", "--account", ada, "--json").json["data"]
    assert [(row["id"], row["kind"]) for row in listed] == [(stated, "statement"), (spoken, "recording")]
    assert "Ana agreed on paper." in run("consents", "show", stated).out
    shown = run("consents", "show", spoken)
    assert shown.out.splitlines()[-1] == "That the words were said is not checked."
    assert run("consents", "accept", stated, "--json").json["accepted_at"]
    assert run("consents", "delete", stated, "--json").json["deleted"]
    assert refused(run("consents", "show", stated)) == (
        f"The consent '{stated}' does not exist. See voxgate consents list."
    )
    assert max(map(len, run("consents", "list").out.splitlines())) <= 80


def test_a_voice_is_made_listed_exported_and_deleted(
    run: Run, ada: str, recording: str, tmp_path: Path
) -> None:
    consent = agree(run, "--statement", "Yes.")
    options = ("--consent", consent, "--language", "pt-BR", "--tags", "warm,low", "--text", "Olá.")
    made = run("voices", "add", "Ana's", recording, "--account", ada, *options, "--json").json
    assert (made["name"], made["type"], made["tags"]) == ("Ana's", "sample", ["warm", "low"])
    assert "high quality" in run("voices", "list", "--account", ada).out
    file = tmp_path / "out.zip"
    wrote = run("voices", "export", made["id"], "--to", str(file), "--json").json
    assert wrote == {"file": str(file), "bytes": file.stat().st_size}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with zipfile.ZipFile(file) as archive:
        assert sorted(archive.namelist()) == ["sample-1.wav", "samples.json", "voice.json"]
    assert "File exists" in refused(run("voices", "export", made["id"], "--to", str(file)))
    needed = refused(run("consents", "delete", consent))
    assert made["id"] in needed
    assert run("voices", "delete", "Ana's", "--account", ada, "--json").json["deleted"]
    assert run("consents", "delete", consent).status == 0
    acts = run("audit", "--account", ada, "--json").json["data"]
    assert "Ana's" not in str(acts)


def test_recordings_are_added_listed_and_deleted(run: Run, ada: str, recording: str) -> None:
    consent = agree(run, "--statement", "Yes.")
    of_ada = ("--account", "ada")
    run("voices", "add", "Ana", recording, *of_ada, "--consent", consent, "--text", "Good morning.")
    added = run(
        *("voices", "add-sample", "Ana", recording, *of_ada),
        *("--emotion", "sad", "--text", "Oh no.", "--json"),
    ).json
    listed = run("voices", "samples", "Ana", *of_ada)
    assert ["sad" in line for line in listed.out.splitlines()[-2:]] == [False, True]
    first, sad = run("voices", "samples", "Ana", *of_ada, "--json").json["data"]
    assert (first["ref_text"], sad) == ("Good morning.", added)
    assert refused(run("voices", "delete-sample", "Ana", "..", *of_ada)).startswith("'..' is no recording")
    assert "only with the voice" in refused(run("voices", "delete-sample", "Ana", first["id"], *of_ada))
    gone = run("voices", "delete-sample", "Ana", sad["id"], *of_ada)
    assert gone.out == f"{sad['id']} is gone.\n"
    assert len(run("voices", "samples", "Ana", *of_ada, "--json").json["data"]) == 1
    assert "'emotion'" in refused(run("voices", "add-sample", "Ana", recording, *of_ada, "--emotion", "x"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("voices", "add", "Ana"), "give a FILE, or --cast, --mix, --bind or --rvc: one of them"),
        (("voices", "add", "Ana", "no.wav"), "no.wav: No such file or directory"),
        (("voices", "add", "Ana", "--mix", "a,b", "--statement", "x"), "--statement: it is for a FILE"),
        (("voices", "add", "Ana", "no.wav", "--account", "ada"), "no.wav: No such file or directory"),
        (("voices", "add", "Ana", "--mix", "a=much,b"), "--mix: 'a=much' is no voice with a weight"),
        (("consents", "add", "Ana", "--account", "ada"), "give a FILE with the phrase, or --statement"),
        (("consents", "add", "Ana", "--statement", "x"), "--account: whose consent is it?"),
        (("consents", "delete", "cons_0"), "The consent 'cons_0' does not exist."),
    ],
)
def test_what_is_missing_is_said(run: Run, ada: str, arguments: tuple[str, ...], says: str) -> None:
    assert refused(run(*arguments)).startswith(says)


def test_a_statement_makes_the_consent_of_the_only_account_in_the_same_step(
    run: Run, ada: str, recording: str
) -> None:
    stated = (
        "voices",
        "add",
        "Ana",
        recording,
        "--language",
        "pt-BR",
        "--statement",
        "Ana agreed.",
        "--json",
    )
    made = run(*stated).json
    (consent,) = run("consents", "list", "--json").json["data"]
    assert (made["consent"], consent["statement"], consent["language"]) == (
        consent["id"],
        "Ana agreed.",
        "pt-BR",
    )
    assert consent["accepted_at"], "it is the operator's, so it waits for nobody"
    assert "Ana" in refused(run(*stated)), "the name is taken"
    assert run("consents", "list", "--json").json["data"] == [consent], "no consent stays without a voice"
    run("accounts", "create", "bob")
    assert refused(run(*stated)).startswith("--account: a voice of a recording belongs to an account")


def test_a_bad_recording_is_refused_before_its_consent_is_made(run: Run, ada: str, tmp_path: Path) -> None:
    silence = tmp_path / "silence.wav"
    with wave.open(str(silence), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(bytes(20 * 48_000))
    said = refused(run("voices", "add", "Ana", str(silence), "--statement", "Ana agreed."))
    assert "nobody speaks in it" in said
    assert run("consents", "list", "--json").json["data"] == []


def test_a_model_of_a_voice_comes_and_leaves_beside_a_live_server(
    plain_server: Server, tmp_path: Path
) -> None:
    live, model = plain_server, tmp_path / "ana.json"
    model.write_bytes(tone_voice())
    added = live.cli("voices", "add", "Trained Ana", "--rvc", str(model), check=False)
    assert added.returncode, "no engine here takes voices of RVC"
    assert "it takes: tone" in added.stderr
    with live.control() as operator, model.open("rb") as file:
        form = {"name": "Trained Ana"}
        operator.post("/admin/voice_models", data=form, files={"file": file}).raise_for_status()
    assert "a model of tone" in live.cli("voices", "list").stdout
    assert live.speech("Hello.", voice="Trained Ana", model="tone").status_code == 200
    out = tmp_path / "out.json"
    left = live.cli("voices", "export", "Trained Ana", "--model", "--as", "json", "--to", str(out)).stdout
    assert left.endswith("MB, a model in plain.\n")
    assert out.read_bytes() == model.read_bytes().replace(b" ", b"")
    live.cli("voices", "delete", "Trained Ana", "--yes")
    assert live.speech("Hello.", voice="Trained Ana", model="tone").status_code == 400


def test_a_voice_is_made_beside_a_live_server(plain_server: Server, recording: str) -> None:
    live, account = plain_server, ("--account", "recorded")
    live = live._replace(key=live.mint_key("recorded", plan="unlimited").secret)
    consent = live.cli("consents", "add", "Ana", *account, "--statement", "Yes.", "--json").stdout
    id_ = consent.split('"id": "')[1].split('"')[0]
    made = live.cli("voices", "add", "Ana", recording, *account, "--consent", id_)
    assert "high quality" in made.stdout
    spoken = live.speech("Hello.", voice="Ana", model="tone")
    assert spoken.status_code == 200, spoken.text
    assert live.cli("voices", "delete", "Ana", *account).stdout.endswith(" is gone.\n")
    assert live.speech("Hello.", voice="Ana", model="tone").status_code == 400
