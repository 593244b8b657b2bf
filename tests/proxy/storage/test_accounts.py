"""Accounts as rows: found, listed, changed, closed, each name taken once."""

import asyncio

import msgspec
import pytest

from proxy.feature_list import all_features
from proxy.features.lexicons import records as lexicons
from proxy.features.own_voices import records as voices
from proxy.storage import accounts, audit
from proxy.storage.accounts import Account, Change
from proxy.storage.audit import Act
from proxy.storage.rows import NEWEST, PagePlace, new_id
from proxy.storage.store import AlreadyExists, Statement, Store
from proxy.storage.tables import Table
from tests.features.own_voices.saving import add_cast
from tests.proxy.storage.changes import to_plan


def _act(account: Account, at: int, details: str = "{}") -> Act:
    return Act(
        id=new_id("aud"),
        at=at,
        actor="control",
        action="account.changed",
        subject=account.id,
        account=account.id,
        details=details,
    )


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
    assert len(await accounts.list_page(store, NEWEST, 100)) == 1


async def test_accounts_are_paged_newest_first_closed_ones_too(store: Store) -> None:
    made = [await accounts.create(store, name=name, plan="free") for name in ("c", "a", "b", "e", "d")]
    made[1:2] = filter(None, [await accounts.close(store, made[1].id)])
    made.sort(key=lambda account: (account.created, account.id), reverse=True)
    seen: list[Account] = []
    place = NEWEST
    while page := await accounts.list_page(store, place, 2):
        seen += page
        assert len(seen) <= len(made), "a page began again where it was"
        found = await accounts.ROWS.place_of(store, None, page[-1].id)
        assert found == PagePlace(page[-1].created, page[-1].id)
        place = found
    assert seen == made
    assert [account.name for account in made if account.closed] == ["a"]
    assert await accounts.ROWS.place_of(store, None, "acc_nobody") is None


async def test_the_plan_changes_for_the_named_account_only(store: Store) -> None:
    ada = await accounts.create(store, name="ada", plan="free")
    bob = await accounts.create(store, name="bob", plan="free")
    changed = await accounts.change(store, ada.id, to_plan("pro"))
    assert isinstance(changed, Account)
    assert changed.plan == "pro"
    assert await accounts.get(store, ada.id) == changed
    assert await accounts.get(store, bob.id) == bob


async def test_each_of_many_changes_at_once_follows_from_the_one_before(store: Store) -> None:
    ada = await accounts.create(store, name="ada", plan="free")

    async def one_more(read: Account) -> Change:
        rpm = (read.agreed.rpm or 0) + 1
        act = _act(ada, await store.now(), f'{{"rpm": {rpm}}}')
        return Change(read.plan, msgspec.structs.replace(read.agreed, rpm=rpm), act)

    # In rounds: the first may find fewer connections open than it takes to meet.
    for _ in range(10):
        changed = await asyncio.gather(*(accounts.change(store, ada.id, one_more) for _ in range(4)))
        assert len({each.agreed.rpm for each in changed if isinstance(each, Account)}) == 4
    kept = await accounts.get(store, ada.id)
    assert kept is not None
    assert kept.agreed.rpm == 40
    acts = await audit.list_acts(store, limit=100)
    assert sorted(act.details for act in acts) == sorted(f'{{"rpm": {rpm}}}' for rpm in range(1, 41))


async def test_a_change_that_is_overtaken_every_time_is_given_up_and_is_no_act(store: Store) -> None:
    ada = await accounts.create(store, name="ada", plan="free")

    async def overtaken(read: Account) -> Change:
        await accounts.change(store, ada.id, to_plan(f"{read.plan}+"))
        return Change("pro", read.agreed, _act(ada, await store.now()))

    assert await accounts.change(store, ada.id, overtaken) == "overtaken"
    kept = await accounts.get(store, ada.id)
    assert kept is not None
    assert kept.plan.startswith("free+")
    assert await audit.list_acts(store, limit=100) == []


async def test_an_account_that_an_older_version_wrote_in_other_words_can_be_changed(store: Store) -> None:
    ada = await accounts.create(store, name="ada", plan="free")
    older = """{"rpm": 5, "forgotten": null}"""
    await store.write(Statement("UPDATE accounts SET agreed = :agreed", {"agreed": older}))
    changed = await accounts.change(store, ada.id, to_plan("pro"))
    assert isinstance(changed, Account)
    assert (changed.plan, changed.agreed.rpm) == ("pro", 5)


async def test_a_closed_account_is_never_changed(store: Store) -> None:
    ada = await accounts.create(store, name="ada", plan="free")

    async def closing(read: Account) -> Change:
        await accounts.close(store, ada.id)
        return Change("pro", read.agreed, _act(ada, await store.now()))

    assert await accounts.change(store, ada.id, closing) == "overtaken"
    kept = await accounts.get(store, ada.id)
    assert kept is not None
    assert kept.plan == "free"
    assert await audit.list_acts(store, limit=100) == []


async def test_closing_twice_keeps_the_first_time(store: Store) -> None:
    ada = await accounts.create(store, name="ada", plan="free")
    closed = await accounts.close(store, ada.id)
    assert closed is not None
    assert closed.closed is not None
    assert closed.closed >= ada.created
    assert await accounts.close(store, ada.id) == closed
    with pytest.raises(AlreadyExists):
        await accounts.create(store, name="ada", plan="free")


async def test_a_closed_account_loses_what_it_saved_and_others_lose_nothing(store: Store) -> None:
    ada, bob = [await accounts.create(store, name=name, plan="free") for name in ("ada", "bob")]
    for owner in (ada.id, bob.id):
        await lexicons.put_lexicon(store, owner, "en", {"SQL": "sequel"}, most=9)
        await add_cast(store, owner, "talk")
    await add_cast(store, None, "stage")
    await accounts.close(store, ada.id)
    assert await lexicons.list_of_account(store, ada.id) == []
    assert [voice.name for voice in await voices.of_account(store, ada.id)] == []
    assert [lexicon.name for lexicon in await lexicons.list_of_account(store, bob.id)] == ["en"]
    assert [voice.name for voice in await voices.of_account(store, bob.id)] == ["talk"]


async def test_an_account_that_does_not_exist_is_none(store: Store) -> None:
    assert await accounts.change(store, "acc_nobody", to_plan("pro")) is None
    assert await accounts.close(store, "acc_nobody") is None


def test_what_people_own_of_a_feature_ends_with_its_account_or_with_what_it_belongs_to() -> None:
    personal = [each for feature in all_features() for each in feature.tables if each.personal]
    assert [each.name for each in personal if not _ends(each)] == []
    assert not _ends(Table("letters", personal=True))


def _ends(table: Table) -> bool:
    return bool(table.closed_with or table.erasable or table.erased_with or table.remains)
