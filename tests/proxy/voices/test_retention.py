"""Voices that nobody uses: the day of their last speech, and their end where a plan says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.config import config_toml
from proxy.storage import voices
from proxy.storage.store import Params, Statement
from proxy.voices.retention import DAY_US, erase_unused
from tests.proxy.api.inside import TONE, Inside, inside
from tests.proxy.api.owning import clone

CONFIG = f"{TONE}\n[plans.kept]\n[plans.short]\nvoices_unused_days = 30\n"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(tmp_path, CONFIG, plan="short") as opened:
        yield opened


async def age(server: Inside, id_: str, days: int) -> None:
    """Make a voice as old as that."""
    at = await server.worker.store.now() - days * DAY_US
    row: Params = {"id": id_, "at": at}
    await server.worker.store.write(Statement("UPDATE voices SET created = :at WHERE id = :id", row))


async def erase(server: Inside, tmp_path: Path) -> int:
    plans = config_toml.load(tmp_path / "config.toml", {}).plans
    return await erase_unused(server.worker.store, plans, server.worker.erasure)


async def test_a_voice_that_nobody_uses_ends_with_its_plan(server: Inside, tmp_path: Path) -> None:
    old, new = [(await clone(server, name))["id"] for name in ("old", "new")]
    cast = {"name": "talk", "cast": {"A": "alloy"}}
    kept = (await server.ask("POST", "/v1/audio/voices", body=cast)).json()["id"]
    for id_, days in ((old, 31), (new, 29), (kept, 99)):
        await age(server, id_, days)
    assert await erase(server, tmp_path) == 1
    assert await erase(server, tmp_path) == 0
    assert await voices.get(server.worker.store, old) is None
    assert await voices.get(server.worker.store, new) is not None
    assert await voices.get(server.worker.store, kept) is not None
    receipt = await server.ask("GET", f"/v1/audio/voices/erasures/{old}")
    assert (receipt.json()["id"], receipt.json()["pending"]) == (old, [])


async def test_a_voice_that_speaks_is_used(server: Inside, tmp_path: Path) -> None:
    voice = (await clone(server))["id"]
    await age(server, voice, 99)
    spoken = await server.speech(voice=voice)
    assert spoken.status_code == 200, spoken.text
    await server.worker.voice_use.write()
    assert await erase(server, tmp_path) == 0
    saved = await voices.get(server.worker.store, voice)
    assert saved is not None
    assert saved.used is not None
    assert saved.used % DAY_US == 0


async def test_other_plans_keep_what_they_have(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, plan="kept") as server:
        voice = await clone(server)
        assert "expires_at" not in voice
        await age(server, voice["id"], 9_999)
        assert await erase(server, tmp_path) == 0
