"""Word times against the written text, and texts that are hardly any."""

import msgspec
import pytest

from plugins.espeak.plugin import EspeakSettings
from plugins.espeak.utterance import utterance_of
from speech_engine import Audio, Engine, Finished, Segment, Started, Words
from speech_engine.testing import collect
from tests.plugins.espeak.heard import SAMPLE_RATE_HZ, espeak, hear, said


async def test_segments_come_in_order_and_words_in_the_job_s_time(engine: Engine) -> None:
    events = await collect(engine, said("Hello there.", "How are you?"))
    segments = [event.segment for event in events if isinstance(event, Audio)]
    assert segments == sorted(segments)
    assert set(segments) == {0, 1}
    first = sum(len(event.pcm) // 2 for event in events if isinstance(event, Audio) and event.segment == 0)
    second = [
        word for event in events if isinstance(event, Words) and event.segment == 1 for word in event.words
    ]
    assert second[0].sample_offset == pytest.approx(first, abs=SAMPLE_RATE_HZ // 100)
    assert second[-1].sample_offset > second[0].sample_offset


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("Olá, café em São Paulo!", "pt-BR", ["Olá", "café", "em", "São", "Paulo"]),
        ("It costs $1,026 on 12/11/2026.", "en", ["It", "costs", "$1,026", "on", "12/11/2026"]),
        ("don't (ever) stop-gap \u201cthis\u201d", "en", ["don't", "ever", "stop-gap", "this"]),
        ("Привет, мир", "ru", ["Привет", "мир"]),
        ("one\u2014two \U0001f600 three", "en", ["one", "two", "three"]),
    ],
)
async def test_word_times_point_at_the_written_words(
    engine: Engine, text: str, language: str, words: list[str]
) -> None:
    heard = await hear(engine, said(text, language=language))
    assert [text[word.spoken_start : word.spoken_end] for word in heard.words] == words
    offsets = [word.sample_offset for word in heard.words]
    assert offsets == sorted(set(offsets))
    assert offsets[-1] < len(heard.pcm) // 2


async def test_a_word_time_lies_where_the_word_begins() -> None:
    """With wide gaps between the words, the silence before each time ends there."""
    async with espeak(EspeakSettings(word_gap_ms=500)) as slow:
        heard = await hear(slow, said("seven eight nine", seed=1))
    for word in heard.words[1:]:
        before = heard.samples[word.sample_offset - 4000 : word.sample_offset - 1000]
        after = heard.samples[word.sample_offset : word.sample_offset + 6000]
        assert abs(before).mean() < 0.05 * abs(after).mean()


@pytest.mark.parametrize("text", [".", " ", "\n", "\x00", "[[", "\ud800", "<speak>"])
async def test_a_text_that_is_hardly_one_does_no_harm(engine: Engine, text: str) -> None:
    events = await collect(engine, said(text))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)


async def test_a_nul_hides_nothing_behind_it(engine: Engine) -> None:
    heard = await hear(engine, said("one\x00two three"))
    assert [(word.spoken_start, word.spoken_end) for word in heard.words] == [(0, 3), (4, 7), (8, 13)]


async def test_markup_is_text(engine: Engine) -> None:
    heard = await hear(engine, said('a <break time="1000s"/> b'))
    assert heard.duration_s < 20


async def test_brackets_open_no_phoneme_notation(engine: Engine) -> None:
    heard = await hear(engine, said("[[h@l'oU]] there"))
    assert [(word.spoken_start, word.spoken_end) for word in heard.words][-1] == (11, 16)


def test_a_segment_of_a_job_keeps_its_text_out_of_every_repr() -> None:
    job = msgspec.structs.replace(said("x"), segments=(Segment("my secret", 0, 9),))
    assert "secret" not in repr(utterance_of(job, EspeakSettings()))
