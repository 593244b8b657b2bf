"""Who pays for a whole answer that its client does not take: what a provider bills is charged."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from starlette.types import Message

from proxy.audio.formats import Chunk
from proxy.speech import spill
from speech_engine import EngineFailed, Finished, Started
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound, spoken
from tests.proxy.api.test_whole_answers import BODY, CONFIG, JSON, SECONDS, SIGNED, Client
from tests.tables import each_row

pytestmark = pytest.mark.slow

COSTLY = CONFIG.replace("[engines.one]", '[engines.one]\ncosts.m = { usd = 6, per = "minute" }')
_TWO = """
[engines.cloud]
[models]
both = ["cloud/m", "one/m"]
"""


async def bills(server: Inside) -> list[tuple[str, str | None, float, float]]:
    """The outcome, the error, the credits and the provider's dollars of each request."""
    return [(row.outcome, row.error, row.credits / 1e6, row.micro_usd / 1e6) for row in await server.usage()]


@each_row("is_local", [False, True], ids=["provider", "ours"])
@each_row("more", [JSON, SIGNED], ids=["json", "signed"])
async def test_who_leaves_when_all_is_made_pays_for_what_a_provider_made(
    tmp_path: Path, more: Mapping[str, str], is_local: bool
) -> None:
    leaves = asyncio.Event()

    async def leave() -> None:
        leaves.set()
        await asyncio.Event().wait()

    engine = Scripted(Started(RATE_HZ), *sound(10.0), leave, Finished(), is_local=is_local)
    async with inside(tmp_path, COSTLY, {"one": engine}, plan="paid") as server:
        await asyncio.wait([asyncio.create_task(server.raw_speech({**BODY, **more}, leaves))])
        ((outcome, _, credits, usd),) = await bills(server)
        assert (outcome, usd) == ("left", 1.0)
        assert credits == (0.0 if is_local else pytest.approx(1.0, abs=0.02))
        assert repr(server.worker.parts.spill_quota).startswith("<SpillQuota 0 of")


@each_row(
    ("model", "is_local", "paid"),
    [("one/m", False, 4.0), ("one/m", True, 0.1), ("both", True, 0.1)],
    ids=["provider", "ours", "ours after a provider without sound"],
)
async def test_who_leaves_in_the_middle_pays_a_provider_whole(
    tmp_path: Path, model: str, is_local: bool, paid: float
) -> None:
    client, leaves = Client(), asyncio.Event()

    async def take(message: Message) -> None:
        if message.get("body"):
            leaves.set()
            await client.goes_on.wait()

    config = COSTLY.replace('one = "v"', 'one = "v"\ncloud = "v"') + _TWO
    cloud = Scripted(EngineFailed("x"), is_local=False)
    engine = Scripted(*spoken(SECONDS), is_local=is_local)
    async with inside(tmp_path, config, {"one": engine, "cloud": cloud}, plan="paid") as server:
        asked = server.raw_speech({**BODY, **JSON, "model": model}, leaves, on_sent=take)
        await asyncio.wait([asyncio.create_task(asked)])
        ((outcome, _, credits, _),) = await bills(server)
        assert (outcome, len(cloud.jobs)) == ("left", int(model == "both"))
        assert credits == pytest.approx(paid, abs=0.01)


@pytest.mark.parametrize("more", [JSON, SIGNED], ids=["json", "signed"])
async def test_without_room_a_whole_answer_is_refused_before_anybody_speaks(
    tmp_path: Path, more: Mapping[str, str]
) -> None:
    engine = Scripted(*spoken(SECONDS), is_local=False)
    async with inside(tmp_path, COSTLY, {"one": engine}, plan="paid") as server:
        room = server.worker.parts.spill_quota
        others = room.reserve("others", room._most_bytes * 3 // 4)
        refused = await server.ask("POST", "/v1/audio/speech", body={**BODY, **more})
        assert (refused.status_code, envelope(refused)["code"]) == (503, "server_busy")
        assert refused.headers["retry-after"] == "5"
        assert engine.jobs == []
        assert await bills(server) == [("failed", "server_busy", 0.0, 0.0)]
        others.close()
        assert (await server.ask("POST", "/v1/audio/speech", body={**BODY, **more})).status_code == 200
        assert repr(room).startswith("<SpillQuota 0 of")


async def test_a_whole_answer_whose_room_others_need_ends_and_is_charged_as_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    async with inside(tmp_path, COSTLY, {"one": Scripted(*spoken(SECONDS))}, plan="paid") as server:
        asking = asyncio.create_task(server.raw_speech({**BODY, **JSON}, on_sent=client.take))
        await client.begun.wait()
        monkeypatch.setattr(spill, "_KEEPS_UP", 1000.0)
        quicker = spill.SpillFile(server.worker.parts.spill_quota, lambda: None)
        quicker.pace.note_chunk(Chunk(b"", 100 * RATE_HZ, RATE_HZ))
        server.worker.parts.spill_quota.set_limit(1)
        await quicker.append(bytes(1000))
        # Its client takes nothing, and never will.
        async with asyncio.timeout(60):
            await asyncio.wait([asking])
        assert await bills(server) == [("failed", "client_too_slow", 4.0, 4.0)]
        await quicker.close()
        assert repr(server.worker.parts.spill_quota).startswith("<SpillQuota 0 of")


async def test_a_short_whole_answer_leaves_the_room_that_it_does_not_fill(tmp_path: Path) -> None:
    client = Client()
    async with inside(tmp_path, COSTLY, {"one": Scripted(*spoken(1.0), is_local=False)}) as server:
        server.worker.parts.spill_quota.set_limit(16)
        async with client.asking(server, {**BODY, **JSON}):
            answer = await server.ask("POST", "/v1/audio/speech", body={**BODY, **JSON})
    assert (client.status, answer.status_code) == (200, 200)
