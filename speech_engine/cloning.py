"""What an engine makes a voice of: the recordings of one speaker, with their bytes.

Consent, limits and the record of the voice are the server's; an engine only asks its provider.
"""

from __future__ import annotations

import msgspec


class CloneSample(msgspec.Struct, frozen=True):
    """One recording. `text` is what is said in it, where that is known."""

    data: bytes
    media_type: str = "audio/wav"
    text: str = ""

    def __repr__(self) -> str:
        return f"<CloneSample {self.media_type}, {len(self.data)} bytes>"


class CloneRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is for whoever looks at the provider's own pages; no id is made of it.

    `language` is what is spoken in the samples. `denoise` asks the provider to clean them first.
    """

    name: str
    samples: tuple[CloneSample, ...]
    language: str | None = None
    denoise: bool = False

    def __repr__(self) -> str:
        return f"<CloneRequest {len(self.samples)} samples>"
