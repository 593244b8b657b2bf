"""The ladder of voices by plan: one word, one name, and each plan hears what it pays for."""

import tomllib
from collections.abc import Iterator

import pytest

from tests import server
from tests.commands import command
from tests.examples.test_configs import EXAMPLES, fake
from tests.plugins.piper import tiny
from tests.plugins.piper.environment import interpreter
from tests.server import Server
from tests.tables import each_row
from tests.waiting import until

pytestmark = pytest.mark.slow

LOADED_S = 120.0
TEXT = "so it is spoken."
ASKED = {"model": "tts-1", "voice": "alloy", "input": TEXT, "response_format": "pcm"}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    interpreter()
    folder = tmp_path_factory.mktemp("tiers")
    text = (EXAMPLES / "config.tiers.toml").read_text()
    with fake("elevenlabs") as url:
        text = text.replace('data = "../data/tiers"', 'data = "data"\nfirst_audio_s = 60')
        text = text.replace("[engines.elevenlabs]\n", f'[engines.elevenlabs]\nbase_url = "{url}"\n')
        text = text.replace('"env:ELEVENLABS_API_KEY"', '"fake-elevenlabs-key"')
        text = text.replace("JBFqnCBsd6RMkjVDRZzb", "fakeVoice01")
        config = folder / "config.toml"
        config.write_text(text)
        voice = tiny.voice(folder / "mine", reading="text")
        named = ("--engine", "piper", "--name", "amy", "--licence", "CC0-1.0")
        command(config, "models", "import", str(voice), *named)
        with server.running(folder, text) as running:
            until(lambda: {"piper", "elevenlabs"} <= ready(running), LOADED_S)
            yield running


def ready(live: Server) -> set[str]:
    with live.control() as control:
        rows = control.get("/admin/engines").json()["data"]
    return {row["name"] for row in rows if row["state"] == "ready"}


@each_row("model", ["tts-1", "tts-1-hd", "gpt-4o-mini-tts"])
@each_row(
    ("plan", "engine"),
    [("free", "piper/standard"), ("trained", "piper/standard"), ("premium", "elevenlabs/eleven_v3")],
)
def test_each_plan_hears_its_step_of_the_ladder(live: Server, plan: str, engine: str, model: str) -> None:
    with live.client(live.mint_key(f"on {plan}, {model}", plan=plan).secret) as client:
        answer = client.post("/v1/audio/speech", json={**ASKED, "model": model})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-engine"] == engine
    assert (tiny.heard(answer.content, 24_000) == f"^{TEXT}$") is (engine == "piper/standard")


def test_a_dearer_plan_has_at_least_what_a_cheaper_one_has() -> None:
    plans = tomllib.loads((EXAMPLES / "config.tiers.toml").read_text())["plans"]
    for limit in ("allowance", "rpm", "streams", "voices", "max_characters"):
        offered = [plans[name][limit] for name in ("free", "trained", "premium")]
        assert offered == sorted(offered), limit


def test_a_plan_cannot_reach_above_its_step(live: Server) -> None:
    with live.client(live.mint_key("climber", plan="free").secret) as client:
        refused = client.post("/v1/audio/speech", json={**ASKED, "model": "elevenlabs/eleven_v3"})
    assert refused.status_code == 403, refused.text


def test_a_language_that_piper_lacks_falls_to_the_last_step(live: Server) -> None:
    with live.client(live.mint_key("reader", plan="free").secret) as client:
        answer = client.post("/v1/audio/speech", json={**ASKED, "language": "fr"})
    assert answer.headers["x-voxgate-engine"] == "espeak/standard"
