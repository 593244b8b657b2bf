"""A host that can never start is given up at once, with its reason. The others serve."""

from pathlib import Path

import pytest

from tests.faults.odd_plugins import Odd
from tests.faults.processes import state
from tests.server import Server, running

pytestmark = pytest.mark.slow


@pytest.fixture
def server(odd: Odd) -> Server:
    return odd.server


def _lives(server: Server, child: str) -> int:
    lines = server.log.read_text().splitlines()
    return sum("child.state.starting" in line and f'"{child}"' in line for line in lines)


def test_a_worker_module_that_is_missing_fails_at_once_and_for_good(server: Server) -> None:
    found = state(server, "missing")
    assert (found["state"], found["reason"]) == (
        "failed",
        "ModuleNotFoundError: No module named 'no_such_worker'",
    )
    assert _lives(server, "missing.0") == 1


def test_settings_that_are_wrong_start_no_host(server: Server) -> None:
    found = state(server, "misset")
    assert found["state"] == "failed"
    assert "engines.misset.slots" in found["reason"]
    assert _lives(server, "misset.0") == 0


def test_the_other_engines_never_noticed(server: Server) -> None:
    assert server.speech("All is well.").status_code == 200
    assert server.speech("All is well.", model="espeak/standard").status_code == 200
    assert _lives(server, "tone.0") == _lives(server, "espeak.0") == 1


def test_the_servers_own_folder_is_no_place_for_modules(folder: Path) -> None:
    """Started in a folder with a `policies` of its own, its children must still find ours."""
    for name in ("policies", "msgspec", "uvicorn"):
        (folder / f"{name}.py").write_text("raise RuntimeError('imported from the current folder')")
    with running(folder, cwd=folder) as server:
        assert server.speech("Not from here.").status_code == 200
