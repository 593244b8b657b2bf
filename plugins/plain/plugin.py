"""The front-end `plain`, which serves every language without another front-end.

It cuts sentences, and rewrites only the words of a lexicon. Numbers, dates and abbreviations are left to the
engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from speech_engine.plugin import Context, NoSettings, Plugin
from speech_engine.text.dialogue import dialogue_ends, may_be_dialogue
from speech_engine.text.draft import Draft, keep_addresses
from speech_engine.text.sentences import sentence_ends
from speech_engine.values import Segment


class PlainFrontEnd:
    languages = ("*",)
    revision = "2"
    is_quick = True

    def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
        """Prepare a text as `FrontEnd.prepare` says. The lexicon never applies to addresses."""
        draft = Draft(text)
        if lexicon:
            keep_addresses(draft)
            draft.apply(lexicon)
        ends = dialogue_ends if may_be_dialogue(draft.text) else sentence_ends
        return draft.segments(ends(draft.text, language))


@asynccontextmanager
async def create(name: str, settings: NoSettings, context: Context) -> AsyncIterator[PlainFrontEnd]:
    yield PlainFrontEnd()


def voxgate_register() -> tuple[Plugin[NoSettings], ...]:
    return (Plugin(kind="front_end", name="plain", settings=NoSettings, create=create),)
