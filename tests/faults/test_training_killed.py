"""A server that is killed in the middle of a training: the next one goes on with it, and it is paid once."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests import server
from tests.features.jobs.training.recorded_voice import recorded_voice
from tests.server import ALONE, Server
from tests.waiting import until

CONFIG = ALONE.replace("[engines.tone]", "[engines.tone]\ndelay_s = 0.005") + (
    "[plans.paid]\nallowance = 100\n"
    'prices.speech = { credits = 1, per = "character" }\nprices.training = { credits = 40, per = "job" }\n'
)
STEPS = 900
CHECKPOINT = 500


def training(live: Server, key: str, job: str) -> dict[str, object]:
    with live.client(key) as client:
        shown: dict[str, object] = client.get(f"/v1/jobs/{job}").raise_for_status().json()
        return shown


def step(live: Server, key: str, job: str) -> int:
    told = training(live, key, job)["training"]
    assert isinstance(told, dict)
    return int(told["step"])


@pytest.mark.soak
def test_the_next_server_goes_on_and_it_is_paid_once(tmp_path: Path) -> None:
    with server.running(tmp_path, CONFIG) as killed:
        key = killed.mint_key("studio", plan="paid").secret
        voice = recorded_voice(killed, key)
        with killed.client(key) as client:
            asked = {"kind": "training", "voice": voice, "model": "tone", "steps": STEPS}
            job = client.post("/v1/jobs", json=asked).raise_for_status().json()["id"]
        until(lambda: step(killed, key, job) > CHECKPOINT)
        os.kill(killed.process.pid, signal.SIGKILL)
        killed.process.wait()
    with server.running(tmp_path, CONFIG) as restarted:
        until(lambda: training(restarted, key, job)["status"] == "done")
        assert step(restarted, key, job) == STEPS
        with restarted.client(key) as client:
            until(lambda: client.get("/v1/me").json()["credits"]["used"] == 40)
            (model,) = client.get(f"/v1/audio/voices/{voice}").json()["trained"]
            assert model["origin"] == "training"
            rows = client.get("/v1/usage").raise_for_status().json()["data"]
        assert json.loads(restarted.cli("ledger", "verify", "--json").stdout)["is_clean"]
        (row,) = rows
        assert (row["operation"], row["credits"]) == ("training", 40)
