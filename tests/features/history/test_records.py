"""The end of entries: by their owner, days, megabytes, an erased voice and a closed account."""

import asyncio
from pathlib import Path

import pytest

from proxy.audio.formats import USUAL_FORMS
from proxy.features.erasure.tombstone_rows import erase_subject
from proxy.features.history.records import SealedRequest
from proxy.features.history.writing import HistoryWriter, NewEntry
from proxy.storage.store import Statement
from proxy.storage.tombstones import Tombstone
from proxy.telemetry.metrics import Metrics
from tests.features.history.rig import (
    blobs,
    content,
    id_of,
    ids,
    keeping,
    listed,
    objects,
    retention_of,
    row_of,
    sound_of,
    speak,
    spoken,
    store_of,
)
from tests.proxy.api.inside import Inside
from tests.proxy.api.owning import clone, new_key
from tests.replies import json_of
from tests.waiting import soon

DAY_US = 86_400 * 1_000_000


async def aged(server: Inside, id_: str, days: float) -> None:
    created = await server.worker.store.now() - round(days * DAY_US)
    sql = "UPDATE history SET created = :created WHERE id = :id"
    await server.worker.store.write(Statement(sql, {"id": id_, "created": created}))


async def test_its_owner_deletes_one_or_those_of_a_filter(tmp_path: Path, store_url: str) -> None:
    async with keeping(tmp_path, store_url) as server:
        old, slow, new = [
            (await spoken(server, voice=voice))["id"] for voice in ("alloy", "tone/slow", "alloy")
        ]
        await aged(server, old, 3)
        since = "2026-01-01"
        assert await ids(server, f"?since={since}") == [new, slow, old]
        assert await ids(server, "?voice=tone/slow") == [slow]
        assert await ids(server, f"?until={since}") == []
        deleted = json_of(await server.ask("DELETE", f"/v1/history/{slow}"))
        assert deleted == {"id": slow, "object": "history.entry", "deleted": True}
        assert (await server.ask("DELETE", f"/v1/history/{slow}")).status_code == 404
        last = await spoken(server, voice="tone/slow")
        two = json_of(await server.ask("DELETE", "/v1/history?voice=alloy"))
        assert two == {"object": "history", "deleted": 2}
        assert await ids(server) == [last["id"]]
        assert json_of(await server.ask("DELETE", f"/v1/history?until={since}"))["deleted"] == 0
        assert json_of(await server.ask("DELETE", "/v1/history"))["deleted"] == 1
        assert (await blobs(server), objects(tmp_path)) == (0, 0)
        assert (await listed(server))["used_mb"] == 0


async def test_an_entry_ends_after_the_days_of_its_plan(tmp_path: Path, store_url: str) -> None:
    async with keeping(tmp_path, store_url) as server:
        old, young = [(await spoken(server))["id"] for _ in range(2)]
        await aged(server, old, 31)
        await aged(server, young, 29)
        retention, store = retention_of(server), server.worker.store
        for switch in ("suspended = 1", f"suspended = NULL, resumed = {await store.now()}"):
            await store.write(Statement(f"UPDATE accounts SET {switch}"))
            assert await retention.delete_old() == 0, "a suspended account loses nothing"
        await store.write(Statement("UPDATE accounts SET resumed = 1, plan = 'longer'"))
        assert await retention.delete_old() == 0
        await store.write(Statement("UPDATE accounts SET plan = 'metered'"))
        assert [await retention.delete_old(), await retention.delete_old()] == [1, 0]
        assert await ids(server) == [young]
        await store.write(Statement("UPDATE accounts SET plan = 'none'"))
        assert await retention.delete_old() == 1, "on this plan nothing is kept"
        assert (await blobs(server), objects(tmp_path)) == (0, 0)


async def test_above_an_accounts_megabytes_the_oldest_go(tmp_path: Path, store_url: str) -> None:
    async with keeping(tmp_path, store_url, section="[history]\naccount_mb = 1") as server:
        text = "A text that is long enough for a good part of a megabyte. " * 8
        kept = [(await spoken(server, text, response_format="pcm"))["id"]]
        size = (await listed(server))["used_mb"]
        assert 0.2 < size < 0.5
        for _ in range(4):
            kept.insert(0, (await spoken(server, text, response_format="pcm"))["id"])
        # An entry is there before others go for it, and a list reads its rows before their sum.
        most = int(1 / size)
        page = await soon(
            lambda: listed(server), lambda shown: shown["used_mb"] <= 1 and len(shown["data"]) == most
        )
        assert [each["id"] for each in page["data"]] == kept[:most]
        assert page["used_mb"] == pytest.approx(size * int(1 / size), rel=0.01)
        other = await new_key(server, "bob", "metered")
        assert (await listed(server, key=other))["used_mb"] == 0
        # An object goes after its row.
        await soon(lambda: objects(tmp_path), lambda left: left == most)
        assert await blobs(server) == most


async def test_of_an_erased_voice_nothing_is_left(tmp_path: Path, store_url: str) -> None:
    async with keeping(tmp_path, store_url) as server:
        voice = (await clone(server))["id"]
        of_voice = (await spoken(server, model="tone", voice=voice))["id"]
        cast = {"cast": {"Ana": voice, "Ben": "alloy"}}
        (await spoken(server, "[Ana] Hello. [Ben] Hello.", model="tone", voice=cast))["id"]
        other = (await spoken(server))["id"]
        before = objects(tmp_path)
        receipt = json_of(await server.ask("DELETE", f"/v1/audio/voices/{voice}"))
        assert receipt["deleted"] is True
        assert await ids(server) == [other]
        assert (await content(server, of_voice)).status_code == 404
        # Two sounds and one recording of the voice; its consent is by statement.
        assert objects(tmp_path) == before - 3
        assert await blobs(server) == 1


async def test_an_entry_is_not_written_after_its_voice_was_erased(tmp_path: Path, store_url: str) -> None:
    """Nor after its account was closed."""
    async with keeping(tmp_path, store_url) as server:
        store, history = server.worker.store, store_of(server)
        kept = await spoken(server)
        erased = Tombstone(
            subject="voice_gone", account=server.account.id, digests=(), began=await store.now(), pending=()
        )
        assert await erase_subject(store, erased)
        writer = HistoryWriter(history, Metrics().registry)
        for voices in (" voice_gone ", " clip_a voice_gone "):
            entry = row_of(server, voices=voices)
            sound = sound_of(writer, b"OggS" * 1000)
            writer.write_entry(NewEntry(entry, SealedRequest({"input": "Hi."}), sound, USUAL_FORMS["opus"]))
        await writer.aclose()
        assert await ids(server) == [kept["id"]]
        assert (await blobs(server), objects(tmp_path), writer.room.used_bytes) == (1, 1, 0)
        # Of two commits that did not see each other, the entry is found later: also after the first look.
        retention, sql = retention_of(server), "UPDATE history SET voices = ' voice_gone ' WHERE id = :id"
        for _ in range(2):
            late = row_of(server, created=await store.now())
            assert await history.add(late)
            await store.write(Statement(sql, {"id": late.id}))
            assert [await retention.delete_old(), await retention.delete_old()] == [1, 0]
        await server.administer("DELETE", "accounts/ada")
        entry = row_of(server)
        writer.write_entry(
            NewEntry(
                entry, SealedRequest({"input": "Hi."}), sound_of(writer, b"OggS" * 1000), USUAL_FORMS["opus"]
            )
        )
        await writer.aclose()
        assert await store.read("SELECT id FROM history") == []
        assert (await blobs(server), objects(tmp_path)) == (0, 0)


async def test_a_closed_account_leaves_nothing(tmp_path: Path, store_url: str) -> None:
    async with keeping(tmp_path, store_url) as server:
        other = await new_key(server, "bob", "metered")
        for _ in range(2):
            await spoken(server)
        body = {"model": "tts-1", "voice": "alloy", "input": "Bob.", "history": True}
        theirs = id_of(await server.ask("POST", "/v1/audio/speech", key=other, body=body))
        store = server.worker.store
        await soon(lambda: store.read("SELECT id FROM history"), lambda rows: len(rows) == 3)
        assert (await server.administer("DELETE", "accounts/ada")).is_success
        assert [row["id"] for row in await store.read("SELECT id FROM history")] == [theirs]
        assert await store.read("SELECT digest FROM blobs WHERE account <> ''") == await store.read(
            "SELECT digest FROM history"
        )
        assert objects(tmp_path) == 1


async def test_an_entry_outlives_its_usage(tmp_path: Path) -> None:
    async with keeping(tmp_path) as server:
        shown = await spoken(server)
        await server.worker.store.write(Statement("DELETE FROM usage"))
        (left,) = (await listed(server))["data"]
        none = {"credits": None, "refunded": None, "outcome": None}
        assert left == {name: value for name, value in shown.items() if name != "request"} | none


async def test_a_refund_is_shown(tmp_path: Path) -> None:
    async with keeping(tmp_path) as server:
        shown = await spoken(server)
        await server.worker.store.write(Statement("UPDATE usage SET refunded = credits"))
        (left,) = (await listed(server))["data"]
        assert left["refunded"] == shown["credits"] > 0


async def test_a_stop_waits_for_the_entries_under_way(tmp_path: Path) -> None:
    async with keeping(tmp_path) as server:
        answers = await asyncio.gather(*(speak(server, f"Number {number}.") for number in range(5)))
    async with keeping(tmp_path, name="bob") as again:
        rows = await again.worker.store.read("SELECT id FROM history")
    assert {row["id"] for row in rows} == {id_of(answer) for answer in answers}
