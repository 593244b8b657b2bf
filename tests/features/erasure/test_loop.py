"""Many erasures while people speak with those voices: nothing derived appears afterwards."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

from proxy.catalogue.voice_records import VoiceRecord
from proxy.features.own_voices import records as voices
from tests.features.cache.keeping import cache_of
from tests.features.erasure import erasing
from tests.features.erasure.erasing import add_voice, answers, body, erase, speaking
from tests.proxy.api.inside import Inside
from tests.proxy.api.scripted import Scripted, spoken

ROUNDS = 20
AT_ONCE = 10
"""200 erasures, each among requests that record clips and answers."""


async def speak(server: Inside, record: VoiceRecord) -> None:
    """Speak until the voice is gone, each time with another text and key."""
    for number in itertools.count():
        sent = await server.raw_speech(
            {**body(record.id), "input": f"Ana: Hello number {number} from {record.id}."},
            headers={"idempotency-key": f"{record.id} {number}"},
        )
        if sent[0]["status"] == 400:
            return


async def erase_later(server: Inside, record: VoiceRecord, turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    receipt = await erase(server, record)
    assert receipt.completed is not None, receipt


async def test_nothing_derived_appears_after_200_erasures(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.1))) as server:
        stays = await add_voice(server, "stays")
        await server.raw_speech(body(stays.id), headers={"idempotency-key": "stays"})
        for round_ in range(ROUNDS):
            records = [await add_voice(server, f"voice {round_}.{number}") for number in range(AT_ONCE)]
            await asyncio.gather(
                *(speak(server, record) for record in records),
                *(erase_later(server, record, 37 * number) for number, record in enumerate(records)),
            )
        store = server.worker.store
        gone = await store.read("SELECT count(*) AS number FROM erasures WHERE completed IS NOT NULL")
        assert gone[0]["number"] == ROUNDS * AT_ONCE
        assert [record.id for record in await voices.of_account(store, server.account.id)] == [stays.id]
        await cache_of(server).close()
        rows = await store.read("SELECT DISTINCT voice FROM clips")
        assert {row["voice"] for row in rows} <= {stays.id, "ana"}
        named = await store.read("SELECT name FROM clips WHERE voice = :voice", {"voice": stays.id})
    assert {path.name for path in erasing.sound(tmp_path)} == {row["name"] for row in named}
    assert len(answers(tmp_path)) == 1
