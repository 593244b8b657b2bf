"""What taps hear of an answer, in which order, and that each is ended however the answer ends."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace

from policies.plans import UNLIMITED, build_terms
from proxy.access.callers import Caller
from proxy.catalogue.erased_voices import ErasedVoices
from proxy.errors import InvalidRequest, RequestFailed, UpstreamFailed
from proxy.features.erasure.feature import ErasureObservers
from proxy.features.marks.clip_facts import FactsRow
from proxy.http.replies import encode_json
from proxy.ledger import Outcome, Spent
from proxy.speech import speech_request
from proxy.speech.answer import Answer
from proxy.speech.answer_file import AnswerFile
from proxy.speech.call import OpenObserver, SpeechCall, Totals
from proxy.speech.observer import NO_OBSERVERS, Observer, Observers
from proxy.speech.speech_stream import FileSink, Speech
from speech_engine import EngineError, EngineFailed, Event, SpeechJob, UnsupportedText
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row

CONFIG = """
[engines.one]
[models]
"m" = ["one/m"]
[voices.ana]
one = "v"
"""


class Listener(Observer):
    """Writes down what it hears."""

    def __init__(self, name: str, heard: list[str]) -> None:
        self._name = name
        self._heard = heard

    async def take_place(self) -> None:
        self._heard.append(f"{self._name} takes its place")

    def begin(self, speech: Speech) -> None:
        self._heard.append(f"{self._name} begins with {speech.engine}")

    def chunk(self, data: bytes) -> None:
        assert data
        self._heard.append(f"{self._name} chunk")

    def settle(self, spent: Spent) -> Spent:
        self._heard.append(f"{self._name} settles {spent.samples > 0}")
        return spent

    def fail(self, error: EngineError) -> EngineError:
        self._heard.append(f"{self._name} blames {type(error).__name__}")
        return UnsupportedText("It was the text.")

    def end(self, error: BaseException | None) -> None:
        self._heard.append(f"{self._name} ends {'' if error is None else type(error).__name__}".strip())


class Chunks(Observer):
    """Counts the bytes, and refuses what comes after the first of them."""

    def __init__(self) -> None:
        self.bytes = 0

    def chunk(self, data: bytes) -> None:
        if self.bytes:
            raise EngineFailed("enough")
        self.bytes += len(data)


def refuse(_call: SpeechCall) -> Observer:
    raise InvalidRequest("Not this one.", param="voice")


async def answer(
    server: Inside,
    *openers: OpenObserver,
    takes: Callable[[Answer], object] | None = None,
    goes_whole: bool = False,
) -> None:
    body = {"model": "m", "voice": "ana", "input": "Hello there.", "response_format": "pcm"}
    request = speech_request.parse_speech(encode_json(body), speech_request.Defaults())
    plan = replace(
        server.worker.planner.plan(request, build_terms(UNLIMITED)), own_voices=frozenset({"voice_1"})
    )
    caller = Caller(server.account.id, "key_1", "unlimited", "speech")

    async def take_all(answer: Answer) -> None:
        if goes_whole:
            await answer.collect_file()
        while await answer.next_chunk() is not None:
            if takes is not None:
                takes(answer)
        answer.last_bytes()
        await answer.settle()

    totals = Totals(request, plan)
    call = SpeechCall("req_1", caller, request, plan, totals, None, openers, goes_whole=goes_whole)
    await server.worker.pipeline.answer(call, take_all, lambda: 0.5)


async def test_taps_hear_an_answer_in_their_order_and_end_in_the_other(tmp_path: Path) -> None:
    heard: list[str] = []
    async with inside(tmp_path, CONFIG, {"one": Scripted(*spoken(0.5))}) as server:
        await answer(server, lambda _: Listener("a", heard), lambda _: Listener("b", heard))
    steps = [f"{name} takes its place" for name in "ab"]
    steps += [f"{name} begins with one/m" for name in "ab"]
    chunks = sum(step.endswith("chunk") for step in heard)
    assert chunks >= 4
    steps += [
        *["a chunk", "b chunk"] * (chunks // 2),
        *(f"{name} settles True" for name in "ab"),
        "b ends",
        "a ends",
    ]
    assert heard == steps


async def test_each_tap_is_ended_whatever_another_raises(tmp_path: Path) -> None:
    heard: list[str] = []

    class Broken(Observer):
        def end(self, error: BaseException | None) -> None:
            raise OSError("the disk")

    async with inside(tmp_path, CONFIG, {"one": Scripted(*spoken(0.5))}) as server:
        with pytest.raises(OSError, match="the disk"):
            await answer(server, lambda _: Ends(heard), lambda _: Broken())
    assert heard == ["NoneType"]


async def test_a_later_opener_that_refuses_ends_those_before_and_nobody_speaks(tmp_path: Path) -> None:
    heard: list[str] = []
    engine = Scripted(*spoken(0.5))
    async with inside(tmp_path, CONFIG, {"one": engine}) as server:
        with pytest.raises(InvalidRequest, match="Not this one"):
            await answer(server, lambda _: Listener("a", heard), refuse, lambda _: Listener("b", heard))
    assert heard == ["a ends InvalidRequest"]
    assert not engine.jobs


async def test_an_engine_s_fault_is_told_as_a_tap_sees_it(tmp_path: Path) -> None:
    heard: list[str] = []
    async with inside(tmp_path, CONFIG, {"one": Scripted(EngineFailed("broken"))}) as server:
        with pytest.raises(RequestFailed, match="It was the text"):
            await answer(server, lambda _: Listener("a", heard))
    assert heard[0] == "a takes its place"
    assert heard[1].startswith("a blames ")
    assert heard[2] == "a ends InvalidRequest"


async def test_a_tap_can_break_an_answer_off(tmp_path: Path) -> None:
    heard: list[str] = []
    chunks = Chunks()
    async with inside(tmp_path, CONFIG, {"one": Scripted(*spoken(2.0))}) as server:
        with pytest.raises(UpstreamFailed):
            await answer(server, lambda _: chunks, lambda _: Ends(heard))
        (row,) = await server.usage()
    assert chunks.bytes
    assert heard == ["UpstreamFailed"]
    assert row.outcome == "failed"


async def test_an_engine_that_lost_an_erased_voice_has_not_failed(tmp_path: Path) -> None:
    erased = ErasedVoices()

    async def erase() -> None:
        erased.note_erased("voice_1")

    def open_observer(call: SpeechCall) -> Observer:
        opener = ErasureObservers(erased).opener(call.request, call.plan)
        assert opener
        return opener(call)

    async with inside(tmp_path, CONFIG, {"one": Scripted(erase, EngineFailed("lost"))}) as server:
        with pytest.raises(RequestFailed) as failure:
            await answer(server, open_observer)
        assert await erased.wait_until_silent("voice_1", 0.0)
        with pytest.raises(RequestFailed) as later:
            await answer(server, open_observer)
    assert failure.value.code == later.value.code == "voice_not_found"


async def test_of_a_file_that_was_written_anew_only_the_new_one_takes_room(tmp_path: Path) -> None:
    class Copying(Observer):
        rewrites = True

        async def whole(self, file: AnswerFile, new: FileSink) -> bool:
            async for piece in file.pieces():
                await new.add(piece)
            return True

    rooms: list[str] = []
    async with inside(tmp_path, CONFIG, {"one": Scripted(*spoken(10.0))}) as server:
        room = server.worker.parts.spill_quota
        await answer(server, lambda _: Copying(), takes=lambda _: rooms.append(repr(room)), goes_whole=True)
    assert {taken.partition(", ")[2] for taken in rooms} == {"1 files>"}


async def test_taps_end_when_the_client_leaves(tmp_path: Path) -> None:
    heard: list[str] = []

    def leave(_answer: Answer) -> None:
        raise asyncio.CancelledError

    async with inside(tmp_path, CONFIG, {"one": Scripted(*spoken(2.0))}) as server:
        with pytest.raises(asyncio.CancelledError):
            await answer(server, lambda _: Ends(heard), takes=leave)
    assert heard == ["CancelledError"]


@simulated
async def test_an_answer_is_counted_if_its_client_leaves_while_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing, told = asyncio.Event(), list[str]()

    class SlowToEnd(Scripted):
        async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
            try:
                for event in spoken(2.0):
                    yield event
            finally:
                closing.set()
                await asyncio.sleep(0.05)

    def break_off(_answer: Answer) -> None:
        raise EngineFailed("enough")

    async with inside(tmp_path, CONFIG, {"one": SlowToEnd()}) as server:
        monkeypatch.setattr(server.worker.pipeline, "_end_hooks", (lambda call: told.append(call.id),))
        answering = asyncio.create_task(answer(server, takes=break_off))
        await closing.wait()
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        counted = server.worker.metrics.page_text()
    assert told == ["req_1"]
    assert 'voxgate_speech_seconds_total{engine="one",model="m"}' in counted


class Ends(Observer):
    def __init__(self, heard: list[str]) -> None:
        self._heard = heard

    def end(self, error: BaseException | None) -> None:
        self._heard.append(type(error).__name__)


class Headers(Ends):
    def headers(self) -> Iterable[tuple[bytes, bytes]]:
        return ((b"x-more", b"1"),)


def test_only_what_a_tap_has_of_its_own_is_called() -> None:
    observers = Observers((Ends([]), Headers([])))
    assert [name for name, hooks in vars(observers).items() if hooks] == ["headers"]
    assert len(observers.headers) == 1
    assert Chunks.listens_to == ("chunk",)
    assert Headers.listens_to == ("headers", "end")
    assert not any(getattr(NO_OBSERVERS, name) for name in vars(NO_OBSERVERS))


@each_row("outcome", get_args(Outcome))
async def test_a_row_of_the_tally_comes_with_any_usage_row(tmp_path: Path, outcome: Outcome) -> None:
    """What `settle` adds comes with that of a whole answer alone."""

    class Adding(Observer):
        def settle(self, spent: Spent) -> Spent:
            return replace(spent, rows=(*spent.rows, FactsRow("whole", "acc", "{}")))

    def note(call: SpeechCall) -> Observer:
        call.totals.rows.append(FactsRow("any", "acc", "{}"))
        return Adding()

    def end_so(_answer: Answer) -> None:
        if outcome != "finished":
            raise EngineFailed("enough") if outcome == "failed" else asyncio.CancelledError

    async with inside(tmp_path, CONFIG, {"one": Scripted(*spoken(0.5))}) as server:
        with suppress(RequestFailed, asyncio.CancelledError):
            await answer(server, note, takes=end_so)
        (row,) = await server.usage()
        stored = await server.worker.store.read("SELECT request FROM receipts ORDER BY request")
    assert row.outcome == outcome
    assert [each["request"] for each in stored] == ["any", *["whole"] * (outcome == "finished")]
