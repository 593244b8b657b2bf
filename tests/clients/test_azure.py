"""OpenAI's Python SDK as a client of Azure, on a real server: by a deployment, and by Azure's /openai/v1."""

import openai
import pytest
from openai import AzureOpenAI, OpenAI

from tests.server import Server
from tests.tables import each_row

VERSION = "2025-03-01-preview"
SPOKEN = {"voice": "alloy", "input": "Hello.", "response_format": "pcm"}


def test_the_model_is_the_deployment_of_the_path(plain_server: Server) -> None:
    with AzureOpenAI(azure_endpoint=plain_server.url, api_key=plain_server.key, api_version=VERSION) as sdk:
        answer = sdk.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
        assert answer.response.url.path == "/openai/deployments/tts-1/audio/speech"
        assert answer.response.headers["x-voxgate-engine"] == "tone/standard"
        assert "tts-1" in {model.id for model in sdk.models.list()}
        # A model of an engine has a slash, which the SDK writes as %2F.
        whole = sdk.audio.speech.create(model="tone/standard", voice="alloy", input="Hello.")
        assert whole.response.headers["x-voxgate-engine"] == "tone/standard"
        with pytest.raises(openai.NotFoundError, match="'none' does not exist"):
            sdk.audio.speech.create(model="none", voice="alloy", input="Hello.")


def test_a_client_of_one_deployment_has_its_own_base_url(plain_server: Server) -> None:
    client = AzureOpenAI(
        azure_endpoint=plain_server.url,
        azure_deployment="tts-1",
        api_key=plain_server.key,
        api_version=VERSION,
    )
    with (
        client as sdk,
        sdk.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input="Hello."
        ) as answer,
    ):
        assert len(answer.read()) > 1000


@each_row("path", ["/openai/v1/audio/speech", "/openai/deployments/tts-1/audio/speech"])
def test_the_same_sound_comes_from_each_path(plain_server: Server, path: str) -> None:
    with plain_server.client() as http:
        usual = http.post("/v1/audio/speech", json=SPOKEN | {"model": "tts-1"})
        body = SPOKEN if "deployments" in path else SPOKEN | {"model": "tts-1"}
        azure = http.post(path, params={"api-version": "preview"}, json=body)
    assert (azure.status_code, azure.content) == (200, usual.content)


def test_azures_newer_address_takes_the_usual_client(plain_server: Server) -> None:
    with OpenAI(base_url=f"{plain_server.url}/openai/v1/", api_key=plain_server.key) as sdk:
        assert len(sdk.audio.speech.create(model="tts-1", voice="alloy", input="Hello.").content) > 1000
