"""The front-end for languages that have none of their own: sentences, and nothing rewritten but what a
lexicon names. Numbers, dates and abbreviations are left to the engine."""

from __future__ import annotations

from collections.abc import Mapping

from speech_engine.text.draft import Draft
from speech_engine.text.sentences import sentence_ends
from speech_engine.text.verbatim import keep_addresses
from speech_engine.values import Segment


class PlainFrontEnd:
    languages = ("*",)
    revision = "1"
    is_quick = True

    def __repr__(self) -> str:
        return "<PlainFrontEnd>"

    def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
        """As `FrontEnd.prepare`; addresses are never looked up in the lexicon."""
        draft = Draft(text)
        if lexicon:
            keep_addresses(draft)
            draft.apply(lexicon)
        return draft.segments(sentence_ends(draft.text, language))
