"""SIGTERM and Ctrl-C: what is under way finishes or is broken off in time, on record either way."""

import signal
import socket
from pathlib import Path

import httpx2
import numpy as np
import pytest

from plugins.tone.decode import decode
from tests.faults.processes import children, is_over, runtime_folder, usage_rows
from tests.faults.streams import stream
from tests.server import Server, running, stop
from tests.tables import soak
from tests.waiting import until

TEXT = "This goes on to its end."


def _refuses(server: Server) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(server.url.rpartition(":")[2]))) != 0


@pytest.mark.parametrize("number", [signal.SIGTERM, *soak(signal.SIGINT)])
def test_a_stream_under_way_finishes_whole_while_new_clients_are_refused(
    folder: Path, number: signal.Signals
) -> None:
    with running(folder) as server:
        family, run = children(server), runtime_folder(server)
        with stream(server, "tone/slow", TEXT) as speech:
            speech.read(2_400)
            server.process.send_signal(number)
            until(lambda: _refuses(server))
            assert server.process.poll() is None
            begun = speech.heard
            speech.read_all()
        assert stop(server.process) == 0
        assert all(is_over(child) for child in family)
        assert not run.exists()
    assert speech.heard > begun
    row = usage_rows(server)[speech.id]
    assert (row.outcome, 2 * row.samples) == ("finished", speech.heard)
    assert decode(np.frombuffer(speech.pcm, "<i2"), 24_000) == (TEXT,)


@pytest.mark.parametrize("number", [signal.SIGTERM, *soak(signal.SIGINT)])
def test_a_stream_longer_than_the_drain_is_broken_off_and_on_record_as_failed(
    folder: Path, number: signal.Signals
) -> None:
    with running(folder, environ={"VOXGATE_SERVER__DRAIN_S": "1"}) as server:
        with stream(server, "tone/slow") as speech, stream(server, "tone/hang-late") as stuck:
            speech.read(4_800)
            stuck.read(4_800)
            server.process.send_signal(number)
            with pytest.raises(httpx2.TransportError):
                speech.read_all()
            with pytest.raises(httpx2.TransportError):
                stuck.read_all()
        assert stop(server.process) == 0
    rows = usage_rows(server)
    assert rows[speech.id].outcome == rows[stuck.id].outcome == "failed"
    assert 2 * rows[speech.id].samples >= speech.heard > 0
