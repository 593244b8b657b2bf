"""Clones at providers as rows: one for a place, one holder at a time, and none for an erased voice."""

import asyncio

import pytest

from proxy.catalogue.voice_records import VoiceRecord
from proxy.features.clones import records
from proxy.features.clones.records import CloneRecord, CloneTask
from proxy.features.erasure import tombstone_rows
from proxy.features.own_voices import records as voices
from proxy.storage import accounts
from proxy.storage.schema import installation_id
from proxy.storage.store import Store
from proxy.storage.tombstones import Tombstone
from tests.features.own_voices.saving import add_cast

HOUR_US = 3_600_000_000
PLACE = ("minimax", "default")
NAME = "voxgate-1a2b-3c4d"


@pytest.fixture
async def voice(store: Store) -> VoiceRecord:
    ada = await accounts.create(store, name="ada", plan="free")
    made = await add_cast(store, ada.id, "mine", {"Ben": "onyx"})
    assert made is not None
    return made


def task(voice: VoiceRecord, revision: int = 1, credential: str = "default") -> CloneTask:
    return CloneTask(
        voice=voice.id,
        account=voice.account or "",
        revision=revision,
        engine="minimax",
        credential=credential,
    )


async def wanted(store: Store, voice: VoiceRecord) -> CloneRecord:
    record = await records.add_task(store, task(voice))
    assert record is not None
    return record


async def taken(store: Store, record: CloneRecord) -> CloneRecord:
    found = await records.take(store, record, HOUR_US)
    assert found is not None
    return found


async def begun(store: Store, voice: VoiceRecord) -> CloneRecord:
    held = await taken(store, await wanted(store, voice))
    record = await records.write_request_name(store, held, NAME)
    assert record is not None
    return record


async def ready(store: Store, voice: VoiceRecord) -> CloneRecord:
    assert await records.store_clone(store, await begun(store, voice), "v1", None) == "kept"
    return await of(store, voice)


async def of(store: Store, voice: VoiceRecord) -> CloneRecord:
    (record,) = (await records.list_of_voices(store, [voice.id]))[voice.id]
    return record


async def erase(store: Store, voice: VoiceRecord) -> None:
    tombstone = Tombstone(
        subject=voice.id, account=voice.account or "", digests=(), began=await store.now(), pending=("hosts",)
    )
    assert await tombstone_rows.erase_subject(store, tombstone)


async def test_a_place_has_one_row_whoever_wants_it(store: Store, voice: VoiceRecord) -> None:
    found = await asyncio.gather(*(wanted(store, voice) for _ in range(8)))
    assert len({record.id for record in found}) == 1
    other = await records.add_task(store, task(voice, credential="studio"))
    assert other is not None
    listed = await records.list_of_voices(store, [voice.id, "voice_nobody"])
    assert {record.id for record in listed[voice.id]} == {found[0].id, other.id}
    assert (found[0].state, found[0].revision, found[0].account) == ("wanted", 1, voice.account)


async def test_a_clone_that_is_kept_is_ready(store: Store, voice: VoiceRecord) -> None:
    record = await begun(store, voice)
    assert await records.store_clone(store, record, "v1", None) == "kept"
    found = await of(store, voice)
    assert (found.state, found.engine_voice, found.lease, found.error) == ("ready", "v1", 0, "")
    assert found.made is not None
    assert await records.list_open(store, [PLACE], await store.now(), 10) == []


async def test_nothing_is_wanted_of_a_voice_that_is_gone(store: Store, voice: VoiceRecord) -> None:
    await erase(store, voice)
    assert await records.add_task(store, task(voice)) is None
    assert await records.has_no_copies(store, voice.id)


async def test_a_clone_that_ends_after_the_tombstone_is_doomed_and_known(
    store: Store, voice: VoiceRecord
) -> None:
    record = await begun(store, voice)
    await erase(store, voice)
    assert await records.list_open(store, [PLACE], await store.now(), 10) == []
    assert await records.store_clone(store, record, "v1", None) == "doomed"
    found = await records.get(store, record.id)
    assert found is not None
    assert (found.state, found.engine_voice) == ("doomed", "v1")
    assert not await records.has_no_copies(store, voice.id)
    assert await records.list_of_voices(store, [voice.id]) == {}


async def test_a_failure_after_the_tombstone_leaves_the_row_doomed_and_free(
    store: Store, voice: VoiceRecord
) -> None:
    record = await begun(store, voice)
    await erase(store, voice)
    await records.change_state(store, record, "making", due=7, tries=3, error="It was away.")
    found = await records.get(store, record.id)
    assert found is not None
    assert (found.state, found.lease, found.due, found.error) == ("doomed", 0, 0, "")


async def test_a_name_is_not_begun_after_the_tombstone(store: Store, voice: VoiceRecord) -> None:
    held = await taken(store, await wanted(store, voice))
    await erase(store, voice)
    assert await records.write_request_name(store, held, NAME) is None


async def test_doomed_rows_outlive_their_voice_until_they_are_removed(
    store: Store, voice: VoiceRecord
) -> None:
    await ready(store, voice)
    await erase(store, voice)
    assert await voices.get(store, None, voice.id) is None
    (left,) = await records.list_open(store, [PLACE], await store.now(), 10)
    assert (left.state, left.engine_voice) == ("doomed", "v1")
    await records.delete_row(store, await taken(store, left))
    assert await records.has_no_copies(store, voice.id)


async def test_a_failed_one_is_tried_again_under_its_name(store: Store, voice: VoiceRecord) -> None:
    await records.change_state(store, await begun(store, voice), "failed", tries=8, error="It was away.")
    assert (await of(store, voice)).error == "It was away."
    again = await wanted(store, voice)
    assert (again.state, again.name, again.tries, again.error) == ("making", NAME, 0, "")


async def test_a_lost_one_is_made_anew_under_another_name_only_if_the_wish_says_so(
    store: Store, voice: VoiceRecord
) -> None:
    first = await ready(store, voice)
    await records.change_state(store, first, "expired")
    assert (await wanted(store, voice)).id == first.id
    assert (await of(store, voice)).state == "expired"
    again = await records.add_task(store, task(voice), replaces_expired=True)
    assert again is not None
    assert (again.state, again.name) == ("wanted", "")
    old = await records.get(store, first.id)
    assert old is not None
    assert old.state == "doomed"


async def test_one_that_is_ready_stays_when_it_is_wanted_again(store: Store, voice: VoiceRecord) -> None:
    first = await ready(store, voice)
    assert await wanted(store, voice) == first
    assert await records.add_task(store, task(voice, revision=2), replaces_expired=True) == first


async def test_one_that_gives_way_says_so_and_its_copy_has_to_go(store: Store, voice: VoiceRecord) -> None:
    first = await ready(store, voice)
    await records.give_up_slot(store, first.id, "Another voice has its slot.")
    found = await of(store, voice)
    assert (found.state, found.error, found.engine_voice) == ("expired", "Another voice has its slot.", "")
    (left,) = await records.list_open(store, [PLACE], await store.now(), 10)
    assert (left.id, left.state, left.engine_voice) == (first.id, "doomed", "v1")


async def test_only_what_may_need_a_step_is_open(store: Store, voice: VoiceRecord) -> None:
    record = await ready(store, voice)
    now = await store.now()
    assert await records.list_open(store, [PLACE], now, 10) == []
    assert len(await records.list_open(store, [("minimax", "studio")], now, 10)) == 1
    assert len(await records.list_open(store, [], now, 10)) == 1
    await records.change_state(store, record, "stranded")
    assert await records.list_open(store, [], now, 10) == []
    assert len(await records.list_open(store, [PLACE], now, 10)) == 1


async def test_a_use_is_noted_and_moves_the_expiry_on(store: Store, voice: VoiceRecord) -> None:
    record = await begun(store, voice)
    expires = await store.now() + HOUR_US
    assert await records.store_clone(store, record, "v1", expires) == "kept"
    found = await of(store, voice)
    assert found.used is not None
    later = found.used + 60_000_000
    await records.note_uses(store, {("minimax", "default", "v1"): later, ("minimax", "studio", "v1"): 1})
    used = await of(store, voice)
    assert (used.used, used.expires) == (later, expires + 60_000_000)
    await records.note_uses(store, {("minimax", "default", "v1"): found.used})
    assert await of(store, voice) == used


async def test_a_database_has_one_name(store: Store) -> None:
    found = await asyncio.gather(*(installation_id(store, f"{number:08x}") for number in range(4)))
    assert len(set(found)) == 1
    assert await installation_id(store, "ffffffff") == found[0]
