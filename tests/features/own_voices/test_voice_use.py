"""The note of voices that spoke, on a store without a server: each once a day, and what failed once more."""

from contextlib import suppress

import pytest

from policies.routing import Voice
from proxy.catalogue.voice_records import DAY_US
from proxy.features.own_voices import records as voices
from proxy.features.own_voices.retention import VoiceUse
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Row, Statement, StorageFailed
from proxy.storage.turns import MOST_ROWS
from tests.proxy.file_store.owned import add_voice
from tests.proxy.storage.notes import migrated


class CountedStore(SqliteStore):
    """A store that counts what is written to it, and fails while it is away, or does not know the time."""

    writes = most_statements = 0
    is_away = False
    has_clock = True

    async def now(self) -> int:
        if not self.has_clock:
            raise StorageFailed("no clock")
        return await super().now()

    async def write(self, *statements: Statement) -> list[list[Row]]:
        if self.is_away:
            raise StorageFailed("away")
        self.writes += 1
        self.most_statements = max(self.most_statements, len(statements))
        return await super().write(*statements)


store = migrated(CountedStore)


async def used(store: CountedStore, id_: str) -> int | None:
    record = await voices.get(store, None, id_)
    assert record is not None
    return record.used


async def test_both_voices_of_a_mix_have_spoken_and_a_name_of_the_operator_has_not(
    store: CountedStore,
) -> None:
    one, two = await add_voice(store, "acc_a"), await add_voice(store, "acc_a")
    use = VoiceUse(store)
    use.note_voice(Voice(id="alloy", name="alloy"))
    assert not use._ids
    use.note_voice(Voice(id="mix", name="mix", mix=((one, 1.0), (two, 2.0))))
    await use.write_uses()
    now = await store.now()
    assert [await used(store, id_) for id_ in (one, two)] == [now - now % DAY_US] * 2


async def test_a_voice_is_written_once_a_day_and_what_failed_with_the_next_note(store: CountedStore) -> None:
    one, two = await add_voice(store, "acc_a"), await add_voice(store, "acc_a")
    use = VoiceUse(store)
    use.note_voice(Voice(id="mix", name="mix", mix=((one, 1.0),)))
    store.is_away = True
    with pytest.raises(StorageFailed):
        await use.write_uses()
    assert await used(store, one) is None
    store.is_away, store.writes = False, 0
    await use.write_uses()
    assert (await used(store, one) is not None, store.writes) == (True, 1)
    for _ in range(3):
        await use.write_uses()
        use.note_voice(Voice(id="mix", name="mix", mix=((one, 1.0),)))
    assert (await used(store, one) is not None, store.writes) == (True, 1)
    use.note_voice(Voice(id="mix", name="mix", mix=((two, 1.0),)))
    await use.write_uses()
    assert (await used(store, two) is not None, store.writes) == (True, 2)


async def test_many_voices_are_noted_in_several_commits(store: CountedStore) -> None:
    use = VoiceUse(store)
    use.note_voice(Voice(id="mix", name="mix", mix=tuple((f"voc_{each}", 1.0) for each in range(1200))))
    store.writes = 0
    await use.write_uses()
    assert (store.writes, store.most_statements) == (3, MOST_ROWS)


async def test_a_voice_that_spoke_is_noted_after_the_database_did_not_tell_the_time(
    store: CountedStore,
) -> None:
    """It would be erased as unused."""
    one = await add_voice(store, "acc_a")
    use = VoiceUse(store)
    use.note_voice(Voice(id="mix", name="mix", mix=((one, 1.0),)))
    store.has_clock = False
    with suppress(StorageFailed):
        await use.write_uses()
    store.has_clock = True
    await use.write_uses()
    assert await used(store, one) is not None


async def test_a_voice_ends_so_many_days_after_it_was_made_or_last_spoke(store: CountedStore) -> None:
    record = await voices.get(store, None, await add_voice(store, "acc_a"))
    assert record is not None
    assert (record.created, record.used) == (1, None)
    assert record.ends_at(30) == 1 + 30 * DAY_US
    await store.write(Statement("UPDATE voices SET used = :day, created = 5", {"day": 7 * DAY_US}))
    record = await voices.get(store, None, record.id)
    assert record is not None
    # It may have spoken at the end of that day.
    assert record.ends_at(30) == 38 * DAY_US
