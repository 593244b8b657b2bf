"""Kill -9 while an account ends a training on a rented machine; `make soak` has all ways and points."""

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from proxy.feature_list import open_store
from proxy.features.admin.verify import verify
from proxy.features.jobs.kinds.training import training_input
from proxy.storage import usage
from proxy.storage.store import Statement
from tests import forked
from tests.features.jobs.training import training_rig
from tests.features.jobs.training.ending_program import ENDS, POINTS
from tests.features.jobs.training.training_rig import RECORDINGS
from tests.proxy.api.inside import inside

pytestmark = pytest.mark.slow

_RAN = "UPDATE trainings SET asked = 2000, ran = 777"


async def expect_one_charge(folder: Path, url: str, how: str, points: Sequence[str]) -> None:
    """Kill a server at each of these points while an account ends its training, and end it once more.

    Then the share that ran is charged once, and nothing is held.
    """
    # The training begins, and is not complete before all of this is over.
    config = training_rig.CONFIG.format(url=url, tone="delay_s = 0.05", jobs="")
    async with inside(folder, config, {}, "metered") as server:
        voice = await training_rig.voice_to_train(server)
        id_ = await training_rig.new_training(server, voice, steps=2000)
        await server.worker.store.write(Statement(_RAN))
        held = await training_rig.hold_of(server, id_)
        assert held is not None
        # With its process, what it has in memory would be gone.
        server.worker.ledger.holds.drop(held.request, server.account.id)
    asked = {
        "cancel": ("POST", f"/v1/jobs/{id_}/cancel"),
        "job": ("DELETE", f"/v1/jobs/{id_}"),
        "voice": ("DELETE", f"/v1/audio/voices/{voice}"),
        "account": ("DELETE", f"/admin/accounts/{server.account.id}"),
    }[how]
    program = "tests.features.jobs.training.ending_program"
    given = (str(folder / "config.toml"), server.key, server.admin_key, *asked)
    for point in (*points, ""):
        ended = await forked.run(program, *given, point)
        assert ended.returncode == (-signal.SIGKILL if point else 0), (point, ended.stdout)
        async with open_store(url, folder / "data") as store:
            assert (await verify(store)).is_clean, point
            charged = [row.credits for row in await usage.list_newest(store)]
            assert charged in ([], [training_rig.PRICE * 777 // 2000]), point
            left = await store.read("SELECT request FROM holds")
            states = await store.read("SELECT state FROM trainings WHERE state <> 'over'")
    assert (len(charged), left, states) == (1, [], [])


KILLS = {"sqlite": ("job", ("after charge",)), "postgresql": ("voice", ("after voice",))}


async def test_an_ended_training_is_charged_once_however_often_the_server_is_killed(
    tmp_path: Path, store_url: str
) -> None:
    how, points = KILLS[store_url.partition(":")[0]]
    await expect_one_charge(tmp_path, store_url, how, points)


@pytest.mark.soak
@pytest.mark.parametrize("how", ENDS)
async def test_an_ended_training_is_charged_once_whatever_is_killed(
    tmp_path: Path, store_url: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_input, "LEAST_RECORDINGS", RECORDINGS)
    points = [f"{when} {what}" for what in (how, *POINTS) for when in ("before", "after")]
    if how == "voice":
        # Its journal has it before the database. The next start erases it, does not know who asked, and gives
        # back the whole price.
        points.remove("before voice")
    await expect_one_charge(tmp_path, store_url, how, points)
