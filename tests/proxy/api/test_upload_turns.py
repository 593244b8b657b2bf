"""Turns of uploads: an account keeps its turn until its recording is sealed, and keeps no other out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.kept import locked_files
from tests.proxy.api.inside import TONE, Inside, inside
from tests.proxy.api.owning import agree, clone, new_key, send
from tests.speech_engine.host.fakes import until


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(tmp_path, TONE) as opened:
        yield opened


async def test_an_upload_has_its_turn_until_its_recording_is_sealed(server: Inside, tmp_path: Path) -> None:
    voice = await clone(server)
    (sealed,) = (path for path in (tmp_path / "data" / "voices").rglob("*") if path.is_file())
    # Another worker is at work on the same recording: so the next upload of it waits to be sealed.
    held = locked_files.take(sealed)
    assert held is not None
    consent = (await agree(server))["id"]
    uploads = [
        asyncio.create_task(send(server, {"name": f"voice {number}", "consent": consent}))
        for number in range(6)
    ]
    await until(lambda: sum(each.done() for each in uploads) == 3)
    refused = [each.result() for each in uploads if each.done()]
    assert [(each.status_code, each.json()["error"]["code"]) for each in refused] == [
        (503, "server_busy")
    ] * 3
    other = await new_key(server, "other")
    assert (await clone(server, key=other))["id"] != voice["id"]
    held.release()
    assert sorted([each.status_code for each in await asyncio.gather(*uploads)]) == [200] * 3 + [503] * 3
