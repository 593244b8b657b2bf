"""The index of the audio cache: what a purge takes away, and what becomes of a recording under way."""

from collections.abc import Iterable

import pytest
from structlog.testing import capture_logs

from proxy.features.cache import records as clips
from proxy.features.cache.records import ClipOwner
from proxy.features.erasure import tombstone_rows
from proxy.storage.store import Statement, Store
from proxy.storage.tombstones import Tombstone

pytestmark = pytest.mark.both_stores

FOLDER = "here"


async def add(
    store: Store,
    name: str,
    account: str = "ada",
    voices: Iterable[str] = ("ana",),
    *,
    has_lexicon: bool = False,
    folder: str = FOLDER,
) -> str:
    """A recording that has its name."""
    recording = f"rec_{name}"
    await clips.add(
        store,
        recording,
        ClipOwner(account, frozenset(voices), has_lexicon),
        folder,
    )
    assert await clips.give_name(store, recording, name)
    return recording


async def left(store: Store) -> list[str]:
    return sorted(clip.name for clip in await clips.list_folder(store, FOLDER))


async def several(store: Store) -> None:
    await add(store, "a")
    await add(store, "b", voices=("ben",))
    await add(store, "duo", voices=("ana", "ben"))
    await add(store, "words", has_lexicon=True, voices=("ben",))
    await add(store, "bobs", "bob")
    await add(store, "bobs_words", "bob", ("ben",), has_lexicon=True)


@pytest.mark.parametrize(
    ("account", "purged"), [("ada", {"a", "duo"}), (None, {"a", "duo", "bobs"}), ("nobody", set())]
)
async def test_a_voice_takes_all_that_it_spoke_in(
    store: Store, account: str | None, purged: set[str]
) -> None:
    await several(store)
    before = await left(store)
    assert await clips.purge_voice(store, account, "ana") == purged
    assert await left(store) == sorted(set(before) - purged)


async def test_lexicons_take_what_their_account_heard_by_any(store: Store) -> None:
    await several(store)
    assert await clips.purge_lexicons(store, "ada") == {"words"}
    assert await left(store) == ["a", "b", "bobs", "bobs_words", "duo"]


async def test_an_account_takes_its_own(store: Store) -> None:
    await several(store)
    assert await clips.purge_account(store, "ada") == {"a", "b", "duo", "words"}
    assert await left(store) == ["bobs", "bobs_words"]


async def test_a_recording_that_a_purge_overtook_gets_no_name(store: Store) -> None:
    await clips.add(store, "rec_1", ClipOwner("ada", frozenset({"ana"}), has_lexicon=False), FOLDER)
    assert await clips.is_there(store, "rec_1")
    assert await clips.purge_voice(store, "ada", "ana") == set()
    assert not await clips.give_name(store, "rec_1", "a")
    assert not await clips.is_there(store, "rec_1")
    assert await left(store) == []


async def test_two_recordings_of_one_name_are_purged_apart(store: Store) -> None:
    await clips.add(store, "rec_1", ClipOwner("ada", frozenset({"ana"}), has_lexicon=False), FOLDER)
    await clips.purge_account(store, "ada")
    second = await add(store, "a")
    assert not await clips.give_name(store, "rec_1", "a")
    assert await clips.is_there(store, second)


async def test_folders_of_several_machines_are_told_apart_and_purged_together(store: Store) -> None:
    await add(store, "mine")
    await add(store, "theirs", folder="there")
    assert await left(store) == ["mine"]
    assert await clips.purge_account(store, "ada") == {"mine", "theirs"}


async def test_a_recording_that_is_forgotten_is_gone_and_the_rest_stays(store: Store) -> None:
    recordings = [await add(store, f"clip_{number}") for number in range(3)]
    await clips.forget(store, [*recordings[:2], *(f"rec_{number}" for number in range(300))])
    await clips.forget(store, [])
    assert await left(store) == ["clip_2"]


@pytest.mark.parametrize("moment", ["before it begins", "before it has a name", "before it is there"])
async def test_nothing_of_an_erased_voice_is_kept(store: Store, moment: str) -> None:
    tombstone = Tombstone(subject="voice_ana", account="ada", digests=(), began=1)

    async def erase_at(now: str) -> None:
        if now == moment:
            assert await tombstone_rows.erase_subject(store, tombstone)

    owner = ClipOwner("ada", frozenset({"voice_ana", "ben"}), has_lexicon=False)
    await erase_at("before it begins")
    await clips.add(store, "rec", owner, FOLDER)
    await erase_at("before it has a name")
    assert await clips.give_name(store, "rec", "name") == (moment == "before it is there")
    await erase_at("before it is there")
    assert not await clips.is_there(store, "rec")
    assert (await left(store) == []) == (moment == "before it begins")


async def test_a_purge_goes_part_by_part(store: Store) -> None:
    """Each recording has as many voices as a cast may have."""
    voices = [f"voice {number}" for number in range(16)]
    insert = "INSERT INTO clips VALUES (:recording, :voice, 'ada', 1, 'here', :name, 1)"
    for number in range(70):
        row = {"recording": f"rec_{number}", "name": f"clip_{number}"}
        await store.write(*(Statement(insert, {**row, "voice": voice}) for voice in voices))
    await add(store, "other", "bob", voices)
    with capture_logs() as logs:
        assert len(await clips.purge_voice(store, "ada", "voice 3")) == 70
        assert await left(store) == ["other"]
    assert [log for log in logs if log["event"] == "commit.held" and log["rows"] > 500] == []
