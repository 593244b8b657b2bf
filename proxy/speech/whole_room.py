"""The room on the disk that an answer which goes out whole takes before an engine speaks."""

from __future__ import annotations

from proxy.errors import NoRoom, from_engine
from proxy.speech.call import SpeechCall
from proxy.speech.source import KeptSpeech
from proxy.speech.spill import RoomPromise, SpillRoom
from proxy.speech.whole_size import check_size, room_bytes


class WholeRoom:
    """The room of one answer. Without it the answer is refused, and free of charge. Leave it."""

    def __init__(self, call: SpeechCall, room: SpillRoom, room_bytes: int) -> None:
        self.promise: RoomPromise | None = None
        self._call = call
        self._room = room
        self._room_bytes = room_bytes

    @classmethod
    def of(
        cls, call: SpeechCall, kept: KeptSpeech | None, room: SpillRoom, *, is_rewritten: bool
    ) -> WholeRoom:
        """Raises InvalidRequest for an answer that may become too large."""
        check_size(call, kept)
        return cls(call, room, room_bytes(call, kept, is_rewritten=is_rewritten))

    def take(self) -> None:
        """Take it before an engine speaks. Raises RequestFailed."""
        try:
            self.promise = self._room.promise(self._call.caller.account, self._room_bytes)
        except NoRoom as lacking:
            failure = from_engine(lacking)
            self._call.tally.error = failure.code
            raise failure from None

    def leave(self) -> None:
        """Give it back. Call it in any case."""
        if self.promise is not None:
            self.promise.close()
