"""Detection on a real server: what it spoke is found in every format, and nothing else is."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import openai
import psutil
import pytest

from plugins.spread.spread_mark import SpreadMark
from proxy.cli.detect import _verdict
from proxy.cli.tables import print_answer
from proxy.provenance.key_ring import add_key, ensure_keys
from proxy.provenance.marker import KEYS_FILE
from speech_engine.mark import MarkKey
from tests import speech_clips
from tests.faults import hostile_uploads
from tests.faults.processes import children, is_over, until
from tests.proxy.audio.recordings.clips import wav
from tests.proxy.http.hostile_forms import form
from tests.proxy.provenance.signed_files import Signatory, beside, elsewhere, signatory, signed
from tests.server import TONE, Server, command, running
from tests.sound import decoded, tone

DETECT = "/v1/audio/marks/detect"
CHECK = "/v1/content_provenance_checks"
FORMATS = ("wav", "mp3", "opus", "aac", "flac", "pcm")
RATE_HZ = 24_000
TEXT = (
    "This was spoken by a machine, and nobody can hear that it was marked. "
    "Whoever has the key finds the mark again, wherever the clip has been."
)

PLAIN = wav(tone(440, 1.0))


@pytest.fixture(scope="module")
def us() -> Signatory:
    return signatory("voxgate")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, us: Signatory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("marks")
    (folder / "chain.pem").write_bytes(us.chain)
    (folder / "key.pem").write_bytes(us.key)
    marking = '[marking]\ncertificate = "file:chain.pem"\ncertificate_key = "file:key.pem"\n'
    config = TONE.replace("[server]", "[server]\nfirst_audio_s = 60") + marking
    with running(folder, config) as started:
        yield started


@pytest.fixture(scope="module")
def clips(server: Server) -> dict[str, bytes]:
    """The same text in each format, as a client saves it; bare samples in a wav file."""
    made = {}
    with server.client(timeout=120.0) as client:
        for name in FORMATS:
            body = {"model": "espeak/standard", "voice": "alloy", "input": TEXT, "response_format": name}
            answer = client.post("/v1/audio/speech", json=body)
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-voxgate-mark"].startswith("spread")
            made[name] = wav(answer.content, RATE_HZ) if name == "pcm" else answer.content
    return made


def send(server: Server, data: bytes, manifest: bytes | None = None, path: str = DETECT) -> httpx2.Response:
    files = (
        {"file": ("clip", data)}
        if manifest is None
        else {"file": ("clip", data), "manifest": ("m", manifest)}
    )
    # An account of its own, since one may send no more than so many uploads a minute.
    key = server.mint_key(f"asks {next(_numbers)}", plan="unlimited").secret
    with server.client(key, timeout=120.0) as client:
        return client.post(path, files=files)


_numbers = iter(range(10_000))


def verdict(server: Server, data: bytes, manifest: bytes | None = None) -> dict[str, Any]:
    answer = send(server, data, manifest)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_what_the_server_spoke_is_found(name: str, server: Server, clips: dict[str, bytes]) -> None:
    today = datetime.now(UTC).date()
    found = verdict(server, clips[name])
    assert found["object"] == "audio.marks"
    assert (found["found"], found["techniques"][0]) == (True, "inaudible_mark")
    (mark,) = found["marks"]
    assert mark["key"] == ensure_keys(server.data / KEYS_FILE).newest.id
    assert (mark["plugin"], mark["is_ours"]) == ("spread", True)
    assert abs((datetime.fromisoformat(mark["day"]).date() - today).days) <= 1
    assert mark["score"] >= mark["threshold"]
    assert mark["seconds"] > 3


def _noise() -> bytes:
    return wav(np.random.default_rng(1).integers(-3000, 3000, 3 * RATE_HZ, np.int16).tobytes(), RATE_HZ)


def _music() -> bytes:
    chords = [sum(np.frombuffer(tone(pitch, 1.0), "<i2") // 4 for pitch in each) for each in _CHORDS]
    return wav(np.concatenate(chords).astype("<i2").tobytes(), RATE_HZ)


_CHORDS = ((262, 330, 392), (294, 349, 440), (247, 330, 392))
_OTHERS: dict[str, Callable[[], bytes]] = {
    "speech": speech_clips.wav,
    "tone": lambda: wav(tone(440, 3.0), RATE_HZ),
    "music": _music,
    "noise": _noise,
    "silence": lambda: wav(bytes(6 * RATE_HZ), RATE_HZ),
    "0.3 s": lambda: wav(tone(440, 0.3), RATE_HZ),
    "one sample": lambda: wav(b"\1\0", RATE_HZ),
}


@pytest.mark.parametrize("name", _OTHERS)
def test_nothing_else_is_found(name: str, server: Server) -> None:
    found = verdict(server, _OTHERS[name]())
    assert (found["found"], found["techniques"], found["c2pa"]) == (False, [], None)
    (mark,) = found["marks"]
    assert [mark[field] for field in ("key", "is_ours", "day", "begins_s")] == [None] * 4
    assert mark["score"] < mark["threshold"]


def test_the_key_of_another_server_is_not_ours(server: Server) -> None:
    heard = decoded(speech_clips.wav(), "wav")
    stream = SpreadMark().open(heard.sample_rate_hz, MarkKey("theirs", bytes(range(32))), 1)
    pcm = stream.feed((heard.samples * 32767).astype("<i2").tobytes()) + stream.flush()
    assert not verdict(server, wav(pcm, heard.sample_rate_hz))["found"]


def test_a_shared_key_of_another_installation_is_told_apart(server: Server) -> None:
    key = ensure_keys(server.data / KEYS_FILE).newest
    heard = decoded(speech_clips.wav(), "wav")
    stream = SpreadMark().open(heard.sample_rate_hz, MarkKey(key.id, key.secret), 0xFFFF << 16)
    pcm = stream.feed((heard.samples * 32767).astype("<i2").tobytes()) + stream.flush()
    found = verdict(server, wav(pcm, heard.sample_rate_hz))
    if found["marks"][0]["is_ours"]:  # one installation in 65,536
        pytest.skip("this installation has the same number")
    assert (found["found"], found["marks"][0]["day"]) == (True, "2026-01-01")


def test_a_new_key_needs_no_restart_and_old_marks_stay_found(server: Server, clips: dict[str, bytes]) -> None:
    before = verdict(server, clips["mp3"])["marks"][0]["key"]
    assert add_key(server.data / KEYS_FILE).newest.id != before
    assert verdict(server, clips["mp3"])["marks"][0]["key"] == before


def test_a_file_of_keys_that_is_spoilt_is_no_verdict(server: Server, tmp_path: Path) -> None:
    """Whoever asks would else believe that somebody looked."""
    file, clip = server.data / KEYS_FILE, tmp_path / "clip.wav"
    clip.write_bytes(PLAIN)
    keys = file.read_bytes()
    file.write_bytes(b"spoilt\n")
    try:
        for path in (DETECT, CHECK):
            answer = send(server, PLAIN, path=path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "marks_unavailable")
            assert int(answer.headers["retry-after"]) > 0
        told = server.cli("detect", str(clip), check=False)
        assert (told.returncode, told.stdout) == (2, "")
        assert "the keys of marks cannot be read" in told.stderr
    finally:
        file.write_bytes(keys)


def test_a_manifest_of_ours_is_proof_without_a_mark(server: Server, us: Signatory) -> None:
    for sound, manifest in _with_manifests(us):
        found = verdict(server, sound, manifest)
        assert (found["found"], found["techniques"]) == (True, ["c2pa"])
        assert found["c2pa"]["validation_state"] == "trusted"
        assert found["c2pa"]["signed_by_us"]


def _with_manifests(by: Signatory) -> Iterator[tuple[bytes, bytes | None]]:
    plain = PLAIN
    yield signed(plain, "audio/wav", by), None
    yield plain, beside(plain, by)


def test_the_manifest_that_an_answer_names_is_ours(server: Server) -> None:
    body = {"model": "espeak/standard", "voice": "alloy", "input": "Two signs.", "response_format": "mp3"}
    with server.client(timeout=120.0) as client:
        spoken = client.post("/v1/audio/speech", json=body)
        manifest = client.get(spoken.links["c2pa-manifest"]["url"])
    assert manifest.status_code == 200, manifest.text
    found = verdict(server, spoken.content, manifest.content)
    assert found["techniques"][-1] == "c2pa"
    assert (found["c2pa"]["validation_state"], found["c2pa"]["signed_by_us"]) == ("trusted", True)


def test_a_strangers_manifest_is_told_and_proves_nothing(server: Server) -> None:
    for sound, manifest in _with_manifests(signatory("voxgate")):
        found = verdict(server, sound, manifest)
        assert (found["found"], found["c2pa"]["validation_state"]) == (False, "valid")
        assert (found["c2pa"]["issuer"], found["c2pa"]["signed_by_us"]) == ("voxgate", False)


def test_a_manifest_of_another_clip_is_invalid(
    server: Server, us: Signatory, clips: dict[str, bytes]
) -> None:
    stale = beside(PLAIN, us)
    found = verdict(server, clips["opus"], stale)
    assert found["c2pa"]["validation_state"] == "invalid"
    assert found["c2pa"]["issuer"] is None
    assert found["techniques"] == ["inaudible_mark"]


def test_no_address_of_a_file_is_asked(server: Server, us: Signatory) -> None:
    with hostile_uploads.listener() as (address, was_called):
        found = verdict(server, elsewhere(PLAIN, address, us))
        assert (found["found"], found["c2pa"]) == (False, None)
        assert not was_called()


def test_openai_clients_read_the_check(server: Server, us: Signatory, clips: dict[str, bytes]) -> None:
    key = server.mint_key("sdk", plan="unlimited").secret
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, timeout=120.0) as client:
        check = client.content_provenance_checks.create(file=("clip.ogg", clips["opus"], "audio/ogg"))
        plain = client.content_provenance_checks.create(file=signed(PLAIN, "audio/wav", us))
    assert check.object == "content_provenance_check"
    assert abs(check.created_at - datetime.now(UTC).timestamp()) < 300
    kinds = {str(result.type): result for result in check.results}
    assert sorted(kinds) == ["c2pa", "voxgate_mark"]
    assert kinds["c2pa"].outcome == "not_detected"
    assert kinds["voxgate_mark"].outcome == "detected"
    manifest, mark = plain.results
    assert manifest.type == "c2pa"
    assert (manifest.outcome, manifest.validation_state) == ("detected", "trusted")
    assert (manifest.issuer, manifest.model) == ("voxgate", "ana")
    assert mark.outcome == "not_detected"


def test_hostile_recordings_are_refused_or_not_found(server: Server) -> None:
    """Some are sound to a decoder, and too poor for a voice: those are looked at, and have no mark."""
    for name, make in hostile_uploads.recordings(41):
        answer = send(server, make())
        if answer.status_code == 200:
            assert not answer.json()["found"], name
        else:
            error = answer.json()["error"]
            assert (answer.status_code, error["param"]) == (400, "file"), (name, answer.text)
            assert error["code"] in ("invalid_audio", "file_too_large"), name
    assert "request.failed" not in server.log.read_text()
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(
    ("sent", "status", "param", "code"),
    [
        (form({}, "other", b"x"), 400, "other", "invalid_value"),
        (form({"file": "a text"}, "manifest", b"x"), 400, "file", "invalid_audio"),
        (form({}, "manifest", b"x"), 400, "file", "missing_required_parameter"),
        (form({}, "file", b""), 400, "file", "invalid_audio"),
        (form({}, "file", bytes(10 * 2**20 + 1)), 400, "file", "file_too_large"),
        (form({}, "manifest", bytes(2**20 + 1)), 400, "manifest", "file_too_large"),
        (form({}, "file", bytes(40 * 2**20)), 413, None, "request_too_large"),
    ],
    ids=["wrong field", "a text", "no file", "empty", "large", "large manifest", "40 MB"],
)
def test_a_form_that_is_wrong_is_told_so(
    sent: Any, status: int, param: str | None, code: str, server: Server
) -> None:
    for path in (DETECT, CHECK):
        with server.client(timeout=120.0) as client:
            answer = client.post(path, content=sent.body, headers={"content-type": sent.content_type})
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (status, param, code), answer.text


def test_a_client_that_leaves_ends_its_search(server: Server) -> None:
    def searches() -> list[psutil.Process]:
        found = []
        for child in children(server):
            with suppress(psutil.Error):
                if "proxy.provenance.search_child" in child.cmdline():
                    found.append(child)
        return found

    until(lambda: not searches(), 60.0)
    sent = form({}, "file", speech_clips.wav())
    address = server.url.removeprefix("http://")
    client = http.client.HTTPConnection(address, timeout=120.0)
    headers = {"content-type": sent.content_type, "authorization": f"Bearer {server.key}"}
    client.request("POST", DETECT, sent.body, headers)
    until(lambda: bool(searches()), 60.0)
    (search,) = searches()
    search.suspend()
    client.close()
    until(lambda: is_over(search), 60.0)


def test_the_command_tells_the_same(
    server: Server, clips: dict[str, bytes], us: Signatory, tmp_path: Path
) -> None:
    spoken, plain, manifest = tmp_path / "spoken.mp3", tmp_path / "plain.wav", tmp_path / "plain.c2pa"
    spoken.write_bytes(clips["mp3"])
    plain.write_bytes(PLAIN)
    manifest.write_bytes(beside(plain.read_bytes(), us))
    found = server.cli("detect", str(spoken), check=False)
    assert (found.returncode, found.stdout.splitlines()[0]) == (0, "It carries this server's mark.")
    assert "Only a manifest or a receipt proves who spoke it." in found.stdout
    assert "with the key" in found.stdout
    missing = server.cli("detect", str(plain), check=False)
    assert (missing.returncode, missing.stdout.splitlines()[0]) == (
        1,
        "Nothing shows that this was spoken here.",
    )
    proven = server.cli("detect", str(plain), "--manifest", str(manifest), "--json", check=False)
    assert proven.returncode == 0
    assert '"techniques": [\n    "c2pa"\n  ]' in proven.stdout


def test_the_command_claims_no_more_than_marks_say(capsys: pytest.CaptureFixture[str]) -> None:
    mark = {
        "plugin": "spread",
        "found": True,
        "key": "k1",
        "is_ours": True,
        "day": "2026-11-21",
        "score": 9.0,
        "threshold": 6.6,
    }
    for changes, first in (
        ({}, "It carries this server's mark."),
        ({"is_ours": None, "day": None}, "It carries this server's mark."),
        ({"is_ours": False}, "It carries the mark of another server that shares the key."),
        (
            {"key": None, "is_ours": None},
            "It carries a mark of machines that speak, which does not say whose.",
        ),
    ):
        marks = [{**mark, **changes}]
        answer = {"found": True, "marks": marks, "c2pa": None, "seconds": 3.0, "is_cut": False}
        print_answer(answer, None, _verdict)
        printed = capsys.readouterr().out
        assert printed.splitlines()[0] == first
        assert "None" not in printed


def test_the_command_needs_no_server(clips: dict[str, bytes], server: Server, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[server]\n")
    (tmp_path / "data").mkdir()
    keys = (server.data / KEYS_FILE).read_bytes()
    (tmp_path / "data" / KEYS_FILE).write_bytes(keys)
    clip = tmp_path / "clip.wav"
    clip.write_bytes(clips["wav"])
    found = command(config, "detect", str(clip), check=False)
    assert found.returncode == 0, found.stderr
    assert "by another installation" in found.stdout
    (tmp_path / "data" / KEYS_FILE).rename(tmp_path / "data" / "elsewhere")
    blind = command(config, "detect", str(clip), check=False)
    assert (blind.returncode, blind.stdout.splitlines()[0]) == (
        2,
        "No mark was looked for: this data folder has no keys of marks.",
    )
    clip.write_bytes(b"no recording")
    refused = command(config, "detect", str(clip), check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "cannot be read" in refused.stderr
    gone = command(config, "detect", str(tmp_path / "none.wav"), check=False)
    assert gone.returncode == 2
    config.write_text("[server]\nnonsense = 1\nport = -5\n")
    assert command(config, "detect", str(clip), check=False).returncode == 2
