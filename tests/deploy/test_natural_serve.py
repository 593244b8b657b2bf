"""`make serve` as a new user types it: natural voices from the package index, or espeak and one line."""

from __future__ import annotations

from pathlib import Path

import httpx2

from proxy.config import natural
from proxy.features.models import natural_file
from tests.server import Server, running

REPOSITORY = Path(__file__).parents[2]
SHIPPED = (REPOSITORY / "config.toml").read_text()
MAKE = ("make", "--silent", "serve", "PORT=0")
_AWAY = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_FIND_LINKS": "",
    "PIP_CONFIG_FILE": "/dev/null",
    "VOXGATE_ENGINES__ESPEAK__PROCESSES": "1",
}
LINE = "voxgate voices natural"


def said(server: Server) -> list[str]:
    """What was said beside the server's own log."""
    return [line for line in server.log.read_text().splitlines() if line and not line.startswith("{")]


def engine_of(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    assert len(answer.content) > 2000
    return answer.headers["x-voxgate-engine"]


def test_without_an_index_espeak_serves_and_one_line_says_what_to_run(tmp_path: Path) -> None:
    serve_without_an_index(tmp_path)


def serve_without_an_index(folder: Path) -> dict[str, str]:
    """Return the environment in which it was served."""
    away = {**_AWAY, "XDG_CACHE_HOME": str(folder)}
    with running(folder, SHIPPED, command=MAKE, cwd=REPOSITORY, environ=away) as server:
        assert engine_of(server.speech("Hello.")) == "espeak/standard"
        _first, line = said(server)
    assert LINE in line
    assert "the package index cannot be reached" in line
    assert natural_file.read(folder / "data") == natural.Layer()
    return away
