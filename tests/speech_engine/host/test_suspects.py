"""In a host: a suspect runs alone, a killer does not run, and a digest tells nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from speech_engine import Convert, EngineVoice, Segment, Speak, UnsupportedOption, UnsupportedText
from speech_engine.host import messages
from speech_engine.host.messages import Failed
from speech_engine.host.pipe_messages import (
    Tick,
)
from speech_engine.host.pulse import Pulse
from speech_engine.host.server import HostServer
from speech_engine.host.slots import Slots
from speech_engine.host.suspects import Suspects
from tests.speech_engine.host.fakes import FakeEngine, FakeLog, job, speak_for_ever
from tests.speech_engine.host.visitors import Crowd, steps
from tests.waiting import soon


class Call:
    """A gRPC call whose client reads everything."""

    def __init__(self) -> None:
        self.written: list[messages.Frame] = []
        self._when_done: list[Callable[[Any], None]] = []

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._when_done.append(callback)

    async def write(self, frame: messages.Frame) -> None:
        self.written.append(frame)

    def end(self) -> None:
        for callback in self._when_done:
            callback(self)


def _other(text: str = "Numbat.", tenant: str = "acc_1") -> Speak:
    return Speak(msgspec.structs.replace(job(tenant=tenant), segments=(Segment(text, 0, len(text)),)))


def test_a_digest_is_of_the_account_and_the_text_under_a_key_and_not_of_the_request() -> None:
    suspects, work = Suspects(b"k" * 32), Speak(job("job_1"))
    digest = suspects.digest(work)
    assert digest == suspects.digest(Speak(job("job_2", deadline_s=1.0)))
    others = [
        suspects.digest(_other()),
        suspects.digest(Speak(job(tenant="acc_2"))),
        Suspects(b"l" * 32).digest(work),
    ]
    assert len({digest, *others}) == 4


def test_a_killer_is_refused_and_a_suspect_runs_alone() -> None:
    suspects, work = Suspects(), Speak(job())
    digest = suspects.digest(work)
    assert not suspects.runs_alone(work, digest)
    suspects.update(alone=[digest], refused=[])
    assert suspects.runs_alone(work, digest)
    suspects.update(alone=[], refused=[digest])
    with pytest.raises(UnsupportedText):
        suspects.runs_alone(work, digest)


def test_of_a_conversion_the_voice_is_the_suspect() -> None:
    suspects, work = Suspects(b"k" * 32), Convert(job())
    digest = suspects.digest(work)
    assert digest == suspects.digest(Convert(msgspec.structs.replace(job(), segments=())))
    others = [
        suspects.digest(Speak(job())),
        suspects.digest(Convert(job(tenant="acc_2"))),
        suspects.digest(Convert(msgspec.structs.replace(job(), voice=EngineVoice("another")))),
    ]
    assert len({digest, *others}) == 4
    suspects.update(alone=[], refused=[digest])
    with pytest.raises(UnsupportedOption) as refused:
        suspects.runs_alone(work, digest)
    assert refused.value.detail == "voice"


async def test_a_refused_text_never_reaches_the_engine() -> None:
    engine, suspects, call, ticks = FakeEngine(), Suspects(), Call(), list[Tick]()
    suspects.update((), [suspects.digest(Speak(job()))])
    server = HostServer(engine, Slots(1, 8), FakeLog(), Pulse(ticks.append), suspects)
    await server.run(messages.Begin("call_1", Speak(job())), call)
    (failed,) = call.written
    assert isinstance(failed, Failed)
    assert isinstance(failed.to_error(), UnsupportedText)
    assert (engine.jobs, ticks) == ([], [])


async def test_a_suspect_waits_until_the_host_is_empty_and_keeps_others_out() -> None:
    engine, suspects, ticks = FakeEngine(speak_for_ever, slots=4), Suspects(), list[Tick]()
    suspects.update([suspects.digest(Speak(job()))], ())
    slots = Slots(4, 8)
    server = HostServer(engine, slots, FakeLog(), Pulse(ticks.append), suspects)
    begins = [
        messages.Begin("first", _other()),
        messages.Begin("suspect", Speak(job())),
        messages.Begin("last", _other("Quokka.")),
    ]
    running, calls = [], [Call() for _ in begins]
    for begin, call in zip(begins, calls, strict=True):
        running.append(asyncio.create_task(server.run(begin, call)))
        await steps(20)
    assert [tick.begun for tick in ticks if tick.begun] == ["first"]
    for place, name in enumerate(["first", "suspect", "last"]):
        assert ticks[-1].begun == "" or ticks[-1].begun == name
        assert slots.running == 1
        running[place].cancel()
        await asyncio.wait([running[place]])
        if name == "first":
            await steps(20)
            assert slots.running == 0, "the answer of the first is still on its way"
        calls[place].end()
        await soon(lambda place=place: slots.running == min(1, 2 - place))  # type: ignore[misc]
    assert [tick.begun for tick in ticks if tick.begun] == ["first", "suspect", "last"]


async def test_others_wait_behind_a_suspect_also_when_the_pace_is_known() -> None:
    crowd = Crowd(slots=2, limit=4)
    quick = crowd.comes("a", estimated_s=1.0)
    await steps()
    quick.leave()
    await steps()
    inside = crowd.comes("a", estimated_s=1.0)
    crowd.slots.begin_answer()
    suspect, last = crowd.comes("b", runs_alone=True, estimated_s=1.0), crowd.comes("c", estimated_s=1.0)
    await steps()
    inside.leave()
    await steps()
    assert (inside.end, suspect.is_inside, crowd.slots.running) == ("left", False, 0)
    crowd.slots.end_answer()
    await steps()
    assert (suspect.is_inside, last.is_inside) == (True, False)
    suspect.leave()
    await steps()
    assert last.is_inside
    await crowd.go()


async def test_a_suspect_that_gives_up_its_wait_lets_the_others_in() -> None:
    crowd = Crowd(slots=2, limit=4)
    first, suspect, last = crowd.comes("a"), crowd.comes("b", runs_alone=True), crowd.comes("c")
    await steps()
    assert (first.is_inside, suspect.is_inside, last.is_inside) == (True, False, False)
    suspect.cancel()
    await steps()
    assert (suspect.end, last.is_inside) == ("cancelled", True)
    await crowd.go()
