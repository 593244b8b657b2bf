"""SIGHUP: a new configuration for new requests, nothing cut, and a bad file that changes nothing."""

import json
import signal
from contextlib import ExitStack

from tests.faults.streams import stream
from tests.fixtures import opened
from tests.server import PLAIN, Server, reconfigured
from tests.waiting import until

STREAMS = 4
"""As many as the engine has slots."""
_TEXT = "Not one of these may be cut by what goes on beside them."


def _hang_up(server: Server, text: str, event: str) -> dict[str, object]:
    """Writes the file, sends SIGHUP, and gives the log line that answers it."""
    before = len(server.log.read_text().splitlines())
    server.config.write_text(text)
    server.process.send_signal(signal.SIGHUP)

    def answers() -> list[dict[str, object]]:
        lines = [json.loads(line) for line in server.log.read_text().splitlines()[before:]]
        return [line for line in lines if line["event"] == event]

    until(lambda: bool(answers()))
    return answers()[0]


def _completed(server: Server) -> int:
    return server.log.read_text().count('"config.reload.complete"')


server = opened(reconfigured, "plain_server")


def test_streams_under_way_outlive_a_reload_and_new_requests_have_the_new_voice(server: Server) -> None:
    with ExitStack() as stack:
        streams = [stack.enter_context(stream(server, "tone/slow", _TEXT)) for _ in range(STREAMS)]
        assert server.speech("Too early.", voice="narrator").json()["error"]["code"] == "voice_not_found"
        text, before = PLAIN + "[voices.narrator]\ntone = 'tone'\n", _completed(server)
        started = _hang_up(server, text, "config.reload.started")
        assert (started["changed"], started["needs_restart"]) == (["voices"], [])
        until(lambda: _completed(server) > before)
        assert server.speech("In time.", voice="narrator").status_code == 200
        for each in streams:
            each.read_all()
        assert len({each.heard for each in streams}) == 1
