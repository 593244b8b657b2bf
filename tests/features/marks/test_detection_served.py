"""Detection on a real server, with a process for each file: by HTTP, OpenAI's client and the command."""

import http.client
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from proxy.commands.tables import print_answer
from proxy.features.marks.commands import _verdict
from proxy.features.marks.section import MARK_KEYS
from tests import speech_clips
from tests.commands import command
from tests.faults.processes import children, is_over
from tests.features.marks.signed_files import Signatory, beside, signatory, signed
from tests.features.marks.test_detection import CHECK, DETECT, PLAIN
from tests.proxy.cli.test_main import Run, folder, run
from tests.proxy.http.hostile_forms import form
from tests.proxy.jobs_inside import jobs_inside
from tests.server import TONE, Server, running
from tests.tables import each_row
from tests.waiting import until

pytestmark = pytest.mark.slow

__all__ = ["folder", "run"]

TEXT = "This was spoken by a machine, and nobody can hear that it was marked."


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
def clip(server: Server) -> bytes:
    """What the server says, as a client saves it."""
    body = {"model": "espeak/standard", "voice": "alloy", "input": TEXT, "response_format": "opus"}
    with server.client(timeout=120.0) as client:
        answer = client.post("/v1/audio/speech", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-mark"].startswith("spread")
    return answer.content


def test_the_manifest_that_an_answer_names_is_ours(server: Server) -> None:
    body = {"model": "espeak/standard", "voice": "alloy", "input": "Two signs.", "response_format": "mp3"}
    with server.client(timeout=120.0) as client:
        spoken = client.post("/v1/audio/speech", json=body)
        manifest = client.get(spoken.links["c2pa-manifest"]["url"])
        assert manifest.status_code == 200, manifest.text
        files = {"file": ("clip", spoken.content), "manifest": ("m", manifest.content)}
        found = client.post(DETECT, files=files).json()
    assert found["techniques"][-1] == "c2pa"
    assert (found["c2pa"]["validation_state"], found["c2pa"]["signed_by_us"]) == ("trusted", True)


def test_openai_clients_read_the_check(server: Server, us: Signatory, clip: bytes) -> None:
    key = server.mint_key("sdk", plan="unlimited").secret
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, timeout=120.0) as client:
        check = client.content_provenance_checks.create(file=("clip.ogg", clip, "audio/ogg"))
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


@each_row(
    ("sent", "status", "param", "code"),
    [
        (form({}, "other", b"x"), 400, "other", "invalid_value"),
        (form({"file": "a text"}, "manifest", b"x"), 400, "file", "invalid_value"),
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
                if "proxy.features.marks.search_child" in child.cmdline():
                    found.append(child)
        return found

    until(lambda: not searches())
    sent = form({}, "file", speech_clips.wav())
    address = server.url.removeprefix("http://")
    client = http.client.HTTPConnection(address, timeout=120.0)
    headers = {"content-type": sent.content_type, "authorization": f"Bearer {server.key}"}
    client.request("POST", DETECT, sent.body, headers)
    until(lambda: bool(searches()))
    (search,) = searches()
    search.suspend()
    client.close()
    until(lambda: is_over(search))


def test_the_command_tells_the_same(server: Server, clip: bytes, tmp_path: Path) -> None:
    spoken = tmp_path / "spoken.opus"
    spoken.write_bytes(clip)
    found = server.cli("detect", str(spoken), check=False)
    assert (found.returncode, found.stdout.splitlines()[0]) == (0, "It carries this server's mark.")
    assert "Only a manifest proves who spoke it." in found.stdout
    assert "with the key" in found.stdout


def test_the_command_asks_the_server_that_runs(
    server: Server, us: Signatory, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXGATE_CONFIG", str(server.config))
    plain, manifest = tmp_path / "plain.wav", tmp_path / "plain.c2pa"
    plain.write_bytes(PLAIN)
    manifest.write_bytes(beside(PLAIN, us))
    missing = run("detect", str(plain))
    assert (missing.status, missing.out.splitlines()[0]) == (1, "Nothing shows that this was spoken here.")
    proven = run("detect", str(plain), "--manifest", str(manifest), "--json")
    assert proven.json["techniques"] == ["c2pa"]
    file = server.data / MARK_KEYS
    keys = file.read_bytes()
    file.write_bytes(b"spoilt\n")
    try:
        told = run("detect", str(plain))
    finally:
        file.write_bytes(keys)
    assert (told.status, told.out) == (2, "")
    assert "the keys of marks cannot be read" in told.err


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


def test_the_command_needs_no_server(clip: bytes, server: Server, folder: Path, run: Run) -> None:
    config, file, data = folder / "config.toml", folder / "clip.opus", folder / "data"
    config.write_text("[server]\n")
    data.mkdir()
    (data / MARK_KEYS).write_bytes((server.data / MARK_KEYS).read_bytes())
    file.write_bytes(clip)
    found = command(config, "detect", str(file), check=False)
    assert found.returncode == 0, found.stderr
    assert "by another installation" in found.stdout
    (data / MARK_KEYS).rename(data / "elsewhere")
    with jobs_inside():
        blind = run("detect", str(file))
        assert (blind.status, blind.out.splitlines()[0]) == (
            2,
            "No mark was looked for: this data folder has no keys of marks.",
        )
        file.write_bytes(b"no recording")
        refused = run("detect", str(file))
    assert (refused.status, refused.out) == (2, "")
    assert "cannot be read" in refused.err
    assert run("detect", str(folder / "none.wav")).status == 2
    config.write_text("[server]\nnonsense = 1\nport = -5\n")
    assert run("detect", str(file)).status == 2
