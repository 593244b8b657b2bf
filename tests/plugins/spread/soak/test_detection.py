"""The mark `spread` in more clips, and at every rate."""

from __future__ import annotations

import pytest

from tests.plugins.spread.clips import CHANGES
from tests.plugins.spread.test_detection import clips, expect_found, expect_found_at


@pytest.mark.parametrize("change", CHANGES)
def test_every_clip_is_found_after(change: str) -> None:
    expect_found(change, clips())


@pytest.mark.parametrize("rate_hz", [11_025, 16_000, 22_050, 48_000])
def test_a_mark_is_found_at_every_rate(rate_hz: int) -> None:
    expect_found_at(rate_hz)
