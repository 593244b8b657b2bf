"""OpenVoice in a whole server: recordings are voices, for other recordings and for any engine's speech."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import httpx2
import pytest

from tests import server
from tests.commands import command
from tests.faults.processes import host, kill, state
from tests.faults.test_owned_voices import form
from tests.plugins.openvoice.tiny import write_published
from tests.plugins.piper.environment import interpreter
from tests.plugins.rvc.kept_host import SOURCE_HZ, recording
from tests.plugins.rvc.test_served import wav_of
from tests.server import Server
from tests.speech_clips import wav
from tests.waiting import until

pytestmark = pytest.mark.slow

LOADED_S = 120.0
PATH = "/v1/audio/conversions"
CONFIG = """
[server]
default_model = "espeak/standard"
converter = "openvoice"
first_audio_s = 60
[engines.espeak]
[engines.openvoice]
model = "openvoice-v2"
# Each answer has a mark of its own, and here they are compared.
marking = false
first_audio_s = 30
"""


class Rig(NamedTuple):
    server: Server
    voices: list[str]
    speech_only: str

    def convert(self, pcm: bytes, voice: str, **more: str) -> httpx2.Response:
        fields = {"model": "openvoice/standard", "voice": voice, "consent": "true", "response_format": "pcm"}
        files = {"file": ("me.wav", wav_of(pcm), "audio/wav")}
        with self.server.client() as client:
            return client.post(PATH, data={**fields, **more}, files=files, timeout=120.0)


def add_voice(live: Server, name: str, by: str, *uses: str) -> str:
    headers = {"content-type": "multipart/form-data; boundary=a7c1"}
    body = {"name": name, "language": "en", "statement": "Yes.", "uses": uses or ("speech", "conversion")}
    with live.client() as client:
        consent = client.post("/v1/audio/voice_consents", json=body).raise_for_status().json()["id"]
        made = client.post("/v1/audio/voices", content=form(consent, wav(by), name), headers=headers)
        id_: str = made.raise_for_status().json()["id"]
        return id_


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    interpreter("openvoice")
    folder = tmp_path_factory.mktemp("served")
    config = folder / "config.toml"
    config.write_text("[engines.openvoice]\n")
    published = write_published(folder / "published")
    named = ("--engine", "openvoice", "--name", "openvoice-v2", "--licence", "MIT")
    command(config, "models", "import", str(published), *named)
    with server.running(folder, CONFIG) as live:
        until(lambda: bool(state(live, "openvoice")["state"] == "ready"), LOADED_S)
        voices = [add_voice(live, "Ana", "f3"), add_voice(live, "Ben", "m3")]
        yield Rig(live, voices, add_voice(live, "Cai", "m7", "speech"))


def test_a_recording_is_repeated_in_an_accounts_own_voice(rig: Rig) -> None:
    pcm = recording(3.0)
    made = [rig.convert(pcm, voice, seed="1") for voice in (*rig.voices, rig.voices[0])]
    assert [each.status_code for each in made] == [200] * 3, made[0].text[:300]
    assert all(abs(len(each.content) - len(pcm)) <= 8 for each in made)
    assert made[0].content == made[2].content
    assert made[0].content != made[1].content
    assert rig.convert(pcm, rig.voices[0], seed="1", tau="0.9").content != made[0].content


def test_what_cannot_be_converted_names_the_field(rig: Rig) -> None:
    pcm, ana = recording(1.0), rig.voices[0]
    for answer, status, param, code in (
        (rig.convert(pcm, ana, tau="2"), 400, "tau", None),
        (rig.convert(pcm, ana, pitch="3"), 400, "pitch", None),
        (rig.convert(pcm, "nobody"), 400, "voice", "voice_not_found"),
        (rig.convert(pcm, rig.speech_only), 403, "voice", "consent_not_given"),
        (rig.convert(b"", ana), 400, "file", None),
    ):
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (status, param), error
        assert code is None or error["code"] == code


def test_a_job_takes_it_too(rig: Rig) -> None:
    pcm = recording(2.0)
    fields = {"kind": "conversion", "model": "openvoice/standard", "voice": rig.voices[0], "consent": "true"}
    files = {"file": ("me.wav", wav_of(pcm), "audio/wav")}
    with rig.server.client() as client:
        job = client.post("/v1/jobs", data={**fields, "response_format": "wav"}, files=files)
        assert job.status_code in (200, 201, 202), job.text
        place = f"/v1/jobs/{job.json()['id']}"
        until(lambda: bool(client.get(place).json()["status"] in ("done", "failed")), 60.0)
        assert client.get(place).json()["status"] == "done", client.get(place).text


def test_speech_of_another_engine_comes_in_an_accounts_own_voice(rig: Rig) -> None:
    def said(voice: str) -> httpx2.Response:
        body: dict[str, Any] = {
            "input": "Hello there, this is for you.",
            "voice": voice,
            "response_format": "pcm",
        }
        with rig.server.client() as client:
            return client.post(
                "/v1/audio/speech", json={**body, "model": "espeak/standard", "seed": 1}, timeout=120.0
            )

    # espeak speaks at 22,050 Hz; the converter hears 24,000.
    answers = [said(voice) for voice in rig.voices]
    assert [each.status_code for each in answers] == [200, 200], answers[0].text[:300]
    assert all(each.headers["x-voxgate-voice-from"].startswith("espeak/") for each in answers)
    assert answers[0].content != answers[1].content
    base = said(answers[0].headers["x-voxgate-voice-from"])
    assert len(base.content) > SOURCE_HZ
    # A rate that is taken for the other one would make it 8 % longer or shorter.
    assert abs(len(answers[0].content) / len(base.content) - 1.0) < 0.01


def test_a_converter_that_is_killed_in_a_window_breaks_the_answer_off_and_comes_back(rig: Rig) -> None:
    pcm = recording(40.0)
    fields = {
        "model": "openvoice/standard",
        "voice": rig.voices[0],
        "consent": "true",
        "response_format": "pcm",
    }
    files = {"file": ("me.wav", wav_of(pcm), "audio/wav")}
    heard = 0
    with (
        rig.server.client() as client,
        client.stream("POST", PATH, data=fields, files=files, timeout=120.0) as answer,
        suppress(httpx2.RemoteProtocolError),
    ):
        assert answer.status_code == 200
        for piece in answer.iter_bytes():
            if not heard:
                kill(host(rig.server, "openvoice"))
            heard += len(piece)
    assert 0 < heard < len(pcm)
    until(lambda: bool(state(rig.server, "openvoice")["state"] == "ready"), LOADED_S)
    assert rig.convert(recording(1.0), rig.voices[0]).status_code == 200


def test_a_voice_that_is_deleted_is_gone_at_once(rig: Rig) -> None:
    voice = add_voice(rig.server, "Dee", "f5")
    assert rig.convert(recording(1.0), voice).status_code == 200
    with rig.server.client() as client:
        assert client.delete(f"/v1/audio/voices/{voice}").status_code in (200, 204)
    gone = rig.convert(recording(1.0), voice)
    assert (gone.status_code, gone.json()["error"]["code"]) == (400, "voice_not_found")
