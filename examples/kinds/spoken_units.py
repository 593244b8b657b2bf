"""A front-end: it says "5 km" as "5 kilometres", and cuts a text into sentences."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import speech_engine as se
from speech_engine.plugin import NoSettings
from speech_engine.text.draft import Draft
from speech_engine.text.sentences import sentence_ends

UNITS = {"km": "kilometres", "kg": "kilograms", "ms": "milliseconds"}
UNIT = re.compile(rf"(?<=\d )({'|'.join(UNITS)})\b")


class SpokenUnits:
    revision = "1"

    def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[se.Segment, ...]:
        draft = Draft(text)  # keeps the place of each word in the text
        draft.apply(lexicon)
        draft.rewrite(UNIT, lambda match: UNITS[match[1]])
        return draft.segments(sentence_ends(draft.text, language))


@asynccontextmanager
async def create(name: str, settings: NoSettings, context: se.Context) -> AsyncIterator[SpokenUnits]:
    yield SpokenUnits()


def voxgate_register() -> tuple[se.Plugin[NoSettings], ...]:
    return (se.Plugin(kind="front_end", name="spoken-units", settings=NoSettings, create=create),)
