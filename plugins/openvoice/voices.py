"""A voice, derived from recordings. It is biometric, so it is stored in memory only.

The host stores it under the recordings' digests and the model's name, and deletes it with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from plugins.openvoice.networks import Networks
from plugins.openvoice.sizes import RATE_HZ
from plugins.openvoice.sound import floats, speech_in
from speech_engine.errors import UnusableSample

SAMPLE_S: Final = (3.0, 30.0)
_STRETCH_S: Final = 10.0
_DO: Final = "Give a recording in which one person speaks for ten seconds or more."


class ToneVoice(NamedTuple):
    """The tone of a voice, as the networks know it."""

    numbers: Any

    def __repr__(self) -> str:
        return f"<ToneVoice of {len(self.numbers)} numbers>"

    @property
    def nbytes(self) -> int:
        return int(self.numbers.nbytes)


def make_voice(networks: Networks, recordings: Sequence[bytes]) -> ToneVoice:
    """Make a voice of recordings, 16-bit mono at RATE_HZ. Raise UnusableSample if too little is said in
    them."""
    speech = np.concatenate([speech_in(floats(each)) for each in recordings])
    if not len(speech):
        raise UnusableSample(f"The recordings are silent. {_DO}")
    seconds = len(speech) / RATE_HZ
    if seconds < SAMPLE_S[0]:
        few = f"The recordings have {seconds:.1f} seconds of speech; {SAMPLE_S[0]:g} are needed."
        raise UnusableSample(f"{few} {_DO}")
    # Equal stretches: each has half of the longest one, or all there is.
    stretches = np.array_split(speech, -(-len(speech) // round(_STRETCH_S * RATE_HZ)))
    return ToneVoice(np.mean([networks.embed(each) for each in stretches], axis=0, dtype=np.float32))
