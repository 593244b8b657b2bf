"""`voxgate engines load|unload|restart` on a live server, and what an operator is told who may not."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.commands import command
from tests.faults.processes import host, is_over, state
from tests.faults.streams import stream
from tests.server import TONE, Server
from tests.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _ready(server: Server) -> Iterator[None]:
    yield
    if state(server, "tone")["state"] == "unloaded":
        server.cli("engines", "load", "tone")
    until(lambda: state(server, "tone")["state"] == "ready")


def _told(server: Server, *command: str) -> str:
    """Return what a command that is refused says."""
    answer = server.cli("engines", *command, check=False)
    assert answer.returncode != 0
    return str(answer.stderr)


def test_an_unloaded_engine_has_no_process_and_others_speak(server: Server) -> None:
    was: psutil.Process = host(server, "tone")
    assert server.cli("engines", "unload", "tone").stdout == "tone is unloaded.\n"
    assert is_over(was)
    assert state(server, "tone")["state"] == "unloaded"
    refused = server.speech("Nobody.", model="tone/standard")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_unavailable")
    assert server.speech("Somebody.", model="espeak/standard").status_code == 200
    assert server.cli("engines", "unload", "tone").stdout == "tone is unloaded.\n"
    assert server.cli("engines", "load", "tone").stdout == "tone is loaded, or loads.\n"
    until(lambda: state(server, "tone")["state"] == "ready")
    assert server.speech("Again.", model="tone/standard").status_code == 200
    loaded = host(server, "tone")
    assert server.cli("engines", "load", "tone").returncode == 0
    assert host(server, "tone").pid == loaded.pid


def test_a_restarted_engine_has_another_process(server: Server) -> None:
    was = host(server, "tone")
    assert server.cli("engines", "restart", "tone").stdout == "tone starts again.\n"
    assert is_over(was)
    assert server.speech("Again.", model="tone/standard").status_code == 200
    assert host(server, "tone").pid != was.pid


def test_a_busy_engine_is_left_alone_until_its_work_is_given_up(server: Server) -> None:
    with stream(server, "tone/slow") as speech:
        speech.read(4_800)
        was = host(server, "tone")
        for action in ("unload", "restart"):
            said = _told(server, action, "tone")
            assert "tone is busy with 1 job" in said
            assert "--now" in said
        speech.read(4_800)
        assert not is_over(was)
        server.cli("engines", "restart", "tone", "--now")
        assert is_over(was)
    # Its text is no suspect: an operator broke it off.
    assert server.speech("Well.", model="tone/standard").status_code == 200


@pytest.mark.parametrize(
    ("engine", "says"),
    [("nobody", "There is no engine 'nobody'"), ("inside", "inside has no host: it runs in the server")],
)
def test_an_engine_that_cannot_be_switched_is_refused_with_the_reason(
    server: Server, engine: str, says: str
) -> None:
    for action in ("load", "unload", "restart"):
        assert says in _told(server, action, engine)


def test_without_a_server_there_is_nothing_to_switch(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(TONE)
    answer = command(config, "engines", "load", "tone", check=False)
    assert answer.returncode != 0
    assert "no server runs on" in answer.stderr
