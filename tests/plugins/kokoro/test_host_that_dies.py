"""A network that ends its host: the text is refused, the host comes back, and the server answers again."""

from collections.abc import Iterator

import httpx2
import pytest

from speech_engine.host.suspects import KILLER
from tests import server
from tests.commands import command
from tests.plugins.kokoro import hostile, tiny
from tests.plugins.kokoro.test_served import CONFIG, LOADED_S, is_ready
from tests.plugins.piper.environment import interpreter
from tests.server import Server
from tests.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    interpreter("kokoro")
    folder = tmp_path_factory.mktemp("deadly")
    config = folder / "config.toml"
    config.write_text(CONFIG)
    source = tiny.model(folder / "source")
    (source / "kokoro-v1.0.onnx").write_bytes(hostile.DEADLY["an LSTM without texts"])
    named = ("--engine", "kokoro", "--name", "mine", "--licence", "Apache-2.0")
    command(config, "models", "import", str(source), *named)
    with server.running(folder, CONFIG) as running:
        until(lambda: is_ready(running), LOADED_S)
        yield running


def asked(live: Server, text: str, speed: float = 1.0) -> httpx2.Response:
    return live.speech(text, model="kokoro/standard", language="en-US", response_format="pcm", speed=speed)


def test_the_server_answers_again_after_a_network_ended_its_host(live: Server) -> None:
    assert asked(live, "One.").status_code == 200
    refused = asked(live, "Two.", speed=0.5)
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, KILLER)
    # Another engine never noticed.
    assert live.speech("Three.", model="espeak/standard").status_code == 200
    until(lambda: is_ready(live), LOADED_S)
    assert asked(live, "Four.").status_code == 200
