"""Accounts as rows: found, listed, changed, closed, each name taken once."""

from __future__ import annotations

import asyncio

import pytest

from proxy.storage import accounts
from proxy.storage.store import AlreadyExists, Store


async def test_an_account_is_found_by_id_and_by_name(store: Store) -> None:
    ada = await accounts.create(store, name="ada", plan="free")
    assert ada.id.startswith("acc_")
    assert await accounts.get(store, ada.id) == await accounts.get(store, "ada") == ada
    assert await accounts.get(store, "bob") is None


async def test_where_a_name_is_anothers_id_the_id_wins(store: Store) -> None:
    ada = await accounts.create(store, name="ada", plan="free")
    await accounts.create(store, name=ada.id, plan="free")
    assert await accounts.get(store, ada.id) == ada


async def test_a_name_is_taken_once_even_when_all_come_together(store: Store) -> None:
    attempts = (accounts.create(store, name="ada", plan="free") for _ in range(20))
    answers = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(answer, accounts.Account) for answer in answers) == 1
    assert sum(isinstance(answer, AlreadyExists) for answer in answers) == 19
    assert len(await accounts.list_(store)) == 1


async def test_accounts_are_listed_oldest_first_closed_ones_too(store: Store) -> None:
    made = [await accounts.create(store, name=name, plan="free") for name in ("c", "a", "b")]
    made[1:2] = filter(None, [await accounts.close(store, made[1].id)])
    made.sort(key=lambda account: (account.created, account.id))
    assert await accounts.list_(store) == made
    assert [account.name for account in made if account.closed] == ["a"]


async def test_the_plan_changes_for_the_named_account_only(store: Store) -> None:
    ada = await accounts.create(store, name="ada", plan="free")
    bob = await accounts.create(store, name="bob", plan="free")
    changed = await accounts.set_plan(store, ada.id, "pro")
    assert changed is not None
    assert changed.plan == "pro"
    assert await accounts.get(store, ada.id) == changed
    assert await accounts.get(store, bob.id) == bob


async def test_closing_twice_keeps_the_first_time(store: Store) -> None:
    ada = await accounts.create(store, name="ada", plan="free")
    closed = await accounts.close(store, ada.id)
    assert closed is not None
    assert closed.closed is not None
    assert closed.closed >= ada.created
    assert await accounts.close(store, ada.id) == closed
    with pytest.raises(AlreadyExists):
        await accounts.create(store, name="ada", plan="free")


async def test_an_account_that_does_not_exist_is_none(store: Store) -> None:
    assert await accounts.set_plan(store, "acc_nobody", "pro") is None
    assert await accounts.close(store, "acc_nobody") is None
