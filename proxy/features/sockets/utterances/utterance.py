"""One utterance: its text, and the pieces that speak it."""

from __future__ import annotations

from proxy.features.sockets.utterances.values import Interrupted, UtteranceEnd


class Utterance:
    """An utterance that was admitted and counts as a stream of its account, until `run` ends.

    One task calls `run`. Others add text meanwhile, and may interrupt. If `run` is never called, call
    `close`.
    """

    def add(self, text: str) -> None:
        """Add text. Raises InvalidRequest, and adds nothing, if the text of the utterance becomes too
        long."""
        raise NotImplementedError

    def flush(self) -> None:
        """Speak all text that is there, though its last sentence may not have ended."""
        raise NotImplementedError

    def end(self) -> None:
        """No more text comes. `run` ends when all is said."""
        raise NotImplementedError

    @property
    def is_silent(self) -> bool:
        """Whether nothing is to be said before more text comes."""
        raise NotImplementedError

    async def run(self) -> UtteranceEnd:
        """Speak until `end` was called and all is said, or until a failure or an interruption. Before it
        returns, all pieces are settled, and the stream is free. If it is cancelled, the pieces are settled as
        left by the client."""
        raise NotImplementedError

    async def interrupt(self, played_ms: int | None = None) -> Interrupted:
        """Stop the sound. Return when all pieces are settled; then `run` returns, too. `played_ms` is what
        the client has played, if it knows that. It changes no charge."""
        raise NotImplementedError

    async def close(self) -> None:
        """End an utterance that never ran."""
        raise NotImplementedError
