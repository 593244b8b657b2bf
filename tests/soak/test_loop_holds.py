"""Usual requests hold no loop for long. A busy machine may fail one try, and never three."""

from pathlib import Path

from tests.server import loop_holds, running

_TRIES = 3
_TEXT = "The boy was there when the sun rose. " * 100


def _holds(folder: Path) -> list[str]:
    folder.mkdir()
    with running(folder) as server, server.client() as client:
        for format_ in ("mp3", "opus", "aac", "flac", "wav", "pcm", "json"):
            assert server.speech(_TEXT, response_format=format_).status_code == 200
        for path in ("/", "/docs", "/openapi.json", "/v1/models", "/v1/voices", "/v1/me", "/v1/usage"):
            assert client.get(path).status_code == 200, path
        assert client.get("/", headers={"accept": "text/html"}).status_code == 200
        body = {"model": "tts-1", "voice": "alloy", "input": _TEXT * 20, "response_format": "mp3"}
        job = client.post("/v1/jobs", json=body)
        assert job.status_code == 202, job.text
        with client.stream("GET", f"/v1/jobs/{job.json()['id']}/events") as events:
            assert any('"status":"done"' in line.replace(" ", "") for line in events.iter_lines())
    return loop_holds(server.log)


def test_no_step_of_usual_requests_holds_the_loop(tmp_path: Path) -> None:
    tries = [_holds(tmp_path / str(number)) for number in range(_TRIES)]
    assert [] in tries, tries
