"""Detection inside a worker: what it spoke is found in every format, and nothing else is."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from plugins.spread.stream import SpreadMark
from proxy.features.marks.section import MARK_KEYS
from proxy.file_store.key_ring import add_key, ensure_keys
from speech_engine import Audio, Event, Finished, Started
from speech_engine.mark import MarkKey
from tests import speech_clips
from tests.faults import hostile_uploads
from tests.features.marks.signed_files import Signatory, beside, elsewhere, signatory, signed
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import Scripted
from tests.proxy.audio.recordings.clips import wav
from tests.replies import json_of
from tests.sound import decoded, tone
from tests.tables import soak

pytestmark = pytest.mark.slow

DETECT = "/v1/audio/marks/detect"
CHECK = "/v1/content_provenance_checks"
FORMATS = ("opus", "pcm", *soak("wav", "mp3", "aac", "flac"))
RATE_HZ = 24_000
SPOKEN_S = 4
CONFIG = """
[engines.one]
[marking]
certificate = "file:chain.pem"
certificate_key = "file:key.pem"
"""

PLAIN = wav(tone(440, 1.0))


@pytest.fixture(scope="module")
def us() -> Signatory:
    return signatory("voxgate")


@pytest.fixture
async def server(tmp_path: Path, us: Signatory) -> AsyncIterator[Inside]:
    (tmp_path / "chain.pem").write_bytes(us.chain)
    (tmp_path / "key.pem").write_bytes(us.key)
    async with inside(tmp_path, CONFIG, {"one": Scripted(*_speech(), is_speech=True)}) as opened:
        yield opened


def _speech() -> Iterator[Event]:
    samples, rate_hz = _said()
    yield Started(rate_hz)
    for at in range(0, len(samples), rate_hz // 10 * 2):
        yield Audio(0, samples[at : at + rate_hz // 10 * 2])
    yield Finished()


def _said() -> tuple[bytes, int]:
    heard = decoded(speech_clips.wav(), "wav")
    samples = heard.samples[: SPOKEN_S * heard.sample_rate_hz]
    return (samples * 32767).astype("<i2").tobytes(), heard.sample_rate_hz


async def speak(server: Inside, format_: str) -> bytes:
    """An answer as a client saves it; bare samples in a wav file."""
    body = {"model": "one", "voice": "one/v", "input": "Hello.", "response_format": format_}
    answer = await server.ask("POST", "/v1/audio/speech", body=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-mark"].startswith("spread")
    return wav(answer.content, RATE_HZ) if format_ == "pcm" else answer.content


async def send(
    server: Inside, data: bytes, manifest: bytes | None = None, path: str = DETECT
) -> httpx2.Response:
    files = {"file": ("clip", data)} | ({} if manifest is None else {"manifest": ("m", manifest)})
    async with server.client() as client:
        return await client.post(path, files=files)


async def verdict(server: Inside, data: bytes, manifest: bytes | None = None) -> dict[str, Any]:
    return json_of(await send(server, data, manifest))


@pytest.mark.parametrize("name", FORMATS)
async def test_what_the_server_spoke_is_found(name: str, server: Inside, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    found = await verdict(server, await speak(server, name))
    assert found["object"] == "audio.marks"
    assert (found["found"], found["techniques"][0]) == (True, "inaudible_mark")
    (mark,) = found["marks"]
    assert mark["key"] == ensure_keys(tmp_path / "data" / MARK_KEYS).newest.id
    assert (mark["plugin"], mark["is_ours"]) == ("spread", True)
    assert abs((datetime.fromisoformat(mark["day"]).date() - today).days) <= 1
    assert mark["score"] >= mark["threshold"]
    assert mark["seconds"] > 3


def _noise() -> bytes:
    samples = np.random.default_rng(1).integers(-3000, 3000, round(1.5 * RATE_HZ), np.int16)
    return wav(samples.tobytes(), RATE_HZ)


def _music() -> bytes:
    chords = [sum(np.frombuffer(tone(pitch, 0.5), "<i2") // 4 for pitch in each) for each in _CHORDS]
    return wav(np.concatenate(chords).astype("<i2").tobytes(), RATE_HZ)


def _marked(key: MarkKey, installation: int) -> bytes:
    samples, rate_hz = _said()
    stream = SpreadMark().open(rate_hz, key, installation << 16)
    return wav(stream.feed(samples) + stream.flush(), rate_hz)


_CHORDS = ((262, 330, 392), (294, 349, 440), (247, 330, 392))
_OTHERS: dict[str, Callable[[], bytes]] = {
    "speech": lambda: wav(*_said()),
    "tone": lambda: wav(tone(440, 1.5), RATE_HZ),
    "music": _music,
    "noise": _noise,
    "silence": lambda: wav(bytes(3 * RATE_HZ), RATE_HZ),
    "0.3 s": lambda: wav(tone(440, 0.3), RATE_HZ),
    "one sample": lambda: wav(b"\1\0", RATE_HZ),
    "the mark of another server": lambda: _marked(MarkKey("theirs", bytes(range(32))), 0),
}


@pytest.mark.parametrize("name", _OTHERS)
async def test_nothing_else_is_found(name: str, server: Inside) -> None:
    found = await verdict(server, _OTHERS[name]())
    assert (found["found"], found["techniques"], found["c2pa"]) == (False, [], None)
    (mark,) = found["marks"]
    assert [mark[field] for field in ("key", "is_ours", "day", "begins_s")] == [None] * 4
    assert mark["score"] < mark["threshold"]


async def test_a_shared_key_of_another_installation_is_told_apart(server: Inside, tmp_path: Path) -> None:
    key = ensure_keys(tmp_path / "data" / MARK_KEYS).newest
    found = await verdict(server, _marked(MarkKey(key.id, key.secret), 0xFFFF))
    (mark,) = found["marks"]
    # One installation in 65,536 has the same number.
    assert (found["found"], mark["is_ours"], mark["day"]) == (True, False, "2026-01-01")


async def test_a_new_key_needs_no_restart_and_old_marks_stay_found(server: Inside, tmp_path: Path) -> None:
    clip = await speak(server, "mp3")
    before = (await verdict(server, clip))["marks"][0]["key"]
    assert add_key(tmp_path / "data" / MARK_KEYS).newest.id != before
    assert (await verdict(server, clip))["marks"][0]["key"] == before


async def test_a_file_of_keys_that_is_spoilt_is_no_verdict(server: Inside, tmp_path: Path) -> None:
    """Whoever asks would else believe that somebody looked."""
    (tmp_path / "data" / MARK_KEYS).write_bytes(b"spoilt\n")
    for path in (DETECT, CHECK):
        answer = await send(server, PLAIN, path=path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "marks_unavailable")
        assert int(answer.headers["retry-after"]) > 0


async def test_a_manifest_of_ours_is_proof_without_a_mark(server: Inside, us: Signatory) -> None:
    for sound, manifest in _with_manifests(us):
        found = await verdict(server, sound, manifest)
        assert (found["found"], found["techniques"]) == (True, ["c2pa"])
        assert found["c2pa"]["validation_state"] == "trusted"
        assert found["c2pa"]["signed_by_us"]


def _with_manifests(by: Signatory) -> Iterator[tuple[bytes, bytes | None]]:
    yield signed(PLAIN, "audio/wav", by), None
    yield PLAIN, beside(PLAIN, by)


async def test_a_strangers_manifest_is_told_and_proves_nothing(server: Inside) -> None:
    for sound, manifest in _with_manifests(signatory("voxgate")):
        found = await verdict(server, sound, manifest)
        assert (found["found"], found["c2pa"]["validation_state"]) == (False, "valid")
        assert (found["c2pa"]["issuer"], found["c2pa"]["signed_by_us"]) == ("voxgate", False)


async def test_a_manifest_of_another_clip_is_invalid(server: Inside, us: Signatory) -> None:
    found = await verdict(server, await speak(server, "opus"), beside(PLAIN, us))
    assert found["c2pa"]["validation_state"] == "invalid"
    assert found["c2pa"]["issuer"] is None
    assert found["techniques"] == ["inaudible_mark"]


async def test_no_address_of_a_file_is_asked(server: Inside, us: Signatory) -> None:
    with hostile_uploads.listener() as (address, was_called):
        found = await verdict(server, elsewhere(PLAIN, address, us))
        assert (found["found"], found["c2pa"]) == (False, None)
        assert not was_called()
