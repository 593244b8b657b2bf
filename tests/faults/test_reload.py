"""SIGHUP: a new configuration for new requests, nothing cut, and a bad file that changes nothing."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from pathlib import Path

from tests.faults.streams import stream
from tests.server import TONE, Server, running
from tests.waiting import until

STREAMS = 20
_SLOTS = TONE.replace("[engines.tone]", "[engines.tone]\nslots = 64")
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


def test_streams_under_way_outlive_a_reload_and_new_requests_have_the_new_voice(folder: Path) -> None:
    with running(folder, _SLOTS) as server, ExitStack() as stack:
        streams = [stack.enter_context(stream(server, "tone/slow", _TEXT)) for _ in range(STREAMS)]
        assert server.speech("Too early.", voice="narrator").json()["error"]["code"] == "voice_not_found"
        started = _hang_up(server, _SLOTS + "[voices.narrator]\ntone = 'tone'\n", "config.reload.started")
        assert (started["changed"], started["needs_restart"]) == (["voices"], [])
        until(lambda: '"config.reload.complete"' in server.log.read_text())
        assert server.speech("In time.", voice="narrator").status_code == 200
        for each in streams:
            each.read_all()
        assert len({each.heard for each in streams}) == 1
