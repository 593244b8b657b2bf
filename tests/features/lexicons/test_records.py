"""Lexicons as rows: replaced whole, counted, and each account's own."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import NotAllowed
from proxy.features.lexicons import records as lexicons
from proxy.storage import accounts, audit, schema
from proxy.storage.accounts import Account
from proxy.storage.audit import Act
from proxy.storage.rows import encode_json
from proxy.storage.store import MissingReference, Params, Row, Statement, Store
from tests.proxy.storage.notes import open_bare

pytestmark = pytest.mark.both_stores


def act(account: Account, action: str, number: int) -> Act:
    return Act(id=f"aud_{number}", at=number, actor="x", action=action, subject="pt", account=account.id)


async def test_a_lexicon_is_kept_and_replaced_whole(store: Store, ada: Account) -> None:
    first = await lexicons.put_lexicon(store, ada.id, "pt", {"Ana": "Âna", "ไทย": "thai"}, most=2)
    again = await lexicons.put_lexicon(store, ada.id, "pt", {"Rui": "hui"}, most=1)
    assert first is not None
    assert again is not None
    assert (first.revision, again.revision) == (1, 2)
    assert (first.size, again.size) == (2, 1)
    stored = await lexicons.get_lexicon(store, ada.id, "pt")
    assert stored is not None
    assert (stored.words, stored.size, stored.revision) == ({"Rui": "hui"}, 1, 2)
    assert await lexicons.get_lexicon(store, ada.id, "PT") is None


async def test_an_accounts_lexicons_are_its_own_and_by_name(store: Store, ada: Account) -> None:
    bob = await accounts.create(store, name="bob", plan="free")
    for account, name in ((ada, "th"), (ada, "en"), (bob, "en")):
        await lexicons.put_lexicon(store, account.id, name, {name: account.name}, most=9)
    assert [(each.name, each.size) for each in await lexicons.list_of_account(store, ada.id)] == [
        ("en", 1),
        ("th", 1),
    ]
    assert await lexicons.delete_lexicon(store, ada.id, "en")
    assert not await lexicons.delete_lexicon(store, ada.id, "en")
    assert [each.name for each in await lexicons.list_of_account(store, bob.id)] == ["en"]


async def test_an_account_has_no_more_of_them_than_it_may(store: Store, ada: Account) -> None:
    made = await asyncio.gather(
        *(lexicons.put_lexicon(store, ada.id, f"l{number}", {"a": "b"}, most=3) for number in range(8))
    )
    assert sum(record is not None for record in made) == 3
    assert len(await lexicons.list_of_account(store, ada.id)) == 3


async def test_words_that_are_added_at_the_same_time_all_stay(store: Store, ada: Account) -> None:
    added = {f"word {number}": "said" for number in range(4)}
    of_account = lexicons.AccountWords(store)
    await asyncio.gather(*(of_account.add_words(ada.id, "pt", {word: said}) for word, said in added.items()))
    stored = await lexicons.get_lexicon(store, ada.id, "pt")
    assert stored is not None
    assert (stored.words, stored.revision) == (added, 4)


async def test_a_lexicon_that_is_deleted_meanwhile_gets_the_new_words_alone(
    store: Store, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lexicons.put_lexicon(store, ada.id, "pt", {"old": "said"}, most=9)
    put, left = lexicons.put_lexicon, [True]

    async def deleting_first(*row: Any, **more: Any) -> Any:
        if left:
            left.clear()
            assert await lexicons.delete_lexicon(store, ada.id, "pt")
        return await put(*row, **more)

    monkeypatch.setattr(lexicons, "put_lexicon", deleting_first)
    await lexicons.AccountWords(store).add_words(ada.id, "pt", {"new": "said"})
    stored = await lexicons.get_lexicon(store, ada.id, "pt")
    assert stored is not None
    assert stored.words == {"new": "said"}


async def test_a_full_lexicon_takes_no_more_words(
    store: Store, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexicons, "MOST_WORDS", 1)
    await lexicons.put_lexicon(store, ada.id, "pt", {"old": "said"}, most=9)
    with pytest.raises(NotAllowed, match="no room"):
        await lexicons.AccountWords(store).add_words(ada.id, "pt", {"new": "said"})
    stored = await lexicons.get_lexicon(store, ada.id, "pt")
    assert stored is not None
    assert (stored.words, stored.revision) == ({"old": "said"}, 1)


async def test_a_lexicon_of_nobody_is_refused(store: Store) -> None:
    with pytest.raises(MissingReference):
        await lexicons.put_lexicon(store, "acc_nobody", "pt", {"a": "b"}, most=1)


async def test_an_act_is_written_where_something_was_done(store: Store, ada: Account) -> None:
    await lexicons.put_lexicon(store, ada.id, "pt", {"a": "b"}, most=1, act=act(ada, "lexicon.set", 1))
    assert (
        await lexicons.put_lexicon(store, ada.id, "th", {"a": "b"}, most=1, act=act(ada, "lexicon.set", 2))
        is None
    )
    await lexicons.delete_lexicon(store, ada.id, "pt", act(ada, "lexicon.deleted", 3))
    await lexicons.delete_lexicon(store, ada.id, "pt", act(ada, "lexicon.deleted", 4))
    assert [each.id for each in await audit.list_acts(store, limit=9)] == ["aud_3", "aud_1"]


async def test_no_repr_shows_a_word(store: Store, ada: Account) -> None:
    await lexicons.put_lexicon(store, ada.id, "pt", {"canary": "kanari"}, most=1)
    assert "canary" not in repr(await lexicons.get_lexicon(store, ada.id, "pt"))


_OLD = "INSERT INTO lexicons (account, name, words, revision, changed) VALUES (:account, :name, :words, 1, 1)"
_TOOK = [
    {"a": "b"},
    {'"': '"', '":"': '":"', "\\": "\\", '\\":"': "x"},
    {"ไทย": 'th":"ai', "c": ":", "d": '":"'},
    {},
]


async def test_the_sizes_of_lexicons_from_before_are_counted(new_store_url: str, tmp_path: Path) -> None:
    bare = await open_bare(new_store_url, tmp_path)
    *before, last = [each for each in schema.known_migrations() if each.version <= 6]
    await schema.migrate(bare, before)
    await bare.write(
        Statement("INSERT INTO accounts (id, name, plan, created) VALUES ('acc_1', 'ada', 'free', 0)")
    )
    for number, words in enumerate(_TOOK):
        row: Params = {"account": "acc_1", "name": f"l{number}", "words": encode_json(words)}
        await bare.write(Statement(_OLD, row))
    await schema.migrate(bare, [*before, last])
    found = await lexicons.list_of_account(bare, "acc_1")
    assert [each.size for each in found] == [len(words) for words in _TOOK]
    await bare.close()


async def test_a_list_reads_no_words(store: Store, ada: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    read, rows_read = store.read, list[Row]()

    async def watched(sql: str, params: Params | None = None) -> list[Row]:
        rows = await read(sql, params)
        rows_read.extend(rows)
        return rows

    await lexicons.put_lexicon(store, ada.id, "pt", {"canary": "kanari" * 30}, most=1)
    monkeypatch.setattr(store, "read", watched)
    await lexicons.list_of_account(store, ada.id)
    assert rows_read
    assert "kanari" not in repr([dict(row) for row in rows_read])
