"""Many clients that vanish in the middle of an answer."""

from __future__ import annotations

from tests.faults.leaving import Scene, expect_leavers_to_leave_nothing


async def test_a_thousand_who_leave_leave_nothing(scene: Scene) -> None:
    await expect_leavers_to_leave_nothing(scene, 1_000)
