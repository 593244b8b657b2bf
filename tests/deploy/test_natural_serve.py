"""`make serve` as a new user types it: natural voices from the package index, or espeak and one line."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from proxy.engines import registry
from proxy.features.models import natural, natural_file, natural_voices
from proxy.features.models.listing import open_galleries
from proxy.hosts.stored_models import ModelRefused
from tests.server import Server, running
from tests.waiting import until

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
SHIPPED = (REPOSITORY / "config.toml").read_text()
MAKE = ("make", "--silent", "serve", "PORT=0")
AWAY = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_FIND_LINKS": "",
    "PIP_CONFIG_FILE": "/dev/null",
    "VOXGATE_ENGINES__ESPEAK__PROCESSES": "1",
}
LINE = "voxgate voices natural"
NATURAL = ("kokoro/standard", "hibari/standard")
_FETCH_S = 500.0


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
    away = {**AWAY, "XDG_CACHE_HOME": str(folder)}
    with running(folder, SHIPPED, command=MAKE, cwd=REPOSITORY, environ=away) as server:
        assert engine_of(server.speech("Hello.")) == "espeak/standard"
        _first, line = said(server)
    assert LINE in line
    assert "the package index cannot be reached" in line
    assert natural_file.read_checked(folder / "data") == natural.Layer()
    return away


def require_index() -> None:
    """Skip the test where no index has the voices."""
    try:
        natural_voices.require_index(natural_voices.first_models(open_galleries(registry.load())))
    except ModelRefused as fault:
        pytest.skip(f"the package index cannot be reached: {fault}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that got its voices from the index. The environment they run in may have been built before."""
    require_index()
    folder = tmp_path_factory.mktemp("natural")
    # A busy machine must not have the next candidate asked.
    patient = {"VOXGATE_SERVER__FIRST_AUDIO_S": "100"}
    with running(folder, SHIPPED, command=MAKE, cwd=REPOSITORY, environ=patient, start_s=_FETCH_S) as started:
        assert engine_of(started.speech("Hello.")) in NATURAL
        with started.client() as client:
            until(lambda: b"kokoro/af_heart" in client.get("/v1/voices").content, _FETCH_S)
        yield started


@pytest.mark.soak
def test_nobody_asks_the_index_again_and_the_line_is_there_again(tmp_path: Path) -> None:
    away = serve_without_an_index(tmp_path)
    kept = tmp_path / "data" / natural.FILE
    before = kept.stat().st_mtime_ns
    (tmp_path / "server.log").unlink()
    with running(tmp_path, SHIPPED, command=MAKE, cwd=REPOSITORY, environ=away) as again:
        (line,) = said(again)
    assert LINE in line
    assert "index" not in line
    assert kept.stat().st_mtime_ns == before


@pytest.mark.soak
def test_the_first_answers_are_natural_and_other_languages_espeaks(server: Server) -> None:
    for model in ("tts-1", "tts-1-hd", "gpt-4o-mini-tts"):
        assert engine_of(server.speech("Hello.", model=model)) in NATURAL
    portuguese = "Bom dia a todos, o encontro começa às oito horas da manhã."
    assert engine_of(server.speech(portuguese)) == "kokoro/standard"
    assert engine_of(server.speech("Guten Tag zusammen, wie geht es Ihnen?")) == "espeak/standard"


@pytest.mark.soak
def test_who_pays_hears_them_too(server: Server) -> None:
    key = server.mint_key("payer", plan="pro").secret
    body = {"model": "tts-1", "voice": "alloy", "input": "Hello."}
    with server.client(key) as client:
        assert engine_of(client.post("/v1/audio/speech", json=body)) in NATURAL


@pytest.mark.soak
def test_the_licence_is_shown_and_nothing_is_left_half_done(server: Server) -> None:
    lines = "\n".join(said(server))
    assert "Apache-2.0 (paid use is allowed)" in lines
    assert LINE not in lines
    folders = {path.name for path in (server.data / "models").glob("*/")}
    assert folders == {"kokoro-voices"}


@pytest.mark.soak
def test_a_check_and_a_reload_know_them(server: Server) -> None:
    done = server.cli("check", "--json")
    rows = json.loads(done.stdout)["data"]
    assert not [row for row in rows if row["state"] == "wrong"]
    (row,) = (row for row in rows if row["name"] == str(server.data / natural.FILE))
    assert "engines.kokoro, engines.hibari, models.tts-1" in row["found"]
    reloaded = json.loads(server.cli("reload", "--json").stdout)
    assert (reloaded["changed"], reloaded["needs_restart"]) == ([], [])
    assert engine_of(server.speech("Hello.")) in NATURAL


@pytest.mark.soak
def test_the_command_finds_them_there_and_shows_its_lines(server: Server) -> None:
    done = server.cli("voices", "natural")
    assert (server.data / natural.FILE).read_text().endswith("\n".join(done.stdout.splitlines()[1:-1]) + "\n")
    assert "Restart the server" in done.stdout.splitlines()[-1]
