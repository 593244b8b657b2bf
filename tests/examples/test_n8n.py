"""The workflows of examples/n8n, imported and executed: their nodes' requests are sent as n8n sends them.

By HttpRequestV3.node.js of n8n-nodes-base 2.41.2, and generate.operation.js, transport/index.js and
OpenAiApi.credentials.js of n8n-nodes-langchain 2.41.1 and n8n-nodes-base: both published in September 2026.
`WRITTEN` is what n8n 2.35.0 itself wrote when it executed these files, on Node 24.
"""

import json
import re
from typing import Any, NamedTuple

import httpx2

from tests.clients.servers import texts
from tests.examples.conftest import ROOT
from tests.server import Server

WRITTEN = {
    "http_request.json": r'{"model":"tts-1","voice":"nova","input":"Bom dia! \"Tudo bem?\", perguntou ela.",'
    r'"language":"pt-BR","response_format":"opus"}',
    "openai_node.json": r'{"model":"tts-1","input":"The parcel is at your door.","voice":"nova",'
    r'"response_format":"opus","speed":1}',
}
_SHOWN = "http://host.docker.internal:8000"
_FIELD = re.compile(r"=\{\{ \$json\.(\w+) \}\}")

Json = dict[str, Any]


class Workflow(NamedTuple):
    """The item that reaches the node "Speak", and that node."""

    item: Json
    speak: Json


def workflow(name: str) -> Workflow:
    """Follow the connections from the trigger to the node "Speak"."""
    loaded = json.loads((ROOT / "examples" / "n8n" / name).read_text())
    nodes = {node["name"]: node for node in loaded["nodes"]}
    path = [next(iter(loaded["connections"]))]
    while (links := loaded["connections"].get(path[-1])) is not None:
        path.append(links["main"][0][0]["node"])
    assert path == [*nodes]
    assert path[-1] == "Speak"
    assignments = nodes["Text"]["parameters"]["assignments"]["assignments"]
    return Workflow({each["name"]: each["value"] for each in assignments}, nodes["Speak"])


def _value(parameter: str, item: Json) -> Any:
    """A parameter as n8n reads it: an expression begins with "="."""
    field = _FIELD.fullmatch(parameter)
    assert field or not parameter.startswith("="), parameter
    return item[field[1]] if field else parameter


def _post(url: str, name: str, body: Json, headers: dict[str, str]) -> httpx2.Response:
    """axios writes JSON without blanks, and leaves letters as they are."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    assert content == WRITTEN[name]
    both = {"content-type": "application/json", "user-agent": "n8n"}
    return httpx2.post(url, content=content, headers={**both, **headers})


def test_the_http_request_node_speaks(tones: Server) -> None:
    item, node = workflow("http_request.json")
    parameters = node["parameters"]
    assert (node["type"], parameters["method"]) == ("n8n-nodes-base.httpRequest", "POST")
    assert (parameters["sendBody"], parameters["contentType"], parameters["specifyBody"]) == (
        True,
        "json",
        "keypair",
    )
    body = {each["name"]: _value(each["value"], item) for each in parameters["bodyParameters"]["parameters"]}
    # The credential "Header Auth" as README.md tells to fill it in.
    assert parameters["genericAuthType"] in node["credentials"]
    answer = _post(
        parameters["url"].replace(_SHOWN, tones.url),
        "http_request.json",
        body,
        {"Authorization": f"Bearer {tones.key}", "accept-encoding": "gzip, compress, deflate, br"},
    )
    assert answer.status_code == 200, answer.text
    assert parameters["options"]["response"]["response"]["responseFormat"] == "file"
    assert answer.headers["content-type"] == "audio/ogg"
    assert answer.headers["x-voxgate-language"] == "pt-BR"
    assert "".join(texts(answer.content, "opus")) == item["text"].replace("! ", "!")


def test_the_openai_node_speaks(tones: Server) -> None:
    item, node = workflow("openai_node.json")
    parameters = node["parameters"]
    assert node["type"] == "@n8n/n8n-nodes-langchain.openAi"
    assert (parameters["resource"], parameters["operation"]) == ("audio", "generate")
    options = parameters["options"]
    body = {
        "model": parameters["model"],
        "input": _value(parameters["input"], item),
        "voice": parameters["voice"],
        "response_format": options.get("response_format") or "mp3",
        "speed": options.get("speed") or 1,
    }
    headers = {"Authorization": f"Bearer {tones.key}", "OpenAI-Organization": ""}
    listed = httpx2.get(f"{tones.url}/v1/models", headers=headers)
    assert body["model"] in {model["id"] for model in listed.json()["data"]}
    answer = _post(f"{tones.url}/v1/audio/speech", "openai_node.json", body, headers)
    assert answer.status_code == 200, answer.text
    assert texts(answer.content, "opus") == (item["text"],)
