"""What is purged by voice, lexicon or account is not given out again, by any worker."""

import asyncio
import errno
import shutil
from collections.abc import Collection
from pathlib import Path

import pytest
import structlog

from proxy.file_store.folder import BoundedFolder
from proxy.file_store.recording import FileRecording
from proxy.storage.disk_names import DiskName
from proxy.storage.store import Statement
from tests.features.cache import keeping
from tests.features.cache.conftest import AS_SHIPPED
from tests.features.cache.test_flights import IMPATIENT, asking, held_up
from tests.proxy.api.inside import Inside
from tests.proxy.api.scripted import RATE_HZ, Halt, Scripted, spoken
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row
from tests.waiting import until

WORDS = {"there": "dare"}

pytestmark = [AS_SHIPPED, pytest.mark.slow]


async def states(server: Inside, secret: str | None = None) -> str:
    """Send a request with each voice, and one with a lexicon. Return their states."""
    answers = [
        await keeping.ask(server, secret=secret, voice="ana"),
        await keeping.ask(server, secret=secret, voice="ben"),
        await keeping.ask(server, secret=secret, voice="ana", lexicon=WORDS),
    ]
    return " ".join(keeping.found(answer) for answer in answers)


async def purge(server: Inside, what: str) -> None:
    cache, account = keeping.cache_of(server), server.account.id
    match what:
        case "voice":
            await cache.purge_voice(account, "ana")
        case "everybody's voice":
            await cache.purge_voice(None, "ana")
        case "lexicon":
            await cache.purge_lexicon(account)
        case "account":
            await cache.purge_account(account)


@each_row(
    ("what", "own", "others"),
    [
        ("voice", "miss hit miss", "hit hit hit"),
        ("everybody's voice", "miss hit miss", "miss hit miss"),
        ("lexicon", "hit hit miss", "hit hit hit"),
        ("account", "miss miss miss", "hit hit hit"),
    ],
)
async def test_a_purge_takes_what_it_names_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, own: str, others: str
) -> None:
    # A worker knows of its own purges, however long it believes its memory.
    monkeypatch.setattr("proxy.features.cache.clip_store.TRUSTED_S", 3600.0)
    async with keeping.speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        bob = await keeping.other_account(server)
        for _ in range(2):
            first = [await states(server), await states(server, secret=bob)]
        assert first == ["hit hit hit"] * 2
        await purge(server, what)
        assert [await states(server), await states(server, secret=bob)] == [own, others]


async def test_the_sound_is_gone_from_the_disk(tmp_path: Path) -> None:
    async with keeping.speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        await keeping.ask(server)
        await keeping.landed(tmp_path)
        assert len(keeping.stored(tmp_path)) == 1
        (tmp_path / "data" / "cache" / "lost+found").mkdir()
        await purge(server, "voice")
        assert not [path for path in (tmp_path / "data" / "cache").rglob("*") if path.is_file()]


async def test_a_clip_that_began_before_a_purge_does_not_land_after_it(tmp_path: Path) -> None:
    gate = Halt()
    engine = held_up(gate)
    async with keeping.speaking(tmp_path, engine) as server:
        (first,) = asking(server, 1)
        await gate.is_there.wait()
        await purge(server, "voice")
        gate.goes_on.set()
        assert len((await first).content) == RATE_HZ
        await keeping.landed(tmp_path)
        assert not keeping.stored(tmp_path)
        assert "voxgate_cache_failures_total 0.0" in server.worker.metrics.page_text()
        assert [keeping.found(await keeping.ask(server)) for _ in range(2)] == ["miss", "hit"]


async def test_a_clip_that_began_before_a_purge_does_not_spoil_one_that_began_after_it(
    tmp_path: Path,
) -> None:
    gate = Halt(1)
    engine = held_up(gate)
    async with (
        keeping.speaking(tmp_path, engine, text=IMPATIENT) as server,
        keeping.reopened(tmp_path, server, engine) as other,
    ):
        (first,) = asking(server, 1)
        await gate.is_there.wait()
        await purge(server, "voice")
        assert keeping.found(await keeping.ask(other)) == "miss"
        await asyncio.to_thread(until, lambda: not keeping.cache_of(other)._landing_tasks)
        written = [path.read_bytes() for path in keeping.stored(tmp_path) if not path.suffix]
        gate.goes_on.set()
        await first
        await keeping.landed(tmp_path)
        assert [path.read_bytes() for path in keeping.stored(tmp_path)] == written
        assert len(written) == 1
        assert keeping.found(await keeping.ask(other)) == "hit"


async def test_a_purge_by_one_worker_is_soon_one_for_all(tmp_path: Path) -> None:
    engine = Scripted(*spoken(0.5))
    async with (
        keeping.speaking(tmp_path, engine) as server,
        keeping.reopened(tmp_path, server, engine) as other,
    ):
        await keeping.ask(server)
        assert [keeping.found(await keeping.ask(each)) for each in (server, other)] == ["hit", "hit"]
        await purge(server, "voice")
        assert keeping.found(await keeping.ask(other)) == "miss"


async def test_those_who_wait_are_not_given_what_was_purged(tmp_path: Path) -> None:
    gate = Halt(1)
    engine = held_up(gate)
    async with keeping.speaking(tmp_path, engine) as server:
        waiting = asking(server, 2)
        await gate.is_there.wait()
        await purge(server, "voice")
        gate.goes_on.set()
        answers = await asyncio.gather(*waiting)
    assert [keeping.found(answer) for answer in answers] == ["miss", "miss"]
    assert len(engine.jobs) == 2


@each_row("what", ["voice", "everybody's voice", "lexicon", "account"])
@simulated
async def test_a_worker_that_had_not_heard_of_it_yet_is_purged_once_more(tmp_path: Path, what: str) -> None:
    async with keeping.speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        await purge(server, what)
        await keeping.ask(server, lexicon=WORDS)
        await keeping.landed(tmp_path)
        assert len(keeping.stored(tmp_path)) == 1
        (again,) = keeping.cache_of(server)._second_purges
        await again
        assert not keeping.stored(tmp_path)


async def test_closing_an_account_deletes_what_it_heard(tmp_path: Path) -> None:
    async with keeping.speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        await keeping.ask(server)
        await keeping.ask(server, secret=await keeping.other_account(server))
        await keeping.landed(tmp_path)
        assert len(keeping.stored(tmp_path)) == 2
        assert (await server.administer("DELETE", "accounts/bob")).status_code == 200
        assert len(keeping.stored(tmp_path)) == 1
        assert keeping.found(await keeping.ask(server)) == "hit"


async def test_deleting_a_cast_deletes_what_only_one_of_it_said(tmp_path: Path) -> None:
    body = {"name": "duo", "cast": {"Ana": "ana", "Ben": "ben"}}
    async with keeping.speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        made = await server.ask("POST", "/v1/voices", body=body)
        assert made.status_code == 200, made.text
        for voice, text in (("duo", "[Ana] Hello there."), ("ana", "Hello there.")):
            assert keeping.found(await keeping.ask(server, voice=voice, input=text)) == "miss"
        await keeping.landed(tmp_path)
        assert len(keeping.stored(tmp_path)) == 2
        assert (await server.ask("DELETE", f"/v1/voices/{made.json()['id']}")).status_code == 200
        assert len(keeping.stored(tmp_path)) == 1
        assert keeping.found(await keeping.ask(server)) == "hit"


async def test_a_lexicon_that_is_changed_takes_what_was_said_by_it_away(tmp_path: Path) -> None:
    async def put(spoken_as: str) -> None:
        words = {"words": {"there": spoken_as}}
        assert (await server.ask("PUT", "/v1/lexicons/en", body=words)).status_code == 200

    engine = Scripted(*spoken(0.5))
    async with keeping.speaking(tmp_path, engine) as server:
        assert keeping.found(await keeping.ask(server, input="No word of it.", lexicon="none")) == "miss"
        await put("dare")
        assert [keeping.found(await keeping.ask(server)) for _ in range(2)] == ["miss", "hit"]
        await put("thare")
        await keeping.landed(tmp_path)
        assert len(keeping.stored(tmp_path)) == 1
        assert [keeping.found(await keeping.ask(server)) for _ in range(2)] == ["miss", "hit"]
        assert keeping.found(await keeping.ask(server, input="No word of it.", lexicon="none")) == "hit"
    assert len(engine.jobs) == 3


async def test_a_folder_that_is_emptied_by_hand_is_only_empty(tmp_path: Path) -> None:
    async with keeping.speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        await keeping.ask(server)
        await keeping.landed(tmp_path)
        shutil.rmtree(tmp_path / "data" / "cache")
        assert [keeping.found(await keeping.ask(server)) for _ in range(2)] == ["miss", "hit"]


async def test_a_purge_that_comes_between_the_name_and_the_file_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = FileRecording.complete
    completed: list[str] = []

    async def complete_late(recording: FileRecording, tail: bytes = b"", name: str | None = None) -> None:
        await purge(server, "voice")
        await complete(recording, tail, name)
        completed.extend(path.name for path in keeping.stored(tmp_path) if not path.suffix)

    async with keeping.speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        monkeypatch.setattr(FileRecording, "complete", complete_late)
        assert keeping.found(await keeping.ask(server)) == "miss"
        await asyncio.to_thread(until, lambda: not keeping.cache_of(server)._landing_tasks)
        assert len(completed) == 1
        assert not keeping.stored(tmp_path)
        monkeypatch.undo()
        assert [keeping.found(await keeping.ask(server)) for _ in range(2)] == ["miss", "hit"]


async def test_a_clip_that_is_read_again_during_a_purge_is_not_given_out_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = BoundedFolder.remove
    during: list[str] = []

    async def remove_late(folder: BoundedFolder, names: Collection[DiskName]) -> None:
        during.extend([keeping.found(await keeping.ask(server)) for _ in range(2)])
        await remove(folder, names)

    async with keeping.speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        await keeping.ask(server)
        await keeping.landed(tmp_path)
        monkeypatch.setattr(BoundedFolder, "remove", remove_late)
        await purge(server, "voice")
        assert during == ["hit", "hit"]
        assert keeping.found(await keeping.ask(server)) == "miss"


@simulated
async def test_a_file_that_could_not_be_removed_is_removed_by_the_second_purge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = BoundedFolder.remove
    failures = [OSError(errno.EIO, "Input/output error")]

    async def fail_once(folder: BoundedFolder, names: Collection[DiskName]) -> None:
        if failures:
            raise failures.pop()
        await remove(folder, names)

    async with keeping.speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        await keeping.ask(server)
        await keeping.landed(tmp_path)
        monkeypatch.setattr(BoundedFolder, "remove", fail_once)
        await purge(server, "voice")
        assert len(keeping.stored(tmp_path)) == 1
        (again,) = keeping.cache_of(server)._second_purges
        await again
        assert not keeping.stored(tmp_path)
        assert keeping.found(await keeping.ask(server)) == "miss"


async def test_without_the_index_requests_are_spoken_as_if_there_were_no_cache(tmp_path: Path) -> None:
    async def rename(old: str, new: str) -> None:
        await server.worker.store.write(Statement(f"ALTER TABLE {old} RENAME TO {new}"))

    engine = Scripted(*spoken(0.5))
    with structlog.testing.capture_logs() as logs:
        async with keeping.speaking(tmp_path, engine) as server:
            await rename("clips", "away")
            for _ in range(2):
                answer = await keeping.ask(server)
                assert (keeping.found(answer), len(answer.content)) == ("miss", RATE_HZ)
                await asyncio.to_thread(until, lambda: not keeping.cache_of(server)._landing_tasks)
            assert not keeping.stored(tmp_path)
            await purge(server, "voice")
            await rename("away", "clips")
            assert [keeping.found(await keeping.ask(server)) for _ in range(2)] == ["miss", "hit"]
    events = [line["event"] for line in logs if line["event"].startswith("cache")]
    assert events == ["cache.keep.failed", "cache.purge.failed"]


async def test_rows_whose_file_is_gone_are_forgotten_after_an_hour(tmp_path: Path) -> None:
    async def rows() -> int:
        (row,) = await server.worker.store.read("SELECT count(*) AS number FROM clips")
        return int(row["number"])

    async with keeping.speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        for voice in ("ana", "ben"):
            await keeping.ask(server, voice=voice)
        await asyncio.to_thread(until, lambda: not keeping.cache_of(server)._landing_tasks)
        gone, _ = keeping.stored(tmp_path)
        gone.unlink()
        await keeping.cache_of(server).tidy()
        assert await rows() == 2
        hour = Statement("UPDATE clips SET began = began - 3600000001")
        await server.worker.store.write(hour)
        await keeping.cache_of(server).tidy()
        assert await rows() == 1
        assert len(keeping.stored(tmp_path)) == 1


async def test_a_clip_that_was_swept_away_and_spoken_again_has_the_rows_of_its_last_recording(
    tmp_path: Path,
) -> None:
    async def recordings() -> list[str]:
        return [row["recording"] for row in await store.read("SELECT recording FROM clips ORDER BY began")]

    async with keeping.speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        store = server.worker.store
        for _ in range(3):
            assert keeping.found(await keeping.ask(server)) == "miss"
            await asyncio.to_thread(until, lambda: not keeping.cache_of(server)._landing_tasks)
            (path,) = keeping.stored(tmp_path)
            path.unlink()
        assert keeping.found(await keeping.ask(server)) == "miss"
        await asyncio.to_thread(until, lambda: not keeping.cache_of(server)._landing_tasks)
        *_, last = all_of_it = await recordings()
        assert len(all_of_it) == 4
        await store.write(Statement("UPDATE clips SET began = began - 3600000001"))
        await keeping.cache_of(server).tidy()
        assert await recordings() == [last]
        assert keeping.found(await keeping.ask(server)) == "hit"


async def test_a_clip_that_is_not_kept_leaves_no_rows(tmp_path: Path) -> None:
    leaves = asyncio.Event()
    gate = Halt(1)
    async with keeping.speaking(tmp_path, held_up(gate)) as server:
        left = asyncio.create_task(server.raw_speech({**keeping.BODY, "cache": True}, leaves))
        await gate.is_there.wait()
        leaves.set()
        await left
        await asyncio.to_thread(until, lambda: not keeping.cache_of(server)._landing_tasks)
        assert await server.worker.store.read("SELECT * FROM clips") == []
        assert not keeping.stored(tmp_path)
