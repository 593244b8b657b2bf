"""Voices that nobody uses: the day of their last speech, and their end where a plan says so."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.catalogue.voice_records import DAY_US
from proxy.feature_list import load_config, open_store
from proxy.features.erasure import tombstone_rows
from proxy.features.own_voices import records as voices
from proxy.features.own_voices import retention
from proxy.features.own_voices.retention import erase_unused
from proxy.storage import accounts, blobs, tombstones
from proxy.storage.audit import Act
from proxy.storage.store import Params, Statement
from tests.features.cache.keeping import revise
from tests.features.erasure.erasing import erasure_of
from tests.proxy.api.inside import TONE, Inside, LeavingPeer, inside
from tests.proxy.api.owning import clone
from tests.proxy.file_store.owned import Owned

CONFIG = f"{TONE}\n[plans.kept]\n[plans.short]\nvoices_unused_days = 30\n"


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Inside]:
    monkeypatch.setattr("proxy.features.own_voices.retention._NOTE_EVERY_S", 0.01)
    async with inside(tmp_path, CONFIG, plan="short") as opened:
        yield opened


async def age(server: Inside, id_: str, days: int) -> None:
    """Make a voice as old as that."""
    at = await server.worker.store.now() - days * DAY_US
    row: Params = {"id": id_, "at": at}
    await server.worker.store.write(Statement("UPDATE voices SET created = :at WHERE id = :id", row))


async def noted_use(server: Inside, id_: str) -> int:
    """The day when a voice last spoke, as soon as that is noted."""
    async with asyncio.timeout(5):
        while True:
            saved = await voices.get(server.worker.store, None, id_)
            assert saved is not None
            if saved.used is not None:
                return saved.used
            await asyncio.sleep(0.01)


async def erase(server: Inside, tmp_path: Path) -> int:
    plans = load_config(tmp_path / "config.toml", {}).plans
    return await erase_unused(server.worker.store, plans, erasure_of(server.worker))


async def test_a_voice_that_nobody_uses_ends_with_its_plan(server: Inside, tmp_path: Path) -> None:
    old, new = [(await clone(server, name))["id"] for name in ("old", "new")]
    cast = {"name": "talk", "cast": {"A": "alloy"}}
    stored = (await server.ask("POST", "/v1/audio/voices", body=cast)).json()["id"]
    for id_, days in ((old, 31), (new, 29), (stored, 99)):
        await age(server, id_, days)
    assert await erase(server, tmp_path) == 1
    assert await erase(server, tmp_path) == 0
    assert await voices.get(server.worker.store, None, old) is None
    assert await voices.get(server.worker.store, None, new) is not None
    assert await voices.get(server.worker.store, None, stored) is not None
    receipt = await server.ask("GET", f"/v1/audio/voices/erasures/{old}")
    assert (receipt.json()["id"], receipt.json()["pending"]) == (old, [])


async def test_a_suspended_account_keeps_its_voices_and_a_resumed_one_has_its_days_anew(
    server: Inside, tmp_path: Path
) -> None:
    voice, store = (await clone(server))["id"], server.worker.store
    await age(server, voice, 99)
    act = Act(id="aud_1", at=await store.now(), actor="control", action="", subject="", account="")
    await accounts.suspend(store, server.account.id, act)
    assert await erase(server, tmp_path) == 0
    await accounts.resume(store, server.account.id, act)
    assert await erase(server, tmp_path) == 0
    await store.write(Statement("UPDATE accounts SET resumed = :at", {"at": act.at - 31 * DAY_US}))
    assert await erase(server, tmp_path) == 1


async def test_a_server_erases_by_the_plans_of_its_newest_configuration(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG.replace("voices_unused_days = 30", ""), plan="short") as server:
        voice = (await clone(server))["id"]
        await age(server, voice, 31)
        revise(server, tmp_path, CONFIG)
        running = [asyncio.create_task(task()) for task in server.worker.tasks_of_one_server]
        async with asyncio.timeout(5):
            while True:
                if await voices.get(server.worker.store, None, voice) is None:
                    break
                await asyncio.sleep(0.01)
        for task in running:
            task.cancel()
        await asyncio.wait(running)


async def test_a_voice_that_speaks_is_used(server: Inside, tmp_path: Path) -> None:
    voice = (await clone(server))["id"]
    await age(server, voice, 99)
    spoken = await server.speech(voice=voice)
    assert spoken.status_code == 200, spoken.text
    assert await noted_use(server, voice) % DAY_US == 0
    assert await erase(server, tmp_path) == 0


async def test_a_voice_that_spoke_just_before_the_end_is_used(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG) as server:
        voice = (await clone(server))["id"]
        assert (await server.speech(voice=voice)).status_code == 200
        before = await voices.get(server.worker.store, None, voice)
    async with open_store("sqlite", tmp_path / "data") as store:
        after = await voices.get(store, None, voice)
    assert before is not None
    assert after is not None
    assert (before.used, after.used is None) == (None, False)


@pytest.mark.parametrize("hours", [30 * 24 + 23, 31 * 24 + 1])
async def test_it_is_erased_when_its_owner_was_told_and_not_before(
    server: Inside, tmp_path: Path, hours: int
) -> None:
    """Made long ago; the day on which it last spoke began so many hours ago."""
    made, store = await clone(server), server.worker.store
    await age(server, made["id"], 99)
    now = await store.now()
    await store.write(Statement("UPDATE voices SET used = :at", {"at": now - hours * DAY_US // 24}))
    record = await voices.get(store, None, made["id"])
    assert record is not None
    is_over = record.ends_at(30) < now
    assert is_over == (hours > 31 * 24)
    assert await erase(server, tmp_path) == is_over


async def test_a_voice_made_after_its_last_day_of_use_counts_from_then(
    server: Inside, tmp_path: Path
) -> None:
    made, store = await clone(server), server.worker.store
    await age(server, made["id"], 29)
    await store.write(Statement("UPDATE voices SET used = 1"))
    assert await erase(server, tmp_path) == 0


async def test_a_stream_that_its_client_left_is_use(server: Inside) -> None:
    voice = (await clone(server))["id"]
    peer = LeavingPeer()

    async def leave(message: Any) -> None:
        if message.get("body"):
            peer.leave()

    body = {"model": "tts-1", "voice": voice, "input": "Hello there. " * 120, "response_format": "pcm"}
    await server.raw_speech(body, peer=peer, on_sent=leave)
    assert await noted_use(server, voice)


async def test_other_plans_keep_what_they_have(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, plan="kept") as server:
        voice = await clone(server)
        assert "expires_at" not in voice
        await age(server, voice["id"], 9_999)
        assert await erase(server, tmp_path) == 0


@pytest.mark.parametrize("left", ["voices", "key"])
async def test_what_a_closed_account_still_has_is_erased(server: Inside, tmp_path: Path, left: str) -> None:
    """The server was killed after the account was closed, or after its last voice was erased."""
    store, account = server.worker.store, server.account.id
    voice = await clone(server)
    if left == "key":
        await erasure_of(server.worker).erase_voice(Owned(voice["id"], account))
        await erasure_of(server.worker).erase(Owned(voice["consent"], account))
    await accounts.close(store, account)
    assert await erase(server, tmp_path) == 0
    assert await tombstone_rows.list_of_account(store, account) == []
    assert await blobs.account_key(store, account) is None
    assert not (tmp_path / "data" / "voices" / account).exists()
    receipt = await tombstones.get(erasure_of(server.worker)._store, account, voice["id"])
    assert receipt is not None
    assert receipt.completed is not None
    assert await retention.list_closed_owners(store) == []
