"""A check whose ears hear what a test wrote down, and parts that were made for it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from math import log
from typing import Any

from prometheus_client import CollectorRegistry

from plugins.latin import plugin as latin
from plugins.latin.front_end import LatinFrontEnd
from plugins.plain import plugin as plain
from policies.routing import Candidate, Model, Voice
from proxy.catalogue.recognition import LocalRecognition, MadeSpeech, Recogniser, ScoredTranscript
from proxy.engines.registry import Registry
from proxy.features.heard.check import TranscriptCheck
from proxy.features.heard.made_part import MadePart
from proxy.features.heard.rates import MisheardRates
from proxy.features.heard.watch import CheckWatch
from proxy.speech.front_ends import open_front_ends
from proxy.speech.part import Part
from proxy.speech_steps.word_times import WordPositions
from speech_engine import EngineVoice, ModelInfo, Segment, SpeechJob
from speech_engine.hearing import TranscriptWord
from tests.sound import tone

FRONT_ENDS = Registry(
    {(each.kind, each.name): each for each in (*latin.voxgate_register(), *plain.voxgate_register())}, []
)
HEARS = ("en", "es")
ANA = Voice(id="ana", name="ana")
Step = str | Exception | Callable[[], Awaitable[object]]


class Listener(LocalRecognition):
    """It hears `script`, step by step; the last one again and again. `made` and `asked` are what it got."""

    def __init__(self, *script: Step, likely: float = 0.01, rare: Sequence[str] = ()) -> None:
        self.script = list(script)
        self.asked: list[tuple[str, bool]] = []
        self.made: list[MadeSpeech] = []
        self.known: Mapping[str, str] | None = {}
        self._likely = likely
        self._rare = rare

    def may_hear(self, language: str) -> bool:
        return language in ("", *HEARS, "hi")

    def find_recogniser(self, language: str, *, is_speech: bool = True) -> Recogniser | None:
        return Recogniser("ears/base", 8) if language in HEARS and is_speech else None

    async def hear_made(self, made: MadeSpeech, within_s: float, *, full_window: bool) -> ScoredTranscript:
        self.asked.append((made.text, full_window))
        self.made.append(made)
        step: object = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if callable(step):
            step = await step()
        if isinstance(step, Exception):
            raise step
        words = [
            TranscriptWord(0.0, 0.1, word, log(self._likely), 2 if word in self._rare else 1)
            for word in made.text.split()
        ]
        return ScoredTranscript(str(step), tuple(words))

    async def phonemes_of(self, texts: Sequence[str], language: str) -> Mapping[str, str] | None:
        known = self.known
        return None if known is None else {text: known.get(text, f"<{text}>") for text in texts}


@asynccontextmanager
async def checking(ears: LocalRecognition, store: Any = None) -> AsyncIterator[TranscriptCheck]:
    async with open_front_ends(FRONT_ENDS) as front_ends:
        yield TranscriptCheck(ears, front_ends, CheckWatch(CollectorRegistry()), MisheardRates(store))


def candidate(language: str = "en", model: str = "m", engine: str = "e", **info: Any) -> Candidate:
    made = ModelInfo(id=model, languages=(), sample_rate_hz=24_000, **info)
    return Candidate(Model(engine, made), EngineVoice("v"), front_end="latin")


def part(
    text: str,
    segments: tuple[Segment, ...] | None = None,
    *,
    seconds: float = 0.0,
    pcm: bytes = b"",
    language: str = "en",
    by: Candidate | None = None,
    voice: Voice = ANA,
    again: int = 0,
    **more: Any,
) -> MadePart:
    """A part as `latin` prepares it, of 0.1 s a letter."""
    if segments is None:
        segments = LatinFrontEnd().prepare(text, language, {})
    job = SpeechJob(
        id="req_1", tenant="acc_1", model="m", voice=EngineVoice("v"), segments=segments, language=language
    )
    places = WordPositions(text, segments)
    sound = pcm or tone(440, seconds or 0.1 * max(5, len(text)), 24_000)
    fields: dict[str, Any] = {"within_s": 10.0, "is_idle": False, **more}
    speaker = by or candidate()
    planned = Part(voice, language, (speaker,), 0, len(text), 1.0, len(text))
    return MadePart("acc_1", planned, again, speaker, job, places, sound, 24_000, **fields)
