"""F5-TTS in a whole server: cloned voices for many clients at once, and what is refused of them."""

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

import openai
import pytest

from proxy.audio.formats import wav_header
from tests import server, speech_clips
from tests.commands import command
from tests.faults.test_owned_voices import agree
from tests.plugins.neural import kept_model, lend
from tests.replies import json_of
from tests.server import Server
from tests.sound import difference
from tests.tables import each_row
from tests.waiting import until

pytestmark = pytest.mark.slow

CLIENTS = 16
PATIENCE = 20
"""How often a client comes back. On a busy machine it is right to let only some in at once; what is tested is
that all are served, and what they hear."""

MOST_LSB = 2
LOADED_S = 120.0
LENGTHS_S = {"usual": 5.0, "other": 6.0, "long": 40.0}
CONFIG = """
[server]
default_model = "f5tts/thai"
first_audio_s = 60
[engines.f5tts]
plugin = "f5tts"
model = "thai"
slots = 16
rows = 24
# Less is warmed up sooner.
width = 40
# A busy machine takes long for a step, and the gate would let few in at once.
first_audio_s = 30
# Each answer has a mark of its own, and here they are compared.
marking = false
[models]
"f5" = ["f5tts/thai-hd"]
"""


class Rig(NamedTuple):
    server: Server
    voices: dict[str, str]


def recording(seconds: float, by: str) -> bytes:
    whole = speech_clips.wav(by)
    header = len(wav_header(0))
    pcm = whole[header:] * (1 + round(seconds / 10))
    pcm = pcm[: 2 * round(seconds * int.from_bytes(whole[24:28], "little"))]
    return whole[: header - 4] + len(pcm).to_bytes(4, "little") + pcm


def make_voice(live: Server, name: str, sound: bytes, **fields: str) -> Any:
    with live.client() as client:
        told = {"name": name, "consent": agree(live), **fields}
        return client.post(
            "/v1/audio/voices", data=told, files={"audio_sample": ("it.wav", sound, "audio/wav")}
        )


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("served")
    lend("f5tts")
    config = folder / "config.toml"
    config.write_text("[engines.f5tts]\n")
    named = ["--engine", "f5tts", "--name", "thai", "--licence", "CC-BY-4.0"]
    for language in ("th", "en", "pt"):
        named += ["--language", language]
    command(config, "models", "import", str(kept_model("f5tts", "thai")), *named)
    with server.running(folder, CONFIG) as live:

        def is_ready() -> bool:
            with live.client() as client:
                return client.get("/readyz").status_code == 200

        until(is_ready, LOADED_S)
        voices = {}
        for number, (name, seconds) in enumerate(LENGTHS_S.items()):
            sound = recording(seconds, ("m3", "f3")[number % 2])
            voices[name] = json_of(make_voice(live, name, sound, ref_text="These are the words of it."))["id"]
        yield Rig(live, voices)


def refused(rig: Rig, voice: object, text: str, **more: str) -> tuple[str, str]:
    """Speak what is refused. Return the code and the message."""
    with rig.server.client() as client:
        body = {"model": "f5tts/thai-turbo", "voice": voice, "input": text, **more}
        answer = client.post("/v1/audio/speech", json=body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    return error["code"], error["message"]


async def said(client: openai.AsyncOpenAI, rig: Rig, number: int) -> bytes:
    answer = await client.audio.speech.create(
        model=("f5tts/thai-turbo", "f5tts/thai")[number % 2],
        voice=rig.voices[("usual", "other")[number // 2 % 2]],
        input=f"Client {'abcdefghijklmnop'[number]} is here.",
        response_format="pcm",
        extra_body={"seed": number},
    )
    return answer.content


async def test_clients_with_two_voices_and_two_models_hear_what_each_hears_alone(rig: Rig) -> None:
    base_url = f"{rig.server.url}/v1"
    async with openai.AsyncOpenAI(
        base_url=base_url, api_key=rig.server.key, max_retries=PATIENCE, timeout=600.0
    ) as client:
        alone = [await said(client, rig, number) for number in range(CLIENTS)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(said(client, rig, number)) for number in range(CLIENTS)]
    for number, task in enumerate(tasks):
        assert difference(task.result(), alone[number]) <= MOST_LSB
    assert len(set(alone)) == CLIENTS


def test_thai_is_spoken_by_the_shipped_route_and_each_quality_is_a_model(rig: Rig) -> None:
    with rig.server.client() as client:
        body = {"model": "f5", "voice": rig.voices["usual"], "input": "สวัสดีครับ", "language": "th"}
        answer = client.post("/v1/audio/speech", json=body)
        names = {model["id"] for model in client.get("/v1/models").json()["data"]}
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-engine"] == "f5tts/thai"
    assert {"f5tts/thai", "f5tts/thai-turbo", "f5tts/thai-hd"} <= names


@each_row(
    ("voice", "text", "code", "says"),
    [
        ("long", "Hello.", "sample_too_long", "takes recordings of up to 12 s with all their words"),
        ("usual", "Нет", "unsupported_text", "CYRILLIC CAPITAL LETTER EN"),
    ],
)
def test_a_recording_or_a_text_that_the_model_cannot_take_is_refused(
    rig: Rig, voice: str, text: str, code: str, says: str
) -> None:
    found, message = refused(rig, rig.voices[voice], text, language="en")
    assert found == code
    assert says in message


def test_a_voice_of_a_recording_without_its_words_or_of_two_seconds_is_refused(rig: Rig) -> None:
    mute = make_voice(rig.server, "mute", recording(5.0, "m3"))
    assert (mute.status_code, mute.json()["error"]["code"]) == (400, "reference_text_required")
    short = make_voice(rig.server, "short", recording(2.0, "m3"), ref_text="Two seconds.")
    assert (short.status_code, short.json()["error"]["param"]) == (400, "audio_sample")
    assert "at least 3 are needed" in short.json()["error"]["message"]
