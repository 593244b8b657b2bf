"""The MCP server of the examples, with the real client over stdio, in front of a real server."""

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients import environments
from tests.clients.environments import Absent
from tests.clients.servers import texts
from tests.examples.conftest import ROOT
from tests.server import Server
from tests.suite.ci import is_ci

pytestmark = pytest.mark.slow

MCP = ROOT / "examples" / "mcp"
BAD_NAMES = ("../a.mp3", "/a.mp3", "a/b.mp3", "a\\b.mp3", "a", ".a.mp3", "a\0.mp3", "a\n.mp3")
NOWHERE = "http://127.0.0.1:1"


def host(url: str, key: str, folder: Path, *calls: Any) -> subprocess.Popen[str]:
    """Start a host that makes these calls, each a tool and its arguments, in a folder."""
    try:
        python = environments.python("mcp")
    except Absent as absent:
        if is_ci():
            raise
        pytest.skip(str(absent))
    program = Path(__file__).parent / "mcp_host.py"
    command = [str(python), str(program), str(MCP / "voxgate_mcp.py"), json.dumps(calls)]
    environ = {**os.environ, "VOXGATE_URL": f"{url}/v1", "VOXGATE_KEY": key}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environ, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def answers(url: str, key: str, folder: Path, *calls: Any) -> list[dict[str, Any]]:
    with host(url, key, folder, *calls) as process:
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    tools, *found = map(json.loads, out.splitlines())
    assert tools == ["list_voices", "speak", "usage"]
    return found


def refusal(answer: dict[str, Any]) -> str:
    assert answer["is_error"], answer
    (part,) = answer["content"]
    return str(part["text"])


def test_a_host_speaks_lists_voices_and_sees_its_usage(tones: Server, tmp_path: Path) -> None:
    key = tones.mint_key("host", plan="unlimited").secret
    said, paused, saved, again, voices, used = answers(
        tones.url,
        key,
        tmp_path,
        ["speak", {"text": "Good morning."}],
        ["speak", {"text": "One. [pause 1s] Two.", "voice": "nova", "language": "en", "model": "tts-1"}],
        ["speak", {"text": "Write it down.", "save_to": "it is.mp3"}],
        ["speak", {"text": "And this.", "save_to": "it is.mp3"}],
        ["list_voices", {}],
        ["usage", {}],
    )
    for answer, words in ((said, ("Good morning.",)), (paused, ("One.", "Two."))):
        (part,) = answer["content"]
        assert (answer["is_error"], part["type"], part["mimeType"]) == (False, "audio", "audio/mpeg")
        assert texts(base64.b64decode(part["data"]), "mp3") == words
    assert saved["content"][0]["text"] == str(tmp_path / "it is.mp3")
    assert texts((tmp_path / "it is.mp3").read_bytes(), "mp3") == ("Write it down.",)
    assert "it is.mp3 exists already" in refusal(again)
    assert "\nnova" in voices["content"][0]["text"]
    assert json.loads(used["content"][0]["text"])["plan"]["name"] == "unlimited"
    assert [path.name for path in tmp_path.iterdir()] == ["it is.mp3"]


def test_what_fails_is_a_tools_error_and_the_next_call_works(tones: Server, tmp_path: Path) -> None:
    key = tones.mint_key("wrong", plan="unlimited").secret
    calls = [
        ["speak", {"text": "a" * 4097}],
        ["speak", {"text": "Hello.", "voice": "nobody"}],
        *(["speak", {"text": "Hello.", "save_to": name}] for name in BAD_NAMES),
        ["list_voices", {"describe": " "}],
        ["speak", {"text": "Hello."}],
    ]
    long, voice, *names, described, good = answers(tones.url, key, tmp_path, *calls)
    assert "has 4097 characters" in refusal(long)
    assert "The voice 'nobody' does not exist" in refusal(voice)
    assert all("plain name" in refusal(each) for each in names)
    assert "describe" in refusal(described)
    assert not good["is_error"]
    assert not [*tmp_path.iterdir()]
    (wrong,) = answers(tones.url, "sk-vg-wrong", tmp_path, ["speak", {"text": "Hello."}])
    assert "API key" in refusal(wrong)
    (away,) = answers(NOWHERE, key, tmp_path, ["speak", {"text": "Hello."}])
    assert "does not answer" in refusal(away)


def test_a_sound_that_no_answer_has_room_for_is_told_before_it_is_charged(
    tones: Server, tmp_path: Path
) -> None:
    key = tones.mint_key("slow", plan="unlimited").secret
    agreed = {"allowance": 10_000, "prices": {"speech": {"credits": 1, "per": "character"}}}
    with tones.control() as control:
        assert control.post("/admin/accounts/slow", json={"agreed": agreed}).is_success
    many = "[pause 10s] Wait. " * 6 + "你好。" * 1_300
    said = [["speak", {"text": text, "language": "zh"}] for text in (many, many[:400])]
    calls = [said[0], ["usage", {}], said[1]]
    long, used, fits = answers(tones.url, key, tmp_path, *calls)
    assert "too long for an answer" in refusal(long)
    assert json.loads(used["content"][0]["text"])["credits"]["used"] == 0
    assert not fits["is_error"]


def test_used_up_credits_and_a_revoked_key_are_told(tones: Server, tmp_path: Path) -> None:
    key = tones.mint_key("poor", plan="unlimited")
    agreed = {"allowance": 1, "prices": {"speech": {"credits": 1, "per": "character"}}}
    with tones.control() as control:
        made = control.post("/admin/accounts/poor", json={"agreed": agreed})
        assert made.is_success, made.text
    (poor,) = answers(tones.url, key.secret, tmp_path, ["speak", {"text": "Hello."}])
    assert "credits" in refusal(poor)
    other = tones.mint_key("revoked", plan="unlimited")
    call = ["speak", {"text": "Hello."}]
    with host(tones.url, other.secret, tmp_path, call, None, call) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        assert not json.loads(process.stdout.readline())["is_error"]
        tones.cli("keys", "revoke", other.id)
        out, errors = process.communicate("\n", timeout=60)
    assert "API key" in refusal(json.loads(out)), errors


def test_the_readme_pins_what_is_tested() -> None:
    pinned = (MCP / "requirements.txt").read_text().splitlines()
    tested = (environments.PINS / "mcp.txt").read_text().splitlines()
    assert {*pinned} <= {*tested}
    (block,) = re.findall(r"```json\n(.+?)```", (MCP / "README.md").read_text(), re.DOTALL)
    (server,) = json.loads(block)["mcpServers"].values()
    assert Path(server["args"][0]).name == "voxgate_mcp.py"
    assert set(server["env"]) == {"VOXGATE_URL", "VOXGATE_KEY"}
