"""The language model's keys and values of its rows, packed into one tensor for a step.

Rows of different lengths end at the same column. A new pack is made only if the rows of a step change, or the
columns are used up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

GROWTH = 64
"""The free columns of a new pack."""


class RowMemory:
    """The keys and values of one row: (layers, 2, heads, length, width of a head), or its place in a pack."""

    def __init__(self, values: Any) -> None:
        self._values = values
        self._pack: Pack | None = None
        self._place = 0

    @property
    def values(self) -> Any:
        return self._values if self._pack is None else self._pack.values_of(self._place)

    def move_into(self, pack: Pack, place: int) -> None:
        self._values, self._pack, self._place = None, pack, place

    def move_out(self) -> None:
        """Copy the values out of the pack, so that the pack's memory is freed."""
        if self._pack is not None:
            self._values, self._pack = self.values.clone(), None

    def leave_device(self) -> None:
        """Move the values to main memory until the next pack, because the device lacks memory."""
        self._values, self._pack = self.values.to("cpu", copy=True), None

    def forget(self) -> None:
        self._values, self._pack = None, None


class Pack:
    """The rows of a step. `buffer` is (layers, 2, rows, heads, columns, width of a head). The next column to
    fill is `column`."""

    def __init__(self, rows: Sequence[RowMemory], device: Any) -> None:
        values = [row.values for row in rows]
        longest = max(each.shape[3] for each in values)
        layers, pair, heads, _, width = values[0].shape
        self.column = longest
        shape = (layers, pair, len(rows), heads, longest + GROWTH, width)
        self.buffer = torch.zeros(shape, dtype=values[0].dtype, device=device)
        self.mask = torch.zeros((len(rows), longest + GROWTH), dtype=torch.bool, device=device)
        self._begins = [longest - each.shape[3] for each in values]
        for place, (each, begin) in enumerate(zip(values, self._begins, strict=True)):
            self.buffer[:, :, place, :, begin:longest] = each
            self.mask[place, begin:] = True

    @property
    def is_full(self) -> bool:
        return bool(self.column >= self.mask.shape[1])

    def values_of(self, place: int) -> Any:
        return self.buffer[:, :, place, :, self._begins[place] : self.column]

    def layer(self, number: int, keys: Any, values: Any) -> tuple[Any, Any, Any]:
        """Write a layer's new keys and values into the next column. Return all of them, and their mask.

        Until `advance`, the column counts as empty, so a failed step has no effect.
        """
        end = self.column + 1
        self.buffer[number, 0, :, :, self.column] = keys
        self.buffer[number, 1, :, :, self.column] = values
        return (
            self.buffer[number, 0, :, :, :end],
            self.buffer[number, 1, :, :, :end],
            self.mask[:, None, None, :end],
        )

    def advance(self) -> None:
        self.column += 1
