"""The FrontEnd protocol: turns written text of a language into spoken words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from speech_engine.values import Segment


class FrontEnd(Protocol):
    """A front-end for one or more languages, with three optional attributes.

    If a thousand characters take well under a millisecond, set `is_quick = True`. The server then prepares
    short texts without a thread, since the thread would cost more than the work. `languages` is a tuple of
    base tags. If a model reads no numbers and no route names a front-end, the language decides.
    `revision` is a text. If the same text is prepared in another way, change the revision: the cache then
    speaks the text again."""

    def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
        """Cuts `text` into sentences. Synchronous: the server calls it in a thread.

        The source ranges tile the text: each begins where the one before ended, the first at 0 and the
        last ends at len(text). `spoken` is never empty; a text with nothing to say gives no segments.
        """
        ...
