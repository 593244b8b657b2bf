"""What cannot be kept: sound that is too long, no room for it, a full disk. Answer and charge stay."""

from pathlib import Path

import pytest

from proxy.audio.formats import USUAL_FORMS
from proxy.features.admin.verify import verify
from proxy.features.history import writing
from proxy.features.history.records import SealedRequest
from proxy.features.history.writing import HistoryWriter, NewEntry, SoundBuffer, SoundRoom
from proxy.telemetry.metrics import Metrics
from tests.features.history.rig import (
    blobs,
    content,
    entry,
    id_of,
    ids,
    keeping,
    objects,
    row_of,
    sound_of,
    speak,
    spoken,
    store_of,
)
from tests.proxy.api.inside import Inside
from tests.proxy.storage.notes import no_file_larger_than
from tests.tables import each_row
from tests.waiting import soon


def counted(server: Inside, stored: str) -> float:
    name = "voxgate_history_entries_total"
    return server.worker.kernel.metrics.registry.get_sample_value(name, {"stored": stored}) or 0.0


@each_row("limit", ["MOST_SOUND_BYTES", "MOST_BYTES"])
async def test_of_too_much_sound_the_text_alone_is_kept(
    tmp_path: Path, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(tmp_path) as server:
        size = len((await server.speech("Hello.", response_format="pcm")).content)
        small = await spoken(server, "Hello.", response_format="pcm")
    monkeypatch.setattr(writing, limit, size)
    async with keeping(tmp_path, name="bob") as server:
        large = await spoken(server, "Hello there, you.", response_format="pcm")
        assert (large["sound"], large["text"]) == (None, "Hello there, you.")
        assert (large["outcome"], large["seconds"] > small["seconds"]) == ("finished", True)
        assert (await content(server, large["id"])).status_code == 409
        same = await spoken(server, "Hello.", response_format="pcm")
        assert same["sound"] == small["sound"]
        assert (counted(server, "text"), counted(server, "sound")) == (1, 1)


def test_a_worker_has_room_for_so_much_at_once() -> None:
    room = SoundRoom(100)
    one, two, three = (SoundBuffer(room) for _ in range(3))
    for buffer in (one, two):
        buffer.add(bytes(40))
    three.add(bytes(10))
    two.add(bytes(20))
    assert (len(one.data), len(two.data), len(three.data), room.used_bytes) == (40, 0, 10, 50)
    two.add(bytes(1))
    assert not two.data, "what was lost does not begin in its middle"
    for buffer in (one, two, three, three):
        buffer.close()
    assert room.used_bytes == 0


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_a_full_disk_loses_the_entry_alone(tmp_path: Path, store_url: str) -> None:
    """The database is on another one."""
    async with keeping(tmp_path, store_url) as server:
        first = await spoken(server)
        with no_file_larger_than(200_000):
            answer = await speak(server, "A text for which there is no room. " * 25)
            await soon(lambda: counted(server, "nothing"))
        assert len(answer.content) > 250_000
        rows = await server.usage()
        (row,) = [row for row in rows if row.id == id_of(answer)]
        assert (row.outcome, row.credits > 0) == ("finished", True)
        last = await spoken(server)
        assert await ids(server) == [last["id"], first["id"]]
        assert await blobs(server) == objects(tmp_path) == 2
        assert (await verify(server.worker.store)).is_clean


async def test_without_its_folder_the_entry_alone_is_lost(tmp_path: Path) -> None:
    async with keeping(tmp_path) as server:
        first = await spoken(server)
        folder = tmp_path / "data" / "voices"
        folder.rename(folder.with_name("away"))
        folder.touch()
        answer = await speak(server)
        await soon(lambda: counted(server, "nothing"))
        assert len(await server.usage()) == 2
        folder.unlink()
        folder.with_name("away").rename(folder)
        assert (await content(server, first["id"])).is_success
        assert await ids(server) == [first["id"]]
        assert id_of(answer) != first["id"]
        assert (await entry(server, (await spoken(server))["id"]))["sound"]


async def test_a_stop_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with keeping(tmp_path) as server:
        writer = HistoryWriter(store_of(server), Metrics().registry)
        async with writer._encoding:
            sound = sound_of(writer, bytes(1000))
            writer.write_entry(
                NewEntry(row_of(server), SealedRequest({"input": "Hi."}), sound, USUAL_FORMS["pcm"])
            )
            await soon(lambda: writer._encoding._waiters)
            await writer.aclose(0)
        assert (await ids(server), writer.room.used_bytes) == ([], 0)
