"""What a server hears of 204 consents: `python -m bench.consents URL KEY [FOLDER]`.

Kokoro's voices of six languages read the phrase of a consent, or do something else: mumble it, stumble over
it, deny it, read a half of it, another sentence or that of another language, or are silent. `whisper-1`
writes it down in the consent's language, and the rules of consents judge it, with espeak's sounds. Of those
who read, 95 in 100 must match in a language that the model hears well. No other may match. Clips stay in
FOLDER, and are not spoken again.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import sys
import tempfile
import wave
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import httpx2
import numpy as np
import numpy.typing as npt
import soxr  # type: ignore[import-untyped]

from bench.sentences import sentences
from plugins.espeak.engine import EspeakEngine
from plugins.whisper.measured import HEARS_WELL
from proxy.audio.formats import wav_header
from proxy.features.consents.rules import phrase
from proxy.features.consents.words import ConsentWords, judge_consent
from speech_engine.hearing import HEARING_HZ
from speech_engine.text.comparing import texts_to_sound
from tests.heard.judge import OTHERS
from tests.plugins.espeak.heard import espeak

OPERATOR = "Kestrel Labs"
COUNTS = {"read": 9, "mumbled": 4, "stumbled": 4, "denied": 5, "half": 4, "another sentence": 4}
COUNTS |= {"another language": 2, "silence": 2}
VOICES = {
    "en": ("af_heart", "am_michael", "bf_emma", "bm_george", "af_nova", "am_onyx"),
    "es": ("ef_dora", "em_alex", "em_santa"),
    "fr": ("ff_siwis",),
    "hi": ("hf_alpha", "hm_omega", "hf_beta", "hm_psi"),
    "it": ("if_sara", "im_nicola"),
    "pt": ("pf_dora", "pm_alex", "pm_santa"),
}
SPEEDS = (1.0, 0.9, 1.1, 1.2, 0.8, 0.95, 1.05, 1.15, 0.85)
DENIED: Mapping[str, Sequence[tuple[str, str]]] = {
    "en": (
        ("I am", "I am not"),
        ("I consent", "I do not consent"),
        ("I consent", "I never consent"),
        ("I consent to", "I object to"),
        ("I consent to", "I disagree with"),
    ),
    "es": (
        ("Soy", "No soy"),
        ("y doy", "y no doy"),
        ("y doy", "y nunca doy"),
        ("y doy", "y niego"),
        ("y doy", "y retiro"),
    ),
    "fr": (
        ("Je suis", "Je ne suis pas"),
        ("j'autorise", "je n'autorise pas"),
        ("j'autorise", "je n'autorise jamais"),
        ("j'autorise", "j'interdis à"),
        ("j'autorise", "je refuse d'autoriser"),
    ),
    "hi": (
        ("मालिक हूँ", "मालिक नहीं हूँ"),
        ("सहमति देता", "सहमति नहीं देता"),
        ("सहमति देता", "सहमति कभी नहीं देता"),
        ("सहमति देता हूँ", "अनुमति से इनकार करता हूँ"),
        ("सहमति देता हूँ", "मनाही करता हूँ"),
    ),
    "it": (
        ("Sono", "Non sono"),
        ("acconsento", "non acconsento"),
        ("acconsento", "non acconsento mai"),
        ("acconsento", "rifiuto"),
        ("acconsento", "mi oppongo"),
    ),
    "pt": (
        ("Eu sou", "Eu não sou"),
        ("autorizo", "não autorizo"),
        ("autorizo", "nunca autorizo"),
        ("autorizo", "proíbo"),
        ("autorizo", "desautorizo"),
    ),
}
_TAGS = {"fr": "fr-FR", "pt": "pt-BR"}

Sound = npt.NDArray[np.float64]


class Case(NamedTuple):
    language: str
    kind: str
    number: int


class _Bench:
    def __init__(self, client: httpx2.Client, clips: Path, espeak_engine: EspeakEngine) -> None:
        self._client, self._clips, self._espeak = client, clips, espeak_engine

    async def judged(self, case: Case) -> tuple[str, ConsentWords]:
        """Return what was heard, and the verdict."""
        sound = np.clip(self._sound(case), -1, 1) * 32_767
        pcm = sound.astype("<i2").tobytes()
        answer = self._client.post(
            "/v1/audio/transcriptions",
            data={"model": "whisper-1", "language": case.language},
            files={"file": ("a.wav", wav_header(len(pcm) // 2, HEARING_HZ) + pcm)},
        )
        text = answer.raise_for_status().json()["text"]
        is_reliable = case.language in HEARS_WELL["base"]
        judge = partial(
            judge_consent, _phrase(case.language), text, case.language, OPERATOR, is_reliable=is_reliable
        )
        asked = texts_to_sound(judge)
        sounds = await self._espeak.sounds(asked, case.language) if asked else ()
        known = dict(zip(asked, sounds, strict=True))
        return text, judge(lambda words: known.get(words, ""))

    def _sound(self, case: Case) -> Sound:
        language, kind, number = case
        text, speed = _phrase(language), SPEEDS[number % len(SPEEDS)]
        say = partial(self._spoken, language, number)
        match kind:
            case "mumbled":
                return _mumbled(say(text, speed))
            case "stumbled":
                return say(_stumbled(text, number), speed)
            case "denied":
                return say(text.replace(*DENIED[language][number]), speed)
            case "half":
                whole = say(text, speed)
                return whole[len(whole) // 2 :] if number % 2 else whole[: len(whole) // 2]
            case "another sentence":
                own = OTHERS if language == "en" else sentences({"pt": "pt-BR"}.get(language, language))
                return say(" ".join(own[number::5][:2]), speed)
            case "another language":
                other = [*VOICES][([*VOICES].index(language) + 1 + number) % len(VOICES)]
                return self._spoken(other, number, _phrase(other), speed)
            case "silence":
                level = (0.0, 0.003)[number % 2]
                return np.random.default_rng(number).normal(0, level, 6 * HEARING_HZ)
        return say(text, speed)

    def _spoken(self, language: str, number: int, text: str, speed: float) -> Sound:
        voices = VOICES[language]
        voice = f"kokoro/{voices[number % len(voices)]}"
        body: dict[str, object] = {"model": "kokoro/standard", "voice": voice, "language": _tag(language)}
        body |= {"input": text, "speed": speed, "response_format": "wav"}
        file = self._clips / f"{hashlib.sha256(repr(body).encode()).hexdigest()[:16]}.wav"
        if not file.exists():
            self._clips.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self._client.post("/v1/audio/speech", json=body).raise_for_status().content)
        with wave.open(io.BytesIO(file.read_bytes())) as clip:
            samples = np.frombuffer(clip.readframes(clip.getnframes()), "<i2") / 32_768
            return np.asarray(soxr.resample(samples, clip.getframerate(), HEARING_HZ))


def _phrase(language: str) -> str:
    text = phrase(language, OPERATOR)
    assert text is not None
    return text


def _tag(language: str) -> str:
    return _TAGS.get(language, language)


def _mumbled(sound: Sound) -> Sound:
    """Return a sound without its consonants, in noise."""
    spectrum = np.fft.rfft(sound)
    spectrum[int(350 * len(sound) / HEARING_HZ) :] = 0
    noise = np.random.default_rng(1).normal(0, 0.01, len(sound))
    return 0.3 * np.fft.irfft(spectrum, len(sound)) + noise


def _stumbled(text: str, number: int) -> str:
    """Return a text whose reader begins twice, and loses each fourth word."""
    words = text.split()
    begun = " ".join(words[: 2 + number % 2])
    return f"{begun}, {' '.join(word for at, word in enumerate(words) if (at + number) % 4)}"


def _cases() -> Iterator[Case]:
    for language, (kind, count) in product(VOICES, COUNTS.items()):
        yield from (Case(language, kind, number) for number in range(count))


async def main() -> None:
    url, key, *folder = sys.argv[1:]
    clips = Path(folder[0] if folder else tempfile.mkdtemp(prefix="consents-"))
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    found: dict[tuple[str, str], Counter[str]] = {}
    async with espeak() as engine:
        headers = {"authorization": f"Bearer {key}"}
        with httpx2.Client(base_url=url, headers=headers, timeout=300.0) as client:
            assert isinstance(engine, EspeakEngine)
            bench = _Bench(client, clips, engine)
            for case in _cases():
                text, verdict = await bench.judged(case)
                found.setdefault((case.language, case.kind), Counter())[verdict.words] += 1
                if (verdict.words == "match") != (case.kind == "read"):
                    print(f"<!-- {verdict.words} {verdict.share:.2f} {case}: {text} -->", flush=True)
    print("|language|" + "|".join(COUNTS) + "|\n|-|" + "-|" * len(COUNTS))
    for language in VOICES:
        print(f"|{language}|" + "|".join(_cell(found[language, kind]) for kind in COUNTS) + "|")
    others = sum(each["match"] for (_, kind), each in found.items() if kind != "read")
    print(f"{sum(map(Counter.total, found.values()))} consents; of those that were not read, {others} match")


def _cell(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[word]} {word}" for word in ("match", "unsure", "differs") if counts[word])


if __name__ == "__main__":
    asyncio.run(main())
