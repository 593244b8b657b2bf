"""The paths that do not answer: those of features that are off, and those that were removed."""

from __future__ import annotations

import re
from collections.abc import Mapping


class ClosedPaths:
    """`reasons` maps each closed root, such as "/v1/jobs" or "/admin/voices/{id}/clones", to the sentence of
    its 404, and to whether it was removed."""

    def __init__(self, reasons: Mapping[str, tuple[str, bool]] = {}) -> None:
        longest_first = sorted(reasons, key=len, reverse=True)
        self._reasons = [(_pattern_below(root), reasons[root]) for root in longest_first]

    def reason_closed(self, path: str) -> tuple[str, bool] | None:
        """Return the reason of the longest root that a path is below."""
        return next((reason for root, reason in self._reasons if root.fullmatch(path)), None)


def _pattern_below(root: str) -> re.Pattern[str]:
    parts = ("[^/]+" if part.startswith("{") else re.escape(part) for part in root.split("/"))
    return re.compile("/".join(parts) + "(/.*)?", re.DOTALL)


NONE_CLOSED = ClosedPaths()
