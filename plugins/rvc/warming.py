"""What a card computes before the first client comes: windows of noise with a voice of random numbers, as
large as usual ones. So the first client waits for nothing, and what steps take is known.
"""

from __future__ import annotations

from typing import Any, Final

import torch

from plugins.rvc.checkpoint import RvcVoice
from plugins.rvc.conversion import GIVEN_HZ, SIZES, VoiceConversion, Wishes
from plugins.rvc.generator import take_excitation
from plugins.rvc.model import RvcRow
from plugins.rvc.networks import Layout, build_generator, fold_weight_norms
from speech_engine.host.windows import SoundWindow
from speech_engine.values import SpeechJob, Trained

USUAL: Final = Layout(
    "v2",
    True,
    40_000,
    (
        *(1025, 32, 192, 192, 768, 2, 6, 3, 0, "1", [3, 7, 11], [[1, 3, 5], [1, 3, 5], [1, 3, 5]]),
        *([10, 10, 2, 2], 512, [16, 16, 4, 4], 109, 256, 40_000),
    ),
)
"""What most voices are: version 2, with pitch, at 40 kHz."""

_STEPS = 20


def rows_to_warm_up(weight: int, device: str, precision: str, methods: tuple[str, ...]) -> list[RvcRow]:
    """Return rows of so many seconds together. The model thread calls it."""
    network: Any = build_generator(USUAL)
    fold_weight_norms(network)
    take_excitation(network)
    network.eval().requires_grad_(False).to(device=device, dtype=getattr(torch, precision))
    job = SpeechJob(id="", tenant="", model="", voice=Trained(""), segments=(), language="", seed=0)
    conversion = VoiceConversion(job, RvcVoice(network, USUAL, None), Wishes(f0_method=methods[0]))
    length = SIZES.lengths[-1]
    noise = torch.randint(-3000, 3000, (length,), dtype=torch.int16).numpy().tobytes()
    window = SoundWindow(0, noise, -SIZES.context, 0, SIZES.usual, is_last=True)
    prepared = conversion.prepare(window)
    count = max(1, round(weight / (length / GIVEN_HZ)))
    return [RvcRow(conversion.voice, prepared, _STEPS) for _ in range(count)]
