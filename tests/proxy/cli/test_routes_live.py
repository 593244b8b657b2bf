"""Routes of a running server: they speak, they are explained, they change at SIGHUP."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.feature_list import load_config
from proxy.processes.admin_client import ask_once
from tests import server
from tests.commands import command
from tests.waiting import until

THAI = "สวัสดีครับ ยินดีต้อนรับ"
_CONFIG = (
    server.TONE.replace('"tts-1" = ["tone/standard"]', '"tts-1" = ["espeak/standard"]')
    + """
[[routes]]
language = "th"
candidates = ["gone/thai", "tone/standard"]
front_end = "gone"
[voices.ana]
minimax = "ana-of-mine"
espeak = "f3"
"""
)

running = server.live_server(_CONFIG)


def explained(running: server.Server, text: str, **fields: str) -> dict[str, Any]:
    """The answer that `route explain` shows, without a process for each question."""
    config = load_config(running.config, {})
    body = {"input": text, **fields}
    answer: dict[str, Any] = ask_once(config, "POST", "route/explain", body)
    (part,) = answer["parts"]
    return {**answer, **part}


def test_check_asks_the_engines_whether_they_speak(running: server.Server) -> None:
    """Tones are no speech, so nothing of the engine tone is marked."""
    findings = json.loads(running.cli("check", "--json", check=False).stdout)["data"]
    found = [finding["found"] for finding in findings if finding["check"] == "marking"]
    assert "speech of espeak is marked" in found
    assert not any("tone" in each for each in found)


def test_a_name_that_is_not_configured_is_told_at_start_and_the_rest_serves(running: server.Server) -> None:
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    warnings = {line["key"]: line["reason"] for line in lines if line["event"] == "config.read.warned"}
    assert warnings == {
        "routes.th.candidates": "'gone/thai' cannot speak: no [engines.gone] here",
        "routes.th.front_end": "the front_end gone is not installed, so plain prepares its texts",
        "voices.ana.minimax": "the voice cannot speak there: no [engines.minimax] here",
    }
    assert running.speech(THAI).headers["x-voxgate-engine"] == "tone/standard"
    assert running.speech("Hello there.").headers["x-voxgate-engine"] == "espeak/standard"
    assert running.speech("Hello there.", voice="ana").headers["x-voxgate-engine"] == "espeak/standard"


def test_check_warns_of_the_same_and_succeeds(running: server.Server) -> None:
    findings = json.loads(running.cli("check", "--json").stdout)["data"]
    warned = {each["name"] or each["check"] for each in findings if each["state"] == "note"}
    assert warned == {"th", "voices.ana.minimax", "hearing"}


def test_the_cli_explains_what_a_request_would_do(running: server.Server) -> None:
    (found,) = json.loads(running.cli("route", "explain", "--text", THAI, "--json").stdout)["parts"]
    assert (found["language"], found["source"], found["route"]["language"]) == ("th", "script", "th")
    assert found["candidates"] == [{"model": "tone/standard", "voice": "tone", "front_end": "plain"}]
    shown = running.cli("route", "explain", "--text", THAI, "--voice", "espeak/f3").stdout
    assert "voice: The voice 'espeak/f3' is on espeak, not on tone/standard." in shown
    assert "400 voice_not_available" in shown


def test_check_asks_the_running_server_for_models_and_voices(running: server.Server, tmp_path: Path) -> None:
    data = running.config.parent / "data"
    file = tmp_path / "new.toml"
    text = _CONFIG.replace('"gone/thai", "tone/standard"', '"espeak/standard"').replace('"f3"', '"f33"')
    file.write_text(
        text.replace("[server]", f'[server]\ndata = "{data}"')
        + '[[routes]]\nlanguage = "es"\ncandidates = ["tone/standrad"]\n'
    )
    done = command(file, "check", "--json", check=False)
    notes = {each["name"]: each["found"] for each in json.loads(done.stdout)["data"] if each["found"]}
    assert done.returncode == 1
    assert notes["th"].startswith("not used: espeak/standard does not speak th well enough")
    assert notes["es"].startswith("not used: tone has no model of 'tone/standrad'")
    assert notes["routes.es"].endswith("did you mean standard?")
    assert notes["voices.ana.espeak"].startswith("espeak has no voice 'f33'; did you mean f3?")
    assert notes["voices.ana"] == "no engine has it, so it is not offered"


def test_the_cli_explains_what_is_passed_over_and_why(running: server.Server) -> None:
    found = explained(running, THAI)
    assert found["notes"] == [
        "the route th goes on without some: no [engines.gone] for gone/thai",
        "the front_end gone is not there, so plain prepares the text",
    ]
    assert explained(running, "Hello.", language="en-NG")["notes"] == [
        "the route en-NG is passed over: no [engines.minimax] for minimax/speech-2.8-hd"
    ]
    shown = running.cli("route", "explain", "--text", "Hello.", "--language", "en-NG").stdout
    assert "note: the route en-NG is passed over" in shown
    assert explained(running, "Hello.", language="fr")["notes"] == []


def test_the_cli_explains_a_cast(running: server.Server) -> None:
    options = ("--text", "[Ana] Hello. [Ben] Hi.", "--cast", "Ana=alloy,Ben=espeak/f3")
    answer = json.loads(running.cli("route", "explain", *options, "--json").stdout)
    assert [part["voice"] for part in answer["parts"]] == ["alloy", "espeak/f3"]
    both = running.cli("route", "explain", *options, "--voice", "alloy", check=False)
    assert (both.returncode, both.stderr.strip()) == (1, "--voice and --cast: use only one of them")


def test_the_cli_explains_it_for_one_account(running: server.Server) -> None:
    running.cli("accounts", "create", "ada", "--plan", "free")
    options = ("--text", "Hello.", "--key-of", "ada", "--language", "en")
    found = json.loads(running.cli("route", "explain", *options, "--json").stdout)
    assert (found["plan"], found["parts"][0]["source"]) == ("free", "request")
    refused = running.cli("route", "explain", "--text", "Hello.", "--key-of", "nobody", check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("There is no account 'nobody'. The accounts are: ada, dev.")


@pytest.fixture
def changed_back(running: server.Server) -> Iterator[server.Server]:
    yield running
    running.config.write_text(_CONFIG)
    running.cli("reload")


def test_routes_change_at_sighup(changed_back: server.Server) -> None:
    running = changed_back
    running.config.write_text(_CONFIG.replace('"gone/thai", "tone/standard"', '"espeak/standard"'))
    running.process.send_signal(signal.SIGHUP)
    # The supervisor and its worker write the log side by side.
    events = ('"config.reload.started"', '"config.reload.complete"')
    until(lambda: all(event in running.log.read_text() for event in events))
    started = next(
        line
        for line in map(json.loads, running.log.read_text().splitlines())
        if line["event"] == "config.reload.started"
    )
    assert (started["changed"], started["needs_restart"]) == (["routes"], [])
    found = explained(running, THAI)
    assert [model["model"] for model in found["models"]] == ["espeak/standard"]


def test_without_a_server_nobody_can_say(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(_CONFIG)
    done = command(file, "route", "explain", "--text", "Hello.", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no server runs here" in done.stderr
