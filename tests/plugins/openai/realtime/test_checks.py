"""The three ways to check a transcript: what is heard when, and what happens to other words."""

import math
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import structlog
from msgspec.structs import replace

from speech_engine import Audio, Event, Finished, ProviderCount, Started, UnsupportedText
from speech_engine.testing import collect
from tests.plugins.openai.realtime.rig import Pair, heard, job_of, pair
from tests.plugins.openai.upstream import until_it_fails
from tests.tables import each_row

TEXT = "Hello there, world, and all who live in it."


def _units(events: Sequence[Event]) -> float:
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.units is not None
    return last.units


async def _asked_at_first_sound(both: Pair, *texts: str, **more: Any) -> int:
    """How many sentences were asked for when the first sound came."""
    async with aclosing(both.engine.speak(job_of(*texts, **more))) as events:
        async for event in events:
            if isinstance(event, Audio):
                break
        return len(both.fake.frames("response.create"))


@each_row("lead", ["transcript", "audio", "even"])
@each_row("check", ["strict", "fast", "off"])
async def test_a_text_is_heard_whichever_of_words_and_sound_comes_first(check: str, lead: Any) -> None:
    async with pair(check=check) as both:
        both.fake.manner.lead = lead
        assert heard(await collect(both.engine, job_of(TEXT, "And you?"))) == [TEXT, "And you?"]


async def test_strict_lets_nothing_out_before_all_words_are_there() -> None:
    async with pair() as both:
        both.fake.will("no_done")
        events, _ = await until_it_fails(both.engine, replace(job_of(TEXT), deadline_s=1.0))
        assert heard(events) == []


async def test_fast_lets_sound_out_as_it_comes() -> None:
    async with pair(check="fast", silence_s=1.0) as both:
        both.fake.will("no_done")
        events, _ = await until_it_fails(both.engine, job_of(TEXT))
        assert heard(events) == [TEXT]


async def test_fast_asks_once_more_while_nothing_is_heard() -> None:
    async with pair(check="fast") as both:
        both.fake.manner.lead = "transcript"
        both.fake.will("answer")
        assert heard(await collect(both.engine, job_of(TEXT))) == [TEXT]


async def test_fast_breaks_when_the_last_words_are_missing() -> None:
    async with pair(check="fast") as both:
        both.fake.will("drop_last", "who live", count=2)
        events, error = await until_it_fails(both.engine, job_of("Well.", TEXT))
        assert isinstance(error, UnsupportedText)
        assert any(isinstance(event, Audio) for event in events)
        assert not any(isinstance(event, Finished) for event in events)


async def test_fast_may_flag_instead_and_never_quotes() -> None:
    async with pair(check="fast", on_mismatch="flag") as both:
        both.fake.will("drop_last", count=2)
        with structlog.testing.capture_logs() as lines:
            events = await collect(both.engine, job_of(TEXT))
        assert heard(events) == [TEXT.removesuffix(" it.")]
        assert [line["event"] for line in lines] == ["engine.text.reworded"]
        assert "Hello" not in repr(lines)


async def test_off_lets_everything_through() -> None:
    async with pair(check="off") as both:
        both.fake.will("apologise")
        assert heard(await collect(both.engine, job_of(TEXT))) == ["I'm sorry, I can't help with that."]


@each_row(("ahead", "asked"), [(0, 1), (1, 2), (3, 4)])
async def test_the_next_sentences_are_asked_for_before_they_are_needed(ahead: int, asked: int) -> None:
    async with pair(ahead=ahead) as both:
        assert await _asked_at_first_sound(both, *[f"Number {n}." for n in range(8)]) == asked


async def test_contractions_are_right_only_if_the_settings_say_so() -> None:
    for contractions in (False, True):
        async with pair(contractions=contractions) as both:
            both.fake.will("contract", count=2)
            _, error = await until_it_fails(both.engine, job_of("This is it."))
            assert (error is None) is contractions


async def test_numbers_are_judged_in_the_language_of_the_text() -> None:
    async with pair() as both:
        assert heard(await collect(both.engine, job_of("สวัสดี ๓ ปี", language="th"))) == ["สวัสดี ๓ ปี"]


async def test_the_units_are_tokens_of_sound_and_the_others_by_their_price() -> None:
    weights = {"text_in": 0.0, "cached_in": 0.0, "text_out": 0.0}
    async with pair(token_weights=weights) as both:
        events = await collect(both.engine, job_of(TEXT))
        pcm = sum(len(event.pcm) for event in events if isinstance(event, Audio))
        assert _units(events) == math.ceil(pcm / 48_000 * 20)
        # Without a count of the provider's own, the sound is counted.
        both.fake.will("no_usage")
        assert _units(await collect(both.engine, job_of(TEXT))) == _units(events)
        both.fake.will("answer")
        assert _units(await collect(both.engine, job_of(TEXT))) > _units(events)
    async with pair() as both:
        assert _units(await collect(both.engine, job_of(TEXT))) > _units(events)


async def test_what_was_counted_is_told_before_any_sound() -> None:
    async with pair() as both:
        events = await collect(both.engine, job_of(TEXT))
    # The first count comes with the first sign of work, which a check of the whole answer would hold back.
    assert [type(event) for event in events[:4]] == [Started, ProviderCount, ProviderCount, Audio]


async def test_a_text_that_is_speech_and_has_no_words_is_refused_before_anybody_is_asked() -> None:
    async with pair() as both:
        _, error = await until_it_fails(both.engine, job_of("\N{MUSICAL SYMBOL G CLEF}"))
        assert isinstance(error, UnsupportedText)
        assert both.fake.sessions == []


async def test_sentences_without_words_are_not_asked_for() -> None:
    async with pair() as both:
        assert heard(await collect(both.engine, job_of("…", TEXT, "\U0001f600"))) == [TEXT]
        assert await collect(both.engine, job_of(".")) == (Started(24_000), Finished(0))
        assert len(both.fake.frames("response.create")) == 1
