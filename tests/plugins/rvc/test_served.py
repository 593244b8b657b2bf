"""RVC in a whole server: voices that were trained elsewhere come in, and recordings go out in them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import numpy as np
import pytest

from plugins.rvc.voice_format import FILES
from proxy.audio.formats import wav_header
from tests import server
from tests.commands import command
from tests.faults.processes import state
from tests.faults.test_owned_voices import agree
from tests.plugins.neural import kept_model, lend
from tests.plugins.rvc.kept_host import SOURCE_HZ, recording
from tests.plugins.rvc.voices import flat_index
from tests.server import Server
from tests.sound import difference
from tests.waiting import until

pytestmark = pytest.mark.slow

CLIENTS, PATIENCE = 6, 60
VOICES = (0, 2, 4)
"""Two of one layout would sound alike; these are of version 1, of version 2, and of 48 kHz."""

MOST_LSB = 2
LOADED_S = 120.0
PATH = "/v1/audio/conversions"
CONFIG = """
[server]
default_model = "tone/standard"
first_audio_s = 60
[engines.tone]
plugin = "tone"
[engines.rvc]
plugin = "rvc"
model = "standard"
slots = {slots}
# Each answer has a mark of its own, and here they are compared.
marking = false
# A busy machine takes long for a step, and the gate would let few in at once.
first_audio_s = 30
"""


class Rig(NamedTuple):
    server: Server
    voices: list[str]


def as_pth(model: Path, number: int) -> bytes:
    kept, pth = (model / f"voice_{number}.safetensors").read_bytes(), BytesIO()
    FILES.export(BytesIO(kept), len(kept), "pth", pth)
    return pth.getvalue()


def bring(live: Server, model: Path, number: int) -> str:
    with live.client() as client:
        answer = client.post(
            "/v1/audio/voice_models",
            data={"name": f"Voice {number}", "consent": agree(live)},
            files={"file": ("model.pth", as_pth(model, number), "application/octet-stream")},
        )
    assert answer.status_code == 200, answer.text
    id_: str = answer.json()["id"]
    return id_


def is_ready(live: Server) -> bool:
    return bool(state(live, "rvc")["state"] == "ready")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    yield from opened(tmp_path_factory.mktemp("served"), slots=8)


def opened(folder: Path, slots: int) -> Iterator[Rig]:
    lend("rvc")
    model = kept_model("rvc")
    config = folder / "config.toml"
    config.write_text("[engines.rvc]\n")
    named = ("--engine", "rvc", "--name", "standard", "--licence", "MIT")
    command(config, "models", "import", str(model), *named)
    with server.running(folder, CONFIG.format(slots=slots)) as live:
        until(lambda: is_ready(live), LOADED_S)
        yield Rig(live, [bring(live, model, number) for number in VOICES])


def asked(rig: Rig, number: int, pcm: bytes, **more: str) -> dict[str, Any]:
    fields = {
        "model": "rvc/standard",
        "voice": rig.voices[number % len(VOICES)],
        "consent": "true",
        "seed": str(number),
        "response_format": "pcm",
        **more,
    }
    return {"data": fields, "files": {"file": ("me.wav", wav_of(pcm), "audio/wav")}}


def wav_of(pcm: bytes) -> bytes:
    return wav_header(len(pcm) // 2, SOURCE_HZ) + pcm


@asynccontextmanager
async def a_client(rig: Rig) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {rig.server.key}"}
    async with httpx2.AsyncClient(base_url=rig.server.url, headers=headers, timeout=120.0) as client:
        yield client


async def converted(
    client: httpx2.AsyncClient, rig: Rig, number: int, pcm: bytes, **more: str
) -> list[bytes]:
    """Convert as the SDKs do: who is told to come again, since others' recordings are read now, does so."""
    for _ in range(PATIENCE):
        async with client.stream("POST", PATH, **asked(rig, number, pcm, **more)) as answer:
            if answer.status_code == 200:
                return [piece async for piece in answer.aiter_bytes()]
            assert answer.status_code == 503, await answer.aread()
            assert b"uploads to decode" in await answer.aread()
            await asyncio.sleep(float(answer.headers["retry-after"]) / 4)
    raise AssertionError("there was never a place")


async def test_clients_with_three_voices_hear_what_each_hears_alone_as_long_as_it_was(rig: Rig) -> None:
    said = [recording(3.0 + 0.7 * number, number) for number in range(CLIENTS)]
    async with a_client(rig) as client:
        alone = [b"".join(await converted(client, rig, number, pcm)) for number, pcm in enumerate(said)]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(converted(client, rig, number, pcm)) for number, pcm in enumerate(said)
            ]
    for number, task in enumerate(tasks):
        pieces = task.result()
        assert len(pieces) > 1
        assert len(b"".join(pieces)) == len(said[number])
        assert difference(b"".join(pieces), alone[number]) <= MOST_LSB
    assert len(set(alone)) == CLIENTS


async def test_the_operator_adds_a_voice_with_its_index_for_everybody(rig: Rig, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 768)).astype("<f4")
    files = tmp_path / "house.pth", tmp_path / "house.index"
    files[0].write_bytes(as_pth(kept_model("rvc"), 2))
    files[1].write_bytes(flat_index(vectors))
    rig.server.cli("voices", "add", "House", "--rvc", str(files[0]), "--index", str(files[1]))
    assert "a model of rvc" in rig.server.cli("voices", "list").stdout
    home = tmp_path / "home.index"
    rig.server.cli("voices", "export", "House", "--model", "--as", "index", "--to", str(home))
    assert home.read_bytes() == flat_index(vectors.astype("<f2").astype("<f4"))
    pcm = recording(2.0)
    async with a_client(rig) as client:
        drawn, plain = [
            b"".join(await converted(client, rig, 1, pcm, voice=voice)) for voice in ("House", rig.voices[1])
        ]
    # Of the same network, but for its index.
    assert len(drawn) == len(plain)
    assert difference(drawn, plain) > MOST_LSB
