"""The comparison with providers: a clone that is there is never called lost, and never paid again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.feature_list import open_store
from proxy.features.clones.attempt import ProviderClones
from proxy.features.clones.endpoints import CloneDifferences, clone_again, compare_clones
from speech_engine import CloneList
from tests.features.clones.clone_rig import CloneRig, clone_rig, owned_voice, voices_at


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[CloneRig]:
    async with open_store("sqlite", tmp_path) as store, clone_rig(store) as opened:
        yield opened


async def at_minimax(rig: CloneRig) -> CloneDifferences:
    compared = await compare_clones(rig.store, rig.clone_tasks)
    (found,) = [each for each in compared if each.engine == "minimax"]
    return found


async def test_a_clone_that_was_made_while_the_provider_listed_its_clones_is_not_lost(
    rig: CloneRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.want(await owned_voice(rig.store), "elevenlabs")
    read = ProviderClones.list_clones

    async def list_(clones: ProviderClones, prefix: str) -> CloneList:
        monkeypatch.setattr(ProviderClones, "list_clones", read)
        listed = await clones.list_clones(prefix)
        await rig.step()
        return listed

    monkeypatch.setattr(ProviderClones, "list_clones", list_)
    compared = await compare_clones(rig.store, rig.clone_tasks)
    assert [each.lost for each in compared] == [(), ()]
    assert len(voices_at(rig, "elevenlabs")) == 1


async def test_what_the_list_lacks_is_looked_for_before_it_is_paid_again(rig: CloneRig) -> None:
    id_ = await rig.want(await owned_voice(rig.store))
    await rig.step()
    made = await rig.row(id_)
    rig.minimax.account.voices[made.name].is_listed = False
    (lost,) = (await at_minimax(rig)).lost
    assert not await clone_again(rig.store, rig.clone_tasks, lost)
    rig.providers["minimax"].fail("5xx", path="t2a_v2")
    assert not await clone_again(rig.store, rig.clone_tasks, lost)
    assert await rig.row(id_) == made
    rig.minimax.account.remove(made.name)
    assert await clone_again(rig.store, rig.clone_tasks, lost)
