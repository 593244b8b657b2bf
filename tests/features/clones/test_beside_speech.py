"""Clones beside speech and other clones: what one account orders takes nothing from the others."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes.minimax.account import SYSTEM_VOICES
from policies.plans import Plan
from proxy.config.sections import Config, EngineSection
from proxy.feature_list import open_store
from proxy.ledger.budgets import Budgets
from proxy.storage.store import Statement
from proxy.telemetry.metrics import Metrics
from speech_engine import Finished, Speak
from speech_engine.testing import job
from tests.features.clones.clone_rig import ADD, FEE, CloneRig, clone_rig, owned_voice
from tests.speech_engine.host.fakes import read

pytestmark = pytest.mark.slow

SPEAKERS = {"minimax": ("speech-2.8-hd", SYSTEM_VOICES[0]), "elevenlabs": ("eleven_v3", "fakeVoice01")}


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CloneRig]:
    monkeypatch.setattr("proxy.queue.tasks.TaskKind.closing_s", 0.1)
    async with open_store("sqlite", tmp_path) as store, clone_rig(store) as opened:
        yield opened


async def speaks(rig: CloneRig, engine: str) -> bool:
    model, voice = SPEAKERS[engine]
    events = await read(rig.engines[engine].open(Speak(job("Hi there.", model=model, voice=voice))))
    return isinstance(events[-1], Finished)


@pytest.mark.parametrize(("code", "count"), [("2038", 1), ("9999", 5), ("1002", 1), ("1008", 1)])
async def test_clones_that_are_refused_or_fail_leave_speech_alone(
    rig: CloneRig, code: str, count: int
) -> None:
    rig.providers["minimax"].fail("error_in_200", path="voice_clone", code=code, count=count)
    for _ in range(count):
        await rig.want(await owned_voice(rig.store))
        await rig.step()
    assert rig.engines["minimax"].state == "ready"
    assert await speaks(rig, "minimax")


async def test_an_account_that_may_not_clone_says_so_at_once(rig: CloneRig) -> None:
    rig.providers["minimax"].fail("error_in_200", path="voice_clone", code="2038")
    id_ = await rig.want(await owned_voice(rig.store))
    await rig.step()
    row = await rig.row(id_)
    assert (row.state, row.error) == (
        "failed",
        "The MiniMax account may not clone voices until it is verified.",
    )


async def test_a_key_that_may_not_list_voices_clones_and_speaks(rig: CloneRig) -> None:
    rig.elevenlabs.permissions.discard("voices_read")
    id_ = await rig.want(await owned_voice(rig.store), "elevenlabs")
    await rig.step()
    assert (await rig.row(id_)).state == "ready"
    assert await speaks(rig, "elevenlabs")


async def test_clones_that_hang_take_no_slot_of_speech(rig: CloneRig) -> None:
    provider = rig.providers["elevenlabs"]
    provider.fail("hang_before", path=ADD["elevenlabs"], count=50)
    slots = rig.engines["elevenlabs"].slots
    for _ in range(slots):
        await rig.want(await owned_voice(rig.store), "elevenlabs")
    await rig.clone_tasks.look()
    await provider.until(lambda: sum(ADD["elevenlabs"] in seen.path for seen in provider.seen) == slots)
    assert await speaks(rig, "elevenlabs")


async def hanging(rig: CloneRig, number: int) -> None:
    """Have so many voices cloned by MiniMax, which does not answer."""
    rig.providers["minimax"].fail("hang_before", path="files/upload", count=50)
    for _ in range(number):
        await rig.want(await owned_voice(rig.store))


def uploads(rig: CloneRig) -> int:
    return sum("files/upload" in seen.path for seen in rig.providers["minimax"].seen)


async def test_one_accounts_clones_are_made_one_after_another(rig: CloneRig) -> None:
    await hanging(rig, 12)
    await rig.store.write(Statement("UPDATE bindings SET account = 'acc_many'"))
    await rig.clone_tasks.look()
    await rig.providers["minimax"].until(lambda: uploads(rig) == 1)
    rig.providers["minimax"].reset()
    id_ = await rig.want(await owned_voice(rig.store))
    await rig.clone_tasks.look()
    await rig.providers["minimax"].until(lambda: len(rig.minimax.account.listed()) == 1)
    assert rig.minimax.account.listed() == [(await rig.row(id_)).name]
    assert uploads(rig) == 1


@pytest.mark.parametrize("engine", ["minimax", "elevenlabs"])
async def test_clones_that_hang_hold_up_no_deletion(rig: CloneRig, engine: str) -> None:
    voice = await owned_voice(rig.store)
    await rig.want(voice, engine)
    await rig.step()
    await hanging(rig, 12)
    await rig.clone_tasks.look()
    await rig.erase(voice)
    await rig.clone_tasks.look()
    assert await rig.clone_tasks.wait_until_gone(voice.id)


@pytest.mark.parametrize("owner", ["engine", "account"])
async def test_a_used_up_budget_puts_clones_off_and_fails_none(rig: CloneRig, owner: str) -> None:
    first, second = await owned_voice(rig.store), await owned_voice(rig.store)
    await rig.want(first)
    await rig.step()
    limit(rig, owner, budget_usd_day=1.0)
    id_ = await rig.want(second)
    await rig.store.write(Statement("UPDATE bindings SET account = :id", {"id": first.account}))
    for _ in range(15):
        await rig.later()
    row = await rig.row(id_)
    assert (row.state, row.tries) == ("wanted", 0)
    assert row.error.startswith("The budget of this day used up until ")
    assert row.due > await rig.store.now()
    limit(rig, owner, budget_usd_day=100.0)
    await rig.later()
    assert (await rig.row(id_)).state == "ready"


def limit(rig: CloneRig, owner: str, budget_usd_day: float) -> None:
    """Give a budget to the engine, or to each account of the plan."""
    engine, account = (budget_usd_day, None) if owner == "engine" else (None, budget_usd_day)
    section = EngineSection("minimax", costs={"clone": FEE}, budget_usd_day=engine)
    plans = {"free": Plan(name="free", budget_usd_day=account)}
    config = Config(engines={"minimax": section}, plans=plans)
    rig.clone_tasks.revise(config, Budgets(rig.store, config.engines, Metrics().engines))
