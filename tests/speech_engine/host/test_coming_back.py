"""Slots on a busy machine: those that come back when they were told find room."""

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from speech_engine.errors import EngineBusy, EngineTimeout
from speech_engine.events import Encoded, Finished, Started
from speech_engine.host.slot_turn import SlotTurn
from speech_engine.host.slots import Slots
from speech_engine.values import EngineVoice, SpeechJob
from tests.speech_engine.host.simulated_time import simulated
from tests.speech_engine.host.visitors import RATE_HZ, Crowd, steps

WITHIN_S = 30.0
LENGTH_S = 3.0


@dataclass
class Client:
    """`refused` are the times that it was told; `spoken_at` is -1 while it waits."""

    account: str
    refused: list[float]
    spoken_at: float = -1.0


class OneByOne:
    """A gate of an engine that takes a text after the other, and does not know how fast it is."""

    predicts_waits = False

    def __init__(self) -> None:
        self.speaking = 0

    def fits_in_s(self, job: SpeechJob, admitted: tuple[SpeechJob, ...]) -> float:
        return 1.0 if self.speaking or admitted else 0.0

    def goes_on(self, job: SpeechJob) -> bool:
        return False

    def figures(self) -> dict[str, float]:
        return {}


@dataclass
class Host:
    """Two slots. The sound of a text comes at its end, after `paces` seconds a second of it, in turns."""

    slots: Slots
    paces: Sequence[float]
    gate: OneByOne | None = None
    begun: int = 0

    async def ask(self, client: Client, *, tries: int = 9) -> None:
        """Ask until it is spoken, and come back when it is told."""
        for _ in range(tries):
            try:
                turn = await self.slots.enter(client.account, WITHIN_S, LENGTH_S, job=job(client.account))
                await self._speak(turn)
            except (EngineBusy, EngineTimeout) as failure:
                client.refused.append(math.ceil(failure.retry_after_s or 1.0))
                await asyncio.sleep(client.refused[-1])
            else:
                client.spoken_at = asyncio.get_running_loop().time()
                return

    async def _speak(self, turn: SlotTurn) -> None:
        """Speak a text. The server gives it up if its sound does not come in time, and tells two seconds."""
        self.begun += 1
        speaks_s = LENGTH_S * self.paces[self.begun % len(self.paces)]
        if self.gate is not None:
            self.gate.speaking += 1
            self.slots.note(turn, Started(RATE_HZ))
        try:
            await asyncio.sleep(min(speaks_s, turn.left_s))
            if turn.left_s <= 0.0:
                raise EngineTimeout("No audio in time.", retry_after_s=2.0)
            for event in (Started(RATE_HZ), Encoded("mp3", b"", round(LENGTH_S * RATE_HZ)), Finished()):
                self.slots.note(turn, event)
        finally:
            if self.gate is not None:
                self.gate.speaking -= 1
            self.slots.leave(turn)


def job(account: str) -> SpeechJob:
    voice = EngineVoice("v")
    return SpeechJob(id="", tenant=account, model="m", voice=voice, segments=(), language="es")


async def warm_host(paces: Sequence[float] = (1.5,), gate: OneByOne | None = None) -> Host:
    host = Host(Slots(2, 64, gate), paces, gate)
    for _ in range(4):
        await host.ask(Client("z", []))
    return host


async def warm_crowd(paces: Sequence[float] = (1.5,)) -> Crowd:
    """Visitors of a host that has learnt its pace."""
    crowd = Crowd(2, 64)
    crowd.slots = (await warm_host(paces)).slots
    return crowd


def clients(count: int, account: str = "") -> list[Client]:
    return [Client(account or f"account {number}", []) for number in range(count)]


@pytest.mark.parametrize("account", ["", "one"], ids=["accounts", "one account"])
@pytest.mark.parametrize("paces", [(1.5,), (1.1, 2.0, 1.3, 1.6)], ids=["even", "uneven"])
@simulated
async def test_of_forty_at_once_nine_in_ten_are_spoken_when_they_come_back(
    paces: Sequence[float], account: str
) -> None:
    host = await warm_host(paces)
    all_ = clients(40, account)
    await asyncio.gather(*map(host.ask, all_))
    refusals = Counter(len(each.refused) for each in all_)
    # Fourteen begin in time. Of the others, those that begin after more than 60 + 30 s are told twice.
    assert refusals[0] >= 10
    assert refusals[1] >= 0.9 * (40 - refusals[0])
    assert max(refusals) <= 2


@simulated
async def test_an_engine_that_takes_fewer_texts_than_it_has_slots_keeps_its_word() -> None:
    host = await warm_host((0.7, 0.8), OneByOne())
    all_ = clients(40)
    await asyncio.gather(*map(host.ask, all_))
    refusals = Counter(len(each.refused) for each in all_)
    assert refusals[1] >= 0.9 * (40 - refusals[0])
    assert max(refusals) <= 2


@simulated
async def test_no_slot_waits_for_those_that_do_not_come_back() -> None:
    host = await warm_host()
    await asyncio.gather(*[host.ask(each, tries=1) for each in clients(40)])
    newcomers = [Client(f"later {number}", []) for number in range(2)]
    before = host.slots.running
    await asyncio.gather(*[host.ask(each, tries=1) for each in newcomers])
    assert before == 0
    assert not any(each.refused for each in newcomers)


@simulated
async def test_a_flood_of_one_account_does_not_put_off_another() -> None:
    host = await warm_host()
    flood = [asyncio.create_task(host.ask(each, tries=1)) for each in clients(500, "flood")]
    await steps()
    other = Client("other", [])
    await host.ask(other)
    assert not other.refused
    for each in flood:
        each.cancel()
    await asyncio.gather(*flood, return_exceptions=True)


@simulated
async def test_a_host_that_turned_slow_tells_its_pace_before_it_has_made_a_sound() -> None:
    crowd = await warm_crowd()
    inside = [crowd.comes(account, estimated_s=LENGTH_S) for account in "ab"]
    await asyncio.sleep(18.0)
    line = [crowd.comes(account, estimated_s=LENGTH_S, deadline_s=WITHIN_S) for account in "cdefgh"]
    await steps()
    # Three seconds have taken 18, so the third pair would begin after 36.
    assert [each.end for each in line] == ["", "", "", "", "EngineBusy", "EngineBusy"]
    for each in (*inside, *line):
        each.cancel()
    await crowd.go()


@simulated
async def test_a_text_that_would_get_its_slot_in_time_but_not_its_sound_is_refused() -> None:
    crowd = await warm_crowd(paces=(6.0,))
    inside = [crowd.comes(account, estimated_s=LENGTH_S) for account in "ab"]
    await steps()
    patient = crowd.comes("c", estimated_s=LENGTH_S, deadline_s=WITHIN_S + 7.0)
    late = crowd.comes("d", estimated_s=LENGTH_S, deadline_s=WITHIN_S)
    await steps()
    # A slot is free after 18 s, and the sound comes 18 s later.
    assert (late.end, patient.end) == ("EngineBusy", "")
    for each in (*inside, late, patient):
        each.cancel()
    await crowd.go()


@simulated
async def test_jobs_that_are_given_up_without_a_sound_tell_how_slow_the_engine_is() -> None:
    crowd = await warm_crowd()
    for _ in range(2):
        given_up = [crowd.comes(account, estimated_s=LENGTH_S) for account in "ab"]
        await asyncio.sleep(WITHIN_S)
        for each in given_up:
            each.cancel()
        await steps()
    inside = [crowd.comes(account, estimated_s=LENGTH_S) for account in "ab"]
    await steps()
    late = crowd.comes("c", estimated_s=LENGTH_S, deadline_s=WITHIN_S)
    await steps()
    assert late.end == "EngineBusy"
    for each in inside:
        each.cancel()
    await crowd.go()


@simulated
async def test_slots_that_became_more_forget_how_slow_the_few_were_together() -> None:
    host = await warm_host()
    asking = [asyncio.create_task(host.ask(each)) for each in clients(10)]
    await asyncio.sleep(LENGTH_S * 6)
    running = [(LENGTH_S, 1.0, 1.0)]
    assert host.slots._pace.together(running, 2) > 0.0
    host.slots.resize(40)
    assert host.slots._pace.together(running, 40) == 0.0
    await asyncio.gather(*asking)
