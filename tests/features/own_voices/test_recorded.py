"""Voices of recordings and mixes as rows, with their samples and consents."""

import asyncio

import msgspec
import pytest

from proxy.catalogue.voice_records import ComparisonResult, VoiceRecord
from proxy.features.consents import records as consents
from proxy.features.consents.records import ConsentRecord
from proxy.features.own_voices import records as voices
from proxy.storage import accounts, blobs, samples
from proxy.storage.accounts import Account
from proxy.storage.blobs import BlobRow
from proxy.storage.rows import NEWEST
from proxy.storage.sample_record import SampleRecord
from proxy.storage.store import AlreadyExists, Store
from tests.features.own_voices.saving import add_cast

pytestmark = pytest.mark.both_stores

DIGEST = "ab" * 32
DAY_US = 86_400_000_000


@pytest.fixture
async def ada(store: Store) -> Account:
    account = await accounts.create(store, name="ada", plan="free")
    await blobs.put(store, BlobRow(account.id, DIGEST, "wrapped", 9))
    return account


def record(account: Account, name: str = "hmac:1", **more: object) -> VoiceRecord:
    plain = VoiceRecord(
        id=f"voice_{name}",
        account=account.id,
        name=name,
        kind="sample",
        revision=1,
        created=1_000,
        members={},
        wrapped="w",
        sealed=f"s{name}",
    )
    return msgspec.structs.replace(plain, **more)


def sample_of(voice: VoiceRecord, digest: str = DIGEST) -> SampleRecord:
    assert voice.account is not None
    return SampleRecord(voice=voice.id, number=0, account=voice.account, digest=digest, seconds=6.5)


async def add(store: Store, voice: VoiceRecord, **more: object) -> VoiceRecord | None:
    beside = [voices.sample_statement(sample_of(voice))]
    given = {"digest": DIGEST, "with_statements": beside, **more}
    if voice.account is not None and voice.consent is not None:
        given["only_if"] = consents.existence_condition(voice.account, voice.consent)
    return await voices.add_voice(store, voice, **given)  # type: ignore[arg-type]  # as they come


def consent_of(account: Account, id_: str = "cons_1", created: int = 5, **more: object) -> ConsentRecord:
    plain = ConsentRecord(
        id=id_,
        account=account.id,
        kind="statement",
        language="pt-BR",
        made_by="key_1",
        created=created,
        wrapped="w",
        sealed="s",
    )
    return msgspec.structs.replace(plain, **more)


async def test_a_voice_is_added_with_its_sample(store: Store, ada: Account) -> None:
    whole = record(
        ada, language="pt", gender="female", quality="high", compared=ComparisonResult("same", 0.91)
    )
    made = await add(store, whole)
    assert made == whole
    assert await voices.get(store, None, whole.id) == whole
    assert await samples.list_of_voice(store, whole.id) == [sample_of(whole)]
    assert await samples.list_of_account(store, ada.id) == {whole.id: [sample_of(whole)]}
    assert await samples.find_quality(store, ada.id, DIGEST) == "{}"
    assert await samples.find_quality(store, "acc_other", DIGEST) is None


async def test_what_names_a_person_is_in_no_column_of_a_sealed_voice(store: Store, ada: Account) -> None:
    await add(store, record(ada, description="Ana's", tags=("warm",), labels={"town": "Recife"}))
    (row,) = await store.read("SELECT * FROM voices")
    assert (row["description"], row["tags"], row["labels"]) == ("", "[]", "{}")


async def test_a_mix_keeps_its_weights(store: Store, ada: Account) -> None:
    mix = {"voice_a": 0.25, "alloy": 0.75}
    made = await voices.add_voice(store, record(ada, kind="mix", mix=mix))
    assert made is not None
    assert (made.mix, made.members) == (mix, {})


@pytest.mark.parametrize("first", ["cast", "sample"])
async def test_a_name_is_free_in_both_of_its_forms(store: Store, ada: Account, first: str) -> None:
    async def cast() -> object:
        return await add_cast(store, ada.id, "Ana", {"a": "b"}, other_name="hmac:Ana")

    async def sample() -> object:
        return await add(store, record(ada, "hmac:Ana"), other_name="Ana")

    one, other = (cast, sample) if first == "cast" else (sample, cast)
    assert await one() is not None
    with pytest.raises(AlreadyExists):
        await other()
    assert len(await voices.page(store, ada.id, NEWEST, 9)) == 1


async def test_voices_made_at_once_take_no_more_than_the_room(store: Store, ada: Account) -> None:
    made = await asyncio.gather(*(add(store, record(ada, f"hmac:{number}"), most=3) for number in range(9)))
    assert sum(each is not None for each in made) == 3
    assert await voices.count(store, ada.id) == 3
    assert len(await samples.list_of_account(store, ada.id)) == 3


async def test_no_voice_without_its_recording_or_its_consent(store: Store, ada: Account) -> None:
    assert await add(store, record(ada), digest="cd" * 32) is None
    assert await add(store, record(ada, consent="cons_1")) is None
    assert await consents.add_consent(store, consent_of(ada), 9)
    assert await add(store, record(ada, consent="cons_1")) is not None


async def test_a_closed_account_gets_no_voice_and_no_consent(store: Store, ada: Account) -> None:
    await accounts.close(store, ada.id)
    assert await add(store, record(ada)) is None
    assert not await consents.add_consent(store, consent_of(ada), 9)


async def test_a_change_is_made_once(store: Store, ada: Account) -> None:
    was = await add(store, record(ada))
    assert was is not None
    changed = msgspec.structs.replace(was, name="hmac:2", sealed="t", revision=2, language="th")
    assert await voices.update_voice(store, was, changed) == changed
    assert await voices.update_voice(store, was, changed) is None


async def test_a_voice_is_found_by_its_own_account_alone(store: Store, ada: Account) -> None:
    bob = await accounts.create(store, name="bob", plan="free")
    made = await add(store, record(ada))
    assert made is not None
    assert await voices.find_by_id_or_name(store, ada.id, made.id) == made
    assert await voices.find_by_id_or_name(store, bob.id, made.id) is None
    assert await voices.find_by_id_or_name(store, None, made.id) is None


async def test_use_is_noted_by_the_day(store: Store, ada: Account) -> None:
    made = await add(store, record(ada))
    assert made is not None
    for day in (50, 20):
        await voices.note_voices_used(store, [made.id], day)
    await voices.note_voices_used(store, [], 90)
    noted = await voices.get(store, None, made.id)
    assert noted is not None
    assert noted.used == 50
    # Nobody knows when on that day.
    end = 50 + DAY_US
    assert await voices.list_unused(store, ada.id, end, 9) == []
    assert await voices.list_unused(store, ada.id, end + 1, 9) == [noted]


async def test_consents_are_listed_the_newest_first(store: Store, ada: Account) -> None:
    bob = await accounts.create(store, name="bob", plan="free")
    for number in range(3):
        assert await consents.add_consent(store, consent_of(ada, f"cons_{number}", number), 9)
    await consents.add_consent(store, consent_of(bob, "cons_bob"), 9)
    first = await consents.page(store, ada.id, NEWEST, 2)
    assert [each.id for each in first] == ["cons_2", "cons_1"]
    place = await consents.place_of(store, ada.id, "cons_1")
    assert place is not None
    assert [each.id for each in await consents.page(store, ada.id, place, 2)] == ["cons_0"]
    assert await consents.place_of(store, ada.id, "cons_bob") is None
    assert len(await consents.page(store, None, NEWEST, 9)) == 4
    assert {each.id for each in await consents.of_account(store, ada.id)} == {"cons_0", "cons_1", "cons_2"}


async def test_a_consent_keeps_who_may_receive_the_voice(store: Store, ada: Account) -> None:
    for id_, providers in (("cons_a", None), ("cons_b", ()), ("cons_c", ("minimax",))):
        made = consent_of(ada, id_, providers=providers)
        await consents.add_consent(store, made, 9)
        assert await consents.get(store, ada.id, id_) == made


async def test_consents_have_a_limit_under_concurrency(store: Store, ada: Account) -> None:
    added = await asyncio.gather(
        *(consents.add_consent(store, consent_of(ada, f"cons_{n}"), 3) for n in range(9))
    )
    assert sum(added) == 3 == await consents.count(store, ada.id)


async def test_recorded_consents_have_a_length_together(store: Store, ada: Account) -> None:
    def recorded(number: int) -> ConsentRecord:
        return consent_of(ada, f"cons_{number}", seconds=50.0)

    added = await asyncio.gather(
        *(consents.add_consent(store, recorded(number), 99, most_s=160.0) for number in range(9))
    )
    assert sum(added) == 3
    # A statement takes no seconds.
    assert await consents.add_consent(store, consent_of(ada, "cons_said"), 99, most_s=160.0)
    assert not await consents.add_consent(store, recorded(10), 99, most_s=160.0)


async def test_the_consents_of_others_take_no_place_of_an_account(store: Store, ada: Account) -> None:
    bob = await accounts.create(store, name="bob", plan="free")
    for number in range(3):
        assert await consents.add_consent(store, consent_of(bob, f"cons_b{number}", seconds=50.0), 9)
    assert await consents.add_consent(store, consent_of(ada, seconds=10.0), 1, most_s=10.0)
    assert not await consents.add_consent(store, consent_of(ada, "cons_2"), 1, most_s=10.0)
    assert await consents.count(store, ada.id) == 1


async def test_a_consent_is_sealed_anew_if_it_is_as_it_was(store: Store, ada: Account) -> None:
    made = consent_of(ada)
    await consents.add_consent(store, made, 9)
    assert await consents.replace_sealed_texts(store, made, "w2", "s2")
    assert not await consents.replace_sealed_texts(store, made, "w3", "s3")
    found = await consents.get(store, ada.id, made.id)
    assert found is not None
    assert (found.wrapped, found.sealed) == ("w2", "s2")
