"""py3langid's opinion on a text, out of a list of languages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

_LOOKED_AT = 2000
_FEWEST_LETTERS = 3
_LEAST = 0.2
"""Below one in five, most of what it says is wrong; a higher bar would cost as many right answers."""

_SPOKEN_AS = {"pcm": "en"}
"""English with Nigerian names is Pidgin to it, and both are read by an English voice."""


class Classifier(Protocol):
    """What we use of py3langid's identifier."""

    def classify(self, text: str) -> tuple[str, float]: ...


class LangidDetector:
    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def __repr__(self) -> str:
        return "<LangidDetector>"

    def detect(self, text: str) -> str | None:
        """As `Detector.detect`; looks at the first 2,000 characters."""
        seen = text[:_LOOKED_AT]
        if sum(map(str.isalpha, seen)) < _FEWEST_LETTERS:
            return None
        found, likely = self._classifier.classify(seen)
        return _SPOKEN_AS.get(found, found) if likely >= _LEAST else None


def load(languages: Iterable[str]) -> LangidDetector:
    """Takes about a second. Raises ImportError without the library, ValueError at an unknown language."""
    # Imported here: its model takes about 76 MB of a server that may use another detector.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    classifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    wanted = set(languages)
    classifier.set_languages(wanted | {"pcm"} if "en" in wanted else wanted)
    return LangidDetector(classifier)
