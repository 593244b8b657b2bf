"""The Detector protocol: finds the language of a text."""

from __future__ import annotations

from typing import Protocol


class Detector(Protocol):
    def detect(self, text: str) -> str | None:
        """Returns a tag without region, or None if unsure. Pure, fast, callable from any thread."""
        ...
