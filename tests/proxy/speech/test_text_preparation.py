"""What will be spoken is known before the hold: prices, estimates and limits follow it."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from plugins.plain.plugin import PlainFrontEnd
from policies.estimate import cap_seconds
from policies.lexicon import Lexicon, merge_lexicons
from policies.plans import Plan, Prices, build_terms
from policies.price import Price
from policies.routing import Candidate, Model, Voice
from proxy.access.callers import Caller
from proxy.errors import InvalidRequest, RequestFailed
from proxy.speech.call import PreparedText, SpeechCall, Totals
from proxy.speech.front_ends import FrontEnds, Prepare
from proxy.speech.part import Part
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import Defaults, parse_speech
from proxy.speech.text_preparation import MOST_SPOKEN_CHARACTERS, TextPreparation
from speech_engine import EngineError, EngineVoice, ModelInfo, Segment
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.tables import each_row

T = TypeVar("T")

VOICE = Voice(id="ana", name="ana", bindings=())
MODEL = ModelInfo(id="m", languages=(), sample_rate_hz=24_000)
READING_S = 0.2
CALLER = Caller("acc_1", "key_1", "unlimited", "speech")


class Words:
    """A front-end that says what it is told to, and remembers who asked."""

    def __init__(self, *said: str) -> None:
        self.said = said

    def prepare(self, text: str, _language: str, _words: Mapping[str, str]) -> tuple[Segment, ...]:
        return tuple(Segment(said, 0, len(text)) for said in self.said)


class Broken:
    def prepare(self, _text: str, _language: str, _words: Mapping[str, str]) -> tuple[Segment, ...]:
        raise ZeroDivisionError


class Hung:
    """A front-end that never comes back, until the test is over."""

    def __init__(self) -> None:
        self.is_over = threading.Event()

    def prepare(self, text: str, _language: str, _words: Mapping[str, str]) -> tuple[Segment, ...]:
        self.is_over.wait(30)
        return (Segment(text, 0, len(text)),)


class SlowReading(FrontEnds):
    """Front-ends beside a slow reading of marks. They note the time that one of them may take."""

    within_s: float | None = None

    async def read(self, work: Callable[[], T], within_s: float) -> T:
        await asyncio.sleep(READING_S)
        return await super().read(work, within_s)

    async def use(
        self, front_end: str, work: Callable[[Prepare], T], *, is_short: bool, within_s: float | None = None
    ) -> T:
        self.within_s = within_s
        return await super().use(front_end, work, is_short=is_short, within_s=within_s)


@contextmanager
def preparation(**front_ends: Any) -> Iterator[TextPreparation]:
    threads = ThreadPoolExecutor(4)
    try:
        yield TextPreparation(FrontEnds(front_ends, threads))
    finally:
        for each in front_ends.values():
            if isinstance(each, Hung):
                each.is_over.set()
        threads.shutdown()


def call(text: str, *front_ends: str, lexicon: Lexicon | None = None, parts: int = 1) -> SpeechCall:
    """A call whose candidates are `one` and `two`, each with a front-end. Every part has the whole text."""
    candidates = tuple(
        Candidate(Model(engine, MODEL), EngineVoice("v"), front_end=front_end)
        for engine, front_end in zip(("one", "two"), front_ends, strict=False)
    )
    part = Part(
        voice=VOICE,
        language="en",
        candidates=candidates,
        start=0,
        end=len(text),
        estimated_s=1.0,
        characters=len(text),
    )
    if lexicon is not None:
        part = msgspec.structs.replace(part, lexicon=lexicon)
    request = parse_speech(msgspec.json.encode({"model": "m", "voice": "ana", "input": text}), Defaults())
    plan = SpeechPlan(
        VOICE, VOICE.id, "en", (part,) * parts, 1.0, build_terms(DEAR), frozenset(), frozenset()
    )
    return SpeechCall("req_1", CALLER, request, plan, Totals(request, plan))


DEAR = Plan(
    name="dear",
    prices=Prices(
        speech=Price(2, "character"), models={"one": Price(3, "character"), "two/m": Price(500, "job")}
    ),
)


async def test_a_hold_is_for_the_dearest_candidate_by_the_text_that_it_speaks() -> None:
    with preparation(short=Words("x" * 14), long=Words("x" * 140)) as texts:
        for length, dearest in ((10, 500), (200, 600)):
            made = call("x" * length, "short", "long")
            await texts.prepare(made, 5.0)
            (run,) = made.totals.parts
            most, seconds = run.highest_charge(made.terms)
            assert (most.whole, round(seconds, 1)) == (dearest, 12.0)


async def test_each_paragraph_is_prepared_by_itself_and_its_last_segment_ends_it() -> None:
    text = "# Bye\nHello **Ann**. I know.\n\n- one\n- two"
    with preparation(plain=PlainFrontEnd()) as texts:
        made = call(text, "plain", lexicon=merge_lexicons([{"Ann": "anna", "two": "both"}]))
        await texts.prepare(made, 5.0)
    (run,) = made.totals.parts
    found = run.text_for(run.candidates[0]).segments
    assert [(each.spoken, each.ends_paragraph) for each in found] == [
        ("Bye", True),
        ("Hello anna.", False),
        ("I know.", True),
        ("one", True),
        ("both", True),
    ]
    assert [run.text[each.source_start : each.source_end].strip() for each in found] == [
        *("Bye", "Hello Ann.", "I know.", "one", "two")
    ]
    sources = [run.text[one.source_start : one.source_end] for each in found for one in each.rewritten]
    assert sources == ["Ann", "two"]


async def test_a_list_of_short_items_has_room_for_its_pauses() -> None:
    with preparation(plain=PlainFrontEnd()) as texts:
        made = call("- a\n" * 100, "plain")
        await texts.prepare(made, 5.0)
    (run,) = made.totals.parts
    assert cap_seconds(run.text_for(run.candidates[0]).estimated_s) > 100 * (0.3 + 0.85)


async def test_what_a_front_end_writes_out_is_estimated_and_not_charged() -> None:
    with preparation(out=Words("nine hundred ninety-nine thousand")) as texts:
        made = call("999000", "out")
        await texts.prepare(made, 5.0)
    (run,) = made.totals.parts
    text = run.text_for(run.candidates[0])
    assert (text.characters, text.spoken_characters) == (6, 33)
    assert round(text.estimated_s, 2) == round(33 / 14 * 1.2, 2)


@each_row(
    ("own", "layers", "characters"),
    [
        (1, [{"ab": "y" * 50}], 5 + 48),
        (0, [{"ab": "y" * 50}], 5),
        (1, [{"ab": "a"}], 5),
        (1, [{"ab": "z"}, {"cd": "y" * 50}], 5),
        (1, [{"ab": f"/{'a' * 50}/"}], 5 + 48),
        (1, [{"ab": "/ˈaːb/"}], 5),
        (1, [{"ab": "(chu3)(li3)"}], 5),
        (1, [{"ab": "(chu3)" * 10}], 5 + 8),
    ],
    ids=["own", "operator", "shorter", "both", "long sound", "IPA", "pinyin", "long pinyin"],
)
async def test_what_the_accounts_own_lexicon_adds_is_charged(
    own: int, layers: list[dict[str, str]], characters: int
) -> None:
    lexicon = merge_lexicons(layers, own_count=own)
    spoken_text = "ab cd"
    for word, said in lexicon.words.items():
        spoken_text = spoken_text.replace(word, said)
    with preparation(out=Words(spoken_text)) as texts:
        made = call("ab cd", "out", lexicon=lexicon)
        await texts.prepare(made, 5.0)
    (run,) = made.totals.parts
    assert run.text_for(run.candidates[0]).characters == characters


async def test_a_sound_of_a_lexicon_is_estimated_by_its_length() -> None:
    lexicon = merge_lexicons([{"ab": f"/{'a' * 140}/"}], own_count=1)
    with preparation(out=Words("ab")) as texts:
        made = call("ab", "out", lexicon=lexicon)
        await texts.prepare(made, 5.0)
    (run,) = made.totals.parts
    assert run.text_for(run.candidates[0]).estimated_s > 11


async def test_a_front_end_that_hangs_or_breaks_leaves_time_for_another() -> None:
    with preparation(hung=Hung(), broken=Broken(), good=Words("Hi.")) as texts:
        for bad in ("hung", "broken"):
            made = call("Hi.", bad, "good")
            await texts.prepare(made, 1.0)
            (run,) = made.totals.parts
            assert isinstance(run.texts["good", False], PreparedText)
            with pytest.raises(EngineError):
                run.text_for(run.candidates[0])


async def test_the_time_that_the_reading_of_marks_took_is_not_given_to_a_front_end() -> None:
    with ThreadPoolExecutor(1) as threads:
        slow = SlowReading({"good": Words("Hi.")}, threads)
        await TextPreparation(slow).prepare(call("*Hi.*", "good"), 4.0)
    assert slow.within_s is not None
    assert slow.within_s < (4.0 - READING_S / 2) / 2


@each_row(("bad", "status"), [(Words(), 400), (Broken(), 503), (Hung(), 503)])
async def test_a_part_that_no_candidate_can_speak_is_refused(bad: Any, status: int) -> None:
    with preparation(bad=bad) as texts:
        with pytest.raises(RequestFailed) as refused:
            await texts.prepare(call("Hi.", "bad"), 0.3)
    assert refused.value.status == status
    if status == 400:
        assert refused.value.param == "input"


async def test_a_text_that_becomes_far_too_long_is_refused() -> None:
    with preparation(out=Words("y" * (MOST_SPOKEN_CHARACTERS // 2))) as texts:
        await texts.prepare(call("x", "out", parts=2), 5.0)
        with pytest.raises(InvalidRequest) as refused:
            await texts.prepare(call("x", "out", parts=3), 5.0)
    assert (refused.value.param, refused.value.code) == ("input", "unsupported_text")


CONFIG = """
[engines.one]
costs = { "*" = { usd = 0.01, per = "character" } }
[models]
"tts-1" = ["one/m"]
[voices.ana]
one = "v"
[plans.paid]
allowance = 100000
prices.speech = { credits = 1, per = "character" }
"""
BODY = {"model": "tts-1", "voice": "ana", "response_format": "pcm", "language": "en"}


async def bill(server: Inside, **more: object) -> tuple[int, int, int]:
    """The charged characters, the credits, and the characters that the provider was given."""
    answer = await server.ask("POST", "/v1/audio/speech", body={**BODY, **more})
    assert answer.status_code == 200, answer.text
    row = max(await server.usage(), key=lambda row: row.started)
    return row.characters, round(row.credits / 1e6), round(row.micro_usd / 10_000)


async def test_a_bill_by_characters_counts_what_was_sent_and_what_the_lexicon_added(tmp_path: Path) -> None:
    engine = Scripted(*spoken(0.5), reads_numbers=False)
    async with inside(tmp_path, CONFIG, {"one": engine}, plan="paid") as server:
        plain = await bill(server, input="It is 1999 now.")
        added = await bill(server, input="Go to X now.", lexicon={"X": "the other end of the town"})
    (written_out,) = engine.jobs[0].segments
    assert len(written_out.spoken) > len("It is 1999 now.")
    assert plain == (15, 15, len(written_out.spoken))
    (replaced,) = engine.jobs[1].segments
    assert added == (len(replaced.spoken), len(replaced.spoken), len(replaced.spoken))


async def test_a_form_without_speech_is_refused_by_every_writer_of_lexicons(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, {"one": Scripted(*spoken(0.5))}, plan="paid") as server:
        inline = await server.ask(
            "POST", "/v1/audio/speech", body={**BODY, "input": "a b", "lexicon": {"a": "—"}}
        )
        saved = await server.ask("PUT", "/v1/lexicons/mine", body={"words": {"a": "…"}})
    for answer in (inline, saved):
        assert answer.status_code == 400, answer.text
        assert "has no letter or digit" in envelope(answer)["message"]
