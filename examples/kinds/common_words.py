"""A detector: it knows a language by its most common words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import speech_engine as se
from speech_engine.plugin import NoSettings

WORDS = {
    "en": {"the", "and", "of", "is", "in", "that", "it", "for"},
    "es": {"el", "la", "los", "que", "y", "en", "es", "una"},
    "pt": {"o", "a", "os", "que", "e", "em", "é", "uma"},
}


class CommonWords:
    def detect(self, text: str) -> str | None:
        words = text.lower().split()
        counts = {tag: sum(word in known for word in words) for tag, known in WORDS.items()}
        *_, second, best = sorted(counts.values())
        return max(counts, key=counts.__getitem__) if best > second else None


@asynccontextmanager
async def create(name: str, settings: NoSettings, context: se.Context) -> AsyncIterator[CommonWords]:
    yield CommonWords()


def voxgate_register() -> tuple[se.Plugin[NoSettings], ...]:
    return (se.Plugin(kind="detector", name="common-words", settings=NoSettings, create=create),)
