"""What was converted is marked and signed as speech is, and says of what it was made."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest

from proxy.audio.formats import wav_header
from proxy.features.marks.clip_facts import find_clip
from tests.features.marks.manifests import read
from tests.proxy.api.inside import Inside, inside
from tests.proxy.audio.recordings.speech import master_of, speech
from tests.tables import each_row
from tests.tones import tones

pytestmark = pytest.mark.slow

CONFIG = """
[server]
default_model = "tone"
[engines.tone]
hosted = false
marking = true
[models]
tone = ["tone/standard"]
[voices.alloy]
tone = "tone"
[marking]
"""
TEXT = "A converted sentence, which is long enough to be marked."


def recorded(text: str = TEXT) -> bytes:
    pcm = tones(text)
    return wav_header(len(pcm) // 2) + pcm


async def converted(server: Inside, audio: bytes, **more: Any) -> httpx2.Response:
    fields = {"model": "tone/standard", "voice": "alloy", "consent": "true", "response_format": "wav", **more}
    async with server.client() as client:
        answer = await client.post("/v1/audio/conversions", data=fields, files={"file": audio})
    assert answer.status_code == 200, answer.text
    return answer


async def marks_in(server: Inside, audio: bytes) -> list[bool]:
    """Whether each mark that is looked for was found."""
    async with server.client() as client:
        answer = await client.post("/v1/audio/marks/detect", files={"file": audio})
    assert answer.status_code == 200, answer.text
    return [mark["found"] for mark in answer.json()["marks"]]


async def test_a_mark_is_found_in_what_was_converted_and_not_in_its_source(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG) as server:
        # Tones leave no room for a mark.
        source = master_of(await speech())
        answer = await converted(server, source, response_format="flac")
        assert answer.headers["x-voxgate-mark"].startswith("spread")
        assert await marks_in(server, answer.content) == [True]
        assert await marks_in(server, source) == [False]


@each_row("format_", ["wav", "mp3", "flac"])
async def test_the_manifest_says_edited_with_the_recording_as_its_parent(
    tmp_path: Path, format_: str
) -> None:
    async with inside(tmp_path, CONFIG + 'mark = ""\n') as server:
        source = recorded()
        answer = await converted(server, source, response_format=format_, provenance="c2pa")
    reading = read(format_, answer.content)
    assert reading.state == "Valid"
    assert [each["action"] for each in reading.actions] == ["c2pa.opened", "c2pa.edited"]
    assert reading.actions[1]["softwareAgent"] == {"name": "tone/standard"}
    (parent,) = reading.active["ingredients"]
    assert parent["relationship"] == "parentOf"
    assert reading.assertion("org.voxgate.source")["hash"] == sha256(source).hexdigest()


async def test_a_recording_that_was_signed_keeps_its_own_manifest_in_that_of_what_came_out(
    tmp_path: Path,
) -> None:
    async with inside(tmp_path, CONFIG + 'mark = ""\n') as server:
        first = await converted(server, recorded(), provenance="c2pa")
        second = await converted(server, first.content, provenance="c2pa")
    reading, before = read("wav", second.content), read("wav", first.content)
    assert reading.state == "Valid"
    (parent,) = reading.active["ingredients"]
    assert parent["active_manifest"] == before.store["active_manifest"]
    assert before.store["active_manifest"] in reading.store["manifests"]


async def test_the_facts_name_kind_and_source(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG) as server:
        source = recorded()
        answer = await converted(server, source)
        found = await find_clip(server.worker.store, answer.headers["x-request-id"])
        assert found is not None
        assert (found.facts.kind, found.facts.source) == ("conversion", sha256(source).hexdigest())
        assert found.facts.sha256 == sha256(answer.content).hexdigest()
