"""Sound in pieces equals the whole, and the whole is upstream's."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.xtts.model_format import CONTEXT_FRAMES, FIRST_CODES, HOP, NEXT_CODES
from plugins.xtts.vocoder import SoundWindow, pcm_of
from tests.plugins.xtts.in_environment.decoding_cases import A_TEXT
from tests.plugins.xtts.in_environment.rig import TEXTS, rig, upstream

# isort: split
import numpy as np
import torch
from torch.nn.utils.parametrize import is_parametrized
from TTS.tts.layers.xtts.hifigan_decoder import HifiDecoder

MOST_LSB = 2


def samples(pcm: bytes) -> Any:
    return np.frombuffer(pcm, "<i2").astype(np.int32)


def whole_sound(latents: Any, speaker: Any) -> bytes:
    with torch.inference_mode():
        return pcm_of(rig().checkpoint.decoder(latents.unsqueeze(0), g=speaker)[0, 0])


def sound_in_pieces(latents: Any, speaker: Any, ends: list[int]) -> list[bytes]:
    window, network = SoundWindow(), rig().checkpoint.decoder.waveform_decoder
    with torch.inference_mode():
        pieces = [pcm_of(window.next_piece(network, latents[:end], speaker, False)) for end in ends]
        return [*pieces, pcm_of(window.next_piece(network, latents, speaker, True))]


pieces = given(
    count=st.integers(1, 120), ends=st.lists(st.integers(1, 119), max_size=6), seed=st.integers(0, 99)
)


@settings(max_examples=4, deadline=None, derandomize=True)
@pieces
def test_sound_in_pieces_equals_the_whole(count: int, ends: list[int], seed: int) -> None:
    _expect_the_whole(count, ends, seed)


@pytest.mark.soak
@settings(max_examples=40, deadline=None, derandomize=True)
@pieces
def test_sound_in_many_pieces_equals_the_whole(count: int, ends: list[int], seed: int) -> None:
    _expect_the_whole(count, ends, seed)


def _expect_the_whole(count: int, ends: list[int], seed: int) -> None:
    latents = torch.randn((count, 64), generator=torch.Generator().manual_seed(seed))
    speaker = rig().voices[0].speaker
    made_of = sound_in_pieces(latents, speaker, sorted(end for end in ends if end < count))
    whole = samples(whole_sound(latents, speaker))
    made = samples(b"".join(made_of))
    assert made.shape == whole.shape
    assert np.abs(made - whole).max() <= MOST_LSB


def test_a_network_with_the_published_kernels_hears_no_further_than_a_window_reaches() -> None:
    torch.manual_seed(0)
    network = HifiDecoder(
        decoder_input_dim=64,
        resblock_kernel_sizes_decoder=[3, 7, 11],
        resblock_dilation_sizes_decoder=[[1, 3, 5]] * 3,
        upsample_initial_channel_decoder=64,
    ).waveform_decoder.eval()
    with torch.inference_mode():
        for module in network.modules():
            if is_parametrized(module, "weight"):
                module.parametrizations.weight.original0.mul_(3)  # loud, as after training
        frames = torch.randn((1, 64, 61))
        speaker = torch.zeros((1, 512, 1))
        plain = network(frames, g=speaker)[0, 0]
        for away in (-CONTEXT_FRAMES - 1, CONTEXT_FRAMES + 1):
            other = frames.clone()
            other[:, :, 30 + away] += 1.0
            changed = network(other, g=speaker)[0, 0]
            assert torch.equal(changed[30 * HOP : 31 * HOP], plain[30 * HOP : 31 * HOP]), away


def test_the_first_piece_comes_early_and_each_has_something() -> None:
    latents = torch.randn((70, 64), generator=torch.Generator().manual_seed(1))
    window = SoundWindow()
    network = rig().checkpoint.decoder.waveform_decoder
    heard = []
    for count in range(1, 71):
        if window.is_due(count):
            with torch.inference_mode():
                piece = window.next_piece(network, latents[:count], rig().voices[0].speaker, False)
            heard.append((count, len(piece)))
    assert [count for count, _ in heard] == [FIRST_CODES, *range(FIRST_CODES + NEXT_CODES, 71, NEXT_CODES)]
    assert all(length > 0 for _, length in heard)


@pytest.mark.parametrize("text", A_TEXT)
def test_the_sound_of_the_same_codes_is_upstreams(text: int) -> None:
    model, tiny = upstream(), rig()
    voice = tiny.voices[text]
    row = tiny.alone(tiny.decoder(), text, seed=11)
    own = model.gpt.generate
    model.gpt.generate = lambda **_more: torch.tensor([row.codes])
    try:
        theirs = model.inference(TEXTS[text], "en", voice.latents, voice.speaker)["wav"]
    finally:
        model.gpt.generate = own
    latents = torch.stack(row.latents)
    ours = samples(b"".join(sound_in_pieces(latents, voice.speaker, list(range(10, len(latents), 20)))))
    expected = samples(pcm_of(torch.from_numpy(theirs)))
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() <= MOST_LSB
    assert np.abs(expected).max() > 1000
