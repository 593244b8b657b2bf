"""The language model of XTTS for many rows at once. Each row gets the same codes in any company.

A step draws a code for each row from the model's last output, and then runs the model once for all rows. The
vocoder uses the outputs of this loop, so there is no second pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from plugins.xtts.checkpoint import Checkpoint, Sampling
from plugins.xtts.key_values import Pack, RowMemory
from speech_engine.host.batch_model import OutOfMemory

_ALWAYS_SEEN = 1
"""transformers fills the place of the prefix with this code, so the penalty for repetition covers it."""


class DecodingRow:
    """A text with its codes so far. `latents` has the model's output at each code, for the vocoder. The next
    code is drawn from `next_latent`. `seen` marks the codes that the penalty covers."""

    def __init__(self, memory: RowMemory, latent: Any, seen: Any, seed: int) -> None:
        self.codes: list[int] = []
        self.latents: list[Any] = []
        self.is_over = False
        self.is_gone = False
        self.memory = memory
        self.next_latent = latent
        self.seen = seen
        self._generator = torch.Generator().manual_seed(seed)
        self._drawn: float | None = None

    @property
    def uniform(self) -> float:
        """A random number from 0 to 1, which stays the same until the next code was taken."""
        if self._drawn is None:
            self._drawn = float(torch.rand((), generator=self._generator, dtype=torch.float64))
        return self._drawn

    def take(self, code: int, next_latent: Any) -> None:
        self.codes.append(code)
        self.latents.append(self.next_latent)
        self.next_latent = next_latent
        self.seen[code] = True
        self._drawn = None


class BatchedDecoder:
    """Makes codes with one model. `fixed_codes` sets the number of codes of each row."""

    def __init__(self, checkpoint: Checkpoint, precision: Any, fixed_codes: int | None = None) -> None:
        self._gpt = checkpoint.gpt
        self._sizes = checkpoint.sizes
        self._sampling = checkpoint.sampling
        self._fixed_codes = fixed_codes
        self._precision = precision
        self._device = self._gpt.mel_head.weight.device
        self._gpt.gpt.to(precision)
        self._pack: Pack | None = None
        self._packed: tuple[DecodingRow, ...] = ()
        self.packings = 0

    def __repr__(self) -> str:
        return f"<BatchedDecoder, {len(self._packed)} rows in a pack>"

    def join(self, tokens: Sequence[int], voice_latents: Any, seed: int) -> DecodingRow:
        """Read a text with a voice, and return its row. Raise OutOfMemory."""
        try:
            with torch.inference_mode():
                hidden, memory = self._read(self._prefix(tokens, voice_latents))
                latent = self._latent(hidden)[0]
        except torch.OutOfMemoryError as error:
            raise out_of_memory(error) from None
        seen = torch.zeros(self._sizes.codes, dtype=torch.bool, device=self._device)
        seen[[_ALWAYS_SEEN, self._sizes.start_code]] = True
        return DecodingRow(RowMemory(memory), latent, seen, seed)

    def step(self, rows: Sequence[DecodingRow]) -> None:
        """Give each row one more code. Raise OutOfMemory before any row has changed."""
        try:
            self._take_step(rows)
        except torch.OutOfMemoryError as error:
            raise out_of_memory(error) from None

    def _take_step(self, rows: Sequence[DecodingRow]) -> None:
        # A function of its own: `out_of_memory` drops this frame, and with it the tensors that it holds.
        with torch.inference_mode():
            pack = self._packed_for(rows)
            codes = self._draw(rows)
            latents = self._next_latents(rows, codes, pack)
            numbers = codes.tolist()
        pack.advance()
        for row, code, latent in zip(rows, numbers, latents, strict=True):
            row.take(code, latent)
            row.is_over = self._is_over(row)

    def leave(self, row: DecodingRow) -> None:
        """Remove a row. Its place in the pack stays until the next step."""
        row.is_gone = True
        row.memory.forget()
        if all(each.is_gone for each in self._packed):
            self._pack, self._packed = None, ()

    def _is_over(self, row: DecodingRow) -> bool:
        if self._fixed_codes is not None:
            return len(row.codes) >= self._fixed_codes
        # The package's own limit, its `max_gen_mel_tokens`.
        most = self._sizes.most_codes - 3
        return row.codes[-1] == self._sizes.stop_code or len(row.codes) >= most

    def _prefix(self, tokens: Sequence[int], voice_latents: Any) -> Any:
        gpt, sizes = self._gpt, self._sizes
        text = torch.tensor([[sizes.start_text, *tokens, sizes.stop_text]], device=self._device)
        read = gpt.text_embedding(text) + gpt.text_pos_embedding(text)
        return torch.cat([voice_latents, read, self._embedded([sizes.start_code], [0])], dim=1)

    def _embedded(self, codes: Any, places: Sequence[int]) -> Any:
        gpt = self._gpt
        embedded = gpt.mel_embedding(torch.as_tensor(codes, device=self._device))
        return (embedded + gpt.mel_pos_embedding.emb(torch.tensor(places, device=self._device))).unsqueeze(1)

    def _read(self, prefix: Any) -> tuple[Any, Any]:
        """Return the last hidden state of a prefix, and all keys and values."""
        hidden, remembered = prefix.to(self._precision), []
        for block in self._gpt.gpt.h:
            query, keys, values = self._heads(block, hidden)
            mixed = scaled_dot_product_attention(query, keys, values, is_causal=True)
            hidden = _after_attention(block, hidden, mixed)
            remembered.append(torch.stack([keys[0], values[0]]))
        return self._gpt.gpt.ln_f(hidden[:, -1]), torch.stack(remembered)

    def _next_latents(self, rows: Sequence[DecodingRow], codes: Any, pack: Pack) -> Any:
        hidden = self._embedded(codes, [len(row.codes) + 1 for row in rows]).to(self._precision)
        for number, block in enumerate(self._gpt.gpt.h):
            query, keys, values = self._heads(block, hidden)
            keys, values, mask = pack.layer(number, keys[:, :, 0], values[:, :, 0])
            mixed = scaled_dot_product_attention(query, keys, values, attn_mask=mask)
            hidden = _after_attention(block, hidden, mixed)
        return self._latent(self._gpt.gpt.ln_f(hidden[:, -1]))

    def _heads(self, block: Any, hidden: Any) -> tuple[Any, Any, Any]:
        """Return query, keys and values of a layer: (rows, heads, length, width of a head) each."""
        rows, length, dim = hidden.shape
        parts = block.attn.c_attn(block.ln_1(hidden)).split(dim, dim=2)
        query, keys, values = (
            part.view(rows, length, self._sizes.heads, dim // self._sizes.heads).transpose(1, 2)
            for part in parts
        )
        return query, keys, values

    def _latent(self, hidden: Any) -> Any:
        return self._gpt.final_norm(hidden.float())

    def _packed_for(self, rows: Sequence[DecodingRow]) -> Pack:
        needed = tuple(rows)
        if self._pack is None or needed != self._packed or self._pack.is_full:
            pack = self._pack_beside(needed) or self._pack_instead(needed)
            for place, row in enumerate(needed):
                row.memory.move_into(pack, place)
            self._pack, self._packed = pack, needed
            self.packings += 1
        return self._pack

    def _pack_beside(self, needed: tuple[DecodingRow, ...]) -> Pack | None:
        """Return a new pack beside the old one, or None if the device lacks memory for both.

        An exception would hold the memory that was allocated in vain.
        """
        try:
            pack = Pack([row.memory for row in needed], self._device)
            for row in self._packed:
                if not row.is_gone and row not in needed:
                    row.memory.move_out()
        except torch.OutOfMemoryError:
            return None
        return pack

    def _pack_instead(self, needed: tuple[DecodingRow, ...]) -> Pack:
        """Return a new pack in place of the old one, after its rows moved to main memory."""
        for row in dict.fromkeys((*self._packed, *needed)):
            if not row.is_gone:
                row.memory.leave_device()
        self._pack, self._packed = None, ()
        return Pack([row.memory for row in needed], self._device)

    def _draw(self, rows: Sequence[DecodingRow]) -> Any:
        logits = self._gpt.mel_head(torch.stack([row.next_latent for row in rows])).float()
        seen = torch.stack([row.seen for row in rows])
        uniform = torch.tensor([row.uniform for row in rows], dtype=torch.float64, device=self._device)
        if self._fixed_codes is not None:
            logits[:, self._sizes.stop_code] = -torch.inf
        return draw_codes(logits, seen, uniform, self._sampling)


def out_of_memory(error: BaseException) -> OutOfMemory:
    """Return the error for the loop. Drop the traceback of the old error: its frames hold the allocated
    memory."""
    error.__traceback__ = None
    return OutOfMemory()


def draw_codes(logits: Any, seen: Any, uniform: Any, sampling: Sampling) -> Any:
    """Draw a code for each row, (rows,), from the likeliest few. Codes that it has had are less likely."""
    penalised = torch.where(
        logits < 0, logits * sampling.repetition_penalty, logits / sampling.repetition_penalty
    )
    logits = torch.where(seen, penalised, logits) / sampling.temperature
    best, codes = logits.topk(min(sampling.top_k, logits.shape[1]), dim=1)
    shares = best.double().softmax(dim=1)
    above = shares.cumsum(dim=1) - shares
    # The likeliest code always counts.
    shares = torch.where(above < sampling.top_p, shares, 0.0)
    reached = shares.cumsum(dim=1)
    place = (reached <= uniform.unsqueeze(1) * reached[:, -1:]).sum(dim=1, keepdim=True)
    return codes.gather(1, place.clamp(max=codes.shape[1] - 1)).squeeze(1)


def _after_attention(block: Any, hidden: Any, mixed: Any) -> Any:
    rows, heads, length, width = mixed.shape
    merged = mixed.transpose(1, 2).reshape(rows, length, heads * width)
    hidden = hidden + block.attn.c_proj(merged)
    return hidden + block.mlp(block.ln_2(hidden))
