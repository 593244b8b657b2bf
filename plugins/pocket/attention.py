"""A layer of the package's transformers for several rows, each with its own past.

Matrices are applied to all rows at once. Attention is computed for each row alone, so a row gets the same
result in any company.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch.nn.functional import gelu, scaled_dot_product_attention

_PERIOD: Final = 10_000.0


def pass_through(layers: Any, x: Any, pasts: Sequence[Past]) -> Any:
    """Return the layers' output for new positions, (rows, positions, width), and add these to the pasts."""
    count = x.shape[1]
    turns = _turns(layers[0].self_attn.dim_per_head, [past.length for past in pasts], count)
    for number, layer in enumerate(layers):
        x = x + layer.layer_scale_1(_attend(layer.self_attn, number, layer.norm1(x), turns, pasts))
        inner = layer.linear2(gelu(layer.linear1(layer.norm2(x)), approximate="tanh"))
        x = x + layer.layer_scale_2(inner)
    for past in pasts:
        past.advance(count)
    return x


def _attend(attention: Any, number: int, x: Any, turns: tuple[Any, Any], pasts: Sequence[Past]) -> Any:
    """Return the attention of layer `number`. `turns` are those of `_turns`."""
    rows, count, _ = x.shape
    projected = attention.in_proj(x)
    width, shared = attention.dim_per_head, attention.num_kv_heads
    queries = projected[..., : attention.attn_dim].view(rows, count, attention.num_heads, width)
    pairs = projected[..., attention.attn_dim :].view(rows, count, 2, shared, width)
    keys, values = torch.unbind(pairs, dim=2)
    queries, keys = _turned(queries, turns).transpose(1, 2), _turned(keys, turns).transpose(1, 2)
    values = values.transpose(1, 2)
    mixed = []
    for row, past in enumerate(pasts):
        own = slice(row, row + 1)
        all_keys, all_values, mask = past.add(number, keys[own], values[own])
        if shared != attention.num_heads:
            times = attention.num_heads // shared
            all_keys = all_keys.repeat_interleave(times, dim=1)
            all_values = all_values.repeat_interleave(times, dim=1)
        mixed.append(scaled_dot_product_attention(queries[own], all_keys, all_values, mask))
    together = torch.cat(mixed) if len(mixed) > 1 else mixed[0]
    return attention.out_proj(together.transpose(1, 2).reshape(rows, count, attention.attn_dim))


def _turns(width: int, begins: Sequence[int], count: int) -> tuple[Any, Any]:
    """Return cosine and sine of each position's angles: (rows, positions, 1, half the width)."""
    halves = torch.arange(width // 2, dtype=torch.float32)
    speeds = torch.exp(halves * (-torch.tensor(_PERIOD).log().item() * 2 / width))
    places = torch.tensor(begins, dtype=torch.float32)[:, None] + torch.arange(count, dtype=torch.float32)
    angles = speeds * places[:, :, None, None]
    return torch.cos(angles), torch.sin(angles)


def _turned(x: Any, turns: tuple[Any, Any]) -> Any:
    rows, count, heads, width = x.shape
    pairs = x.reshape(rows, count, heads, width // 2, 2)
    first, second = pairs[..., 0], pairs[..., 1]
    cosine, sine = turns
    mixed = torch.stack([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
    return mixed.view(rows, count, heads, width)


def moved(keys: Any, by: int) -> Any:
    """Return keys, (rows, heads, positions, width), as they would be `by` positions later."""
    return _turned(keys, _turns(keys.shape[-1], [by], 1))


class WholePast:
    """The keys and values of all positions of a row, in one tensor: (layers, 2, heads, capacity, width).

    `length` is the next position.
    """

    def __init__(self, room: Any, length: int = 0) -> None:
        self._room = room
        self.length = length

    @classmethod
    def after(cls, voice: Any, more: int) -> WholePast:
        """Return a past that begins with a voice's, with room for more positions."""
        layers, pair, heads, length, width = voice.shape
        room = torch.empty((layers, pair, heads, length + more, width))
        room[:, :, :, :length] = voice
        return cls(room, length)

    @property
    def values(self) -> Any:
        """The keys and values so far: (layers, 2, heads, length, width)."""
        return self._room[:, :, :, : self.length]

    def add(self, layer: int, keys: Any, values: Any) -> tuple[Any, Any, Any]:
        """Store the keys and values of new positions, (1, heads, positions, width) each.

        Return all keys and values that the new positions attend to, and a mask, or None for no mask.
        """
        count = keys.shape[2]
        end = self.length + count
        room = self._room[layer]
        room[0, :, self.length : end] = keys[0]
        room[1, :, self.length : end] = values[0]
        mask = None if count == 1 else torch.ones(count, end, dtype=torch.bool).tril(self.length)
        return room[None, 0, :, :end], room[None, 1, :, :end], mask

    def advance(self, positions: int) -> None:
        self.length += positions


class RecentPast:
    """The keys and values of a row's last positions. A position attends to `context` of them, with itself."""

    def __init__(self, layers: int, context: int) -> None:
        self._context = context
        self._cached: list[tuple[Any, Any] | None] = [None] * layers
        self.length = 0

    def add(self, layer: int, keys: Any, values: Any) -> tuple[Any, Any, Any]:
        """Store and return as `WholePast.add` does."""
        cached, count = self._cached[layer], keys.shape[2]
        if cached is not None:
            keys, values = torch.cat([cached[0], keys], dim=2), torch.cat([cached[1], values], dim=2)
        # A copy, so that older positions are freed.
        last = slice(1 - self._context, None)
        self._cached[layer] = keys[:, :, last].clone(), values[:, :, last].clone()
        total = keys.shape[2]
        distance = torch.arange(total - count, total)[:, None] - torch.arange(total)
        return keys, values, (distance >= 0) & (distance < self._context)

    def advance(self, positions: int) -> None:
        self.length += positions


Past = WholePast | RecentPast
