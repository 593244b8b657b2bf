"""The rules for an engine's answers, as plain checks of values: no engine, no event loop, no pytest.

Each check raises `ContractBroken` with the broken rule. The module `contract` makes the values.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from speech_engine.errors import EngineError
from speech_engine.events import Audio, Encoded, Event, Finished, ProviderCount, Started, Words
from speech_engine.hearing import Transcript, TranscriptSegment
from speech_engine.models import ModelInfo, VoiceInfo
from speech_engine.values import SpeechJob

UNKNOWN_VOICE = "an unknown voice raises VoiceNotFound"
_ROUNDING_S = 0.03


class ContractBroken(AssertionError):
    """Raised if an engine breaks a rule on which the server relies. The message is the rule."""


def require(is_true: bool, rule: str) -> None:
    # No `assert` here: the suite must also work under `python -O` and without pytest's rewriting.
    if not is_true:
        raise ContractBroken(rule)


async def refusal(answer: Awaitable[object], rule: str) -> EngineError:
    """Return what an engine raises for something that it cannot do. `rule` says which class it should be."""
    fault = "and this engine answered"
    try:
        await answer
    except EngineError as error:
        return error
    except (TimeoutError, ContractBroken):
        raise
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: it becomes the verdict
        fault = f"not {type(error).__name__}"
    raise ContractBroken(f"{rule}, {fault}")


def samples(events: Sequence[Event]) -> int:
    return sum(len(event.pcm) // 2 for event in events if isinstance(event, Audio))


def check_models(models: tuple[ModelInfo, ...]) -> None:
    require(bool(models), "an engine has at least one model")
    ids = [model.id for model in models]
    require(len(set(ids)) == len(ids), f"model ids are unique: {ids}")
    for model in models:
        _check_model(model)


def _check_model(model: ModelInfo) -> None:
    require(
        bool(model.id) and model.id == model.id.strip(), f"a model has an id without spaces: {model.id!r}"
    )
    require(bool(model.languages), f"{model.id}: a model names its languages, or ANY_LANGUAGE")
    tags = [language.tag for language in model.languages]
    require(len(set(tags)) == len(tags), f"{model.id}: each language is named once")
    require(8_000 <= model.sample_rate_hz <= 192_000, f"{model.id}: the sample rate is 8000..192000 Hz")
    require(model.max_characters >= 1, f"{model.id}: max_characters is at least 1")
    slowest, fastest = model.speed
    require(0 < slowest <= 1.0 <= fastest, f"{model.id}: the speed range is positive and has 1.0 in it")
    lowest, highest = model.pitch
    require(lowest <= 0.0 <= highest, f"{model.id}: the pitch range has 0.0 in it")
    require(model.first_audio_s is None or model.first_audio_s > 0, f"{model.id}: first_audio_s is positive")
    is_count = model.units_a_minute is None or model.units_a_minute >= 0
    require(is_count, f"{model.id}: units_a_minute is not negative")


def check_voices(voices: tuple[VoiceInfo, ...]) -> None:
    ids = [voice.id for voice in voices]
    require(len(set(ids)) == len(ids), "voice ids are unique")
    for voice in voices:
        require(bool(voice.id) and bool(voice.name), f"a voice has an id and a name: {voice!r}")


def check_answer(job: SpeechJob, model: ModelInfo, events: Sequence[Event]) -> None:
    """Check the whole answer to a job: its order, its sizes, and sound for every segment."""
    check_order(events)
    started = events[0]
    if isinstance(started, Started):
        require(started.sample_rate_hz == model.sample_rate_hz, "Started has the model's sample rate")
        check_audio(job, started.sample_rate_hz, events)
    for event in events:
        if isinstance(event, Encoded):
            require(
                event.format in job.formats, f"Encoded comes only in the job's formats, not {event.format}"
            )
    # An answer that was cut short may lack its last segments. If the provider joins segments, the
    # answer has only one.
    if job.max_samples is None and not model.joins_segments:
        check_whole_sound(job, events)
    check_words(job, events)


def check_order(events: Sequence[Event]) -> None:
    require(bool(events) and isinstance(events[0], Started), "the first event is Started")
    require(isinstance(events[-1], Finished), "the last event is Finished")
    require(sum(isinstance(event, Started) for event in events) == 1, "Started comes once")
    require(sum(isinstance(event, Finished) for event in events) == 1, "Finished comes once")


def check_conversion(model: ModelInfo, events: Sequence[Event]) -> None:
    """Check a recording that was repeated in another voice. Its job has no segments, so all is segment 0."""
    check_order(events)
    rate_hz = events[0].sample_rate_hz if isinstance(events[0], Started) else 0
    is_own = rate_hz == model.sample_rate_hz or (bool(model.trained_format) and rate_hz > 0)
    require(is_own, "Started has the model's sample rate, or that of a trained voice")
    for event in events:
        if isinstance(event, Audio):
            require(event.segment == 0, "the audio of a conversion is segment 0")
            _check_chunk(event, rate_hz)
    has_sound = any(isinstance(event, (Audio, Encoded)) for event in events)
    require(has_sound, "a recording with sound gives sound")
    counts = any(isinstance(event, (Finished, ProviderCount)) and event.units is not None for event in events)
    is_reported = model.units_a_minute is not None or not counts
    require(is_reported, f"{model.id}: a provider that counts units of recordings has units_a_minute")


def check_transcript(model: ModelInfo, recording_s: float, events: Sequence[Event]) -> None:
    """Check what was heard in a recording of this length."""
    require(bool(events) and isinstance(events[-1], Finished), "the last event is Finished")
    latest_s, up_to_s = 0.0, 0.0
    for event in events[:-1]:
        is_known = isinstance(event, (Transcript, ProviderCount))
        require(is_known, f"before Finished come transcripts and counts alone: {event!r}")
        if not isinstance(event, Transcript):
            continue
        require(event.up_to_s >= up_to_s, "`up_to_s` never goes back")
        up_to_s = event.up_to_s
        for segment in event.segments:
            require(bool(segment.text.strip()), "a segment has a text")
            if model.times_words:
                _check_times(segment, latest_s, recording_s)
                latest_s = segment.start_s
    require(up_to_s <= recording_s + _ROUNDING_S, "`up_to_s` lies within the recording")


def _check_times(segment: TranscriptSegment, latest_s: float, recording_s: float) -> None:
    require(latest_s <= segment.start_s <= segment.end_s, f"segments come in order: {segment.start_s} s")
    require(segment.end_s <= recording_s + _ROUNDING_S, f"a segment ends in its recording: {segment.end_s} s")
    at_s = segment.start_s
    for word in segment.words:
        is_within = at_s - _ROUNDING_S <= word.start_s <= word.end_s <= segment.end_s + _ROUNDING_S
        require(is_within, f"words come in order, within their segment: {word.start_s} s")
        at_s = word.start_s


def check_audio(job: SpeechJob, sample_rate_hz: int, events: Sequence[Event]) -> None:
    latest = 0
    for event in events:
        if not isinstance(event, Audio):
            continue
        _check_chunk(event, sample_rate_hz)
        require(0 <= event.segment < len(job.segments), f"audio belongs to a segment of the job: {event!r}")
        require(event.segment >= latest, f"audio comes in segment order: {event!r} after segment {latest}")
        latest = event.segment


def _check_chunk(audio: Audio, sample_rate_hz: int) -> None:
    require(bool(audio.pcm), "a chunk of audio is not empty")
    require(len(audio.pcm) % 2 == 0, "a chunk of audio is whole 16-bit samples")
    require(len(audio.pcm) // 2 <= sample_rate_hz // 10, f"a chunk is at most 100 ms: {audio!r}")


def check_whole_sound(job: SpeechJob, events: Sequence[Event]) -> None:
    if any(isinstance(event, Encoded) for event in events):
        return
    audible = {event.segment for event in events if isinstance(event, Audio) and any(event.pcm)}
    missing = sorted(set(range(len(job.segments))) - audible)
    require(not missing, f"every segment is heard, these were not: {missing}")


def check_words(job: SpeechJob, events: Sequence[Event]) -> None:
    # An engine that passes on encoded audio need not know how long the audio is.
    total = float("inf") if any(isinstance(event, Encoded) for event in events) else samples(events)
    latest_segment = latest_offset = latest_start = 0
    for event in events:
        if not isinstance(event, Words):
            continue
        require(
            0 <= event.segment < len(job.segments), f"words belong to a segment of the job: {event.segment}"
        )
        characters = len(job.segments[event.segment].spoken)
        for word in event.words:
            require(
                0 <= word.spoken_start < word.spoken_end <= characters, f"a word lies in its segment: {word}"
            )
            require(0 <= word.sample_offset <= total, f"a word begins within the audio: {word}")
            require(
                event.segment >= latest_segment and word.sample_offset >= latest_offset,
                f"words come in the order they are heard: {word}",
            )
            require(
                event.segment > latest_segment or word.spoken_start >= latest_start,
                f"words come in the order of the text: {word}",
            )
            latest_segment, latest_offset, latest_start = event.segment, word.sample_offset, word.spoken_start
