"""How a clone ended is told to its account, in the commit of that end."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.feature_list import open_store
from proxy.storage.store import Statement
from tests.features.clones.clone_rig import CloneRig, OwnedVoice, clone_rig, owned_voice
from tests.features.webhooks.rig import webhook_rig

URL = "https://hooks.example.org/"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[CloneRig]:
    async with (
        open_store("sqlite", tmp_path) as store,
        clone_rig(store) as opened,
        webhook_rig(store, tmp_path) as hooks,
    ):
        opened.clone_tasks._notices = hooks.delivery_tasks
        yield opened


async def listening(rig: CloneRig, folder: Path) -> OwnedVoice:
    voice = await owned_voice(rig.store)
    async with webhook_rig(rig.store, folder) as hooks:
        await hooks.webhook(voice.account, URL)
    return voice


async def told(rig: CloneRig) -> list[tuple[str, dict[str, str]]]:
    rows = await rig.store.read("SELECT type, data FROM webhook_deliveries")
    return [(row["type"], json.loads(row["data"])) for row in rows]


async def test_one_that_is_ready(rig: CloneRig, tmp_path: Path) -> None:
    voice = await listening(rig, tmp_path)
    id_ = await rig.want(voice)
    assert await told(rig) == []
    await rig.step()
    await rig.later()
    expected = {"id": id_, "voice": voice.id, "engine": "minimax"}
    assert await told(rig) == [("voice.clone.ready", expected)]


async def test_one_that_failed_for_good(rig: CloneRig, tmp_path: Path) -> None:
    voice = await listening(rig, tmp_path)
    rig.providers["minimax"].fail("error_in_200", path="voice_clone", code="2037")
    id_ = await rig.want(voice)
    await rig.step()
    await rig.later()
    expected = {"id": id_, "voice": voice.id, "engine": "minimax"}
    assert await told(rig) == [("voice.clone.failed", expected)]


async def test_one_whose_worker_has_lost_its_lease_is_told_by_the_other(
    rig: CloneRig, tmp_path: Path
) -> None:
    voice = await listening(rig, tmp_path)
    rig.providers["minimax"].fail("error_in_200", path="voice_clone", code="2037")
    await rig.want(voice)
    await rig.clone_tasks.look()
    await rig.store.write(Statement("UPDATE bindings SET fence = fence + 7"))
    await rig.clone_tasks.finish()
    assert await told(rig) == []


async def test_one_of_an_erased_voice_is_told_to_nobody(rig: CloneRig, tmp_path: Path) -> None:
    voice = await listening(rig, tmp_path)
    await rig.want(voice)
    await rig.clone_tasks.look()
    await rig.erase(voice)
    await rig.clone_tasks.finish()
    await rig.later()
    assert await told(rig) == []
