"""What is on record of every way an answer can end, read after the server has stopped."""

from __future__ import annotations

import json

import httpx2
import pytest

from proxy.storage.usage import UsageRow
from tests.faults.processes import host, kill, usage_rows
from tests.faults.streams import stream
from tests.server import Server, running
from tests.waiting import until

Ended = dict[str, tuple[UsageRow, int]]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Each way to end → its row, and the bytes that were heard."""
    with running(tmp_path_factory.mktemp("server")) as server:
        ids = {
            "finished": _finished(server),
            "left": _left(server),
            "left before audio": _left_before_audio(server),
            "broken": _broken(server, "tone/fail-late"),
            "no finish": _broken(server, "tone/no-finish"),
            "refused": _refused(server),
            "killed": _killed(server),
        }
    rows = usage_rows(server)
    assert len(rows) == len(ids)
    return {way: (rows[id_], heard) for way, (id_, heard) in ids.items()}


def _finished(server: Server) -> tuple[str, int]:
    with stream(server, "tone/tone", "Spoken whole.") as speech:
        speech.read_all()
    return speech.id, speech.heard


def _left(server: Server) -> tuple[str, int]:
    with stream(server, "tone/slow") as speech:
        speech.read(9_600)
    return speech.id, speech.heard


def _left_before_audio(server: Server) -> tuple[str, int]:
    """Nothing tells such a client its request's id: the log does."""
    body = {"model": "tts-1", "voice": "tone/hang", "input": "Too late."}
    with server.client(timeout=0.5) as client, pytest.raises(httpx2.ReadTimeout):
        client.post("/v1/audio/speech", json=body)
    until(lambda: _without_status(server) != [])
    (id_,) = _without_status(server)
    return id_, 0


def _broken(server: Server, voice: str) -> tuple[str, int]:
    with stream(server, voice) as speech, pytest.raises(httpx2.TransportError):
        speech.read_all()
    return speech.id, speech.heard


def _killed(server: Server) -> tuple[str, int]:
    with stream(server, "tone/slow") as speech:
        speech.read(9_600)
        kill(host(server, "tone"))
        with pytest.raises(httpx2.TransportError):
            speech.read_all()
    return speech.id, speech.heard


def _refused(server: Server) -> tuple[str, int]:
    answer = server.speech("Not this.", voice="tone/refuse")
    assert answer.status_code == 400
    return answer.headers["x-request-id"], 0


def _without_status(server: Server) -> list[str]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    return [line["request"] for line in lines if line.get("status") == 0]


def test_finished_is_what_was_heard_to_the_sample(ended: Ended) -> None:
    row, heard = ended["finished"]
    assert (row.outcome, 2 * row.samples, row.sample_rate_hz) == ("finished", heard, 24_000)
    assert row.characters == len("Spoken whole.")
    assert row.error is None


def test_a_client_that_left_is_on_record_with_what_was_sent(ended: Ended) -> None:
    row, heard = ended["left"]
    assert row.outcome == "left"
    # More than what was read by what was on its way, and far from the minute that it would have been.
    assert heard <= 2 * row.samples < 10 * 2 * 24_000
    assert row.first_byte_ms is not None


def test_a_client_that_left_before_the_first_audio_has_heard_nothing(ended: Ended) -> None:
    row, _ = ended["left before audio"]
    assert (row.outcome, row.samples, row.first_byte_ms) == ("left", 0, None)


@pytest.mark.parametrize("way", ["broken", "no finish", "killed"])
def test_an_engine_that_fails_in_the_middle_is_on_record_as_failed(ended: Ended, way: str) -> None:
    row, heard = ended[way]
    assert row.outcome == "failed"
    assert row.error == "engine_unavailable"
    assert 2 * row.samples >= heard > 0


def test_a_refusal_is_on_record_with_its_code(ended: Ended) -> None:
    row, _ = ended["refused"]
    assert (row.outcome, row.samples, row.error) == ("failed", 0, "content_refused")


def test_every_row_names_who_and_what(ended: Ended) -> None:
    for row, _ in ended.values():
        assert (row.engine, row.model, row.language) == ("tone", "standard", "en")
        assert row.account.startswith("acc_")
        assert row.key.startswith("key_")
    assert ended["finished"][0].voice == "tone/tone"
