"""The revision of a library: whatever changes a voice or a lexicon raises it, in its own commit."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from proxy import features, storage
from proxy.catalogue.voice_records import VoiceRecord
from proxy.features.erasure import tombstone_rows
from proxy.features.lexicons import records as lexicons
from proxy.features.own_voices import records as voices
from proxy.storage import accounts, library_revisions
from proxy.storage.store import Store
from proxy.storage.tombstones import Tombstone
from tests.features.own_voices.saving import add_cast

Change = Callable[[Store, VoiceRecord], Awaitable[object]]


async def changed(store: Store, voice: VoiceRecord) -> object:
    return await voices.update_voice(store, voice, msgspec.structs.replace(voice, description="new"))


def tombstone(voice: VoiceRecord) -> Tombstone:
    return Tombstone(subject=voice.id, account=voice.account or "", digests=(), began=1)


CHANGES: dict[str, Change] = {
    "a voice is added": lambda store, voice: add_cast(store, voice.account, "other"),
    "a voice is changed": changed,
    "a voice is deleted": lambda store, voice: voices.delete_voice(store, voice.id),
    "a voice is erased": lambda store, voice: tombstone_rows.erase_subject(store, tombstone(voice)),
}
OF_ACCOUNTS: dict[str, Change] = {
    "a lexicon is put": lambda store, voice: lexicons.put_lexicon(
        store, voice.account or "", "pt", {"Ana": "one"}, most=9
    ),
    "a lexicon is deleted": lambda store, voice: lexicons.delete_lexicon(store, voice.account or "", "en"),
    "the account is closed": lambda store, voice: accounts.close(store, voice.account or ""),
}
NO_CHANGES: dict[str, Change] = {
    "it spoke": lambda store, voice: voices.note_voices_used(store, [voice.id], 86_400_000_000),
}


async def cast_of(store: Store, is_operators: bool) -> VoiceRecord:
    account = await accounts.create(store, name="ada", plan="free")
    await lexicons.put_lexicon(store, account.id, "en", {"SQL": "sequel"}, most=9)
    owner = None if is_operators else account.id
    made = await add_cast(store, owner, "talk")
    assert made is not None
    return made


async def number(store: Store, account: str | None) -> int:
    owner = account or library_revisions.OPERATOR
    return (await library_revisions.read_revisions(store, [owner, "acc_nobody"])).get(owner, 0)


@pytest.mark.parametrize(
    ("what", "is_operators", "raises"),
    [
        *((what, False, True) for what in (*CHANGES, *OF_ACCOUNTS)),
        *((what, True, True) for what in CHANGES),
        ("it spoke", False, False),
        ("it spoke", True, False),
    ],
)
async def test_each_change_raises_the_number_of_its_library(
    store: Store, what: str, is_operators: bool, raises: bool
) -> None:
    voice = await cast_of(store, is_operators)
    before = await number(store, voice.account)
    await {**CHANGES, **OF_ACCOUNTS, **NO_CHANGES}[what](store, voice)
    assert await number(store, voice.account) == before + raises


async def test_the_numbers_of_many_libraries_are_one_query_and_nothing_is_no_number(store: Store) -> None:
    voice = await cast_of(store, is_operators=False)
    assert voice.account is not None
    names = [f"acc_{number}" for number in range(300)]
    assert await library_revisions.read_revisions(store, [*names, voice.account]) == {voice.account: 2}


def test_whoever_writes_a_voice_or_a_lexicon_raises_the_number() -> None:
    writes = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM) (voices|lexicons)\b")
    rooms = [Path(storage.__path__[0]), *Path(features.__path__[0]).iterdir()]
    texts = {f"{room.name}/{file.name}": file.read_text() for room in rooms for file in room.glob("*.py")}
    writers = {name for name, text in texts.items() if writes.search(text)}
    of_voices = {"own_voices/records.py", "own_voices/sample_words.py"}
    assert writers == {"lexicons/records.py", *of_voices, "storage/trained_models.py"}
    # What a table says of its rows' end is carried out there.
    raising = writers | {"storage/accounts.py", "erasure/tombstone_rows.py"}
    assert all("library_revisions.raise_" in texts[name] for name in raising)
