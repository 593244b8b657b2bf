"""The way of a sound, piece by piece: what of a recording is heard, which features and which pitch its voice
gets, and the noise in it.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from plugins.rvc.checkpoint import RvcVoice
from plugins.rvc.conversion import SIZES, SOURCE_HZ, ConversionOptions, VoiceConversion, hubert_input, moved
from plugins.rvc.generator import BREATH, SINE, excitation
from plugins.rvc.hubert import HUBERT_HZ, load_hubert
from plugins.rvc.loudness import followed
from plugins.rvc.model import WindowFeatures, features_of
from speech_engine import SpeechJob, Trained
from speech_engine.host.windows import WindowCutter
from tests.plugins.rvc.in_environment.rig import recording, running
from tests.plugins.rvc.in_environment.seeing import seen
from tests.plugins.rvc.tiny import TINY_HUBERT, layout, voice_file, write_model

# isort: split
import numpy as np
import torch

pytestmark = pytest.mark.signal

PUBLISHED_LAYERS = 12


def tone(hz: float) -> bytes:
    moments = np.arange(2 * SOURCE_HZ) / SOURCE_HZ
    return bytes((np.sin(2 * np.pi * hz * moments) * 10_000).astype("<i2").tobytes())


@pytest.mark.parametrize(
    ("hz", "least", "most"), [(20.0, 0.0, 0.02), (100.0, 0.95, 1.05), (3000.0, 0.95, 1.05)]
)
def test_what_is_below_speech_is_not_heard_and_speech_as_loud_as_it_is(
    hz: float, least: float, most: float
) -> None:
    sound = hubert_input(tone(hz))
    assert len(sound) == 2 * HUBERT_HZ
    inner = sound[HUBERT_HZ // 2 : -HUBERT_HZ // 2]
    assert least <= inner.std() / (10_000 / 32_768 / np.sqrt(2)) <= most


def _rvcs_levels(sound: Any, rate_hz: int, count: int, out_hz: int) -> Any:
    """Levels as RVC measures them: over a second around each half of one, and a line between them."""
    half = rate_hz // 2
    padded = np.pad(sound.astype(np.float64), half)
    points = [
        np.sqrt(np.mean(padded[at : at + 2 * half] ** 2)) for at in range(0, len(padded) - 2 * half + 1, half)
    ]
    return np.interp(np.arange(count) / out_hz, np.arange(len(points)) * 0.5, points)


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_a_mixed_loudness_is_rvcs(rate: float) -> None:
    random = np.random.default_rng(3)
    heard_sound = random.normal(0, 0.1, 3 * HUBERT_HZ) * np.linspace(1.0, 0.05, 3 * HUBERT_HZ)
    made = random.normal(0, 0.2, 3 * 40_000 - 800)
    levels = (
        _rvcs_levels(sound, hz, len(made), 40_000) for sound, hz in ((heard_sound, HUBERT_HZ), (made, 40_000))
    )
    wanted, own = levels
    expected = made * wanted ** (1 - rate) * np.maximum(own, 1e-6) ** (rate - 1)
    found = followed(torch.from_numpy(made), 40_000, torch.from_numpy(heard_sound), HUBERT_HZ, rate)
    assert np.abs(found.numpy() - expected).max() < 1e-4


def test_version_1_hears_the_ninth_of_twelve_layers_and_version_2_the_last(tmp_path: Path) -> None:
    hubert = load_hubert(write_model(tmp_path, TINY_HUBERT._replace(layers=PUBLISHED_LAYERS)), "cpu")
    sound = torch.randn(1, HUBERT_HZ)
    layers: list[Any] = []
    for layer in hubert.model.encoder.layers:
        layer.register_forward_hook(lambda _layer, _given, made: layers.append(made[0]))
    with torch.inference_mode():
        first, second = hubert(sound)
        assert len(layers) == PUBLISHED_LAYERS
        ninth, last = (each.reshape(second.shape) for each in (layers[8], layers[-1]))
        assert torch.equal(first, hubert.final_proj(ninth))
        assert torch.equal(second, last)


OWN = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
DRAWN = OWN + 10.0
HALF_VOICED = torch.tensor([100.0, 0.0, 0.0, 100.0])


@pytest.mark.parametrize(
    ("protect", "hz", "shares"),
    [
        (0.2, HALF_VOICED, [1.0, 0.2, 0.2, 1.0]),
        (0.0, HALF_VOICED, [1.0, 0.0, 0.0, 1.0]),
        (0.5, HALF_VOICED, [1.0, 1.0, 1.0, 1.0]),
        (0.2, None, [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_what_has_no_pitch_is_drawn_so_much_less(protect: float, hz: Any, shares: list[float]) -> None:
    twice = OWN.repeat_interleave(2, dim=0)
    found = features_of(WindowFeatures(OWN, hz), DRAWN, ConversionOptions(protect=protect))
    assert torch.allclose(found, twice + 10.0 * torch.tensor(shares)[:, None])
    assert torch.equal(features_of(WindowFeatures(OWN, hz), None, ConversionOptions(protect=protect)), twice)


def voiced_frames(pcm: bytes) -> Any:
    """Return for each hundredth of a second whether a conversion found a pitch there."""
    voice = RvcVoice(None, layout(), None)
    job = SpeechJob(id="", tenant="", model="", voice=Trained(""), segments=(), language="*")
    conversion = VoiceConversion(job, voice, ConversionOptions())
    cutter, found = WindowCutter(SIZES), []
    for window in cutter.feed(pcm) + cutter.finish():
        first, last = ((each - window.begin) * 100 // SOURCE_HZ for each in (window.start, window.end))
        found.append(conversion.prepare(window).hz[first:last] > 0)
    return torch.cat(found)


def test_a_hum_in_a_pause_has_no_pitch_also_where_a_window_has_nothing_else() -> None:
    moments = np.arange(9 * SOURCE_HZ) / SOURCE_HZ
    pause = (moments < 3) | (moments > 6)
    speech = np.where(
        pause, 0.0, sum(np.sin(2 * np.pi * 140 * part * moments) / part for part in range(1, 9))
    )
    # At the beginning it is not known how loud the recording is: a hum must be quieter there.
    hum = np.sin(2 * np.pi * 100 * moments) * np.where(moments > 6, 0.004, 0.001)
    voiced = voiced_frames(bytes(((speech * 0.2 + hum) * 32_767).astype("<i2").tobytes()))
    assert voiced[310:590].float().mean() > 0.95
    assert not voiced[:290].any()
    assert not voiced[610:890].any()


def test_a_quiet_recording_has_the_pitch_of_a_loud_one() -> None:
    loud = np.frombuffer(recording(2.0, pauses=False), "<i2")
    quiet = bytes((loud // 16).astype("<i2").tobytes())
    assert voiced_frames(quiet).float().mean() > 0.9
    assert voiced_frames(loud.tobytes()).float().mean() > 0.9


def test_twelve_semitones_are_an_octave_up_and_less_than_none_are_down() -> None:
    hz = torch.tensor([0.0, 100.0])
    assert moved(hz, 12.0).tolist() == [0.0, 200.0]
    assert moved(hz, -12.0).tolist() == [0.0, 50.0]


def test_the_network_gets_the_pitch_that_the_client_wishes() -> None:
    found: list[float] = []

    def see(module: Any, given: Any) -> None:
        if type(module).__name__.startswith("TextEncoder"):
            voiced = given[1][given[1] > 1].float()
            found.append(float(voiced.median()))

    async def run() -> None:
        async with running() as rig:
            voice, pcm = rig.bring(voice_file(layout())), recording(0.8)
            with seen(see):
                for pitch in (-12.0, 0.0, 12.0):
                    await rig.convert(voice, pcm, pitch=pitch)

    asyncio.run(run())
    assert found == sorted(set(found))
    assert len(found) == 3


def test_for_a_voice_without_pitch_no_noise_of_a_source_is_drawn() -> None:
    job = SpeechJob(id="", tenant="", model="", voice=Trained(""), segments=(), language="*")
    for has_pitch in (True, False):
        voice = RvcVoice(None, layout(has_pitch=has_pitch), None)
        (window,) = (cutter := WindowCutter(SIZES)).feed(tone(200.0)[:SOURCE_HZ]) + cutter.finish()
        prepared = VoiceConversion(job, voice, ConversionOptions()).prepare(window)
        assert (prepared.source is not None) == has_pitch
        assert (prepared.hz is not None) == has_pitch


def test_a_voiced_frame_has_a_little_noise_and_one_without_pitch_is_nothing_else() -> None:
    of, hz = layout(), torch.tensor([[150.0, 0.0]])
    ones, none = torch.ones(1, 2 * of.hop), torch.zeros(1, 2 * of.hop)
    noisy, clean = (excitation(hz, of, noise)[0, :, 0] for noise in (ones, none))
    assert torch.allclose(noisy[: of.hop] - clean[: of.hop], torch.tensor(BREATH), atol=1e-6)
    assert torch.allclose(noisy[of.hop :], torch.tensor(SINE / 3))
    assert not clean[of.hop :].any()
    assert clean[: of.hop].abs().max() == pytest.approx(SINE, rel=0.01)
