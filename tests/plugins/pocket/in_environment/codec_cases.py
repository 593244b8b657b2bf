"""Sound in pieces is the whole's, with a short past as with all of it; and what is heard of a recording."""

import pytest
import torch
from pocket_tts.modules.stateful_module import increment_steps, init_states

from plugins.pocket.codec import SoundStream
from plugins.pocket.sizes import FRAME, POSITIONS, RATE_HZ, PocketSizes
from plugins.pocket.voices import make_voice
from speech_engine.errors import UnusableSample
from tests.plugins.pocket.in_environment.rig import SIZES, package, pieces, recording, rig
from tests.plugins.pocket.tiny import TINY

# isort: split
import numpy as np

MOST = 1e-5


def _latents(count: int) -> list[torch.Tensor]:
    return list(torch.randn((count, 32), generator=torch.Generator().manual_seed(count)))


def _whole(sizes: PocketSizes, latents: list[torch.Tensor], each: int) -> torch.Tensor:
    """The package's sound, with all of the past: so many frames a call."""
    networks = rig(sizes).networks
    model, codec = networks.language_model, networks.codec
    state = init_states(codec, batch_size=1, sequence_length=len(latents) * POSITIONS)
    made = []
    with torch.inference_mode():
        for own in pieces(latents, [each] * (len(latents) // each)):
            scaled = torch.stack(own)[None] * model.emb_std + model.emb_mean
            made.append(codec.decode_from_latent(scaled, state)[0, 0])
            increment_steps(codec, state, increment=POSITIONS * each)
    whole = torch.cat(made)
    whole[: RATE_HZ // 200] *= torch.linspace(0, 1, RATE_HZ // 200)
    return whole


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: sizes.name)
@pytest.mark.parametrize(
    "cut",
    [[1, 5, 2, 8, 3, 5], *(pytest.param(cut, marks=pytest.mark.soak) for cut in ([1] * 24, [8, 8, 8], [24]))],
)
def test_a_short_past_gives_the_sound_of_the_whole(sizes: PocketSizes, cut: list[int]) -> None:
    # Far more than the forty positions that are heard.
    latents = _latents(24)
    stream = SoundStream(rig(sizes).networks)
    with torch.inference_mode():
        ours = torch.cat([stream.next_piece(each) for each in pieces(latents, cut)])
    theirs = _whole(sizes, latents, 1)
    assert ours.shape == theirs.shape == (24 * FRAME,)
    assert float((ours - theirs).abs().max()) <= MOST
    assert float(theirs.abs().max()) > 0.01


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: sizes.name)
@pytest.mark.parametrize(
    "seconds", [2.0, *(pytest.param(each, marks=pytest.mark.soak) for each in (0.7, 5.3))]
)
def test_a_voice_in_pieces_is_the_packages(sizes: PocketSizes, seconds: float) -> None:
    pcm = recording(1, seconds)
    sound = torch.from_numpy(np.frombuffer(pcm, "<i2").astype(np.float32) / 32768)
    theirs = package(sizes).get_state_for_audio_prompt(sound[None])
    ticks: list[None] = []
    ours = make_voice(rig(sizes).networks, [pcm], lambda: ticks.append(None)).state
    for layer in range(sizes.layers):
        cache = theirs[f"transformer.layers.{layer}.self_attn"]["cache"]
        assert float((ours[layer] - cache[:, 0].transpose(1, 2)).abs().max()) <= MOST
    assert len(ticks) >= int(seconds)


def test_a_long_recording_is_cut_and_several_are_heard_one_after_the_other() -> None:
    networks = rig().networks
    long = make_voice(networks, [recording(1, 12.0), recording(2, 12.0)]).state
    # 20 s, 80 ms of a pause, and what stands before a voice.
    assert long.shape[3] == 20 * 25 // 2 + 1 + 1
    assert make_voice(networks, [recording(1, 2.0)]).nbytes == 2 * 2 * 2 * (25 + 1 + 1) * 64 * 4


@pytest.mark.parametrize("pcm", [b"", recording(1, 0.4), bytes(2 * RATE_HZ)])
def test_too_little_of_a_voice_is_refused(pcm: bytes) -> None:
    with pytest.raises(UnusableSample, match=r"shorter|silent"):
        make_voice(rig(TINY).networks, [pcm])
