"""The library of an account: read once in five seconds, and at once after a change in this worker."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from policies.lexicon import EMPTY_LEXICON
from proxy.catalogue.library import EMPTY_LIBRARY, Library
from proxy.errors import InvalidRequest
from proxy.feature_list import open_store
from proxy.features.lexicons import records as lexicons
from proxy.features.lexicons.records import AccountWords
from proxy.features.own_voices import records as voices
from proxy.storage.accounts import Account
from proxy.storage.store import Statement
from tests.features.own_voices.saving import add_cast, saved
from tests.proxy.storage.watched import WatchedStore

SHARED = {"pt": {"Ana": "shared", "Rui": "shared"}}
A_LOOK = 1
"""How many queries it takes: the revisions alone, if nothing was saved."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[WatchedStore]:
    async with open_store("sqlite", tmp_path) as opened:
        yield WatchedStore(opened, 0)


@pytest.fixture
def library(store: WatchedStore) -> Library:
    return Library(store, saved(store), AccountWords(store), SHARED, store.monotonic)


async def add(store: WatchedStore, account: str | None, name: str) -> str:
    made = await add_cast(store, account, name)
    assert made is not None
    return made.id


async def test_an_account_has_its_own_first_and_ids_before_names(
    store: WatchedStore, ada: Account, library: Library
) -> None:
    everybodys = await add(store, None, "dialogue")
    own = await add(store, ada.id, "dialogue")
    tricky = await add(store, ada.id, everybodys)
    found = await library.get(ada.id)
    assert {voice.id for voice in found.listed} == {own, everybodys, tricky}
    assert found.listed[-1].id == everybodys
    assert [found.voices[name].id for name in ("dialogue", own, everybodys)] == [own, own, everybodys]
    assert found.voices[own].cast == (("Ana", "nova"),)
    nobody = await library.get("")
    assert [voice.id for voice in nobody.listed] == [everybodys]


async def test_its_lexicons_come_before_the_operators(
    store: WatchedStore, ada: Account, library: Library
) -> None:
    assert (await library.get(ada.id)).lexicon(None, "pt-BR").words == SHARED["pt"]
    await lexicons.put_lexicon(store, ada.id, "pt", {"Ana": "own"}, most=1)
    library.forget(ada.id)
    assert (await library.get(ada.id)).lexicon(None, "pt-BR").words == {"Ana": "own", "Rui": "shared"}
    assert (await library.get("")).lexicon(None, "pt").words == SHARED["pt"]


async def test_a_lexicon_that_nobody_has_is_refused_by_its_field(ada: Account, library: Library) -> None:
    for own in (await library.get(ada.id), EMPTY_LIBRARY):
        with pytest.raises(InvalidRequest) as caught:
            own.lexicon("x" * 500, "pt")
        assert (caught.value.param, caught.value.code) == ("lexicon", "lexicon_not_found")
        assert len(caught.value.message) < 200
    assert EMPTY_LIBRARY.lexicon(None, "pt") is EMPTY_LEXICON


async def test_a_library_is_looked_up_once_in_five_seconds(
    store: WatchedStore, ada: Account, library: Library
) -> None:
    await asyncio.gather(*(library.get(ada.id) for _ in range(100)))
    store.seconds = 4.9
    first = await library.get(ada.id)
    assert store.reads == A_LOOK
    await add(store, ada.id, "dialogue")
    assert (await library.get(ada.id)) is first
    store.seconds = 5.0
    assert [voice.name for voice in (await library.get(ada.id)).listed] == ["dialogue"]


async def test_a_library_that_is_forgotten_is_read_anew_at_once(
    store: WatchedStore, ada: Account, library: Library
) -> None:
    await library.get(ada.id)
    await library.get("")
    await add(store, None, "everybody's")
    library.forget(None)
    assert [len((await library.get(account)).listed) for account in (ada.id, "")] == [1, 1]
    await add(store, ada.id, "own")
    library.forget(ada.id)
    assert [len((await library.get(account)).listed) for account in (ada.id, "")] == [2, 1]


async def test_no_repr_shows_a_word(store: WatchedStore, ada: Account, library: Library) -> None:
    await lexicons.put_lexicon(store, ada.id, "pt", {"canary": "kanari"}, most=1)
    assert "canary" not in repr((library, await library.get(ada.id)))


async def test_words_are_put_together_again_only_where_one_has_changed(
    store: WatchedStore, ada: Account, library: Library
) -> None:
    async def after_a_while() -> object:
        store.seconds += 5
        return (await library.get(ada.id)).lexicon(None, "pt")

    await lexicons.put_lexicon(store, ada.id, "pt", {"Ana": "one"}, most=9)
    first = await after_a_while()
    await add(store, ada.id, "dialogue")
    assert await after_a_while() is first
    await lexicons.put_lexicon(store, ada.id, "pt", {"Ana": "two"}, most=9)
    second = await after_a_while()
    assert second is not first
    await lexicons.delete_lexicon(store, ada.id, "pt")
    await lexicons.put_lexicon(store, ada.id, "pt", {"Ana": "three"}, most=9)
    third = await after_a_while()
    assert "three" in (await library.get(ada.id)).lexicon(None, "pt").words.values()
    await lexicons.delete_lexicon(store, ada.id, "pt")
    assert await after_a_while() not in (first, second, third)


async def test_no_more_is_kept_than_there_is_room_for_and_the_oldest_goes_first(
    store: WatchedStore, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.catalogue.library._MOST_BYTES", 5500)
    library = Library(store, saved(store), AccountWords(store), {}, store.monotonic)
    await lexicons.put_lexicon(store, ada.id, "pt", {"Ana": "x" * 3500}, most=9)
    kept = await library.get(ada.id)
    for nobody in ("1", "2"):
        await library.get(nobody)
    reads = store.reads
    for nobody in ("1", "2"):
        await library.get(nobody)
    assert store.reads == reads
    assert await library.get(ada.id) is not kept
    assert (await library.get(ada.id)).lexicon(None, "pt").words["Ana"] == "x" * 3500
    assert repr(library).startswith("<Library 1 ")
    # One that is larger than all the room there is is kept all the same.
    monkeypatch.setattr("proxy.catalogue.library._MOST_BYTES", 1)
    library = Library(store, saved(store), AccountWords(store), {}, store.monotonic)
    kept = await library.get(ada.id)
    assert await library.get(ada.id) is kept


async def test_the_operators_voices_are_read_once_for_all_accounts(
    store: WatchedStore, ada: Account, library: Library
) -> None:
    for number in range(50):
        await add(store, None, f"stage {number}")
    store.long_reads = 0
    libraries = [await library.get(account) for account in (ada.id, "1", "2", "3")]
    assert store.long_reads == 1
    assert len({id(each.voices) for each in libraries}) == 1
    weight_of_four = library.weight
    for number in range(20):
        await library.get(f"other {number}")
    # What each account adds is its own part, and not the operator's once more.
    assert library.weight - weight_of_four < 50 * 20 * 100
    for store.seconds in (5.0, 10.0):
        assert [await library.get(account) for account in (ada.id, "1", "2", "3")] == libraries
    assert store.long_reads == 1
    await add(store, None, "new")
    store.seconds = 15.0
    assert len((await library.get(ada.id)).listed) == 51
    assert store.long_reads == 2


async def test_a_voice_of_the_operator_that_did_not_change_stays_the_same_object(
    store: WatchedStore, ada: Account, library: Library
) -> None:
    stage = await add(store, None, "stage")
    before = (await library.get(ada.id)).voices[stage]
    await add(store, None, "another")
    store.seconds = 5.0
    assert (await library.get(ada.id)).voices[stage] is before


async def test_many_accounts_in_use_cost_few_queries_and_each_sees_changes_in_time(
    store: WatchedStore, ada: Account, library: Library
) -> None:
    others = [str(number) for number in range(200)]
    for store.seconds in (0.0, 1.0):
        libraries = [await library.get(account) for account in (ada.id, *others)]
    reads = store.reads
    await add(store, ada.id, "mine")
    store.seconds = 5.0
    again = [await library.get(account) for account in (*others, ada.id)]
    # The revisions of all in one query, and the voices and lexicons of the one that changed.
    assert store.reads == reads + 3
    assert again[:-1] == libraries[1:]
    assert [voice.name for voice in again[-1].listed] == ["mine"]


async def test_the_own_come_before_very_many_of_the_operators_without_a_copy_of_them(
    store: WatchedStore, ada: Account, library: Library
) -> None:
    for number in range(30):
        await add(store, None, f"stage {number}")
    own = await add(store, ada.id, "stage 7")
    found = await library.get(ada.id)
    assert found.voices["stage 7"].id == own
    assert found.voices["stage 8"].account is None
    assert "nobody" not in found.voices
    assert found.saved(own) is not None
    more = found.with_voice(found.voices["stage 8"])
    assert more.listed[0].name == "stage 8"
    assert len(more.own.listed) == 2


async def test_an_operator_with_more_than_the_bound_leaves_room_for_accounts(
    store: WatchedStore, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.catalogue.library._MOST_BYTES", 8000)
    library = Library(store, saved(store), AccountWords(store), {}, store.monotonic)
    for number in range(20):
        await add(store, None, f"stage {number}")
    for account in ("1", "2", "3"):
        assert len((await library.get(account)).listed) == 20
    assert repr(library).startswith("<Library 2 accounts kept")


async def test_a_voice_that_came_and_went_between_two_looks_costs_one_look(
    store: WatchedStore, ada: Account, library: Library
) -> None:
    await add(store, ada.id, "mine")
    before = await library.get(ada.id)
    gone = await add(store, ada.id, "gone")
    await voices.delete_voice(store, gone)
    looks = []
    for _ in range(3):
        store.seconds += 6.0
        reads = store.reads
        assert await library.get(ada.id) is before
        looks.append(store.reads - reads)
    assert looks == [3, 1, 1]


async def test_a_change_without_a_revision_is_seen_in_a_minute_on_a_shared_database(
    store: WatchedStore, ada: Account
) -> None:
    """As a server of a version before revisions makes it, on the database of one that is upgraded already."""
    store.is_shared = True
    library = Library(store, saved(store), AccountWords(store), {}, store.monotonic)
    assert not (await library.get(ada.id)).listed
    await add(store, ada.id, "mine")
    await add(store, None, "stage")
    await lexicons.put_lexicon(store, ada.id, "pt", {"Ana": "one"}, most=1)
    await store.write(Statement("DELETE FROM library_revisions"))
    store.seconds = 60.0
    first = await library.get(ada.id)
    assert {voice.name for voice in first.listed} == {"mine", "stage"}
    assert first.lexicon(None, "pt").words == {"Ana": "one"}
    store.seconds = 120.0
    assert await library.get(ada.id) is first
    tables = ("voices", "lexicons")
    await store.write(*(Statement(f"DELETE FROM {table}") for table in tables))
    store.seconds = 180.0
    assert not (await library.get(ada.id)).listed
    assert not (await library.get(ada.id)).has_lexicons


async def test_many_accounts_on_a_shared_database_do_not_wait_for_one_another(store: WatchedStore) -> None:
    store.is_shared = True
    library = Library(store, saved(store), AccountWords(store), {}, store.monotonic)
    for number in range(100):
        await library.get(str(number))
    store.seconds, reads = 60.0, store.reads
    await library.get("0")
    assert store.reads - reads == 3
