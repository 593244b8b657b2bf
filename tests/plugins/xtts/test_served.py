"""XTTS in a whole server: cloned voices for many clients at once, and Thai with a Thai model."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

import openai
import pytest

from tests import server, speech_clips
from tests.commands import command
from tests.faults.test_owned_voices import agree, form
from tests.plugins.neural import kept_model, lend
from tests.replies import json_of
from tests.server import Server
from tests.sound import difference
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow

CLIENTS = {4: 3, 8: 8}
"""By the rows of the engine."""
PATIENCE = 20
"""How often a client comes back. On a busy machine steps take so long that it is right to let only some in at
once; what is tested is that all are served, and what they hear."""

MOST_LSB = 2
LOADED_S = 120.0
CONFIG = """
[server]
default_model = "xtts"
first_audio_s = 60
[engines.xtts]
plugin = "xtts"
model = "thai"
slots = {rows}
rows = {rows}
width = {rows}
accept_licence = "CPML"
# Each answer has a mark of its own, and here they are compared.
marking = false
[models]
"xtts" = ["xtts/thai"]
[[routes]]
language = "vi"
candidates = ["xtts/viet"]
"""


class Rig(NamedTuple):
    server: Server
    clients: int
    voices: tuple[str, str]


def wait_until_loaded(live: Server) -> None:
    def is_ready() -> bool:
        with live.client() as client:
            return client.get("/readyz").status_code == 200

    until(is_ready, LOADED_S)


def clone(live: Server, name: str, by: str) -> str:
    headers = {"content-type": "multipart/form-data; boundary=a7c1"}
    with live.client() as client:
        body = form(agree(live), speech_clips.wav(by), name)
        id_: str = json_of(client.post("/v1/audio/voices", content=body, headers=headers))["id"]
        return id_


@pytest.fixture(scope="module", params=[4, *soak(8)])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """It speaks so many rows at once: each of them is warmed up."""
    rows: int = request.param
    folder = tmp_path_factory.mktemp("served")
    lend("xtts")
    config = folder / "config.toml"
    config.write_text('[engines.xtts]\naccept_licence = "CPML"\n')
    named = ("--engine", "xtts", "--name", "thai", "--licence", "CPML")
    command(config, "models", "import", str(kept_model("xtts", "thai", "speakers")), *named)
    with server.running(folder, CONFIG.format(rows=rows)) as live:
        wait_until_loaded(live)
        yield Rig(live, CLIENTS[rows], (clone(live, "Ana", "m3"), clone(live, "Bia", "f3")))


async def said(client: openai.AsyncOpenAI, voice: str, number: int) -> tuple[bytes, int]:
    """Return the sound, and in how many pieces it came."""
    pieces = []
    asked = client.audio.speech.with_streaming_response.create(
        model="xtts",
        voice=voice,
        input=f"This is what client {'abcdefgh'[number]} would like to hear today, please.",
        response_format="pcm",
        extra_body={"seed": number},
    )
    async with asked as answer:
        async for piece in answer.iter_bytes():
            pieces.append(piece)
    return b"".join(pieces), len(pieces)


async def test_clients_with_two_voices_hear_what_each_hears_alone(rig: Rig) -> None:
    base_url = f"{rig.server.url}/v1"
    async with openai.AsyncOpenAI(
        base_url=base_url, api_key=rig.server.key, max_retries=PATIENCE, timeout=600.0
    ) as client:
        alone = [(await said(client, rig.voices[number % 2], number))[0] for number in range(rig.clients)]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(said(client, rig.voices[number % 2], number))
                for number in range(rig.clients)
            ]
    for number, task in enumerate(tasks):
        sound, pieces = task.result()
        assert difference(sound, alone[number]) <= MOST_LSB
        assert pieces > 1
    assert alone[0] != alone[1]


def test_a_language_without_its_model_is_refused(rig: Rig) -> None:
    with rig.server.client() as client:
        body = {"model": "xtts", "voice": rig.voices[0], "input": "Xin chào.", "language": "vi"}
        answer = client.post("/v1/audio/speech", json=body)
    assert answer.status_code == 400, answer.text
    checked = rig.server.cli("check", check=False)
    assert "xtts has no model of 'xtts/viet'" in " ".join(checked.stdout.split())


def test_a_text_that_cannot_be_read_at_its_end_is_refused_before_its_first_sound(rig: Rig) -> None:
    text = "This is a sentence of some words. " * 60 + "9" * 70 + "."
    with rig.server.client() as client:
        body = {"model": "xtts", "voice": rig.voices[0], "input": text, "language": "tr"}
        answer = client.post("/v1/audio/speech", json=body)
        (last, *_) = client.get("/v1/usage").json()["data"]
    assert answer.status_code == 400, answer.text
    assert "write it in words" in answer.json()["error"]["message"]
    assert last["outcome"] == "failed"


def test_thai_is_spoken_with_a_thai_model_that_was_imported(rig: Rig) -> None:
    with rig.server.client() as client:
        body = {"model": "xtts", "voice": rig.voices[0], "input": "สวัสดีครับ", "language": "th"}
        answer = client.post("/v1/audio/speech", json=body)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) > 1000


def test_a_speaker_that_the_model_came_with_is_a_voice_of_the_server(rig: Rig) -> None:
    with rig.server.client() as client:
        listed = {each["id"]: each for each in client.get("/v1/audio/voices").json()["voices"]}
        body = {"model": "xtts", "voice": "xtts/ana-florence", "input": "Bom dia.", "language": "pt"}
        answer = client.post("/v1/audio/speech", json=body)
    assert listed["xtts/camilla-holmstrom"]["name"] == "Camilla Holmström"
    assert answer.status_code == 200, answer.text
    assert len(answer.content) > 1000
