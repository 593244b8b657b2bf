"""A host is frozen only when it has work and shows none."""

from __future__ import annotations

import pytest

from policies.heartbeat import is_frozen


@pytest.mark.parametrize(
    ("working", "silent_s", "frozen"),
    [(0, 100.0, False), (1, 4.9, False), (1, 5.0, False), (1, 5.1, True), (16, 60.0, True)],
)
def test_silence_counts_only_with_work_in_hand(working: int, silent_s: float, frozen: bool) -> None:
    assert is_frozen(working, 100.0, 100.0 + silent_s, limit_s=5.0) is frozen
