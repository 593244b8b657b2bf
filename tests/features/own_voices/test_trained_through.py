"""A voice that was trained here: from its recordings to its speech by espeak and by Kokoro, and the price."""

from collections.abc import Iterator

import pytest

from tests import server
from tests.commands import command
from tests.features.jobs.training.recorded_voice import recorded_voice
from tests.features.sockets import native
from tests.plugins.kokoro import tiny
from tests.plugins.piper.environment import interpreter
from tests.server import Server
from tests.waiting import until

pytestmark = pytest.mark.slow

LOADED_S = 120.0
CONFIG = """
[server]
first_audio_s = 60
[engines.tone]
processes = 1
[engines.espeak]
processes = 1
[engines.kokoro]
model = "mine"
[models]
natural = ["kokoro/standard"]
robot = ["espeak/standard"]
[plans.paid]
allowance = 1000
prices.speech = { credits = 60, per = "minute" }
prices.conversion = { credits = 30, per = "minute" }
prices.training = { credits = 0, per = "job" }
"""


def states(live: Server) -> dict[str, str]:
    with live.control() as control:
        return {row["name"]: row["state"] for row in control.get("/admin/engines").json()["data"]}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    interpreter("kokoro")
    folder = tmp_path_factory.mktemp("through")
    config = folder / "config.toml"
    config.write_text(CONFIG)
    source = tiny.model(folder / "source")
    named = ("--engine", "kokoro", "--name", "mine", "--licence", "Apache-2.0")
    assert "Apache-2.0" in command(config, "models", "import", str(source), *named).stdout
    with server.running(folder, CONFIG) as running:
        until(lambda: set(states(running).values()) == {"ready"}, LOADED_S)
        yield running


def trained(live: Server, key: str, *uses: str) -> str:
    voice = recorded_voice(live, key, uses=["training", *uses])
    with live.client(key) as client:
        asked = {"kind": "training", "voice": voice, "model": "tone", "steps": 20}
        job = client.post("/v1/jobs", json=asked).raise_for_status().json()["id"]
        until(lambda: client.get(f"/v1/jobs/{job}").json()["status"] == "done")
    return voice


def test_a_trained_voice_speaks_by_espeak_and_by_kokoro(live: Server) -> None:
    key = live.mint_key("ana", plan="paid").secret
    voice = trained(live, key, "speech")
    with live.client(key) as client:
        for model, engine in (("natural", "kokoro/standard"), ("robot", "espeak/standard")):
            body = {"model": model, "voice": voice, "input": "Go to bed.", "language": "en"}
            answer = client.post("/v1/audio/speech", json={**body, "response_format": "pcm"})
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-voxgate-engine"] == f"{engine}, tone/standard"
            base = answer.headers["x-voxgate-voice-from"]
            assert base.startswith(engine.partition("/")[0])
            (row, *_) = client.get("/v1/usage").json()["data"]
            assert row["engine"] == f"{engine.partition('/')[0]}+tone"
            assert row["credits"] == pytest.approx(1.5 * len(answer.content) / 48_000, abs=1e-5)
            print(f"{base}: {row['credits']} credits for {len(answer.content) / 48_000:.3f} s")

    with native.at(live, key, model="robot", voice=voice, language="en") as talker:
        (start, *_) = talker.speak("Go to bed.").having("audio.start")
        assert start["voice_base"].startswith("espeak/")
    # Ben's has the same sound, and nobody agreed that it speaks.
    ben = live.mint_key("ben", plan="paid").secret
    with live.client(key) as client:
        file = client.get(f"/v1/audio/voices/{voice}/model").content
    with live.client(ben) as client:
        agreed = {
            "name": "Ben",
            "language": "en",
            "statement": "Ben agreed.",
            "uses": ["training", "conversion"],
        }
        consent = client.post("/v1/audio/voice_consents", json=agreed).raise_for_status().json()["id"]
        fields = {"name": "Ben", "consent": consent, "format": "tone"}
        made = client.post("/v1/audio/voice_models", data=fields, files={"file": file})
        body = {"voice": made.raise_for_status().json()["id"], "input": "Go to bed.", "language": "en"}
        for model in ("natural", "robot"):
            refused = client.post("/v1/audio/speech", json={"model": model, **body})
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "consent_not_given")
        assert client.get("/v1/usage").json()["data"] == []
