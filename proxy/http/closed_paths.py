"""The paths of features that do not answer, each with the sentence that says how to turn its feature on."""

from __future__ import annotations

import re
from collections.abc import Mapping


class ClosedPaths:
    """`sentences` maps each closed root, such as "/v1/jobs" or "/admin/voices/{id}/clones", to its
    sentence."""

    def __init__(self, sentences: Mapping[str, str] = {}) -> None:
        longest_first = sorted(sentences, key=len, reverse=True)
        self._sentences = [(_pattern_below(root), sentences[root]) for root in longest_first]

    def reason_closed(self, path: str) -> str | None:
        """Return the sentence of the longest root that a path is below."""
        return next((sentence for root, sentence in self._sentences if root.fullmatch(path)), None)


def _pattern_below(root: str) -> re.Pattern[str]:
    parts = ("[^/]+" if part.startswith("{") else re.escape(part) for part in root.split("/"))
    return re.compile("/".join(parts) + "(/.*)?", re.DOTALL)


NONE_CLOSED = ClosedPaths()
