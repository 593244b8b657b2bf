"""What users say stays out of logs and metrics, and what went wrong inside stays out of answers."""

import json
from collections.abc import Iterator

import httpx2
import pytest

from proxy.audio.formats import wav_header
from tests.server import TONE, Server, running
from tests.tones import tones
from tests.waiting import until

pytestmark = pytest.mark.slow

TEXT = "Canary-Gruenfink sings"
VOICE = "canary-voice"
NOBODY = "canary-nobody"
KEY = "sk-canary0123456789"

CONFIG = TONE + f'[voices.{VOICE}]\ntone = "tone"\n[voices.{VOICE}-bug]\ntone = "bug"\n'
BUG_IN_PROCESS = '[engines.inner]\nplugin = "tone"\nhosted = false\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    config = CONFIG.replace("[models]", BUG_IN_PROCESS + "[models]")
    with running(folder, config, environ={"VOXGATE_SERVER__FIRST_AUDIO_S": "1"}) as started:
        yield started


def _say(server: Server, **body: object) -> httpx2.Response:
    return server.speech(TEXT, **body)


@pytest.mark.parametrize("model", ["tone/standard", "inner/standard"])
def test_a_bug_in_an_engine_is_an_envelope_to_the_client_and_a_place_in_the_log(
    server: Server, model: str
) -> None:
    answer = _say(server, model=model, voice=f"{model.partition('/')[0]}/bug")
    assert answer.status_code == 503
    error = answer.json()["error"]
    assert error["code"] == "engine_unavailable"
    assert error["type"] == "server_error"
    assert answer.headers["retry-after"]
    for inner in ("Traceback", "ZeroDivision", "tone engine", ".py", "File "):
        assert inner not in answer.text
    logged = [json.loads(line) for line in server.log.read_text().splitlines()]
    request = answer.headers["x-request-id"]
    (line,) = [each for each in logged if each["event"] == "engine.speak.failed" and each["job"] == request]
    assert line["error"] == "ZeroDivisionError"
    assert any("tone/voices.py" in place for place in line["where"])


def test_a_worker_with_hosts_that_starts_processes_logs_lines_of_json_alone(server: Server) -> None:
    fields = {"model": "tone/standard", "voice": VOICE, "consent": "true"}
    with server.client() as client:
        for text in ("One.", "Two."):
            pcm = tones(text)
            file = {"file": wav_header(len(pcm) // 2) + pcm}
            # Each is decoded in a process of its own.
            assert client.post("/v1/audio/conversions", data=fields, files=file).status_code == 200
    raw = [line for line in server.log.read_text().splitlines() if not line.startswith("{")]
    assert raw == []


def _every_way(server: Server) -> None:
    """Answers of all kinds, good and bad, each with a canary in every field that has room for one."""
    for voice in (
        VOICE,
        f"{VOICE}-bug",
        NOBODY,
        "tone/fail-late",
        "tone/no-text",
        "tone/refuse",
        "tone/hang",
    ):
        try:
            _say(server, voice=voice)
        except httpx2.RemoteProtocolError:
            assert voice == "tone/fail-late"
    _say(server, voice=VOICE, stream_format="sse")
    _say(server, voice=VOICE, response_format="json")
    _say(server, voice=VOICE, model=NOBODY)
    _say(server, voice=VOICE, speed=TEXT, emotion=TEXT, language=TEXT)
    with server.client() as client:
        client.post("/v1/audio/speech", content=f'{{"input": "{TEXT}'.encode())
        client.post(f"/v1/{NOBODY}?q={NOBODY}", json={"input": TEXT}, headers={"user-agent": NOBODY})
        client.get(f"/v1/models/{NOBODY}")
    with server.client(key=KEY) as stranger:
        stranger.post("/v1/audio/speech", json={"model": "tts-1", "voice": VOICE, "input": TEXT})


def test_neither_text_nor_voice_nor_key_is_in_the_log_or_on_the_metrics_page(server: Server) -> None:
    _every_way(server)
    # The lines of requests come a moment late.
    until(lambda: server.log.read_text().count("request.finished") >= 15)
    log, page = server.log.read_text(), httpx2.get(server.metrics).text
    assert "voxgate_requests_total" in page
    for kept in (log, page):
        assert "canary" not in kept.lower()
        assert "Gruenfink" not in kept
        assert server.key not in kept
        assert server.key.removeprefix("sk-")[8:24] not in kept
