"""Requests without an answer: what the provider makes of them all the same is found, and ends."""

import pytest

from proxy.features.clones import records
from proxy.features.clones.endpoints import compare_clones
from proxy.storage import costs
from proxy.storage.store import Statement
from tests.features.clones.clone_rig import ADD, CloneRig, OwnedVoice, clone_rig, owned_voice, voices_at
from tests.fixtures import opened

pytestmark = pytest.mark.slow

LATE = "fakeCloneLate"


rig = opened(clone_rig, "store")


async def wish_without_answer(rig: CloneRig) -> tuple[OwnedVoice, str]:
    """Have a voice cloned by ElevenLabs, which takes the recording and does not answer in time."""
    rig.providers["elevenlabs"].fail("hang_before", path=ADD["elevenlabs"])
    voice = await owned_voice(rig.store)
    id_ = await rig.want(voice, "elevenlabs")
    with pytest.MonkeyPatch.context() as impatient:
        impatient.setattr("plugins.elevenlabs.cloning._UPLOAD_S", 0.3)
        await rig.step()
    await rig.store.write(Statement("UPDATE bindings SET due = 0"))
    return voice, id_


def asked(rig: CloneRig) -> int:
    return sum(ADD["elevenlabs"] in seen.path for seen in rig.providers["elevenlabs"].seen)


async def test_nobody_asks_again_while_the_provider_may_still_be_making_it(rig: CloneRig) -> None:
    _, id_ = await wish_without_answer(rig)
    await rig.step()
    row = await rig.row(id_)
    assert (row.state, row.error, asked(rig)) == ("making", "The provider did not answer in time.", 1)
    rig.elevenlabs.voices[LATE] = row.name
    await rig.later()
    assert (await rig.row(id_)).engine_voice == LATE
    assert asked(rig) == 1


async def test_what_is_made_after_its_voice_was_erased_is_deleted_too(rig: CloneRig) -> None:
    voice, id_ = await wish_without_answer(rig)
    name = (await rig.row(id_)).name
    await rig.erase(voice)
    await rig.step()
    assert not await records.has_no_copies(rig.store, voice.id)
    rig.elevenlabs.voices[LATE] = name
    await rig.later()
    assert voices_at(rig, "elevenlabs") == []
    assert await records.has_no_copies(rig.store, voice.id)


async def test_a_second_clone_of_one_name_is_reported_and_goes_with_its_voice(rig: CloneRig) -> None:
    voice = await owned_voice(rig.store)
    id_ = await rig.want(voice, "elevenlabs")
    await rig.step()
    rig.elevenlabs.voices[LATE] = (await rig.row(id_)).name
    (found,) = [
        each for each in await compare_clones(rig.store, rig.clone_tasks) if each.engine == "elevenlabs"
    ]
    assert [each.id for each in found.unknown] == [LATE]
    await rig.erase(voice)
    await rig.step()
    assert voices_at(rig, "elevenlabs") == []
    assert await records.has_no_copies(rig.store, voice.id)


async def test_the_fee_of_a_clone_that_was_made_unheard_is_booked_once(rig: CloneRig) -> None:
    rig.providers["minimax"].fail("truncated", path="voice_clone")
    voice = await owned_voice(rig.store)
    await rig.want(voice)
    await rig.step()
    await rig.erase(voice)
    rig.providers["minimax"].fail("5xx", path="delete_voice")
    for _ in range(2):
        await rig.later()
    assert await records.has_no_copies(rig.store, voice.id)
    assert rig.minimax.account.fees == 1
    assert await costs.sum_costs(rig.store, voice.account, 0, is_account=True) == 1_500_000


@pytest.mark.parametrize("has_clone", [True, False])
async def test_a_recording_that_the_provider_kept_goes_with_its_voice(rig: CloneRig, has_clone: bool) -> None:
    provider, files = rig.providers["minimax"], rig.minimax.account.files
    provider.fail("error_in_200", path="files/delete", code="1000")
    if not has_clone:
        provider.fail("error_in_200", path="voice_clone", code="9999")
    voice = await owned_voice(rig.store)
    await rig.want(voice)
    await rig.step()
    (file,) = files
    (found,) = [each for each in await compare_clones(rig.store, rig.clone_tasks) if each.engine == "minimax"]
    assert [each.id for each in found.recordings] == ([str(file)] if has_clone else [])
    await rig.erase(voice)
    await rig.later()
    assert (files, rig.minimax.account.voices) == ({}, {})
    assert await records.has_no_copies(rig.store, voice.id)
