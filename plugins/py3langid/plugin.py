"""Register the detector `py3langid`. Its library is loaded only when the detector is opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec

import msgspec

from speech_engine.plugin import Context, Missing, Plugin

_LOOKED_AT = 2000
_FEWEST_LETTERS = 3
_LEAST = 0.2
"""The least probability of an answer. Below one in five, most answers are wrong. A higher bar would
cost as many right answers as it would avoid wrong ones."""

_SHORT_LETTERS = 40
_USUAL_FAVOUR = 6.0
"""How many times likelier a short text is in the usual language than the classifier says."""

_MOST_GUESSES = 3

_SPOKEN_AS = {"pcm": "en"}
"""The classifier calls English with Nigerian names Pidgin. An English voice reads both."""


RankLanguages = Callable[[str], Sequence[tuple[str, float]]]
"""Returns all languages of a classifier, each with its probability for the text."""


class LangidDetector:
    def __init__(self, rank: RankLanguages) -> None:
        self._rank = rank

    def detect(self, text: str) -> str | None:
        """Detect as `Detector.detect` says, in the first 2,000 characters."""
        return next(iter(self.rank(text)), None)

    def rank(self, text: str, usual: str = "") -> tuple[str, ...]:
        """Rank as `RankingDetector.rank` says, in the first 2,000 characters."""
        seen = text[:_LOOKED_AT]
        letters = sum(map(str.isalpha, seen))
        if letters < _FEWEST_LETTERS:
            return ()
        favour = _USUAL_FAVOUR if letters < _SHORT_LETTERS else 1.0
        ranked = [
            (likely * favour if _SPOKEN_AS.get(tag, tag) == usual else likely, tag)
            for tag, likely in self._rank(seen)
        ]
        ranked.sort(reverse=True)
        if ranked[0][0] < _LEAST:
            return ()
        return tuple(dict.fromkeys(_SPOKEN_AS.get(tag, tag) for _, tag in ranked[:_MOST_GUESSES]))


def load(languages: Iterable[str]) -> LangidDetector:
    """Load the classifier, which takes about a second.

    Raise ImportError without the library, and ValueError for an unknown language.
    """
    # The import is here because the model takes about 76 MB, and a server may use another detector.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    classifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    tags = set(languages)
    classifier.set_languages(tags | {"pcm"} if "en" in tags else tags)
    return LangidDetector(classifier.rank)


_LANGUAGES = (
    *("ar", "bg", "cs", "de", "en", "es", "fa", "fi", "fr", "ha", "hi", "hu", "id", "ig", "it", "ja", "ko"),
    *("mr", "nl", "pl", "pt", "ro", "ru", "sv", "sw", "th", "tr", "uk", "ur", "vi", "yo", "zh"),
)


class LangidSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`languages` are the only possible answers. With fewer languages, short
    texts are detected better."""

    languages: tuple[str, ...] = _LANGUAGES


@asynccontextmanager
async def create(name: str, settings: LangidSettings, context: Context) -> AsyncIterator[LangidDetector]:
    yield await asyncio.to_thread(load, settings.languages)


def missing(settings: LangidSettings) -> tuple[Missing, ...]:
    if find_spec("py3langid") is not None:
        return ()
    return (Missing("the library py3langid", "install voxgate with the extra py3langid"),)


def voxgate_register() -> tuple[Plugin[LangidSettings], ...]:
    plugin = Plugin(
        kind="detector", name="py3langid", settings=LangidSettings, create=create, missing=missing
    )
    return (plugin,)
