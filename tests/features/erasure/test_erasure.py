"""An erased voice: its streams end, and nothing that is derived of it is given again, or kept."""

import asyncio
from pathlib import Path

import pytest

from proxy.catalogue.library import AccountLibrary
from proxy.errors import NotFound
from proxy.features.erasure import tombstone_rows
from proxy.features.vault.idempotency import Idempotency
from proxy.file_store.vault import Vault
from proxy.speech.recent_plans import RecentPlans
from proxy.storage import tombstones
from proxy.storage.store import StorageFailed
from proxy.storage.tombstones import Tombstone
from speech_engine import Finished, Started
from tests.features.cache.keeping import cache_of
from tests.features.erasure import erasing
from tests.features.erasure.erasing import (
    Told,
    add_voice,
    answers,
    body,
    erase,
    erasure_of,
    indexed,
    speaking,
)
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.scripted import Halt, Scripted, sound, spoken
from tests.proxy.file_store import owned
from tests.proxy.speech.relay.test_loudness_levels import candidate


async def ask(server: Inside, voice: str, key: str | None = None, **more: object) -> int:
    headers = {} if key is None else {"idempotency-key": key}
    answer = await server.ask("POST", "/v1/audio/speech", body=body(voice, **more), **headers)
    return answer.status_code


async def test_a_stream_ends_at_its_next_chunk_and_what_was_heard_is_charged(tmp_path: Path) -> None:
    heard, may_go_on = asyncio.Event(), asyncio.Event()
    engine = Scripted(Started(24_000), *sound(1.0), may_go_on.wait, *sound(1.0), Finished())
    async with speaking(tmp_path, engine) as server:
        record = await add_voice(server)

        async def note(message: object) -> None:
            del message
            heard.set()

        stream = asyncio.create_task(server.raw_speech(body(record.id, cache=False), on_sent=note))
        await heard.wait()
        told = Told(server)
        erasing_ = asyncio.create_task(erase(server, record))
        await told.was_told.wait()
        may_go_on.set()
        receipt = await erasing_
        sent = await stream
        # Broken off, as by any failure after the headers.
        assert all(message.get("more_body", True) for message in sent)
        assert receipt.completed is not None
        (row,) = await server.usage()
        assert (row.outcome, row.error) == ("failed", "voice_not_found")
        assert 0 < row.samples <= 48_000
        assert row.credits > 0
        assert engine.open == 0


async def test_nobody_can_use_it_and_a_second_erasure_finds_nothing(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.2))) as server:
        record = await add_voice(server)
        assert await ask(server, record.id) == 200
        await erase(server, record)
        answer = await server.ask("POST", "/v1/audio/speech", body=body(record.id))
        unknown = await server.ask("POST", "/v1/audio/speech", body=body("voice_" + "0" * 24))
        assert answer.status_code == unknown.status_code == 400
        assert envelope(answer)["code"] == envelope(unknown)["code"] == "voice_not_found"
        with pytest.raises(NotFound):
            await erase(server, record)


async def test_its_clips_and_kept_answers_are_gone_and_others_stay(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.2))) as server:
        record, other = await add_voice(server), await add_voice(server, "another")
        for voice in (record, other):
            for key in (voice.id, f"{voice.id} again"):
                assert await ask(server, voice.id, key=key) == 200
                await erasing.stored(tmp_path, 1 if voice is record else 2)
        assert len(answers(tmp_path)) == 4
        assert "<Memory of 2 clips" in repr(cache_of(server))
        receipt = await erase(server, record)
        assert "<Memory of 0 clips" in repr(cache_of(server))
        assert receipt.completed is not None
        assert (len(answers(tmp_path)), len(erasing.sound(tmp_path))) == (2, 1)
        assert await indexed(server, record.id) == 0
        assert await ask(server, record.id, key=record.id) == 400
        assert await ask(server, other.id, key=other.id) == 200


async def test_a_recording_under_way_is_not_kept(tmp_path: Path) -> None:
    halt = Halt()
    engine = Scripted(Started(24_000), *sound(0.3), halt, Finished())
    async with speaking(tmp_path, engine) as server:
        record = await add_voice(server)
        headers = {"idempotency-key": "order-1"}
        stream = asyncio.create_task(server.raw_speech(body(record.id), headers=headers))
        await halt.is_there.wait()
        told = Told(server)
        erasing_ = asyncio.create_task(erase(server, record))
        await told.was_told.wait()
        halt.goes_on.set()
        await erasing_
        assert all(message.get("more_body", True) for message in await stream)
    # The worker has ended, and with it whatever is done behind an answer.
    assert (answers(tmp_path), erasing.sound(tmp_path)) == ([], [])


async def test_a_step_that_fails_is_done_later(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.2))) as server:
        record, erasure = await add_voice(server), erasure_of(server.worker)
        things, is_broken = erasure.derived_data, True

        class Files:
            async def remove_voice(self, voice: str, *, is_late: bool) -> None:
                del voice, is_late
                if is_broken:
                    raise StorageFailed("broken by the test")

        erasure.derived_data = things._replace(files=(*things.files, Files()))
        receipt = await erase(server, record)
        assert (receipt.completed, receipt.pending) == (None, ("files",))
        assert erasure in server.worker.task_kinds, "nobody would do it later"
        (again,) = await erasure.finish_interrupted()
        assert again.pending == ("files",)
        is_broken = False
        (last,) = await erasure.finish_interrupted()
        assert (last.pending, last.completed is None) == ((), False)
        assert await erasure.finish_interrupted() == []
        assert await tombstones.get(erasure._store, server.account.id, record.id) == last
        assert await tombstones.get(erasure._store, "acc_other", record.id) is None


async def test_a_closed_account_takes_all_with_it(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.2))) as server:
        store, account = server.worker.store, server.account.id
        vault = server.worker.open_features.context.find(Vault)
        digests = [await vault.put(account, bytes([number]) * 1000) for number in range(3)]
        voice = await owned.add_voice(store, account, digests[0], digests[1])
        consent = await owned.add_consent(store, account, digests[2])
        other = await vault.put("acc_other", bytes(1000))
        await owned.add_voice(store, "acc_other", other)
        answer = await server.administer("DELETE", f"accounts/{account}")
        assert answer.status_code == 200
        assert {each.subject for each in await tombstone_rows.list_since(store, 0)} == {voice, consent}
        # A step may have to be done again: the log of a database that is being read cannot be emptied.
        async with asyncio.timeout(30):
            while any(each.pending for each in await erasure_of(server.worker).finish_interrupted()):
                pass
        assert all(each.completed for each in await tombstone_rows.list_since(store, 0))
        assert not (tmp_path / "data" / "voices" / account).exists()
        assert await vault.open("acc_other", other) == bytes(1000)


async def test_what_another_server_has_erased_is_not_kept_before_this_one_knows(tmp_path: Path) -> None:
    """Its tombstone is in the database, and nothing of it in this server's memory."""
    halt = Halt()
    engine = Scripted(Started(24_000), *sound(0.3), halt, Finished())
    async with speaking(tmp_path, engine) as server:
        record = await add_voice(server)
        headers = {"idempotency-key": "order-1"}
        stream = asyncio.create_task(server.raw_speech(body(record.id), headers=headers))
        await halt.is_there.wait()
        tombstone = Tombstone(subject=record.id, account=server.account.id, digests=(), began=1)
        assert await tombstone_rows.erase_subject(server.worker.store, tombstone)
        halt.goes_on.set()
        sent = await stream
        assert not sent[-1]["more_body"]
        # Both rows of a kept answer would say that it is whole.
        (row,) = await server.usage()
        assert row.outcome == "finished"
        later = await server.raw_speech(body(record.id), headers=headers)
        assert b"x-voxgate-replayed" not in dict(later[0]["headers"])
        assert await indexed(server, record.id) == 0
    assert (answers(tmp_path), erasing.sound(tmp_path)) == ([], [])


async def test_a_kept_answer_is_not_given_again_once_its_voice_has_a_tombstone(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.2))) as server:
        record, headers = await add_voice(server), {"idempotency-key": "order-1"}
        await server.raw_speech(body(record.id), headers=headers)
        again = await server.raw_speech(body(record.id), headers=headers)
        assert b"x-voxgate-replayed" in dict(again[0]["headers"])
        tombstone = Tombstone(subject=record.id, account=server.account.id, digests=(), began=1)
        assert await tombstone_rows.erase_subject(server.worker.store, tombstone)
        last = await server.raw_speech(body(record.id), headers=headers)
        assert b"x-voxgate-replayed" not in dict(last[0]["headers"])
        await server.worker.open_features.context.find(Idempotency).answers.sweep()
        assert answers(tmp_path) == []


async def test_no_worker_remembers_a_library_that_has_the_voice(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        gone, other = await add_voice(server), await add_voice(server, "another name")
        for voice in (gone, other):
            answer = await server.ask("POST", "/v1/audio/speech", body=body(voice.id))
            assert answer.status_code == 200, answer.text
        plain = {"model": "gpt-4o-mini-tts", "voice": "ana", "input": "Hello."}
        assert (await server.ask("POST", "/v1/audio/speech", body=plain)).status_code == 200
        (plans,) = [
            memory
            for memory in erasure_of(server.worker).derived_data.memories
            if isinstance(memory, RecentPlans)
        ]

        def libraries() -> list[AccountLibrary]:
            return [own for recent in plans._recent.values() if (own := recent.own()) is not None]

        assert any(library.saved(gone.id) for library in libraries())
        await erase(server, gone)
        assert not any(library.saved(gone.id) for library in libraries())


async def test_the_levels_of_voices_are_forgotten(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted()) as server:
        levels = server.worker.open_features.context.levels
        levels.loudness_level(candidate("one", "v"))
        await erase(server, await add_voice(server))
        assert len(levels._levels) == 0
