"""The Detector protocol: which language a text is written in."""

from __future__ import annotations

from typing import Protocol


class Detector(Protocol):
    def detect(self, text: str) -> str | None:
        """A language tag without region, or None when unsure. Pure, fast, callable from any thread."""
        ...
