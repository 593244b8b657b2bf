"""SIGTERM under twenty streams: each clip ends whole and is on record, and the server is gone in time."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from plugins.tone.decode import decode
from tests.faults.processes import usage_rows
from tests.faults.streams import Stream, stream
from tests.server import TONE, running, stop

STREAMS = 20
DRAIN_S = 60
"""Far more than the clips last: what the drain cuts off is not whole."""
TEXT = "Each of these is heard to its end."
_CONFIG = TONE.replace("[server]", f"[server]\ndrain_s = {DRAIN_S}").replace(
    "[engines.tone]", f"[engines.tone]\nslots = {STREAMS}"
)


def test_every_clip_under_way_is_finished_and_settled(folder: Path) -> None:
    with running(folder, _CONFIG) as server, ExitStack() as stack:
        streams = [stack.enter_context(stream(server, "tone/slow", TEXT)) for _ in range(STREAMS)]
        for each in streams:
            each.read(2_400)
        server.process.send_signal(signal.SIGTERM)
        _read_all(streams)
        assert stop(server.process) == 0
    rows = usage_rows(server)
    for each in streams:
        assert (rows[each.id].outcome, 2 * rows[each.id].samples) == ("finished", each.heard)
        assert decode(np.frombuffer(each.pcm, "<i2"), 24_000) == (TEXT,)


def _read_all(streams: list[Stream]) -> None:
    """All at once: each plays in real time."""
    readers = [threading.Thread(target=each.read_all) for each in streams]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
