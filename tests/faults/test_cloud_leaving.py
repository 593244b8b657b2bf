"""A client that is gone takes its provider's work along: at once, at every stage, and nothing stays."""

import pytest

from fakes.faults import ScriptedFault
from tests.faults.clouds import PLUGINS, Plugin
from tests.faults.leaving import TEXT, Client, Scene, expect_leavers_to_leave_nothing
from tests.tables import each_row, soak
from tests.waiting import until

pytestmark = pytest.mark.slow

TRIES = 5
AT_ONCE_S = 0.5
SURELY_S = 10.0
"""Far below the time that the provider would speak or hang; the room is for a busy machine."""

_STAGES = {
    "before the provider answered": ScriptedFault(name="hang_before"),
    "before any audio": ScriptedFault(name="hang_after"),
    "after the first byte": ScriptedFault(name="hang_after", after_bytes=15_000),
    "midstream": ScriptedFault(name="slow", piece_bytes=500, pause_s=0.02),
}
_HEARS = {"after the first byte": 1, "midstream": 2_000}
_STATUSES = {"before the provider answered": None, "before any audio": 200}


@each_row("plugin", PLUGINS)
@each_row("stage", _STAGES)
async def test_the_provider_hears_of_it_at_once(scene: Scene, plugin: Plugin, stage: str) -> None:
    charged = len(scene.outcomes())
    late = [await _leave(scene, plugin, stage) for _ in range(TRIES)]
    print(f"{plugin} {stage}: {min(late) * 1000:.1f} to {max(late) * 1000:.1f} ms")
    assert all(0 <= each < SURELY_S for each in late), late
    # The quickest of several: a busy machine may keep any one of them waiting.
    assert min(late) < AT_ONCE_S, late
    until(lambda: len(scene.outcomes()) == charged + TRIES)
    # The provider bills what it was sent, so the whole text is paid for.
    assert scene.outcomes()[:TRIES] == [("left", len(TEXT))] * TRIES


@pytest.mark.parametrize("clients", [100, *soak(1_000)])
async def test_many_who_leave_leave_nothing(scene: Scene, clients: int) -> None:
    await expect_leavers_to_leave_nothing(scene, clients)


async def _leave(scene: Scene, plugin: Plugin, stage: str) -> float:
    """Seconds from the client's end to the provider's notice of it."""
    scene.clouds.forget()
    scene.clouds.fail(plugin, plugin, [_STAGES[stage]])
    client = await Client.asking(scene, plugin)
    if stage in _HEARS:
        await client.hears(_HEARS[stage])
    else:
        until(lambda: [each.status for each in scene.clouds.spoken(plugin, plugin)] == [_STATUSES[stage]])
    gone = await client.vanish()
    until(lambda: scene.clouds.open(plugin) == 0)
    (seen,) = scene.clouds.spoken(plugin, plugin)
    assert seen.left_at is not None
    return seen.left_at - gone
