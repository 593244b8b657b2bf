"""Pocket TTS in a whole server: a model that was imported, voices of accounts, and many clients at once."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

import httpx2
import openai
import pytest

from tests import server
from tests.commands import command
from tests.plugins.neural import kept_model, lend
from tests.plugins.xtts.test_served import PATIENCE, clone, wait_until_loaded
from tests.server import Server
from tests.sound import difference
from tests.tables import soak

pytestmark = pytest.mark.slow

MOST_LSB = 2
CONFIG = """
[server]
default_model = "pocket"
first_audio_s = 60
[engines.pocket]
slots = 4
rows = 4
width = 4
# Each answer has a mark of its own, and here they are compared.
marking = false
[models]
"pocket" = ["pocket/pocket-en", "pocket/pocket-cs"]
"""


class Rig(NamedTuple):
    server: Server
    voices: tuple[str, str]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("served")
    lend("pocket")
    config = folder / "config.toml"
    config.write_text("[engines.pocket]\n")
    named = ("--engine", "pocket", "--licence", "CC-BY-4.0")
    command(config, "models", "import", str(kept_model("pocket")), *named, "--name", "pocket-en")
    with server.running(folder, CONFIG) as live:
        wait_until_loaded(live)
        yield Rig(live, (clone(live, "Ana", "m3"), clone(live, "Bia", "f3")))


async def said(client: openai.AsyncOpenAI, voice: str, number: int) -> bytes:
    answer = await client.audio.speech.create(
        model="pocket",
        voice=voice,
        input=f"This is what client {'abcd'[number]} would like to hear today, please. And this too.",
        response_format="pcm",
        extra_body={"seed": number},
    )
    return answer.content


@pytest.mark.parametrize("clients", [3, *soak(4)])
async def test_clients_with_two_voices_hear_what_each_hears_alone(rig: Rig, clients: int) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{rig.server.url}/v1", api_key=rig.server.key, max_retries=PATIENCE, timeout=600.0
    ) as client:
        alone = [await said(client, rig.voices[number % 2], number) for number in range(clients)]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(said(client, rig.voices[number % 2], number)) for number in range(clients)
            ]
    for number, task in enumerate(tasks):
        assert difference(task.result(), alone[number]) <= MOST_LSB
        assert len(alone[number]) > 24_000
    assert alone[0] != alone[1]


def test_a_saved_mix_of_recorded_voices_speaks_until_one_of_them_is_deleted(rig: Rig) -> None:
    with rig.server.client() as client:

        def spoken(voice: object) -> httpx2.Response:
            body = {"model": "pocket", "voice": voice, "input": "This is a mix.", "response_format": "pcm"}
            return client.post("/v1/audio/speech", json={**body, "seed": 1})

        third = clone(rig.server, "Caio", "f3")
        mix = [{"id": rig.voices[0], "weight": 3}, {"id": third, "weight": 1}]
        saved = client.post("/v1/audio/voices", json={"name": "blend", "mix": mix}).raise_for_status().json()
        voice = client.get(f"/v1/audio/voices/{saved['id']}").raise_for_status().json()
        assert "pocket" in voice["engines"]
        sound = spoken("blend")
        assert (sound.status_code, sound.headers["x-voxgate-engine"]) == (200, "pocket/pocket-en")
        assert len(sound.content) > 24_000
        assert difference(spoken({"mix": mix[::-1]}).content, sound.content) <= MOST_LSB
        assert sound.content not in (spoken(rig.voices[0]).content, spoken(third).content)
        four = [{"id": each} for each in (*rig.voices, third, clone(rig.server, "Davi", "m3"))]
        refused = spoken({"mix": four})
        assert refused.status_code == 400
        assert (refused.json()["error"]["param"], refused.json()["error"]["code"]) == (
            "voice.mix",
            "unsupported_value",
        )
        assert "pocket/pocket-en mixes at most 3 voices" in refused.json()["error"]["message"]
        client.delete(f"/v1/audio/voices/{third}").raise_for_status()
        gone = spoken("blend")
    assert gone.status_code == 400, gone.text
