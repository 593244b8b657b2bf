"""Turns of uploads: an account keeps its turn until its recording is sealed, and keeps no other out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2
import psutil
import pytest

from proxy.file_store import locked_files
from tests.proxy.api.inside import TONE, Inside, inside
from tests.proxy.api.owning import agree, clone, new_key, send
from tests.proxy.audio.recordings.clips import wav
from tests.proxy.jobs_inside import jobs_inside
from tests.sound import tone
from tests.waiting import soon

pytestmark = pytest.mark.slow

SEARCH = "proxy.features.marks.search_child"
SHORT = wav(tone(440, 0.6))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Inside]:
    """Searches alone have processes, since a test stops one of them."""
    with jobs_inside(but=SEARCH):
        async with inside(tmp_path, TONE, has_processes=True) as opened:
            yield opened


@asynccontextmanager
async def sealing_held(server: Inside, folder: Path) -> AsyncIterator[None]:
    """Hold the file of a recording, as another worker does that seals it. Uploads of the same then wait."""
    await clone(server)
    (sealed,) = (path for path in (folder / "data" / "voices").rglob("*") if path.is_file())
    held = locked_files.take_lock(sealed)
    assert held is not None
    try:
        yield
    finally:
        held.release()


async def test_an_upload_has_its_turn_until_its_recording_is_sealed(server: Inside, tmp_path: Path) -> None:
    consent = (await agree(server))["id"]
    async with sealing_held(server, tmp_path):
        uploads = [
            asyncio.create_task(send(server, {"name": f"voice {number}", "consent": consent}))
            for number in range(6)
        ]
        await soon(lambda: sum(each.done() for each in uploads) == 3)
        refused = [each.result() for each in uploads if each.done()]
        codes = [(each.status_code, each.json()["error"]["code"]) for each in refused]
        assert codes == [(503, "server_busy")] * 3
        assert (await clone(server, key=await new_key(server, "other")))["id"]
    assert sorted([each.status_code for each in await asyncio.gather(*uploads)]) == [200] * 3 + [503] * 3


async def test_an_equal_request_under_way_is_not_decoded_again(server: Inside, tmp_path: Path) -> None:
    fields = {"name": "Eve", "consent": (await agree(server))["id"]}
    async with sealing_held(server, tmp_path):
        sent = [asyncio.create_task(send(server, fields, once="try-1")) for _ in range(2)]
        await soon(lambda: any(each.done() for each in sent))
        (early,) = (each.result() for each in sent if each.done())
        assert (early.status_code, early.json()["error"]["code"]) == (409, "request_under_way")
        assert early.headers["x-should-retry"] == "true"
    (made,) = (each for each in await asyncio.gather(*sent) if each.status_code == 200)
    again = await send(server, fields, once="try-1")
    assert (again.content, again.headers["x-voxgate-replayed"]) == (made.content, "true")


async def test_checks_for_marks_wait_in_a_queue_of_their_own(server: Inside) -> None:
    """A search takes seconds. Meanwhile further checks wait or are refused, and hold up no voice."""

    def searches() -> list[psutil.Process]:
        found = []
        for child in psutil.Process().children():
            with suppress(psutil.Error):
                if SEARCH in child.cmdline():
                    found.append(child)
        return found

    async def check() -> httpx2.Response:
        return await send(server, {}, SHORT, path="/v1/audio/marks/detect", file="file")

    checks = [asyncio.create_task(check())]
    await soon(lambda: bool(searches()))
    searches()[0].suspend()
    checks += [asyncio.create_task(check()) for _ in range(3)]
    await soon(lambda: any(each.done() for each in checks))
    (refused,) = (each.result() for each in checks if each.done())
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "server_busy")
    assert refused.headers["retry-after"]
    assert (await clone(server))["id"]
    searches()[0].resume()
    assert sorted([each.status_code for each in await asyncio.gather(*checks)]) == [200] * 3 + [503]
