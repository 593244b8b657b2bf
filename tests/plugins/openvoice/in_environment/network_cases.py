"""Both networks beside upstream's code."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.openvoice.conversion import DECODER_FRAMES
from plugins.openvoice.layers import PUBLISHED, OpenVoiceSizes
from plugins.openvoice.model_format import HOP
from plugins.openvoice.networks import Stretch
from plugins.openvoice.sound import spectrum_of
from tests.plugins.openvoice.in_environment.rig import networks_of
from tests.plugins.openvoice.tiny import TINY

MOST = 1e-5
TAU = 0.3


@pytest.mark.parametrize("sizes", [TINY, PUBLISHED], ids=lambda sizes: sizes.name)
def test_both_networks_do_as_upstreams(sizes: OpenVoiceSizes, upstream: Path) -> None:
    told, networks = np.load(upstream / sizes.name / "upstream.npz"), networks_of(sizes)
    spectrum = spectrum_of(told["sound"])
    frames = spectrum.shape[1]
    apart = np.abs(spectrum - told["spectrum"]).max() / told["spectrum"].max()
    voice = np.abs(networks.embed(told["sound"]) - told["voice"]).max()

    def converted(source: Any, target: Any, tau: float = TAU, first: int = 0, end: int = frames) -> Any:
        stretch = Stretch(spectrum, told["noise"] * np.float32(tau), source, target, first, end)
        return networks.convert([stretch])[0]

    whole = converted(told["voice"], told["target"])
    sound = np.abs(whole - told["converted"]).max()
    print(f"{sizes.name}: spectrum {apart:.1e}, voice {voice:.1e}, sound {sound:.1e}")
    assert max(apart, voice, sound) <= MOST
    # Each of the inputs has a part in the sound.
    for other in (
        converted(told["target"], told["target"]),
        converted(told["voice"], told["voice"]),
        converted(told["voice"], told["target"], 0.0),
    ):
        assert np.abs(other - whole).max() > 0.1
    # The decoder hears no farther than it is told.
    part = converted(told["voice"], told["target"], first=30, end=100)[
        DECODER_FRAMES * HOP : -DECODER_FRAMES * HOP
    ]
    begin = (30 + DECODER_FRAMES) * HOP
    assert np.abs(part - whole[begin : begin + len(part)]).max() <= MOST


def test_rows_of_different_voices_sound_as_alone() -> None:
    networks = networks_of(PUBLISHED)
    draw = np.random.default_rng(0).standard_normal
    width, voice = PUBLISHED.width, PUBLISHED.voice
    rows = [
        Stretch(
            np.abs(draw((513, 40), np.float32)),
            draw((width, 40), np.float32),
            draw(voice, np.float32),
            draw(voice, np.float32),
            0,
            40,
        )
        for _ in range(3)
    ]
    together = networks.convert(rows)
    alone = [networks.convert([row])[0] for row in rows]
    apart = max(float(np.abs(one - other).max()) for one, other in zip(together, alone, strict=True))
    print(f"in company {apart:.1e}")
    assert apart <= MOST
    assert np.abs(alone[0] - alone[1]).max() > 0.1
