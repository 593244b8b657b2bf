"""The FrontEnd protocol: a language's way from written text to what is spoken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from speech_engine.values import Segment


class FrontEnd(Protocol):
    """One that takes well under a millisecond for a thousand characters may have `is_quick = True`: then
    short texts are prepared where they are, since handing them to a thread would cost more than the work.
    `languages`, a tuple of base tags, has those that it was made for: it serves models that do not read
    numbers themselves, where no route names another. `revision`, a text, is another one whenever it makes
    something else of the same text: what was kept of the one before is then spoken anew."""

    def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
        """Cuts `text` into sentences. Synchronous: the server calls it in a thread.

        The source ranges tile the text: each begins where the one before ended, the first at 0 and the
        last ends at len(text). `spoken` is never empty; a text with nothing to say gives no segments.
        """
        ...
