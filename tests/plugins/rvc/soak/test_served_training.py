"""RVC's trainer in a whole server: it begins with the operator's network, and the voice can be taken home."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests import server
from tests.commands import command
from tests.faults.processes import state
from tests.features.jobs.training.recorded_voice import recorded_voice
from tests.plugins.neural import kept_model, lend
from tests.replies import json_of
from tests.server import Server
from tests.waiting import until

LOADED_S, TRAINED_S = 120.0, 240.0
STEPS = 3
CONFIG = """
[server]
default_model = "tone/standard"
[engines.tone]
plugin = "tone"
[engines.rvc]
plugin = "rvc"
model = "standard"
device = "cpu"
[plans.paid]
allowance = 100
prices.speech = { credits = 1, per = "character" }
prices.training = { credits = 40, per = "job" }
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    lend("rvc")
    folder = tmp_path_factory.mktemp("training")
    model = kept_model("rvc", "sources")
    config = folder / "config.toml"
    config.write_text("[engines.rvc]\n")
    named = ("--engine", "rvc", "--name", "standard", "--licence", "MIT")
    command(config, "models", "import", str(model), *named)
    with server.running(folder, CONFIG) as running:
        until(lambda: bool(state(running, "rvc")["state"] == "ready"), LOADED_S)
        yield running


def test_a_voice_is_trained_and_taken_home(live: Server) -> None:
    key = live.mint_key("studio", plan="paid").secret
    voice = recorded_voice(live, key)
    told: dict[str, Any] = {}

    with live.client(key, timeout=60.0) as client:
        asked = {"kind": "training", "voice": voice, "model": "rvc/standard", "steps": STEPS}
        job = json_of(client.post("/v1/jobs", json=asked), 202)["id"]

        def is_over() -> bool:
            told.update(client.get(f"/v1/jobs/{job}").json())
            return told["status"] not in ("queued", "waiting", "running")

        until(is_over, TRAINED_S)
        assert told["status"] == "done", told
        assert told["training"]["step"] == STEPS
        # What it was imported with has one speaker; without it there would be a hundred and nine.
        (model,) = client.get(f"/v1/audio/voices/{voice}").json()["trained"]
        assert (model["format"], model["origin"]) == ("rvc", "training")
        onnx = client.get(f"/v1/jobs/{job}/content")
        assert onnx.status_code == 200, onnx.text
        assert 100_000 < len(onnx.content) < 10_000_000
        pth = client.get(f"/v1/audio/voices/{voice}/model?form=pth")
        assert pth.content.startswith(b"PK")
        assert len(pth.content) < 1_000_000
        until(lambda: client.get("/v1/me").json()["credits"]["used"] == 40)
