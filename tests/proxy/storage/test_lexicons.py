"""Lexicons as rows: replaced whole, counted, and each account's own."""

from __future__ import annotations

import asyncio

import pytest

from proxy.storage import accounts, audit, lexicons
from proxy.storage.accounts import Account
from proxy.storage.audit import Act
from proxy.storage.store import MissingReference, Store


@pytest.fixture
async def ada(store: Store) -> Account:
    return await accounts.create(store, name="ada", plan="free")


def act(account: Account, action: str, number: int) -> Act:
    return Act(id=f"aud_{number}", at=number, actor="x", action=action, subject="pt", account=account.id)


async def test_a_lexicon_is_kept_and_replaced_whole(store: Store, ada: Account) -> None:
    first = await lexicons.put(store, ada.id, "pt", {"Ana": "Âna", "ไทย": "thai"}, most=2)
    again = await lexicons.put(store, ada.id, "pt", {"Rui": "hui"}, most=1)
    assert first is not None
    assert again is not None
    assert (first.revision, again.revision) == (1, 2)
    assert first.words == {"Ana": "Âna", "ไทย": "thai"}
    assert await lexicons.get(store, ada.id, "pt") == again
    assert await lexicons.get(store, ada.id, "PT") is None


async def test_an_accounts_lexicons_are_its_own_and_by_name(store: Store, ada: Account) -> None:
    bob = await accounts.create(store, name="bob", plan="free")
    for account, name in ((ada, "th"), (ada, "en"), (bob, "en")):
        await lexicons.put(store, account.id, name, {name: account.name}, most=9)
    assert [(each.name, each.words) for each in await lexicons.of_account(store, ada.id)] == [
        ("en", {"en": "ada"}),
        ("th", {"th": "ada"}),
    ]
    assert await lexicons.delete(store, ada.id, "en")
    assert not await lexicons.delete(store, ada.id, "en")
    assert [each.name for each in await lexicons.of_account(store, bob.id)] == ["en"]


async def test_an_account_has_no_more_of_them_than_it_may(store: Store, ada: Account) -> None:
    made = await asyncio.gather(
        *(lexicons.put(store, ada.id, f"l{number}", {"a": "b"}, most=3) for number in range(8))
    )
    assert sum(record is not None for record in made) == 3
    assert len(await lexicons.of_account(store, ada.id)) == 3


async def test_a_lexicon_of_nobody_is_refused(store: Store) -> None:
    with pytest.raises(MissingReference):
        await lexicons.put(store, "acc_nobody", "pt", {"a": "b"}, most=1)


async def test_an_act_is_written_where_something_was_done(store: Store, ada: Account) -> None:
    await lexicons.put(store, ada.id, "pt", {"a": "b"}, most=1, act=act(ada, "lexicon.set", 1))
    assert await lexicons.put(store, ada.id, "th", {"a": "b"}, most=1, act=act(ada, "lexicon.set", 2)) is None
    await lexicons.delete(store, ada.id, "pt", act(ada, "lexicon.deleted", 3))
    await lexicons.delete(store, ada.id, "pt", act(ada, "lexicon.deleted", 4))
    assert [each.id for each in await audit.list_(store, limit=9)] == ["aud_3", "aud_1"]


async def test_no_repr_shows_a_word(store: Store, ada: Account) -> None:
    record = await lexicons.put(store, ada.id, "pt", {"canary": "kanari"}, most=1)
    assert "canary" not in repr(record)
