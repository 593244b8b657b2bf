"""Saved voices as rows: an account's own, the operator's for everybody, no more than a plan has room for."""

import asyncio

import pytest

from proxy.catalogue.voice_records import VoiceRecord
from proxy.features.own_voices import records as voices
from proxy.storage import accounts, audit
from proxy.storage.accounts import Account
from proxy.storage.audit import Act
from proxy.storage.rows import NEWEST, new_id
from proxy.storage.store import AlreadyExists, MissingReference, Store
from tests.features.own_voices.saving import add_cast

pytestmark = pytest.mark.both_stores

CAST = {"Ben": "onyx", "Ana": "nova"}


async def add(store: Store, account: Account | None, name: str) -> VoiceRecord:
    made = await add_cast(store, None if account is None else account.id, name, CAST)
    assert made is not None
    return made


async def test_a_cast_is_kept_in_the_order_of_its_members(store: Store, ada: Account) -> None:
    made = await add(store, ada, "dialogue")
    assert made.id.startswith("voice_")
    assert (made.account, made.name, made.kind, made.revision) == (ada.id, "dialogue", "cast", 1)
    assert list(made.members.items()) == [("Ben", "onyx"), ("Ana", "nova")]
    assert await voices.get(store, None, made.id) == made


async def test_a_cast_is_kept_with_what_it_is_found_by(store: Store, ada: Account) -> None:
    made = await add_cast(store, ada.id, "talk", CAST, tags=("warm", "calm"), description="Two friends.")
    assert made is not None
    assert (made.tags, made.description) == (("warm", "calm"), "Two friends.")
    assert await voices.get(store, None, made.id) == made


async def test_a_name_is_that_of_one_account_or_of_the_operator(store: Store, ada: Account) -> None:
    own, everybodys = await add(store, ada, "a"), await add(store, None, "a")
    assert await voices.find_by_name(store, ada.id, "a") == own
    assert await voices.find_by_name(store, None, "a") == everybodys
    assert await voices.find_by_name(store, ada.id, own.id) is None
    assert await voices.find_by_name(store, "acc_nobody", "a") is None


async def test_an_account_may_speak_with_its_own_and_with_the_operators(store: Store, ada: Account) -> None:
    bob = await accounts.create(store, name="bob", plan="free")
    own, other, everybodys = (
        await add(store, ada, "a"),
        await add(store, bob, "a"),
        await add(store, None, "a"),
    )
    assert [each.id for each in await voices.of_account(store, ada.id)] == [own.id]
    assert await voices.of_account(store, "") == []
    assert [each.id for each in await voices.of_operator(store)] == [everybodys.id]
    assert [each.id for each in await voices.page(store, bob.id, NEWEST, 9)] == [other.id]
    assert {each.id for each in await voices.page(store, None, NEWEST, 9)} == {
        own.id,
        other.id,
        everybodys.id,
    }


async def test_a_list_goes_on_where_its_page_ended(store: Store, ada: Account) -> None:
    made = [(await add(store, ada, str(number))).id for number in range(4)]
    first = await voices.page(store, ada.id, NEWEST, 2)
    place = await voices.place_of(store, None, first[-1].id)
    assert place is not None
    rest = await voices.page(store, ada.id, place, 9)
    assert [each.id for each in (*first, *rest)] == made[::-1]
    assert await voices.place_of(store, None, "voice_nobody") is None


@pytest.mark.parametrize("is_operators", [False, True])
async def test_a_name_is_there_once_for_each_owner(store: Store, ada: Account, is_operators: bool) -> None:
    owner = None if is_operators else ada
    made = await add(store, owner, "dialogue")
    with pytest.raises(AlreadyExists):
        await add(store, owner, "dialogue")
    assert await voices.delete_voice(store, made.id)
    assert not await voices.delete_voice(store, made.id)
    await add(store, owner, "dialogue")


async def test_no_more_are_made_than_there_is_room_for(store: Store, ada: Account) -> None:
    await add(store, None, "everybody's")
    made = await asyncio.gather(*(add_cast(store, ada.id, str(number), CAST, most=3) for number in range(8)))
    assert sum(record is not None for record in made) == 3
    assert len(await voices.page(store, ada.id, NEWEST, 99)) == 3
    assert await add_cast(store, ada.id, "none", CAST, most=0) is None


async def test_a_voice_of_nobody_is_refused(store: Store) -> None:
    with pytest.raises(MissingReference):
        await add_cast(store, "acc_nobody", "x", CAST)


async def test_an_act_is_written_where_something_was_done(store: Store, ada: Account) -> None:
    def act(number: int, id_: str, action: str) -> Act:
        return Act(id=f"aud_{number}", at=number, actor="x", action=action, subject=id_, account=ada.id)

    id_ = new_id("voice")
    made = await add_cast(store, ada.id, "a", CAST, act=act(1, id_, "voice.created"))
    assert made is not None
    assert (made.id, made.created) == (id_, 1)
    full = await add_cast(store, ada.id, "b", CAST, most=1, act=act(2, new_id("voice"), "voice.created"))
    assert full is None
    await voices.delete_voice(store, id_, act(3, id_, "voice.deleted"))
    await voices.delete_voice(store, id_, act(4, id_, "voice.deleted"))
    assert [each.id for each in await audit.list_acts(store, limit=9)] == ["aud_3", "aud_1"]
