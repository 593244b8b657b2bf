"""The language model of Pocket TTS for many rows at once. Each row gets the same latents in any company.

A step gives each row a latent, which is 80 ms of sound. Each chunk of a text begins with the voice's state,
as in the package.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import torch
from pocket_tts.models.flow_lm import drifting_decode, lsd_decode, pointwise_decode

from plugins.pocket.attention import WholePast, pass_through
from plugins.pocket.networks import Networks
from plugins.pocket.sizes import FRAME, HEAD, LATENT, RATE_HZ
from plugins.pocket.text import Chunk

TEMPERATURE: Final = 0.3
_STD: Final = TEMPERATURE**0.5
_FIRST_FRAMES: Final = 6
"""The least frames of a chunk. Before speech begins, the model may seem to be at the end."""
_TOKENS_A_SECOND, _SPARE_S = 3.0, 2.0

_DECODES: Final = {"lsd": lsd_decode, "drifting": drifting_decode, "pointwise": pointwise_decode}


def most_frames(tokens: int) -> int:
    return math.ceil((tokens / _TOKENS_A_SECOND + _SPARE_S) * (RATE_HZ / FRAME))


class DecodingRow:
    """A text that becomes latents. `waiting` has latents without sound, and whether a chunk begins there.

    If `has_failed`, the model did not come to the end of a chunk.
    """

    def __init__(self, chunks: Sequence[Chunk], voice: Any, seed: int) -> None:
        self.waiting: list[tuple[Any, bool]] = []
        self.frames = 0
        self.is_over = False
        self.has_failed = False
        self.voice = voice
        # `begin_chunk` sets these two.
        self.chunk: Chunk
        self.past: WholePast
        self._chunks = list(chunks)
        self._generator = torch.Generator().manual_seed(seed)
        self._ended_at: int | None = None
        self.latent: Any = None

    def noise(self) -> Any:
        """Draw the noise of a pass. Its order is the package's: one for the text, one for each frame."""
        return torch.nn.init.normal_(torch.empty(1, LATENT), mean=0.0, std=_STD, generator=self._generator)

    def begin_chunk(self) -> Chunk:
        """Go back to the voice's state, with room for the next chunk."""
        self.chunk = self._chunks.pop(0)
        tokens = len(self.chunk.tokens)
        self.past = WholePast.after(self.voice, tokens + most_frames(tokens))
        self.latent, self.frames, self._ended_at = None, 0, None
        return self.chunk

    def take(self, latent: Any, *, is_end: bool, fixed: int | None) -> bool:
        """Take the latent of a frame. Return whether the chunk is over."""
        frame = self.frames
        if is_end and self._ended_at is None and frame >= _FIRST_FRAMES:
            self._ended_at = frame
        cut_at = None if self._ended_at is None else self._ended_at + self.chunk.frames_after
        last = cut_at if fixed is None else fixed
        if last is not None and frame >= last:
            self.is_over = not self._chunks
            return True
        self.waiting.append((latent, frame == 0))
        self.latent = latent
        self.frames += 1
        if self.frames >= most_frames(len(self.chunk.tokens)):
            self.is_over = self.has_failed = True
            return True
        return False


class BatchedDecoder:
    """Makes latents with one model. `fixed_frames` sets the number of frames of each chunk."""

    def __init__(self, networks: Networks, fixed_frames: int | None = None) -> None:
        self._model = networks.language_model
        self._sizes = networks.sizes
        self._decode = _DECODES[networks.sizes.flow]
        self._fixed_frames = fixed_frames

    def join(self, chunks: Sequence[Chunk], voice: Any, seed: int) -> DecodingRow:
        """Read the first chunk of a text with a voice's state, and return its row."""
        row = DecodingRow(chunks, voice, seed)
        self._read_chunk(row)
        return row

    def step(self, rows: Sequence[DecodingRow]) -> None:
        """Give each row one more latent, or let it begin its next chunk."""
        with torch.inference_mode():
            latents = torch.stack([self._model.bos_emb if row.latent is None else row.latent for row in rows])
            x = self._model.input_linear(latents[:, None])
            projected = self._projected(
                pass_through(self._model.transformer.layers, x, [row.past for row in rows])
            )
            ends = (self._model.out_eos(projected) > self._sizes.ends_above)[:, 0].tolist()
            noise = torch.cat([row.noise() for row in rows])
            made = self._decode(lambda *times: self._model.flow_net(projected, *times), noise)
        for row, latent, is_end in zip(rows, made, ends, strict=True):
            is_done = row.take(latent, is_end=is_end, fixed=self._fixed_frames)
            if is_done and not row.is_over:
                self._read_chunk(row)

    def remember(self, x: Any) -> Any:
        """Return the state after the positions of `x`, (1, positions, width). Such a state is a voice."""
        sizes = self._sizes
        empty = torch.empty((sizes.layers, 2, sizes.shared_heads, 0, HEAD))
        past = WholePast.after(empty, x.shape[1])
        with torch.inference_mode():
            pass_through(self._model.transformer.layers, x, [past])
        return past.values

    def _read_chunk(self, row: DecodingRow) -> None:
        chunk = row.begin_chunk()
        with torch.inference_mode():
            x = self._model.conditioner(torch.tensor([chunk.tokens]))
            pass_through(self._model.transformer.layers, x, [row.past])
            row.noise()

    def _projected(self, x: Any) -> Any:
        projected = self._model.out_norm(x)
        if self._model.z_proj is not None:
            projected = self._model.z_proj(projected)
        return projected[:, -1]
