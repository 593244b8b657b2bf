"""Manifests of a real server: what its clients save is what the C2PA project's reader finds valid."""

from pathlib import Path

import httpx2
import openai
import psutil
import pytest

from tests.features.marks.manifests import read
from tests.server import Server, live_server
from tests.tables import each_row

pytestmark = pytest.mark.slow

CONFIG = """
[server]
first_audio_s = 60
[engines.espeak]
processes = 1
[models]
"tts-1" = ["espeak/standard"]
[voices.alloy]
espeak = "f3"
"""
TEXT = "The quick brown fox jumps over the lazy dog, and then it sleeps in the sun."
CHILD = "proxy.features.marks.signing_child"
WAIT_S = 60.0

live = live_server(CONFIG)


def sidecar(live: Server, link: str) -> bytes:
    path = link.partition("<")[2].partition(">")[0]
    found = httpx2.get(live.url + path, timeout=WAIT_S)
    assert (found.status_code, found.headers["content-type"]) == (200, "application/c2pa"), found.text
    return found.content


@each_row("format_", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_what_the_sdk_saves_of_a_stream_fits_its_manifest(live: Server, tmp_path: Path, format_: str) -> None:
    file = tmp_path / f"clip.{format_}"
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.key, max_retries=0, timeout=WAIT_S) as sdk:
        create = sdk.audio.speech.with_streaming_response.create
        with create(model="tts-1", voice="alloy", input=TEXT, response_format=format_) as answer:  # type: ignore[arg-type]
            answer.stream_to_file(file)
            link = answer.headers["link"]
    reading = read(format_, file.read_bytes(), sidecar(live, link))
    assert reading.state == "Valid"
    (action,) = reading.actions
    assert action["softwareAgent"] == {"name": "espeak/standard"}
    assert action["digitalSourceType"].endswith("/algorithmicMedia")
    assert reading.assertion("org.voxgate.mark")["plugin"] == "spread"


def test_the_library_stays_out_of_the_server_and_its_memory(live: Server) -> None:
    assert live.speech("One.", response_format="wav", provenance="c2pa").is_success
    for process in [live.process.pid, *(child.pid for child in psutil.Process(live.process.pid).children())]:
        assert "libc2pa" not in Path(f"/proc/{process}/maps").read_text()
    assert len(signers(live)) == 1


def signers(server: Server) -> list[psutil.Process]:
    family = psutil.Process(server.process.pid).children(recursive=True)
    return [process for process in family if CHILD in process.cmdline()]
