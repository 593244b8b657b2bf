"""The largest possible size of a whole answer, computed before an engine speaks, and the room for it."""

from __future__ import annotations

from policies import estimate
from proxy.audio.formats import bytes_a_second
from proxy.errors import InvalidRequest, NoDiskSpace, from_engine
from proxy.ledger import Hold
from proxy.speech.call import PartRun, PreparedText, SpeechCall
from proxy.speech.observer import Observers
from proxy.speech.source import StoredSpeech
from proxy.speech.speech_stream import Speech
from proxy.speech.spill import SpillQuota, SpillReservation
from proxy.speech.whole_quota import WholeQuota
from proxy.speech_steps.whole_answer import WholeAnswer
from proxy.speech_steps.whole_file import BLOCK_BYTES

MOST_SIGNED_BYTES = 32 * 2**20
"""The limit for an answer with a manifest inside."""
MOST_JSON_BYTES = 256 * 2**20
"""The limit for an answer in JSON, which a client must hold in memory as a whole."""

_MIB = 2**20


def check_size(call: SpeechCall, stored: StoredSpeech | None) -> None:
    """Raise InvalidRequest for a whole answer that may become too large.

    The size of a cached answer is known. Other answers may become as long as the cap of their text.
    """
    request = call.request
    if request.answer != "json" and request.provenance is None:
        return
    most_bytes = stored.size if stored is not None else capped_s(call) * bytes_a_second(request.form)
    if request.provenance is not None and most_bytes > MOST_SIGNED_BYTES:
        raise _too_large("provenance", "c2pa", most_bytes, MOST_SIGNED_BYTES)
    if request.answer == "json" and most_bytes * 4 / 3 > MOST_JSON_BYTES:
        raise _too_large("response_format", "json", most_bytes * 4 / 3, MOST_JSON_BYTES)


def capped_s(call: SpeechCall) -> float:
    return sum([estimate.cap_seconds(_estimated_s(run)) + run.part.pause_s for run in call.totals.parts])


def room_bytes(call: SpeechCall, stored: StoredSpeech | None, *, is_rewritten: bool) -> int:
    """Return the room on the disk for a whole answer: for its sound, and again for a rewritten file.

    A provider bills all speech, so its longest speech must fit. For local engines, the estimate counts.
    """
    if stored is not None:
        # The cached file is on the disk already.
        sizes = [stored.size] if is_rewritten else []
    else:
        speakers = [candidate for run in call.totals.parts for candidate in run.candidates]
        is_billed = any(not model.info.is_local for each in speakers for model in each.models)
        runs = call.totals.parts
        seconds = capped_s(call) if is_billed else sum([_estimated_s(run) + run.part.pause_s for run in runs])
        sizes = [int(seconds * bytes_a_second(call.request.form))]
    files = 2 if is_rewritten else 1
    # The newest bytes of a file, less than a block, are in memory.
    return files * sum([size // BLOCK_BYTES * BLOCK_BYTES for size in sizes])


def _estimated_s(run: PartRun) -> float:
    return max([text.estimated_s for text in run.texts.values() if isinstance(text, PreparedText)])


def _too_large(field: str, value: str, most_bytes: float, allowed_bytes: int) -> InvalidRequest:
    return InvalidRequest(
        f"'{field}' cannot be {value} for so long a text: the answer may become {most_bytes / _MIB:.0f} MiB, "
        f"and at most {allowed_bytes / _MIB:.0f} MiB are allowed. Send a shorter text, or ask for a smaller "
        "format.",
        param=field,
    )


class DiskQuota(WholeQuota):
    """The room of one answer on the disk."""

    check_size = staticmethod(check_size)

    def __init__(
        self, call: SpeechCall, stored: StoredSpeech | None, room: SpillQuota, *, is_rewritten: bool
    ) -> None:
        check_size(call, stored)
        self._call = call
        self._room = room
        self._room_bytes = room_bytes(call, stored, is_rewritten=is_rewritten)
        self._reservation: SpillReservation | None = None

    def take_room(self) -> None:
        try:
            self._reservation = self._room.reserve(self._call.caller.account, self._room_bytes)
        except NoDiskSpace as lacking:
            failure = from_engine(lacking)
            self._call.totals.error = failure.code
            raise failure from None

    def begin_answer(self, speech: Speech, hold: Hold, observers: Observers) -> WholeAnswer:
        return WholeAnswer(self._call, speech, hold, self._room, observers, self._reservation)

    def leave(self) -> None:
        if self._reservation is not None:
            self._reservation.close()
