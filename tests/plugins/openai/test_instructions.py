"""Instructions and fields of clients through a real server to a real provider's fake, and into no log."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from fakes.faults import ScriptedFault
from tests.faults.clouds import ENVIRON, Clouds, clouds
from tests.server import Server, running

pytestmark = pytest.mark.slow

CANARY = "Whisper like the canary Zebulon."


class Front(NamedTuple):
    server: Server
    providers: Clouds


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with clouds() as providers:
        section = providers.engine("up", "openai", 'client_fields = ["task_type"]\n')
        config = f"[server]\nfirst_audio_s = 60\n{section}[voices.ana]\nup = 'alloy'\n"
        with running(tmp_path_factory.mktemp("front"), config, environ=ENVIRON) as server:
            yield Front(server, providers)


def test_the_provider_gets_them_and_no_log_does(front: Front) -> None:
    fields = {"model": "up/gpt-4o-mini-tts", "voice": "ana", "instructions": CANARY}
    spoken = front.server.speech("Hello.", **fields)
    assert spoken.status_code == 200, spoken.text
    (sent,) = front.providers.spoken("up", "openai")
    assert sent.json["instructions"] == CANARY
    assert "task_type" not in sent.json
    front.providers.fail("up", "openai", [ScriptedFault(name="5xx", status=500, count=9)])
    failed = front.server.speech("Hello.", **fields)
    assert failed.status_code == 503
    refused = front.server.speech("Hello.", **fields, task_type=f"https://{CANARY}")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "task_type")
    logged = front.server.log.read_text()
    assert failed.headers["x-request-id"] in logged
    assert "Zebulon" not in logged + failed.text + refused.text
