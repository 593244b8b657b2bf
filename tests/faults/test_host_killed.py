"""kill -9 of a host: its streams break off, its queue goes to the next life, and nobody else notices."""

import httpx2
import pytest

from tests.faults.processes import AGAIN_S, host, kill, runtime_folder
from tests.faults.streams import stream
from tests.server import Server
from tests.sound import decoded
from tests.waiting import until


@pytest.mark.parametrize(("engine", "voice"), [("tone", "tone/slow"), ("espeak", "espeak/f3")])
def test_a_host_killed_in_a_stream_breaks_it_and_the_next_request_is_served(
    server: Server, engine: str, voice: str
) -> None:
    text = "word " * 800  # espeak is quick: this must still be under way when its host dies
    with stream(server, voice, text, model=f"{engine}/standard") as speech:
        speech.read(4_800)
        victim = host(server, engine)
        kill(victim)
        with pytest.raises(httpx2.TransportError):
            speech.read_all()
    with server.client(timeout=AGAIN_S) as client:
        body = {"model": f"{engine}/standard", "voice": voice, "input": "Again.", "response_format": "wav"}
        again = client.post("/v1/audio/speech", json=body)
    assert again.status_code == 200, again.text
    assert decoded(again.content, "wav").seconds > 0.3
    assert host(server, engine).pid != victim.pid


def test_a_stream_of_another_engine_goes_on(server: Server) -> None:
    with stream(server, "tone/slow") as speech:
        speech.read(4_800)
        kill(host(server, "espeak"))
        speech.read(24_000)


def test_a_killed_host_leaves_no_socket_behind(server: Server) -> None:
    kill(host(server, "tone"))
    assert server.speech("Once more.").status_code == 200
    until(lambda: len(list(runtime_folder(server).glob("tone.*.sock"))) == 1)
