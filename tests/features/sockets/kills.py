"""Utterances under load, whose worker is killed at a named point."""

import itertools
from collections import Counter
from collections.abc import Sequence

import httpx2
from websockets.exceptions import WebSocketException

from tests.faults.kills import FaultOrder, Killing
from tests.features.sockets.native import talking

TEXTS = ("A. ", "B.")
POINTS = (
    *("after_hold", "after_first_frame", "between_pieces"),
    *("before_settle", "after_settle", "after_interruption"),
)
_numbers = itertools.count()


def speak(client: httpx2.Client) -> FaultOrder:
    """One utterance of a new socket; every third one is interrupted. `request` has the ids of all pieces that
    began, with blanks in between, and it is complete if the session said so."""
    key = client.headers["authorization"].removeprefix("Bearer ")
    is_interrupted = next(_numbers) % 3 == 0
    try:
        with talking(str(client.base_url).rstrip("/"), key) as talker:
            talker.texts(*TEXTS)
            if is_interrupted:
                spoken = talker.interrupt(talker.read_until("audio.start"))
            else:
                talker.done()
                spoken = talker.spoken()
    except (OSError, WebSocketException):
        return FaultOrder("", 0, complete=False)
    is_whole = "session.done" in spoken.types and "error" not in spoken.types
    return FaultOrder(" ".join(spoken.requests), 200 if spoken.messages else 0, is_whole)


def expect_books_to_outlive(killing: Killing, points: Sequence[str]) -> None:
    """Kill at these points, one after the other. Then no piece that was heard is lost or charged twice, and
    no stream is held."""
    killing.kill(points)
    assert Counter(killing.struck()) == Counter(points)
    found = killing.books()
    heard = [request for utterance in killing.complete for request in utterance.split()]
    lost = [request for request in heard if request not in found.spent]
    print(f"{killing.place.name:10} {len(points)} kills, {len(heard)} pieces heard, {len(found.rows)} rows")
    assert found.verdict.is_clean, found.verdict
    assert lost == []
    assert len(heard) == len(set(heard))
    assert {request: row.credits for request, row in found.rows.items() if row.credits} == found.spent
