"""Turn features and pitch into sound, for many rows at once.

All random numbers come from the caller, so each row sounds the same in any company.
"""

from __future__ import annotations

from math import tau
from typing import Any

import torch

from plugins.rvc.voice_rules import VoiceLayout

SINE, BREATH = 0.1, 0.003
"""The amplitude of the sine and of the noise in a voiced frame. Other frames have only noise."""
_SPREAD = 0.66666
"""The spread of the hidden sounds around their mean."""


# torch is not installed where types are checked.
class _GivenSource(torch.nn.Module):  # type: ignore[misc]
    """Replaces the part of the network that makes sine and noise from a pitch. Here the caller makes them."""

    def __init__(self, linear: Any) -> None:
        super().__init__()
        self.l_linear = linear

    def forward(self, excitation: Any, _samples_a_frame: int) -> tuple[Any, None, None]:
        return torch.tanh(self.l_linear(excitation)), None, None


def take_excitation(network: Any) -> None:
    """Let a network take the output of `excitation` in place of a pitch."""
    network.dec.m_source = _GivenSource(network.dec.m_source.l_linear)


def excitation(hz: Any, layout: VoiceLayout, noise: Any) -> Any:
    """Return the source of a voice (rows, samples, 1): a sine with the pitch (rows, frames), and noise.

    `noise` has normal numbers (rows, samples). The phase is added up in float64, so that it does not drift.
    """
    rows, frames = hz.shape
    turns = hz.double() / layout.rate_hz
    begins = (turns * layout.hop).cumsum(1) - turns * layout.hop
    within = torch.arange(1, layout.hop + 1, device=hz.device)
    phase = ((begins % 1.0)[..., None] + turns[..., None] * within) % 1.0
    voiced = (hz > 0)[..., None].float()
    sine = torch.sin(phase.float() * tau) * SINE
    loudness = voiced * BREATH + (1.0 - voiced) * (SINE / 3)
    return (sine * voiced + loudness * noise.view(rows, frames, layout.hop)).view(rows, -1, 1)


def sound_of(
    network: Any, layout: VoiceLayout, features: Any, pitch: tuple[Any, Any] | None, latent: Any, source: Any
) -> Any:
    """Return the sound (rows, samples) of features (rows, frames, width).

    `pitch` is coarse and in Hz, each (rows, frames), or None. `latent` is the noise of the hidden sound
    (rows, channels, frames). `source` is the noise of the excitation (rows, samples), if there is a pitch.
    """
    rows, frames = features.shape[:2]
    dtype, device = features.dtype, features.device
    speaker = network.emb_g(torch.zeros(rows, dtype=torch.long, device=device)).unsqueeze(-1)
    lengths = torch.full((rows,), frames, device=device)
    coarse = None if pitch is None else pitch[0]
    mean, spread, mask = network.enc_p(features, coarse, lengths)
    hidden = (mean + torch.exp(spread) * latent.to(dtype) * _SPREAD) * mask
    hidden = network.flow(hidden, mask, g=speaker, reverse=True) * mask
    if pitch is None:
        made = network.dec(hidden, g=speaker)
    else:
        made = network.dec(hidden, excitation(pitch[1], layout, source).to(dtype), g=speaker)
    return made[:, 0].float()
