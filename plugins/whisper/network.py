"""The network: CTranslate2 with the tokenizer and the spectrogram of faster-whisper, and Silero's detector.

Only this file loads them. One thread at a time calls a network.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Generator, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.vad import get_vad_model
from msgspec.structs import replace

from plugins.whisper.decoding import (
    TEMPERATURES,
    TIME_S,
    Attempt,
    Span,
    best_attempt,
    in_speech,
    mean_log,
    parts_of,
    pieces,
    word_tokens,
)
from plugins.whisper.model_format import MOST_TOKENS, WINDOW_FRAMES
from plugins.whisper.plugin import WhisperSettings, whisper_language
from plugins.whisper.windows import CHUNK, Floats, Window
from speech_engine.hearing import HEARING_HZ, HearJob, TranscriptSegment, TranscriptWord
from speech_engine.language_names import UNSPACED

_BAND_HZ = 100
_MOST_BANDS = 2 * WINDOW_FRAMES
_PADDING_S = 3
_TOKENS_A_SECOND, _MORE_TOKENS = 12, 20
"""More than the fastest speaker says: a window that repeats itself ends there."""
_MOST_PROMPT = MOST_TOKENS // 2 - 1
_SURE = 0.8
"""The likeliest language is certain if it has this part of the likelihood of all possible ones."""

Known = Sequence[tuple[str, int]]
"""Words, each with the number of its tokens."""


class _Opened(NamedTuple):
    """An encoded window, the tokenizer of its language, and whether that is surely the one."""

    sound: Any
    tokenizer: Any
    is_sure: bool


class SileroDetector:
    """Says how likely each chunk of one recording is speech. The chunks come in order."""

    def __init__(self) -> None:
        self._session = get_vad_model().session
        self._h = self._c = np.zeros((1, 1, 128), np.float32)
        self._before = np.zeros((1, 64), np.float32)

    def likely(self, samples: Floats) -> Floats:
        chunks = samples.reshape(-1, CHUNK)
        before = np.concatenate([self._before, chunks[:-1, -64:]])
        values = {"input": np.concatenate([before, chunks], 1), "h": self._h, "c": self._c}
        likely, self._h, self._c = self._session.run(None, values)
        self._before = chunks[-1:, -64:]
        return np.asarray(likely, np.float32).reshape(-1)


class WhisperNetwork:
    def __init__(self, folder: Path, languages: tuple[str, ...], settings: WhisperSettings) -> None:
        self.languages = languages
        self._beam = settings.beam
        self._model = ctranslate2.models.Whisper(
            str(folder), compute_type=settings.compute, inter_threads=1, intra_threads=settings.threads
        )
        self._words = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._bands = FeatureExtractor(feature_size=self._model.n_mels)

    def detector(self) -> SileroDetector:
        return SileroDetector()

    def hear(
        self, job: HearJob, language: str, window: Window, stop: threading.Event
    ) -> Generator[int, None, tuple[list[TranscriptSegment], str]]:
        """Return the text of a window, and its language if that is surely known. Yield before each further
        piece."""
        opened = self._opened(window.samples, language, job)
        segments: list[TranscriptSegment] = []
        for piece, its_opened, made, left in self._pieces(job, window, opened, stop):
            segments += self._segments(job, piece, its_opened, made)
            if left:
                yield left
        # What is no speech does not tell the language of what follows.
        is_known = language or (segments and opened.is_sure)
        return segments, opened.tokenizer.language_code if is_known else ""

    def score(
        self, job: HearJob, language: str, window: Window, texts: Sequence[str], stop: threading.Event
    ) -> Generator[int, None, list[TranscriptSegment]]:
        """Return a segment for each known text. All are in the window. Yield as `hear` does."""
        sound, tokenizer, _ = opened = self._opened(window.samples, language, job)
        transcript: dict[str, Any] = {}
        if job.transcribes:
            # What is no speech has no words.
            transcript["text"] = ""
            for _, _, made, left in self._pieces(job, window, opened, stop):
                transcript["text"] += made.text
                if left:
                    yield left
        encoded = [[(word, tokenizer.encode(f" {word}")) for word in text.split()] for text in texts]
        tokens = [token for words in encoded for _, own in words for token in own]
        known = [[(word, len(own)) for word, own in words] for words in encoded]
        timed = self._timed(sound, tokenizer, tokens, known, window)
        start_s = window.start / HEARING_HZ
        return [
            _segment(
                *(words[0].start_s, words[-1].end_s) if words else (start_s, start_s),
                **{"text": text, **transcript},
                words=tuple(words),
                language=tokenizer.language_code,
                avg_logprob=sum(each.logprob for each in words) / max(1, len(words)),
            )
            for text, words in zip(texts, timed, strict=True)
        ]

    def _pieces(
        self, job: HearJob, window: Window, first: _Opened, stop: threading.Event
    ) -> Iterator[tuple[Window, _Opened, Attempt, int]]:
        def hear(part: Window) -> tuple[_Opened, Attempt | None]:
            is_first = part is window
            opened = first if is_first else self._opened(part.samples, first.tokenizer.language_code, job)
            return opened, self._best(opened, job, part.samples, stop)

        return pieces(window, hear)

    def _segments(
        self, job: HearJob, window: Window, opened: _Opened, made: Attempt
    ) -> list[TranscriptSegment]:
        sound, tokenizer, _ = opened
        start_s, spans_s = window.start / HEARING_HZ, window.spans_s()
        times_s = in_speech([(part.start_s, part.end_s) for part in made.parts], spans_s)
        words: list[list[TranscriptWord]] = [[] for _ in made.parts]
        if job.times == "words":
            has_blanks = tokenizer.language_code not in UNSPACED
            known = [word_tokens(each.tokens, tokenizer.decode, has_blanks=has_blanks) for each in made.parts]
            tokens = [token for part in made.parts for token in part.tokens]
            words = _in_speech(self._timed(sound, tokenizer, tokens, known, window), start_s, spans_s)
        segments = [
            _segment(
                *(own[0].start_s, own[-1].end_s) if own else (start_s + begin_s, start_s + end_s),
                text=tokenizer.decode(list(part.tokens)),
                words=tuple(own),
                language=tokenizer.language_code,
                avg_logprob=made.avg_logprob,
                no_speech=made.no_speech,
                compression_ratio=made.compression_ratio,
                temperature=made.temperature,
                tokens=part.tokens,
            )
            for part, own, (begin_s, end_s) in zip(made.parts, words, times_s, strict=True)
        ]
        return [each for each in segments if each.text.strip()]

    def _best(self, opened: _Opened, job: HearJob, samples: Floats, stop: threading.Event) -> Attempt | None:
        sound, tokenizer, _ = opened
        return best_attempt(
            (job.temperature,) if job.temperature else TEMPERATURES,
            lambda temperature: self._decoded(sound, tokenizer, job, len(samples) / HEARING_HZ, temperature),
            stop.is_set,
        )

    def _opened(self, samples: Floats, language: str, job: HearJob) -> _Opened:
        sound, is_sure = self._encoded(samples, _MOST_BANDS if job.full_window else 0), True
        if not language:
            language, is_sure = self._language(sound, job.languages)
            if not is_sure:
                # Of a word or two, a full window tells the language better.
                sound = self._encoded(samples, _MOST_BANDS)
                language, is_sure = self._language(sound, job.languages)
        is_multilingual = self._model.is_multilingual
        tokenizer = Tokenizer(self._words, is_multilingual, task=job.task, language=language)
        return _Opened(sound, tokenizer, is_sure)

    def _encoded(self, samples: Floats, bands: int = 0) -> Any:
        """Encode a window at its own length and some silence, or at `bands` if these are not 0: half a minute
        costs five times a sentence."""
        found = self._bands(np.pad(samples, (0, _PADDING_S * HEARING_HZ)))
        own = (_bands(samples) + _PADDING_S * _BAND_HZ + 1) // 2 * 2
        bands = bands or min(_MOST_BANDS, own)
        found = np.pad(found, ((0, 0), (0, max(0, bands - found.shape[1]))))[None, :, :bands]
        return self._model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(found, np.float32)))

    def _language(self, sound: Any, languages: Sequence[str]) -> tuple[str, bool]:
        """Return the likeliest of some languages, or of all, and whether it is certain."""
        if not self._model.is_multilingual:
            return "en", True
        (found,) = self._model.detect_language(sound)
        likely = {token[2:-2]: probability for token, probability in found}
        among = [each for each in map(whisper_language, languages) if each in likely] or list(likely)
        best = max(among, key=lambda each: likely[each])
        return best, likely[best] >= _SURE * sum(likely[each] for each in among)

    def _decoded(
        self, sound: Any, tokenizer: Any, job: HearJob, sound_s: float, temperature: float
    ) -> Attempt:
        before = " ".join((", ".join(job.keywords), job.prompt)).strip()
        prompt = [tokenizer.sot_prev, *tokenizer.encode(f" {before}")[-_MOST_PROMPT:]] if before else []
        prompt += tokenizer.sot_sequence
        most_new = min(int(sound_s * _TOKENS_A_SECOND) + _MORE_TOKENS, MOST_TOKENS - len(prompt) - 1)
        way: dict[str, Any] = {"beam_size": self._beam}
        if temperature:
            way = {"beam_size": 1, "sampling_topk": 0, "sampling_temperature": temperature}
        (made,) = self._model.generate(
            sound,
            [prompt],
            # CTranslate2 gives half of this at most, and what the prompt leaves of it.
            max_length=max(2 * most_new, len(prompt) + most_new),
            return_scores=True,
            return_no_speech_prob=True,
            max_initial_timestamp_index=50,
            **way,
        )
        tokens = made.sequences_ids[0]
        parts = parts_of(tokens, tokenizer.eot, tokenizer.timestamp_begin, sound_s)
        text = tokenizer.decode([token for part in parts for token in part.tokens])
        logprob = made.scores[0] * len(tokens) / (len(tokens) + 1)
        return Attempt(parts, text, logprob, made.no_speech_prob, temperature)

    def _timed(
        self,
        sound: Any,
        tokenizer: Any,
        tokens: Sequence[int],
        known: Sequence[Known],
        window: Window,
    ) -> list[list[TranscriptWord]]:
        """Return when each word was said, and how likely it is. A text that is too long has no more times."""
        fitting = list(tokens[: MOST_TOKENS - 8])
        (found,) = self._model.align(sound, tokenizer.sot_sequence, [fitting], _bands(window.samples))
        starts: dict[int, float] = {}
        for token, frame in found.alignments:
            starts.setdefault(token, frame * TIME_S)
        start_s, end_s = window.start / HEARING_HZ, len(window.samples) / HEARING_HZ
        times_s = list(accumulate((min(end_s, starts.get(at, end_s)) for at in range(len(tokens) + 1)), max))
        likely = [*found.text_token_probs[: len(fitting)], *[0.0] * (len(tokens) - len(fitting))]
        timed: list[list[TranscriptWord]] = []
        first = 0
        for words in known:
            own: list[TranscriptWord] = []
            for text, count in words:
                after, last = first + count, first + count
                # A mark takes the pause behind a word.
                while last - 1 > first and _is_mark(tokenizer.decode([tokens[last - 1]])):
                    last -= 1
                begins_s, ends_s = (round(start_s + times_s[each], 3) for each in (first, last))
                logprob = mean_log(likely[first:last])
                own.append(TranscriptWord(begins_s, ends_s, text.strip(), logprob, last - first))
                first = after
            timed.append(own)
        return timed


def _segment(start_s: float, end_s: float, **fields: Any) -> TranscriptSegment:
    return TranscriptSegment(start_s=round(start_s, 3), end_s=round(end_s, 3), **fields)


def _in_speech(
    timed: Sequence[Sequence[TranscriptWord]], start_s: float, spans_s: Sequence[Span]
) -> list[list[TranscriptWord]]:
    spans_s = [(start_s + begin_s, start_s + end_s) for begin_s, end_s in spans_s]
    times = iter(in_speech([(word.start_s, word.end_s) for own in timed for word in own], spans_s))
    return [
        [
            replace(word, start_s=round(begin_s, 3), end_s=round(end_s, 3))
            for word, (begin_s, end_s) in zip(own, times, strict=False)
        ]
        for own in timed
    ]


def _is_mark(text: str) -> bool:
    return all(unicodedata.category(letter)[0] == "P" for letter in text)


def _bands(samples: Floats) -> int:
    return len(samples) * _BAND_HZ // HEARING_HZ
