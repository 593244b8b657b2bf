"""XTTS in `bench.gpu`: the project's two functions, and our model, with as many codes as a text is long."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.gpu_cells import VOICES, Contest, Options, Text
from bench.gpu_sides import LANGUAGE, Batched, OneAtATime, Upstream, load_side
from plugins.xtts.checkpoint import Checkpoint, load_checkpoint
from plugins.xtts.conditioning import VoiceBuilder, XttsVoice
from plugins.xtts.decoding import BatchedDecoder
from plugins.xtts.model import XttsModel, XttsRow
from plugins.xtts.model_format import CODE_SAMPLES, RATE_HZ, SAMPLE_HZ
from plugins.xtts.plugin import XttsSettings
from plugins.xtts.text import TextReader, readable_languages
from speech_engine.host.batch_model import RowSpec, RowStep
from tests.plugins.xtts.in_environment.rig import recording, upstream_over
from tests.plugins.xtts.tiny import FULL, TINY, write_model

# isort: split
import torch

CODE_S = CODE_SAMPLES / SAMPLE_HZ
MOST_CODES_APART = 2
# Texts of 200 characters have room in it, as in the full one.
SMALL = TINY._replace(most_codes=FULL.most_codes, most_text=FULL.most_text)


class _Upstream:
    """The longest and the shortest answer are both as many codes as a text has."""

    def __init__(self, folder: Path, device: str, voices: Sequence[XttsVoice]) -> None:
        checkpoint = load_checkpoint(folder, device, lambda _part, _what: None)
        self._model = upstream_over(folder, checkpoint)
        self._sampling = checkpoint.sampling._asdict()
        self._voices = voices

    def pieces(self, text: Text, voice: int, *, is_streaming: bool) -> Iterator[float]:
        heard, codes = self._voices[voice], _codes(text.seconds)
        self._model.gpt.max_gen_mel_tokens = codes
        how = {**self._sampling, "min_new_tokens": codes}
        given = (text.spoken, LANGUAGE, heard.latents, heard.speaker)
        if is_streaming:
            for piece in self._model.inference_stream(*given, **how):
                yield len(piece.cpu()) / RATE_HZ
        else:
            yield len(self._model.inference(*given, **how)["wav"]) / RATE_HZ


class FixedLengthModel(XttsModel):
    """Speaks as many codes as a job's estimate asks for, whatever the model says."""

    def __init__(
        self, checkpoint: Checkpoint, reader: TextReader, decoder: BatchedDecoder, voices: VoiceBuilder
    ) -> None:
        super().__init__(checkpoint, reader, decoder, voices)
        self._wanted: dict[XttsRow, int] = {}

    def join(self, spec: RowSpec[XttsVoice]) -> XttsRow:
        row = super().join(spec)
        self._wanted[row] = _codes(spec.job.estimated_s)
        return row

    def step(self, rows: Sequence[XttsRow]) -> list[RowStep]:
        return [
            step._replace(is_over=len(row.decoding.codes) == self._wanted.get(row))
            for row, step in zip(rows, super().step(rows), strict=True)
        ]

    def leave(self, row: XttsRow) -> None:
        self._wanted.pop(row, None)
        super().leave(row)


def open_contest(folder: Path, device: str, options: Options, *, is_full: bool) -> Contest:
    write_model(folder, size=FULL if is_full else SMALL)
    (checkpoint, maker, model), weights = load_side(device, lambda: _load(folder, device, options))
    began = time.monotonic()
    voices = [maker.make([recording(0)])]
    voice_s = time.monotonic() - began
    voices += [maker.make([recording(number)]) for number in range(1, VOICES)]
    theirs, their_weights = load_side(device, lambda: Upstream(_Upstream(folder, device, voices), options))
    ours = Batched(model, voices, XttsSettings(width=32), CODE_S, options)
    numbers = sum(each.numel() for each in checkpoint.gpt.parameters())
    return Contest(
        sides={
            OneAtATime(theirs, is_streaming=False): their_weights,
            OneAtATime(theirs, is_streaming=True): their_weights,
            ours: weights,
        },
        facts=f"the language model has {numbers / 1e6:.1f} million numbers; a voice takes {voice_s:.2f} s",
        apart_s=MOST_CODES_APART * CODE_S,
    )


def _load(folder: Path, device: str, options: Options) -> tuple[Checkpoint, VoiceBuilder, FixedLengthModel]:
    checkpoint = load_checkpoint(folder, device, lambda _part, _what: None)
    reader = TextReader(checkpoint.vocabulary, readable_languages(checkpoint.languages), checkpoint.sizes)
    precision = getattr(torch, options.precision)
    decoder = BatchedDecoder(checkpoint, precision, fixed_codes=checkpoint.sizes.most_codes)
    maker = VoiceBuilder(checkpoint, device)
    return checkpoint, maker, FixedLengthModel(checkpoint, reader, decoder, maker)


def _codes(seconds: float) -> int:
    return round(seconds / CODE_S)
