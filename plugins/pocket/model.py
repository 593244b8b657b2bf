"""Pocket TTS for the host's batch loop, which puts texts in and takes pieces of sound out.

Several models may be in memory, one for each language. A step runs each of them once for all of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import torch

from plugins.pocket.codec import SoundStream, pcm_of
from plugins.pocket.decoding import BatchedDecoder, DecodingRow
from plugins.pocket.networks import Networks
from plugins.pocket.sizes import FRAME, HEAD, RATE_HZ
from plugins.pocket.text import Chunk, TextReader
from plugins.pocket.voices import PocketVoice
from speech_engine.errors import EngineFailed
from speech_engine.host.batch_model import RowSpec, RowStep

STEP_S: Final = FRAME / RATE_HZ
_NEXT_FRAMES: Final = 4
"""The fewest frames of a later piece. One frame alone takes twice as long for its sound as eight at once."""


class LoadedModel(NamedTuple):
    networks: Networks
    reader: TextReader
    decoder: BatchedDecoder

    def __repr__(self) -> str:
        return f"<LoadedModel of {self.networks.sizes.name}>"


class Spoken(NamedTuple):
    """What speaks: a voice, and the model that it belongs to."""

    model: LoadedModel
    voice: PocketVoice


class PocketRow:
    """A text with its latents, and the `stream` of the chunk whose sound is being made."""

    def __init__(self, model: LoadedModel, decoding: DecodingRow) -> None:
        self.model = model
        self.decoding = decoding
        self.stream: SoundStream | None = None
        self.has_sounded = False

    @property
    def state(self) -> RowStep:
        waiting = len(self.decoding.waiting)
        is_due = waiting >= (_NEXT_FRAMES if self.has_sounded else 1)
        return RowStep(is_due, self.decoding.is_over)


class PocketModel:
    """A `BatchModel`. Only the model thread may call it. A step uses `threads` of the processor."""

    rate_hz = RATE_HZ

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    def join(self, spec: RowSpec[Spoken]) -> PocketRow:
        torch.set_num_threads(self._threads)  # for the calling thread only
        model, voice = spec.voice
        chunks = model.reader.chunks(spec.spoken)
        return PocketRow(model, model.decoder.join(chunks, voice.state, spec.seed))

    def step(self, rows: Sequence[PocketRow]) -> list[RowStep]:
        together: dict[int, list[PocketRow]] = {}
        for row in rows:
            together.setdefault(id(row.model.networks.language_model), []).append(row)
        for own in together.values():
            own[0].model.decoder.step([row.decoding for row in own])
        return [row.state for row in rows]

    def sound(self, row: PocketRow, is_last: bool) -> bytes:
        """Return the sound of the latents that wait. Raise EngineFailed if the text did not end."""
        waiting, row.decoding.waiting = row.decoding.waiting, []
        if is_last and row.decoding.has_failed:
            raise EngineFailed("The model did not come to the end of a text.")
        sound: list[Any] = []
        with torch.inference_mode():
            for begins, latents in _by_chunk(waiting):
                if begins or row.stream is None:
                    row.stream = SoundStream(row.model.networks)
                sound.append(row.stream.next_piece(latents))
        row.has_sounded = row.has_sounded or bool(sound)
        return pcm_of(torch.cat(sound)) if sound else b""

    def leave(self, row: PocketRow) -> None:
        row.stream = None

    def warm_up_rows(self, model: LoadedModel, count: int) -> list[PocketRow]:
        """Return rows with a voice of noise, so that the first listener does not wait for a cold model."""
        torch.set_num_threads(self._threads)
        sizes = model.networks.sizes
        noise = torch.randn((sizes.layers, 2, sizes.shared_heads, 130, HEAD))
        chunk = Chunk(tuple(range(3, 33)), 3)
        return [PocketRow(model, model.decoder.join([chunk] * 4, noise, seed)) for seed in range(count)]


def _by_chunk(waiting: Sequence[tuple[Any, bool]]) -> Iterator[tuple[bool, list[Any]]]:
    own: list[Any] = []
    is_first = False
    for latent, begins in waiting:
        if begins and own:
            yield is_first, own
            own = []
        is_first = begins if not own else is_first
        own.append(latent)
    if own:
        yield is_first, own
