"""examples/home_assistant: the requests that its YAML leads to, as openai_tts 3.7 (2026-02-11) sends them.

By config_flow.py and openaitts_engine.py of that version; `rest_command` is a part of Home Assistant itself.
"""

import json
from typing import Any

import httpx2
import yaml

from tests.clients.servers import texts
from tests.examples.conftest import ROOT
from tests.server import Server
from tests.waiting import until

_ADDRESS = "http://192.168.1.20:8000"
_MESSAGE = 'She said: "It is done."'


# PyYAML ships no types.
class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """With Home Assistant's `!secret`."""


_Loader.add_constructor("!secret", lambda _loader, node: f"secret {node.value}")


def configuration() -> Any:
    file = ROOT / "examples" / "home_assistant" / "configuration.yaml"
    return yaml.load(file.read_text(), _Loader)


def _post(server: Server, body: dict[str, Any], **headers: str) -> httpx2.Response:
    """`json.dumps` as it is, which is also what aiohttp writes."""
    everything = {"content-type": "application/json", "authorization": f"Bearer {server.key}", **headers}
    return httpx2.post(f"{server.url}/v1/audio/speech", content=json.dumps(body), headers=everything)


def test_the_integration_accepts_address_and_key(tones: Server) -> None:
    probe = {"model": "tts-1", "input": ".", "voice": "alloy", "response_format": "mp3"}
    assert _post(tones, probe).status_code == 200
    assert _post(tones, probe, authorization="Bearer sk-vg-wrong").status_code == 401


def test_the_script_speaks_in_its_voice_and_language(tones: Server) -> None:
    (step,) = configuration()["script"]["announce"]["sequence"]
    data = step["data"]
    assert (step["action"], data["message"]) == ("openai_tts.say", "{{ message }}")
    # Whole answers are mp3; an assistant's are streamed, in the format that the player wants.
    for response_format in ("mp3", "opus"):
        body = {
            "model": "tts-1",
            "input": _MESSAGE,
            "voice": data["voice"],
            "response_format": response_format,
            "speed": 1.0,
            **json.loads(data["extra_payload"]),
        }
        answer = _post(tones, body, **{"user-agent": "HomeAssistant-OpenAI-TTS"})
        assert answer.status_code == 200, answer.text
        assert texts(answer.content, response_format) == (_MESSAGE,)
        assert answer.headers["x-voxgate-language"] == "en-GB"
        assert answer.headers["x-voxgate-voice"] == "nova"


def test_the_rest_command_hands_in_a_job(tones: Server) -> None:
    command = configuration()["rest_command"]["read_later"]
    assert command["headers"]["authorization"] == "secret voxgate_bearer"
    payload = command["payload"].replace("{{ message | tojson }}", json.dumps(_MESSAGE))
    headers = {"authorization": f"Bearer {tones.key}", "content-type": command["content_type"]}
    url = command["url"].replace(_ADDRESS, tones.url)
    made = httpx2.request(command["method"].upper(), url, content=payload, headers=headers)
    assert made.status_code == 202, made.text
    path = f"/v1/jobs/{made.json()['id']}"
    with tones.client() as client:
        until(lambda: client.get(path).json()["status"] == "done")
        assert texts(client.get(f"{path}/content").content, "mp3") == (_MESSAGE,)
