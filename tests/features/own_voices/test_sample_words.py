"""The words of a voice's recordings: heard where a model needs them and they are missing, or changed."""

import asyncio
from pathlib import Path
from typing import Any

from proxy.features.consents.hearings import MOST_FREE_S
from proxy.storage.store import Params, Statement
from speech_engine import EngineFailed
from tests import speech_clips
from tests.features.own_voices.test_clips import add, listed, other_wav
from tests.features.transcriptions.ears import Ears, said, whole
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.proxy.api.owning import agree, clone, send
from tests.replies import json_of
from tests.waiting import soon

CONFIG = (
    TONE.replace("hosted = false", "hosted = false\nneeds_sample_text = true")
    + "[engines.scripted]\nhosted = false\n"
)
SPOKEN = "A train leaves at noon."
NEEDED = "reference_text_required"


async def spoken(server: Inside, voice: str) -> str:
    """The message of a refusal, or nothing."""
    answer = await server.speech(voice=voice)
    return "" if answer.status_code == 200 else str(envelope(answer)["message"])


async def change(server: Inside, voice: str, sample: str, text: Any) -> Any:
    return await server.ask("POST", f"/v1/audio/voices/{voice}/samples/{sample}", body={"ref_text": text})


async def settled(server: Inside) -> None:
    async def none_left() -> bool:
        return not await server.worker.store.read("SELECT id FROM hearings")

    await soon(none_left)


async def test_missing_words_are_heard_and_may_be_changed(tmp_path: Path) -> None:
    halt = asyncio.Event()
    ears = Ears(halt.wait, *whole(said(SPOKEN)), id="ears")
    async with inside(tmp_path, CONFIG, engines={"scripted": ears}) as server:
        voice = (await clone(server, language="en"))["id"]
        assert "its words are being heard" in await spoken(server, voice)
        (first,) = await listed(server, voice)
        assert (first["ref_text"], "ref_text_from" in first) == ("", False)
        halt.set()
        await settled(server)
        assert await spoken(server, voice) == ""
        clip = json_of(await add(server, voice, other_wav(1), emotion="sad"), 201)
        await settled(server)
        found = await listed(server, voice)
        assert [(each["ref_text"], each["ref_text_from"]) for each in found] == [(SPOKEN, "heard")] * 2
        for sample in (first["id"], clip["id"]):
            changed = json_of(await change(server, voice, sample, "Other words."))
            assert (changed["ref_text"], "ref_text_from" in changed) == ("Other words.", False)
        assert [each["ref_text"] for each in await listed(server, voice)] == ["Other words."] * 2
        refused = [await change(server, voice, first["id"], text) for text in ("x" * 1001, 7, None)]
        refused.append(await change(server, voice, "clip_0", "x"))
        assert [each.status_code for each in refused] == [400, 400, 400, 404]


async def test_words_that_their_owner_states_meanwhile_stay(tmp_path: Path) -> None:
    halt = asyncio.Event()
    ears = Ears(halt.wait, *whole(said(SPOKEN)), id="ears")
    async with inside(tmp_path, CONFIG, engines={"scripted": ears}) as server:
        voice = (await clone(server, language="en"))["id"]
        (first,) = await listed(server, voice)
        await soon(lambda: ears.jobs)
        json_of(await change(server, voice, first["id"], "Mine."))
        halt.set()
        await soon(lambda: not ears.open)
        await settled(server)
        (row,) = await listed(server, voice)
        assert (row["ref_text"], await spoken(server, voice)) == ("Mine.", "")
        assert await server.worker.store.read("SELECT seconds FROM free_hearing") == []


async def test_words_are_required_where_they_cannot_be_heard(tmp_path: Path) -> None:
    ears = Ears(EngineFailed(""), id="ears")
    async with inside(tmp_path, CONFIG, engines={"scripted": ears}) as server:
        store = server.worker.store
        consent = (await agree(server))["id"]
        fields = {"name": "long", "consent": consent, "language": "en"}
        long = await send(server, fields, speech_clips.long_wav())
        assert (long.status_code, envelope(long)["code"]) == (400, NEEDED)
        voice = (await clone(server, language="en"))["id"]
        await soon(lambda: store.read("SELECT id FROM hearings WHERE tries = 1 AND lease = 0"))
        await store.write(Statement("UPDATE hearings SET due = 0, tries = 9"))
        await settled(server)
        assert (await spoken(server, voice)).endswith("give its text.")
        used = "INSERT INTO free_hearing VALUES (:account, :day, :seconds, '')"
        day = await store.now() // 86_400_000_000
        row: Params = {"account": server.account.id, "day": day, "seconds": MOST_FREE_S}
        await store.write(Statement(used, row))
        full = await send(server, fields)
        assert (full.status_code, envelope(full)["code"]) == (400, NEEDED)
