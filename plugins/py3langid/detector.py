"""The language of a text in the opinion of py3langid, out of a list of languages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

_LOOKED_AT = 2000
_FEWEST_LETTERS = 3
_LEAST = 0.2
"""The least probability of an answer. Below one in five, most answers are wrong. A higher bar would
cost as many right answers as it would avoid wrong ones."""

_SPOKEN_AS = {"pcm": "en"}
"""The classifier calls English with Nigerian names Pidgin. An English voice reads both."""


class Classifier(Protocol):
    """The part of py3langid's identifier that this plugin uses."""

    def classify(self, text: str) -> tuple[str, float]: ...


class LangidDetector:
    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def __repr__(self) -> str:
        return "<LangidDetector>"

    def detect(self, text: str) -> str | None:
        """Detect as `Detector.detect` says, in the first 2,000 characters."""
        seen = text[:_LOOKED_AT]
        if sum(map(str.isalpha, seen)) < _FEWEST_LETTERS:
            return None
        found, likely = self._classifier.classify(seen)
        return _SPOKEN_AS.get(found, found) if likely >= _LEAST else None


def load(languages: Iterable[str]) -> LangidDetector:
    """Load the classifier, which takes about a second.

    Raise ImportError without the library, and ValueError for an unknown language.
    """
    # The import is here because the model takes about 76 MB, and a server may use another detector.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    classifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    wanted = set(languages)
    classifier.set_languages(wanted | {"pcm"} if "en" in wanted else wanted)
    return LangidDetector(classifier)
