"""Piper in a whole server: imported by command, spoken at a port, with the names that clients know."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.openai.lists import BUILT_IN
from tests import server
from tests.commands import command
from tests.plugins.piper import tiny
from tests.plugins.piper.environment import interpreter
from tests.server import Server
from tests.waiting import until

pytestmark = pytest.mark.slow

LOADED_S = 120.0
RATE_HZ = 24_000
TEXT = "the boat is on the lake."
BASES = {"amy": 1_000.0, "bia": 1_300.0, "crew": 1_600.0}
CONFIG = """
[server]
first_audio_s = 60
[engines.espeak]
processes = 1
[engines.piper]
default = true
pause_ms = 0
voices_mb = 2
"""


def put(folder: Path, config: Path, name: str, *more: str, **voice: Any) -> str:
    """Import a voice. Return what the command shows."""
    file = tiny.voice(folder / name, name, **voice)
    named = ("--engine", "piper", "--name", name, "--licence", "CC0-1.0", *more)
    return command(config, "models", "import", str(file), *named).stdout


def piper_row(live: Server) -> dict[str, Any]:
    """Return what an operator sees of the engine."""
    with live.control() as control:
        (row,) = (row for row in control.get("/admin/engines").json()["data"] if row["name"] == "piper")
        return dict(row)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    interpreter()
    folder = tmp_path_factory.mktemp("served")
    config = folder / "config.toml"
    config.write_text(CONFIG)
    assert "CC0-1.0" in put(folder, config, "amy", reading="text", base_hz=BASES["amy"])
    brazilian: dict[str, Any] = {"language": "pt_BR", "espeak_voice": "pt-br"}
    put(folder, config, "bia", "--gender", "male", reading="text", base_hz=BASES["bia"], **brazilian)
    put(
        folder, config, "crew", speakers=("ana", "ben"), reading="text", base_hz=BASES["crew"], weight=600_000
    )
    put(folder, config, "slow", language="de_DE", espeak_voice="de", reading="text", work=300)
    with server.running(folder, CONFIG) as running:
        until(lambda: piper_row(running)["state"] == "ready", LOADED_S)
        yield running


def said(live: Server, text: str, **more: object) -> bytes:
    """Return what Piper answers, as PCM."""
    answer = live.speech(text, response_format="pcm", **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-engine"] == "piper/standard"
    return answer.content


def test_the_check_finds_nothing_wrong_and_shows_the_voices(live: Server) -> None:
    checked = live.cli("check")
    assert "models amy, bia, crew, slow" in " ".join(checked.stdout.split())


def test_its_words_have_times_by_sentence_and_say_that_they_are_interpolated(live: Server) -> None:
    text = "the boat is on the lake. it is late."
    answer = live.speech(text, response_format="json", audio_format="pcm").json()
    # The sentences of a tiny voice are as long as their letters.
    lake, late = len(said(live, "the boat is on the lake.")), len(said(live, "it is late."))
    starts = {word["word"]: word["start_seconds"] for word in answer["words"] if word["interpolated"]}
    assert list(starts) == ["the", "boat", "is", "on", "lake", "it", "late"]
    begins = answer["words"][6]
    assert begins["word"] == "it"
    assert begins["start_seconds"] == pytest.approx(
        answer["duration_seconds"] * lake / (lake + late), rel=0.1
    )


def test_all_thirteen_names_speak_and_share_the_speakers(live: Server) -> None:
    pitches = {name: tiny.pitch(said(live, "a", voice=name), RATE_HZ) for name in BUILT_IN}
    first = tiny.STEP_HZ * tiny.SYMBOLS.index("^")
    own = [BASES["amy"], BASES["crew"], BASES["crew"] + tiny.SPEAKER_HZ]
    assert {min(range(3), key=lambda at: abs(pitch - first - own[at])) for pitch in pitches.values()} == {
        0,
        1,
        2,
    }
    assert all(min(abs(pitch - first - each) for each in own) < 5 for pitch in pitches.values())


def test_a_speaker_may_be_named_and_is_in_the_list(live: Server) -> None:
    with live.client() as client:
        listed = {each["id"] for each in client.get("/v1/audio/voices").json()["data"]}
    assert {"piper/amy", "piper/bia", "piper/crew:ana", "piper/crew:ben"} <= listed
    one, other = (tiny.pitch(said(live, "a", voice=f"piper/crew:{name}"), RATE_HZ) for name in ("ana", "ben"))
    assert abs(other - one - tiny.SPEAKER_HZ) < 5


def test_a_language_is_spoken_by_its_own_voice(live: Server) -> None:
    sound = said(live, "bom dia.", language="pt-BR")
    assert tiny.heard(sound, RATE_HZ, base_hz=BASES["bia"]) == "^bom dia.$"


def test_one_man_has_all_names_of_a_language_and_a_woman_s_before_a_robot_does(live: Server) -> None:
    for model in ("tts-1", "piper/standard"):
        for name, told in (("alloy", None), ("cedar", "bia"), ("nova", "bia")):
            answer = live.speech("a", model=model, voice=name, language="pt-BR", response_format="pcm")
            assert answer.headers["x-voxgate-engine"] == "piper/standard"
            assert answer.headers.get("x-voxgate-substitute") == told


def long_answer(live: Server) -> dict[str, object]:
    text = " ".join(["eins zwei drei vier acht."] * 60)
    return {"model": "tts-1", "voice": "piper/slow", "input": text, "response_format": "pcm"}


def test_the_first_sound_comes_while_the_rest_is_made_and_a_client_who_leaves_ends_it(live: Server) -> None:
    with live.client(timeout=LOADED_S) as client:
        with client.stream("POST", "/v1/audio/speech", json=long_answer(live)) as answer:
            assert answer.status_code == 200
            pieces = answer.iter_bytes()
            assert next(pieces)
            until(lambda: piper_row(live)["running"] == 1, LOADED_S)
    until(lambda: piper_row(live)["running"] == 0, LOADED_S)
    assert tiny.heard(said(live, TEXT), RATE_HZ) == f"^{TEXT}$"
