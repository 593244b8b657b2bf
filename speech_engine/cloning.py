"""The recordings of one speaker, from which an engine makes a voice.

The server checks consent and limits, and stores the voice's row. An engine only calls its provider.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from speech_engine.bounds import Line
from speech_engine.redacted import Redacted


class CloneSample(Redacted, msgspec.Struct, frozen=True):
    """One recording. `text` has the spoken words, if they are known."""

    data: bytes
    media_type: str = "audio/wav"
    text: str = ""


class CloneRequest(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A request for a new voice. No other voice has or had its `name`, which contains no person's name.

    The name begins with a letter and has at most 64 letters, digits and "-". If the provider takes ids, the
    name is the voice's id; if the provider makes ids itself, it is the name on the provider's pages. So a
    voice can be found again if the answer is lost. `language` is the language of the samples. With `denoise`,
    the provider cleans the samples first.
    """

    name: str
    samples: tuple[CloneSample, ...]
    language: str | None = None
    denoise: bool = False


class CloneInfo(msgspec.Struct, frozen=True):
    """A clone that a provider has, or a recording for it: its id there, and the clone's own name."""

    id: Line
    name: Line


_Clones = Annotated[tuple[CloneInfo, ...], msgspec.Meta(max_length=100_000)]


class CloneList(msgspec.Struct, frozen=True):
    """The clones of an account, and the room that it has left; None where the provider sets no limit.

    `slots_left` counts the voices that it may have at once, and `additions_left` those that it may still
    add before its counter begins anew: deleting a voice gives a slot back, but no addition. `recordings`
    are uploads that the provider keeps apart from their clones.
    """

    clones: _Clones
    slots_left: int | None = None
    additions_left: int | None = None
    recordings: _Clones = ()
