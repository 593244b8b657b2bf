"""kill -9 of a host that has recordings: its streams break, and its next life gets them again."""

from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from plugins.tone.decode import decode_timbres
from tests.faults.processes import AGAIN_S, host, kill
from tests.server import Server
from tests.sound import decoded
from tests.speech_clips import wav

pytestmark = pytest.mark.slow

FIELDS = {"model": "tone/standard", "consent": "true", "response_format": "wav"}
JOBS = 8


def lent(server: Server, text: str = "Hello.", voice: str = "m3") -> float | None:
    """The pitch of what a server says with a recording, or None if its host's death ended the answer."""
    fields = {**FIELDS, "input": text}
    try:
        with server.client(timeout=AGAIN_S) as client:
            answer = client.post("/v1/audio/speech", data=fields, files={"reference_audio": wav(voice)})
    except httpx2.TransportError:
        return None
    if answer.status_code == 503:
        return None
    assert answer.status_code == 200, answer.text
    (timbre,) = decode_timbres(*decoded(answer.content, "wav"))
    return timbre.pitch_hz


def test_a_host_that_was_killed_gets_recordings_again(server: Server) -> None:
    before = lent(server)
    assert before
    kill(host(server, "tone"))
    assert lent(server) == before


def test_recordings_are_never_mixed_up_while_a_host_dies(server: Server) -> None:
    alone = {voice: lent(server, voice=voice) for voice in ("m3", "f3")}
    assert None not in alone.values()
    assert alone["f3"] != alone["m3"]
    with ThreadPoolExecutor(JOBS) as pool:
        asked = [
            (voice, pool.submit(lent, server, "Hello. " * 20, voice)) for voice in ("m3", "f3") * (JOBS // 2)
        ]
        kill(host(server, "tone"))
        for voice, answer in asked:
            assert answer.result() in (alone[voice], None)
    assert lent(server, voice="f3") == alone["f3"]
