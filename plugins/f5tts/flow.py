"""Turn noise into spectrograms, for many rows at once. Each row gets the same result in any company.

The project's own `sample` lets padding into the norms and the attention, so the shorter rows of a batch are
wrong by several per cent. Here each row has its own text embedding, moment, number of steps and noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plugins.f5tts.boot  # noqa: F401 - before f5_tts

# isort: split
import torch
from f5_tts.model.utils import get_epss_timesteps, lens_to_mask
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from plugins.f5tts.checkpoint import Checkpoint
from plugins.f5tts.model_format import MELS
from speech_engine.host.batch_model import OutOfMemory

_SWAY = -1.0
"""Steps are closer together where the speech takes shape, as in the project's own functions."""


class FlowRow:
    """A text that becomes a spectrogram, which begins with that of the voice's recording. `texts` has
    the embeddings of the text and of no text. `now` is noise at first, and the spectrogram at the end."""

    def __init__(self, mels: Any, texts: tuple[Any, Any], noise: Any, moments: Sequence[float]) -> None:
        self.texts = texts
        self.recorded_frames = mels.shape[0]
        self.frames = noise.shape[0]
        self.mels = pad(mels, (0, 0, 0, self.frames - self.recorded_frames))
        self.now = noise
        self.moments = moments
        self.taken_steps = 0

    @property
    def steps(self) -> int:
        return len(self.moments) - 1

    @property
    def is_over(self) -> bool:
        return self.taken_steps == self.steps

    def spectrogram(self, first: int) -> Any:
        return torch.cat([self.mels[: self.recorded_frames], self.now[self.recorded_frames :]])[first:]


class _Pack(NamedTuple):
    rows: tuple[FlowRow, ...]
    mels: Any
    texts: tuple[Any, Any]
    mask: Any


class BatchedFlow:
    """Takes steps with one model. A higher `strictness` gives text and recording more weight."""

    def __init__(self, checkpoint: Checkpoint, strictness: float) -> None:
        self._network = checkpoint.network
        self._strictness = strictness
        self._device = self._network.proj_out.weight.device
        self._precision = self._network.proj_out.weight.dtype
        self._pack: _Pack | None = None
        if any(module.training for module in self._network.modules()):
            raise ValueError("the network is in training: it would leave parts of each row out at random")

    def __repr__(self) -> str:
        return f"<BatchedFlow, {len(self._pack.rows) if self._pack else 0} rows in a pack>"

    def join(self, mels: Any, numbers: Sequence[int], frames: int, steps: int, seed: int) -> FlowRow:
        """Return a row of this many frames, with those of the recording. Raise OutOfMemory."""
        noise = torch.randn((frames, MELS), generator=torch.Generator().manual_seed(seed))
        text = torch.tensor([list(numbers)], device=self._device)
        try:
            with torch.inference_mode():
                embed = self._network.text_embed
                with_text, without = (
                    embed(text, seq_len=frames, drop_text=drop)[0] for drop in (False, True)
                )
                texts = (with_text.to(self._precision), without.to(self._precision))
                even = get_epss_timesteps(steps, "cpu", torch.float32)
                moments = (even + _SWAY * (torch.cos(torch.pi / 2 * even) - 1 + even)).tolist()
                return FlowRow(mels.to(self._device), texts, noise.to(self._device), moments)
        except torch.OutOfMemoryError as error:
            raise out_of_memory(error) from None

    def step(self, rows: Sequence[FlowRow]) -> None:
        """Take one step with each row. Raise OutOfMemory before any row has changed."""
        try:
            with torch.inference_mode():
                after = self._after_step(rows)
        except torch.OutOfMemoryError as error:
            raise out_of_memory(error) from None
        for row, now in zip(rows, after, strict=True):
            row.now = now
            row.taken_steps += 1

    def leave(self, row: FlowRow) -> None:
        if self._pack is not None and row in self._pack.rows:
            self._pack = None

    def _after_step(self, rows: Sequence[FlowRow]) -> list[Any]:
        pack = self._packed(tuple(rows))
        moments = self._numbers([row.moments[row.taken_steps] for row in rows])
        lengths = self._numbers(
            [row.moments[row.taken_steps + 1] - row.moments[row.taken_steps] for row in rows]
        )
        now = pad_sequence([row.now for row in rows], batch_first=True)
        flow = self._flow(now, pack, moments) * lengths[:, None, None]
        return [row.now + flow[place, : row.frames] for place, row in enumerate(rows)]

    def _flow(self, now: Any, pack: _Pack, moments: Any) -> Any:
        network = self._network
        # The network looks here for embedded texts.
        network.text_cond, network.text_uncond = pack.texts
        try:
            both = network(
                x=now.to(self._precision),
                cond=pack.mels,
                text=None,
                time=moments.to(self._precision),
                mask=pack.mask,
                cfg_infer=True,
                cache=True,
            )
        finally:
            network.clear_cache()
        with_text, without = both.float().chunk(2)
        return with_text + (with_text - without) * self._strictness

    def _packed(self, rows: tuple[FlowRow, ...]) -> _Pack:
        if self._pack is None or self._pack.rows != rows:
            self._pack = None
            frames = [row.frames for row in rows]
            self._pack = _Pack(
                rows=rows,
                mels=pad_sequence([row.mels for row in rows], batch_first=True).to(self._precision),
                texts=(
                    pad_sequence([row.texts[0] for row in rows], batch_first=True),
                    pad_sequence([row.texts[1] for row in rows], batch_first=True),
                ),
                # Without a mask, a row alone takes less time and memory.
                mask=lens_to_mask(torch.tensor(frames, device=self._device))
                if len(set(frames)) > 1
                else None,
            )
        return self._pack

    def _numbers(self, numbers: Sequence[float]) -> Any:
        return torch.tensor(numbers, device=self._device)


def out_of_memory(error: BaseException) -> OutOfMemory:
    """Return the error for the loop. Drop the traceback of the old error: its frames hold the allocated
    memory."""
    error.__traceback__ = None
    return OutOfMemory()
