"""Kokoro in a whole server: imported by command, spoken at a port, with the names that clients know."""

from collections.abc import Iterator

import pytest

from tests import server
from tests.commands import command
from tests.plugins.kokoro import tiny
from tests.plugins.piper.environment import interpreter
from tests.plugins.piper.tiny import BASE_HZ
from tests.server import Server
from tests.waiting import until

pytestmark = pytest.mark.slow

LOADED_S = 120.0
TEXT = "Go to bed."
CONFIG = """
[server]
first_audio_s = 60
[engines.espeak]
processes = 1
[engines.kokoro]
default = true
model = "mine"
pause_ms = 0
"""
THAI = """
[engines.kokoro-thai]
plugin = "kokoro"
default = true
model = "mine-thai"
pause_ms = 0
"""


def is_ready(live: Server) -> bool:
    with live.control() as control:
        rows = {row["name"]: row["state"] for row in control.get("/admin/engines").json()["data"]}
    return {state for name, state in rows.items() if name.startswith("kokoro")} == {"ready"}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    interpreter("kokoro")
    folder = tmp_path_factory.mktemp("served")
    config = folder / "config.toml"
    config.write_text(CONFIG + THAI)
    source = tiny.model(folder / "source")
    named = ("--engine", "kokoro", "--name", "mine", "--licence", "Apache-2.0")
    assert "Apache-2.0" in command(config, "models", "import", str(source), *named).stdout
    thai = tiny.thai(folder / "thai")
    named = ("--engine", "kokoro", "--name", "mine-thai", "--licence", "Apache-2.0")
    assert "th" in command(config, "models", "import", str(thai), *named).stdout
    with server.running(folder, CONFIG + THAI) as running:
        until(lambda: is_ready(running), LOADED_S)
        yield running


def said(live: Server, text: str, engine: str = "kokoro", **more: object) -> bytes:
    """Return what Kokoro answers, as PCM."""
    answer = live.speech(text, response_format="pcm", **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-engine"] == f"{engine}/standard"
    return answer.content


def test_tts_1_speaks_with_the_default_voice(live: Server) -> None:
    assert tiny.heard(said(live, TEXT, language="en-US")) == "\u0261\u02ccO t\u0259 b\u02c8\u025bd."


def test_voices_are_listed_and_spoken_with_in_their_language(live: Server) -> None:
    with live.client() as client:
        listed = {each["id"]: each for each in client.get("/v1/audio/voices").json()["data"]}
    ours = {id_: (each["language"], each["gender"]) for id_, each in listed.items() if "kokoro/" in id_}
    assert ours == {
        "kokoro/af_heart": ("en-US", "female"),
        "kokoro/am_echo": ("en-US", "male"),
        "kokoro/bf_emma": ("en-GB", "female"),
        "kokoro/pf_dora": ("pt-BR", "female"),
    }
    sound = said(live, "bom dia.", voice="kokoro/pf_dora", language="pt-BR")
    assert tiny.heard(sound, base_hz=BASE_HZ + tiny.VOICES["pf_dora"]).startswith("b")


@pytest.mark.parametrize(
    ("text", "sounds"),
    [
        ("สวัสดีครับ", "sa↓.wat↓.diː→ kʰrap↑"),
        # The front-end says the number and the sign of repetition in words.
        ("ไป ๆ 2", "paj→ paj→ sɔːŋ↗"),
    ],
)
def test_thai_is_spoken_by_its_own_engine(live: Server, text: str, sounds: str) -> None:
    sound = said(live, text, "kokoro-thai")
    assert tiny.heard(sound, speed=tiny.LENGTHS_SPEED) == sounds


def test_the_one_woman_of_thai_stands_in_for_the_men_of_openais_names(live: Server) -> None:
    for voice, told in (("alloy", None), ("nova", "tf_som"), ("onyx", "tf_som")):
        answer = live.speech("สวัสดีครับ", voice=voice, response_format="pcm")
        assert answer.headers["x-voxgate-engine"] == "kokoro-thai/standard"
        assert answer.headers.get("x-voxgate-substitute") == told
    with live.client() as client:
        listed = {each["id"]: each for each in client.get("/v1/audio/voices").json()["data"]}
    som = listed["kokoro-thai/tf_som"]
    assert (som["language"], som["gender"]) == ("th", "female")


def test_thai_without_a_sound_is_refused_with_the_field(live: Server) -> None:
    assert tiny.heard(said(live, "ไป😀่", "kokoro-thai"), speed=tiny.LENGTHS_SPEED) == "paj→"
    refused = live.speech(
        "เ" * 4_000, language="th", model="kokoro-thai/standard", voice="kokoro-thai/tf_som"
    )
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["param"] == "input"


@pytest.mark.parametrize("voice", ["af_heart+am_echo(3)", "kokoro/am_echo(0.3)+kokoro/af_heart(0.1)"])
def test_voices_are_mixed_by_a_name_as_kokoro_fastapi_reads_it(live: Server, voice: str) -> None:
    sound = said(live, TEXT, voice=voice)
    assert tiny.pitch(sound) == pytest.approx(3 / 4 * tiny.VOICES["am_echo"], abs=2)


def test_a_mix_of_two_languages_is_a_wrong_voice(live: Server) -> None:
    refused = live.speech(TEXT, voice="af_heart+pf_dora", language="en")
    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (400, "voice")
    assert "these speak en-US, pt-BR" in error["message"]


def test_a_language_without_a_reader_goes_to_the_next_model_or_is_refused(live: Server) -> None:
    answer = live.speech("Guten Tag.", language="de", response_format="pcm")
    assert answer.headers["x-voxgate-engine"] == "espeak/standard"
    refused = live.speech("\u3042", model="kokoro/standard", language="ja")
    assert refused.status_code == 400
    assert "'ja'" in refused.json()["error"]["message"]
