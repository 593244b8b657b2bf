"""F5-TTS for the host's batch loop, which puts texts in and takes the whole sound of each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from plugins.f5tts import voices
from plugins.f5tts.checkpoint import Checkpoint
from plugins.f5tts.cutting import pieces
from plugins.f5tts.durations import LEAST_S, spoken_s
from plugins.f5tts.flow import BatchedFlow, FlowRow, out_of_memory
from plugins.f5tts.model_format import FRAMES_A_SECOND, MOST_S, RATE_HZ, STEPS
from plugins.f5tts.text import TextReader
from plugins.f5tts.voices import F5Voice
from speech_engine.host.batch_model import RowSpec, RowStep, RowWork
from speech_engine.values import Segment, SpeechJob

USUAL_STEPS = STEPS[""]
STEP_S = 0.5 / USUAL_STEPS
"""The seconds of new sound that one step makes for each second of a row. About half of a row is the
recording, which is not new."""

FIRST_S = 2.5
"""The length of an answer's first piece: short, but long enough to make the second one meanwhile."""
LONGEST_S = 10.0
"""The longest piece. A longer one has no advantage and comes later."""
USUAL_RECORDING_S = 8.0
_FADE_S = 0.005


class F5Row(NamedTuple):
    """A piece of text that becomes sound from frame `first` on. The recording was made `raised` times as
    loud, so the sound is divided by that."""

    flow: FlowRow
    first: int
    raised: float


class F5Model:
    """A `BatchModel` whose rows have weights: the weight of a row is its length in seconds, with the
    recording. `steps` maps a model's id to its number of steps."""

    rate_hz = RATE_HZ

    def __init__(
        self, checkpoint: Checkpoint, reader: TextReader, flow: BatchedFlow, steps: Mapping[str, int]
    ) -> None:
        self._vocoder = checkpoint.vocoder
        self._reader = reader
        self._flow = flow
        self._steps = steps

    def make_voice(self, recording: bytes, words: str) -> F5Voice:
        return voices.make_voice(recording, self._reader.clean_words(words))

    def judge(self, job: SpeechJob) -> None:
        """Raise UnsupportedLanguage or UnsupportedText, before the first text is spoken."""
        self._reader.judge_language(job.language)
        for segment in job.segments:
            # It raises UnsupportedText.
            self._reader.numbers(self._reader.clean(segment.spoken))

    def cut(self, job: SpeechJob, voice: F5Voice) -> list[tuple[int, Segment]]:
        """Cut a job's segments into pieces that fit, each with the number of its segment."""
        most_s = min(LONGEST_S, MOST_S - voice.seconds - LEAST_S)
        return [
            (number, Segment(piece, segment.source_start, segment.source_end))
            for number, segment in enumerate(job.segments)
            for piece in pieces(
                self._reader.clean(segment.spoken),
                most_s,
                lambda text: spoken_s(text, voice.pace),
                # 0.0: a later segment has no short first piece.
                FIRST_S if number == 0 else 0.0,
            )
        ]

    def expected(self, job: SpeechJob, voice: F5Voice | None) -> list[RowWork]:
        # This method must not raise, even for a model that is not known.
        steps = self._steps.get(job.model, USUAL_STEPS)
        texts = [segment.spoken for segment in job.segments]
        recording_s, pace = (voice.seconds, voice.pace) if voice else (USUAL_RECORDING_S, 1.0)
        found = [spoken_s(text, pace) for text in texts]
        if voice is None:
            # Without a voice, `cut` has not run yet. An estimate needs no exact cuts, so pieces have the
            # longest length.
            whole_and_rest = [divmod(seconds, LONGEST_S) for seconds in found]
            found = [part for n, rest in whole_and_rest for part in (*[LONGEST_S] * int(n), rest) if part]
        return [RowWork(seconds, recording_s + seconds, steps) for seconds in found]

    def join(self, spec: RowSpec[F5Voice]) -> F5Row:
        voice = spec.voice
        tokens = self._reader.numbers(voice.words + spec.spoken)
        frames = voice.first + round(spoken_s(spec.spoken, voice.pace) * FRAMES_A_SECOND)
        # The network cuts off tokens that have no frame. And at least one frame must be new.
        frames = max(frames, len(tokens) + 1, voice.mels.shape[0] + 1)
        return self._row(voice, tokens, frames, self._steps[spec.job.model], spec.seed)

    def work(self, row: F5Row) -> RowWork:
        frames = row.flow.frames
        return RowWork((frames - row.first) / FRAMES_A_SECOND, frames / FRAMES_A_SECOND, row.flow.steps)

    def step(self, rows: Sequence[F5Row]) -> list[RowStep]:
        self._flow.step([row.flow for row in rows])
        # A row has no sound before it is over.
        return [RowStep(False, row.flow.is_over) for row in rows]

    def sound(self, row: F5Row, is_last: bool) -> bytes:
        try:
            with torch.inference_mode():
                sound = self._vocoder(row.flow.spectrogram(row.first).T.unsqueeze(0))[0]
                return pcm_of(sound / row.raised)
        except torch.OutOfMemoryError as error:
            raise out_of_memory(error) from None

    def leave(self, row: F5Row) -> None:
        self._flow.leave(row.flow)

    def warm_up_rows(self, weight: int, threads: int) -> list[F5Row]:
        """Return rows of noise that weigh `weight` together, so that the first listener does not wait."""
        # The model's thread calls this. The setting holds for all of its later steps.
        torch.set_num_threads(threads)
        noise = torch.randint(-3000, 3000, (round(USUAL_RECORDING_S * RATE_HZ),), dtype=torch.int16)
        voice = voices.make_voice(noise.numpy().tobytes(), "")
        each_s = voice.seconds + LONGEST_S / 2
        frames, steps = round(each_s * FRAMES_A_SECOND), max(self._steps.values())
        return [self._row(voice, [0], frames, steps, seed) for seed in range(max(1, round(weight / each_s)))]

    def _row(self, voice: F5Voice, numbers: list[int], frames: int, steps: int, seed: int) -> F5Row:
        return F5Row(self._flow.join(voice.mels, numbers, frames, steps, seed), voice.first, voice.raised)


def pcm_of(sound: Any) -> bytes:
    """Return PCM that fades in and out, so that pieces join without a click."""
    count = min(round(_FADE_S * RATE_HZ), len(sound) // 2)
    ramp = torch.linspace(0.0, 1.0, count + 1, device=sound.device)[:-1]
    sound = sound.clone()
    sound[:count] *= ramp
    sound[len(sound) - count :] *= ramp.flip(0)
    pcm = (sound.clamp(-1.0, 1.0) * 32767.0).round().to(torch.int16)
    return bytes(pcm.cpu().numpy().astype("<i2").tobytes())
