"""Manifests of a real server: what its clients save is what the C2PA project's reader finds valid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import psutil
import pytest

from tests.features.marks.manifests import read
from tests.server import Server, running
from tests.sound import decoded
from tests.tables import each_row

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


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("manifests"), CONFIG) as server:
        yield server


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


@each_row("format_", ["wav", "mp3", "flac"])
def test_a_file_with_its_manifest_is_valid_and_plays(live: Server, format_: str) -> None:
    plain = live.speech(TEXT, response_format=format_)
    signed = live.speech(TEXT, response_format=format_, provenance="c2pa")
    assert read(format_, signed.content).state == "Valid"
    heard, expected = decoded(signed.content, format_), decoded(plain.content, format_)
    assert heard.seconds == pytest.approx(expected.seconds, abs=0.1)
    three = plain.content * 3
    if format_ == "mp3":
        assert decoded(three, "mp3").seconds == pytest.approx(3 * expected.seconds, abs=0.2)


def test_the_library_stays_out_of_the_server_and_its_memory(live: Server) -> None:
    assert live.speech("One.", response_format="wav", provenance="c2pa").is_success
    for process in [live.process.pid, *(child.pid for child in psutil.Process(live.process.pid).children())]:
        assert "libc2pa" not in Path(f"/proc/{process}/maps").read_text()
    assert len(signers(live)) == 1


def test_the_signer_is_started_anew_after_a_kill(live: Server) -> None:
    assert live.speech("One.", response_format="wav", provenance="c2pa").is_success
    (child,) = signers(live)
    child.kill()
    signed = live.speech("Two.", response_format="wav", provenance="c2pa")
    assert read("wav", signed.content).state == "Valid"
    assert signers(live) != [child]


def test_a_killed_server_leaves_no_signer(live: Server) -> None:
    """The last test with this server."""
    assert live.speech("One.", response_format="wav", provenance="c2pa").is_success
    children = signers(live)
    assert len(children) == 1
    family = psutil.Process(live.process.pid).children(recursive=True)
    # All are found before the first is killed: what is dead has no command line.
    for process in [process for process in family if "worker" in " ".join(process.cmdline())]:
        process.kill()
    _, alive = psutil.wait_procs(children, timeout=WAIT_S)
    assert not alive


def signers(server: Server) -> list[psutil.Process]:
    family = psutil.Process(server.process.pid).children(recursive=True)
    return [process for process in family if CHILD in process.cmdline()]
