"""A voice, derived from recordings. It is biometric, so it is stored in memory only.

The host stores it under the recordings' digests and the model's name, and deletes it with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from pocket_tts.data.audio_utils import end_on_pause

from plugins.pocket.attention import moved
from plugins.pocket.codec import latents_of
from plugins.pocket.decoding import BatchedDecoder
from plugins.pocket.networks import Networks
from plugins.pocket.sizes import RATE_HZ
from speech_engine.errors import UnusableSample

SAMPLE_S: Final = (5.0, 20.0)
LEAST_S: Final = 0.5
_QUIETEST: Final = 1e-4


class PocketVoice(NamedTuple):
    """The language model's state after a voice: (layers, 2, heads, positions, width)."""

    state: Any

    def __repr__(self) -> str:
        return f"<PocketVoice of {self.state.shape[3]} positions>"

    @property
    def nbytes(self) -> int:
        return int(self.state.nbytes)


def make_voice(
    networks: Networks, recordings: Sequence[bytes], tick: Callable[[], None] = lambda: None
) -> PocketVoice:
    """Make a voice of recordings, 16-bit mono at RATE_HZ. Raise UnusableSample if they are too short.

    `tick` is called after each second of a recording.
    """
    pcm = np.concatenate([np.frombuffer(each, "<i2") for each in recordings])
    sound = torch.from_numpy(pcm.astype(np.float32) / 32768.0)[: int(SAMPLE_S[1] * RATE_HZ)]
    if len(sound) < LEAST_S * RATE_HZ:
        raise UnusableSample(f"The recordings are shorter than {LEAST_S} seconds.")
    if float(sound.abs().max()) < _QUIETEST:
        raise UnusableSample("The recordings are silent.")
    model = networks.language_model
    latents = latents_of(networks, end_on_pause(sound[None], RATE_HZ)[0], tick)
    with torch.inference_mode():
        prompt = torch.nn.functional.linear(latents, model.speaker_proj_weight)
        if networks.sizes.has_start:
            prompt = torch.cat([model.bos_before_voice, prompt], dim=1)
        return PocketVoice(BatchedDecoder(networks).remember(prompt).clone())


def mix(parts: Sequence[tuple[PocketVoice, float]]) -> PocketVoice:
    """Return the mean of voices by their weights, which add up to 1. It is as long as the shortest.

    Each voice gives its first position, which the model needs most, and its last ones, because a voice must
    end on a pause. A key depends on its position, so the keys of longer voices are moved.

    A mean of prompts in place of states would sound like two people at once.
    """
    torch.set_num_threads(1)  # for the calling thread only
    length = min(voice.state.shape[3] for voice, _ in parts)
    first = parts[0][0].state
    with torch.inference_mode():
        mean = torch.zeros((*first.shape[:3], length, first.shape[4]))
        for voice, weight in parts:
            extra = voice.state.shape[3] - length
            # Layer by layer, because moving a layer doubles its memory.
            for into, own in zip(mean, voice.state, strict=True):
                into[:, :, :1].add_(own[:, :, :1], alpha=weight)
                into[:1, :, 1:].add_(moved(own[:1, :, extra + 1 :], -extra), alpha=weight)
                into[1:, :, 1:].add_(own[1:, :, extra + 1 :], alpha=weight)
    return PocketVoice(mean)
