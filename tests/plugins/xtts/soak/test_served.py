"""As many clients at once as the engine has slots."""

from __future__ import annotations

import pytest

from tests.plugins.xtts.test_served import Rig, expect_what_each_hears_alone, rig

__all__ = ["rig"]


@pytest.fixture(scope="module")
def rows() -> int:
    return 8


async def test_eight_clients_hear_what_each_hears_alone(rig: Rig) -> None:
    await expect_what_each_hears_alone(rig, 8)
