"""The codec in pieces: it turns latents into sound as they come, and a recording into latents.

The convolutions keep their state in the package's form. The transformers keep only the positions of their
context, while the package keeps all positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from pocket_tts.modules.stateful_module import init_states

from plugins.pocket.attention import RecentPast, pass_through
from plugins.pocket.networks import Networks
from plugins.pocket.sizes import FRAME, RATE_HZ

_FADE: Final = RATE_HZ // 200
"""A new stream begins with a step that clicks."""
_LOUDEST: Final = 32767
_PIECE: Final = 12
"""The frames of a recording that are encoded at once: about a second."""


class SoundStream:
    """Turns the latents of one chunk of a text into sound, as they come."""

    def __init__(self, networks: Networks) -> None:
        self._model = networks.language_model
        self._codec = networks.codec
        self._states = init_states(self._codec, batch_size=1, sequence_length=0)
        side = networks.sizes.decoder
        self._past = RecentPast(side.layers, side.context)

    def next_piece(self, latents: Sequence[Any]) -> Any:
        """Return the samples of the latents that follow: floats, FRAME for each."""
        codec, begins = self._codec, self._past.length == 0
        x = torch.stack(list(latents))[None] * self._model.emb_std + self._model.emb_mean
        x = codec.upsample(codec.quantizer(x.transpose(-1, -2)), self._states)
        x = pass_through(codec.decoder_transformer.transformer.layers, x.transpose(1, 2), [self._past])
        sound = codec.decoder(x.transpose(1, 2), self._states)[0, 0]
        if begins:
            sound[:_FADE] *= torch.linspace(0, 1, _FADE)
        return sound


def latents_of(networks: Networks, sound: Any, tick: Callable[[], None]) -> Any:
    """Return the latents of a recording, (1, frames, width): floats from -1 to 1 go in."""
    codec, side = networks.codec, networks.sizes.encoder
    states = init_states(codec, batch_size=1, sequence_length=0)
    past = RecentPast(side.layers, side.context)
    whole = torch.nn.functional.pad(sound, (0, -len(sound) % FRAME))[None, None]
    made = []
    with torch.inference_mode():
        for piece in torch.split(whole, _PIECE * FRAME, dim=2):
            x = codec.encoder(piece, states)
            layers = codec.encoder_transformer.transformer.layers
            x = pass_through(layers, x.transpose(1, 2), [past])
            made.append(codec.downsample(x.transpose(1, 2), states).transpose(-1, -2))
            tick()
        return torch.cat(made, dim=1)


def pcm_of(samples: Any) -> bytes:
    whole = (samples.clamp(-1.0, 1.0) * _LOUDEST).round().to(torch.int16)
    pcm: bytes = whole.numpy().astype("<i2").tobytes()
    return pcm
