"""XTTS for the host's batch loop, which puts texts in and takes pieces of sound out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from plugins.xtts.checkpoint import Checkpoint
from plugins.xtts.conditioning import VoiceBuilder, XttsVoice
from plugins.xtts.decoding import BatchedDecoder, DecodingRow, out_of_memory
from plugins.xtts.model_format import CODE_SAMPLES, RATE_HZ, SAMPLE_HZ
from plugins.xtts.text import TextReader
from plugins.xtts.vocoder import SoundWindow, pcm_of
from speech_engine.host.batch_model import RowSpec, RowStep
from speech_engine.models import VoiceInfo
from speech_engine.values import SpeechJob

STEP_S = CODE_SAMPLES / SAMPLE_HZ
"""The seconds of sound that one code stands for."""


class XttsRow:
    """A text with its codes, and the embedding of its speaker for the vocoder."""

    def __init__(self, decoding: DecodingRow, speaker: Any) -> None:
        self.decoding = decoding
        self.speaker = speaker
        self.window = SoundWindow()


class XttsModel:
    """A `BatchModel`. Only the model thread may call it. `studio` has the model's own voices by id."""

    rate_hz = RATE_HZ

    def __init__(
        self, checkpoint: Checkpoint, reader: TextReader, decoder: BatchedDecoder, voices: VoiceBuilder
    ) -> None:
        self._vocoder = checkpoint.decoder.waveform_decoder
        self._reader = reader
        self._decoder = decoder
        self._voices = voices
        self.studio: Mapping[str, XttsVoice] = {}
        self.studio_infos: tuple[VoiceInfo, ...] = ()

    def judge(self, job: SpeechJob) -> None:
        """Check all texts of a job first. Raise UnsupportedLanguage or UnsupportedText."""
        for segment in job.segments:
            self._reader.tokens(segment.spoken, job.language)

    def make_voice(self, recordings: Sequence[bytes]) -> XttsVoice:
        return self._voices.make(recordings)

    def join(self, spec: RowSpec[XttsVoice]) -> XttsRow:
        tokens = self._reader.tokens(spec.spoken, spec.job.language)
        return XttsRow(self._decoder.join(tokens, spec.voice.latents, spec.seed), spec.voice.speaker)

    def step(self, rows: Sequence[XttsRow]) -> list[RowStep]:
        self._decoder.step([row.decoding for row in rows])
        return [RowStep(row.window.is_due(len(row.decoding.latents)), row.decoding.is_over) for row in rows]

    def sound(self, row: XttsRow, is_last: bool) -> bytes:
        try:
            with torch.inference_mode():
                latents = torch.stack(row.decoding.latents)
                return pcm_of(row.window.next_piece(self._vocoder, latents, row.speaker, is_last))
        except torch.OutOfMemoryError as error:
            raise out_of_memory(error) from None

    def leave(self, row: XttsRow) -> None:
        self._decoder.leave(row.decoding)

    def warm_up_rows(self, count: int, threads: int) -> list[XttsRow]:
        """Return rows with a voice of noise, so that the first listener does not wait for a cold model."""
        torch.set_num_threads(threads)  # for the calling thread only
        noise = torch.randint(-3000, 3000, (SAMPLE_HZ,), dtype=torch.int16).numpy().tobytes()
        voice = self._voices.make([noise])
        return [
            XttsRow(self._decoder.join([0, 0], voice.latents, seed), voice.speaker) for seed in range(count)
        ]
