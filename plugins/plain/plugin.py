"""The front-end `plain`, which serves every language without another front-end.

It cuts sentences, and rewrites only the words of a lexicon. Numbers, dates and abbreviations are left to the
engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from speech_engine.plugin import Context, NoSettings, Plugin
from speech_engine.text.draft import Draft, keep_addresses
from speech_engine.text.sentences import sentence_ends
from speech_engine.values import Segment


class PlainFrontEnd:
    languages = ("*",)
    revision = "1"
    is_quick = True

    def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
        """Prepare a text as `FrontEnd.prepare` says. The lexicon never applies to addresses."""
        draft = Draft(text)
        if lexicon:
            keep_addresses(draft)
            draft.apply(lexicon)
        return draft.segments(sentence_ends(draft.text, language))


@asynccontextmanager
async def create(name: str, settings: NoSettings, context: Context) -> AsyncIterator[PlainFrontEnd]:
    yield PlainFrontEnd()


def voxgate_register() -> tuple[Plugin[NoSettings], ...]:
    return (Plugin(kind="front_end", name="plain", settings=NoSettings, create=create),)
