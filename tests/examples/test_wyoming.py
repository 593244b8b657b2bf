"""The Wyoming bridge of the examples, between Home Assistant's events and a real server."""

import base64
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clients import environments
from tests.clients.environments import Absent
from tests.clients.servers import texts
from tests.docs import pages
from tests.examples.conftest import ROOT
from tests.examples.spoken_socket import Fault, spoken_socket
from tests.server import ALONE, VOXGATE, Server, free_port, running, stop
from tests.suite.ci import is_ci

pytestmark = pytest.mark.slow

WYOMING = ROOT / "examples" / "wyoming"
*_, RUN, PRINTED = pages.blocks(ROOT / "docs" / "home-assistant.md", "console")[0].text.splitlines()
NOWHERE = "http://127.0.0.1:1"
WHOLE = ["audio-start", "audio-chunk", "audio-stop"]
TOLD = ["error", "synthesize-stopped"]
QUICK = "import asyncio, bridge; bridge.QUIET_S = 2; asyncio.run(bridge.listen('127.0.0.1', 0))"
"""The bridge, with two minutes that last two seconds."""


def python() -> str:
    try:
        return str(environments.python("wyoming"))
    except Absent as absent:
        if is_ci():
            raise
        pytest.skip(str(absent))


@contextmanager
def bridge(url: str, key: str, *command: str) -> Iterator[int]:
    """The port of a bridge, started as the page says, which prints what the page says and no error."""
    environ = {**os.environ, "VOXGATE_URL": f"{url}/v1", "VOXGATE_KEY": key, "PYTHONPATH": str(WYOMING)}
    words = [python(), *(command or (*RUN.split()[2:], "--port", "0"))]
    process = subprocess.Popen(words, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        shown = re.escape(PRINTED).replace("10200", r"(\d+)")
        found = re.fullmatch(shown + "\n", process.stdout.readline().decode())
        assert found, process.stderr.read()
        yield int(found[1])
    finally:
        stop(process)
        with process.stderr as errors:
            assert not errors.read()


def home_assistant(port: int, *calls: Any) -> subprocess.Popen[str]:
    words = [python(), str(Path(__file__).parent / "home_assistant.py"), str(port), json.dumps(calls)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def answers(port: int, *calls: Any) -> list[Any]:
    """What Home Assistant gets, without a wait when sound has come."""
    with home_assistant(port, *calls) as process:
        out, errors = process.communicate("\n\n\n", timeout=60)
    assert process.returncode == 0, errors
    return [json.loads(line) for line in out.splitlines()]


def words_of(answer: dict[str, Any]) -> str:
    assert answer["rate"] == 24_000, answer
    return " ".join(texts(base64.b64decode(answer["sound"]), "pcm"))


def sent(port: int, data: bytes) -> list[str]:
    """The types of the events that answer what a strange client sends, until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(data)
        return received(connection)


def received(connection: socket.socket) -> list[str]:
    types = []
    with connection.makefile("rb") as stream:
        while line := stream.readline():
            header = json.loads(line)
            stream.read(header.get("data_length", 0) + header.get("payload_length", 0))
            types.append(header["type"])
    return types


def line(type_: str, **data: Any) -> bytes:
    return json.dumps({"type": type_, "data": data}).encode() + b"\n"


BEGUN = line("synthesize-start") + line("synthesize-chunk", text="Hello.")


def test_home_assistant_lists_the_voices_and_hears_a_text(tones: Server) -> None:
    with bridge(tones.url, tones.key) as port:
        info, said, by_name = answers(
            port, ["describe"], ["say", "Good morning."], ["say", "It is done.", "nova"]
        )
    assert info["streams"]
    assert info["voices"]["nova"] == ["Nova", ["en"]]
    assert info["voices"]["tone/tone"][1] == ["en"]
    assert said["types"] == by_name["types"] == WHOLE
    assert (words_of(said), words_of(by_name)) == ("Good morning.", "It is done.")


def test_the_first_sentence_is_heard_while_the_second_one_is_written(tones: Server) -> None:
    key = tones.mint_key("writer", plan="unlimited").secret
    chunks = ["Where a", "re you? I ", None, "am he", "re."]
    with bridge(tones.url, key) as port:
        mark, heard, empty = answers(port, ["stream", chunks, "nova"], ["stream", []])
    assert mark == "sounds"
    assert heard["types"] == [*WHOLE, "synthesize-stopped"]
    assert words_of(heard) == "Where are you? I am here."
    assert empty["types"] == ["audio-stop", "synthesize-stopped"]
    with tones.client(key) as client:
        rows = client.get("/v1/usage").json()["data"]
    assert [(row["voice"], row["characters"]) for row in reversed(rows)] == [("nova", 15), ("nova", 10)]


def test_what_the_server_refuses_is_told_and_the_next_call_works(tones: Server) -> None:
    key = tones.mint_key("refused", plan="unlimited")
    calls = [["say", "Hello.", "nobody"], ["stream", ["Hello."], "nobody"], ["say", ""]]
    long = [["say", "a " * 5_000], ["stream", ["a " * 10_001]]]
    with bridge(tones.url, key.secret) as port:
        *refused, good = answers(port, *calls, *long, ["stream", ["Hello."]])
        assert words_of(good) == "Hello."
        with home_assistant(port, ["stream", ["Hello. I ", None, "am here. So"]]) as process:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline()) == "sounds"
            tones.cli("keys", "revoke", key.id)
            out, _ = process.communicate("\n", timeout=60)
        ended = json.loads(out)
        late = answers(port, ["say", "Hello."], ["stream", ["Hello."]], ["describe"])
    assert [each["types"] for each in refused] == 5 * [TOLD]
    assert all("'nobody' does not exist" in each["error"] for each in refused[:2])
    assert ("4096" in refused[3]["error"], "20000" in refused[4]["error"]) == (True, True)
    assert ended["types"][-2:] == TOLD
    assert [each["types"] for each in late] == 3 * [TOLD]
    assert all("key" in each["error"] for each in (ended, *late))


def test_credits_that_run_out_between_two_sentences_are_told(tones: Server) -> None:
    key = tones.mint_key("spender", plan="unlimited").secret
    agreed = {"allowance": 30, "prices": {"speech": {"credits": 1, "per": "character"}}}
    with tones.control() as control:
        assert control.post("/admin/accounts/spender", json={"agreed": agreed}).is_success
    with bridge(tones.url, key) as port:
        chunks = ["Hello. It ", None, "is a long way to go from here to there."]
        _, ended, again = answers(port, ["stream", chunks], ["stream", ["Hello."]])
    assert ended["types"] == [*WHOLE[:2], *TOLD]
    assert "credits" in ended["error"]
    assert words_of(ended) == words_of(again) == "Hello."


def test_a_server_that_dies_is_told_and_used_again_when_it_is_back(tmp_path: Path) -> None:
    number = free_port()
    serve = (str(VOXGATE), "serve", "--port", str(number))
    with bridge(f"http://127.0.0.1:{number}", "sk-vg-none") as port:
        away = answers(port, ["describe"], ["say", "Hello."], ["stream", ["Hello."]])
    assert [each["types"] for each in away] == 3 * [TOLD]
    assert all("does not answer" in each["error"] for each in away)
    with ExitStack() as stack:
        server = stack.enter_context(running(tmp_path, ALONE, command=serve))
        port = stack.enter_context(bridge(server.url, server.key))
        with home_assistant(port, ["stream", ["Hello. I ", None, "am here."]]) as process:
            assert process.stdout is not None
            process.stdout.readline()
            server.process.kill()
            out, _ = process.communicate("\n", timeout=60)
        assert json.loads(out)["types"] == [*WHOLE[:2], *TOLD]
        stack.enter_context(running(tmp_path, ALONE, command=serve))
        (again,) = answers(port, ["stream", ["Hello."]])
        assert words_of(again) == "Hello."


@pytest.mark.parametrize("fault", ["cut", "early end"])
def test_a_socket_that_ends_too_early_is_told(fault: Fault) -> None:
    with spoken_socket(fault) as server, bridge(server.url, "sk-vg-any") as port:
        assert sent(port, line("synthesize-start") + line("synthesize-chunk", text="Hi.")) == [
            *WHOLE[:2],
            *TOLD,
        ]


STRANGE = {
    "data": b'{"type": "describe", "data_length": 65537}\n',
    "payload": b'{"type": "describe", "payload_length": 9999999999}\n',
    "negative": b'{"type": "describe", "data_length": -1}\n',
    "a length that is none": b'{"type": "describe", "data_length": "7"}\n',
    "a line": b'{"type": "' + b"x" * 66_000,
    "no JSON": b"GET / HTTP/1.1\r\n\r\n",
    "no object": b"[]\n",
    "no type": b"{}\n",
    "data that is none": b'{"type": "describe", "data": 7}\n',
    "half of a character": b'{"type": "describe", "data_length": 2}\n\xc3\x28',
    "depth": b"[" * 50_000 + b"\n",
    "no text": line("synthesize"),
    "half of a pair": line("synthesize-start") + line("synthesize-chunk", text="\ud800"),
    "two texts": line("synthesize-start") + line("synthesize-start"),
}


def test_what_is_no_event_is_told_and_the_next_call_works(tones: Server) -> None:
    with bridge(tones.url, tones.key) as port:
        for name, data in STRANGE.items():
            assert sent(port, data) == TOLD, name
        # What Wyoming does not know yet, and a name that is no text, are left out.
        strange = (
            line("ping")
            + b'{"type": 7, "payload_length": 3}\nabc'
            + line("synthesize", text="Hello.", voice=7)
        )
        assert [*dict.fromkeys(sent(port, strange))] == WHOLE


def test_a_connection_more_than_it_takes_is_refused_until_another_one_ends(tones: Server) -> None:
    with bridge(tones.url, tones.key) as port, ExitStack() as stack:
        for _ in range(16):
            taken = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        assert sent(port, line("describe")) == TOLD
        taken.sendall(line("synthesize", text="Hello."))
        assert [*dict.fromkeys(received(taken))] == WHOLE
        taken.close()
        (said,) = answers(port, ["say", "Hello."])
    assert said["types"] == WHOLE


def test_a_client_that_says_nothing_is_told_so() -> None:
    with spoken_socket() as server, bridge(server.url, "sk-vg-any", "-c", QUICK) as port:
        assert sent(port, b"") == TOLD
        assert sent(port, b'{"type": "desc') == TOLD
        assert sent(port, BEGUN) == [*WHOLE[:2], *TOLD]
        assert server.ended.wait(10)
        assert [each["type"] for each in server.messages] == ["session.config", "input.text"]


def test_a_client_that_leaves_or_stops_reading_ends_what_is_spoken_to_it() -> None:
    for reads in (True, False):
        with spoken_socket("flood") as server, bridge(server.url, "sk-vg-any", "-c", QUICK) as port:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
                client.sendall(BEGUN)
                assert client.recv(10)
                if not reads:
                    assert server.ended.wait(30)
            assert server.ended.wait(30)
            # The next call works.
            assert sent(port, line("synthesize-start") + line("synthesize-start")) == TOLD


def test_it_listens_for_others_only_when_told_and_warns() -> None:
    environ = {**os.environ, "VOXGATE_URL": NOWHERE, "VOXGATE_KEY": "sk-vg-none"}
    words = [python(), str(WYOMING / "bridge.py"), "--host", "0.0.0.0", "--port", "0"]
    with subprocess.Popen(words, env=environ, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        warning, line = process.stdout.readline(), process.stdout.readline()
        stop(process)
    assert b"no key" in warning
    assert b"tcp://0.0.0.0:" in line


def test_the_pins_and_the_container_are_what_is_tested() -> None:
    assert (WYOMING / "requirements.txt").read_text() == (environments.PINS / "wyoming.txt").read_text()
    (service,) = yaml.safe_load((WYOMING / "compose.yaml").read_text())["services"].values()
    assert service["command"].endswith('exec python bridge.py --host 0.0.0.0"')
    assert (service["ports"], service["init"]) == (["127.0.0.1:10200:10200"], True)
