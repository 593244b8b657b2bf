"""Scribe: what ElevenLabs is asked, and how its words become segments."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest

from fakes.forms import form_of
from plugins.elevenlabs.transcription import _Answer, _cut_into_segments
from speech_engine import (
    Engine,
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineLimited,
    EngineStumbled,
    EngineTimeout,
    Finished,
    ProviderCount,
    UnsupportedRequest,
    UnusableSample,
    recording_pieces,
)
from speech_engine.testing import HearingContract
from speech_engine.testing.hearing_contract import segments
from tests.plugins.elevenlabs.rig import Rig, rig
from tests.plugins.elevenlabs.test_contract import _engine
from tests.tables import each_row
from tests.tones import recording, transcript

MODEL = "scribe_v2"
PATH = "/v1/speech-to-text"


class TestScribe(HearingContract):
    model = MODEL

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return _engine(word_times=False)

    async def recording(self) -> bytes:
        return recording(*self.texts)


async def _failure(made: Rig, pcm: bytes, **fields: Any) -> EngineError:
    with pytest.raises(EngineError) as caught:
        await transcript(made.engine, pcm, **{"model": MODEL, **fields})
    return caught.value


async def test_the_request_has_what_scribe_takes_and_no_more() -> None:
    terms = ("Ana", "a b c d e f", "<b>", "x" * 51, "Zoë B.")
    fields = {"language": "pt-BR", "keywords": terms, "prompt": "A talk.", "temperature": 0.5}
    async with rig(enable_logging=False) as made:
        await transcript(made.engine, recording("One."), model=MODEL, **fields)
        (seen,) = made.provider.seen
    form = form_of(seen.headers["content-type"], seen.body)
    assert (seen.path, seen.query) == (PATH, "enable_logging=false")
    assert form.lists == {
        "model_id": [MODEL],
        "tag_audio_events": ["false"],
        "timestamps_granularity": ["word"],
        "language_code": ["pt"],
        "temperature": ["0.5"],
        "keyterms": ["Ana", "Zoë B."],
    }


async def test_pieces_are_one_transcript_and_count_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_pieces, "MOST_PIECE_S", 3.0)
    pcm = recording("Hello there.", "It is late!", "Good night.")
    async with rig() as made:
        (info,) = [model for model in made.engine.models() if model.hears]
        events = await transcript(made.engine, pcm, model=MODEL, times="words")
        assert len(made.provider.seen) > 1
    found = segments(events)
    assert "".join(each.text for each in found) == "Hello there. It is late! Good night."
    assert {(each.language, round(each.avg_logprob, 3)) for each in found} == {("en", -0.1)}
    assert found[0].start_s == pytest.approx(0.5, abs=0.03)
    seconds = len(pcm) / 32_000
    assert [event.units for event in events if isinstance(event, ProviderCount)][-1] == seconds
    assert events[-1] == Finished(seconds)
    assert (info.speaks, info.times_words, info.translates, info.units_a_minute) == (False, True, False, 60.0)


@each_row(
    ("words", "texts"),
    [
        ("Yes. No", ["Yes.", " No"]),
        ('He said "yes." Then no', ['He said "yes."', " Then no"]),
        ("你好。 再见", ["你好。", " 再见"]),
        ("one two|three", ["one two", " three"]),
        ("one (laughter) two", ["one two"]),
        ("  ", []),
    ],
)
def test_words_are_cut_at_sentences_and_pauses(words: str, texts: list[str]) -> None:
    """A `|` is a pause of a second; what is in parentheses is an event."""
    entries, at_s = [], 0.0
    for part in words.replace("|", " | ").split(" "):
        if part == "|":
            at_s += 1.0
            continue
        kind = "audio_event" if part.startswith("(") else "word"
        entries.append({"text": part, "type": kind, "start": at_s, "end": at_s + 0.3})
        entries.append({"text": " ", "type": "spacing", "start": at_s + 0.3, "end": at_s + 0.3})
        at_s += 0.3
    found = msgspec.convert({"text": words, "words": entries}, _Answer)
    cut = [
        lead + "".join(word.text for word in some).strip() for lead, some in _cut_into_segments(found.words)
    ]
    assert [" ".join(text.split()) for text in cut] == [text.strip() for text in texts]


@each_row(
    ("fault", "more", "cls"),
    [
        ("429", {}, EngineLimited),
        ("429", {"code": "older:quota_exceeded"}, EngineExhausted),
        ("5xx", {}, EngineStumbled),
        ("5xx", {"status": 400, "code": "something_new"}, UnsupportedRequest),
        ("5xx", {"status": 400, "code": "audio_too_short"}, UnusableSample),
        ("garbage", {}, EngineFailed),
        ("truncated", {"after_bytes": 9}, EngineFailed),
        ("hang_before", {}, EngineTimeout),
        *(("wrong_codec", {"code": code}, EngineFailed) for code in ("", "nan", "late", "huge")),
    ],
)
async def test_what_is_no_transcript_gives_none(
    fault: Any, more: dict[str, Any], cls: type[EngineError]
) -> None:
    async with rig() as made:
        made.provider.fail(fault, path=PATH, **more)
        error = await _failure(made, recording("A secret."), deadline_s=0.3)
        assert type(error) is cls
        assert "secret" not in repr(error)
        if cls is not EngineExhausted:
            assert segments(await transcript(made.engine, recording("One."), model=MODEL))[0].text == "One."


async def test_scribe_translates_nothing_and_an_empty_account_rests() -> None:
    async with rig(transcribes=("scribe_v1", MODEL)) as made:
        assert [model.id for model in made.engine.models() if model.hears] == ["scribe_v1", MODEL]
        assert type(await _failure(made, recording("Olá."), task="translate")) is UnsupportedRequest
        assert made.provider.seen == []
        made.account.credits = 0
        assert type(await _failure(made, recording("One."))) is EngineExhausted
        with pytest.raises(EngineExhausted):
            await made.engine.refresh()
