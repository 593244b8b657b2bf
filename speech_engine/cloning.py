"""The recordings of one speaker, from which an engine makes a voice.

The server looks after consent, limits and the record of the voice. An engine only asks its provider.
"""

from __future__ import annotations

import msgspec


class CloneSample(msgspec.Struct, frozen=True):
    """One recording. `text` has the spoken words, if they are known."""

    data: bytes
    media_type: str = "audio/wav"
    text: str = ""

    def __repr__(self) -> str:
        return f"<CloneSample {self.media_type}, {len(self.data)} bytes>"


class CloneRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a new voice. `name` is shown on the provider's own pages; no id is made of the name.

    `language` is the language of the samples. `denoise` asks the provider to clean the samples first.
    """

    name: str
    samples: tuple[CloneSample, ...]
    language: str | None = None
    denoise: bool = False

    def __repr__(self) -> str:
        return f"<CloneRequest {len(self.samples)} samples>"
