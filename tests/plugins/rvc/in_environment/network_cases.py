"""The networks against the library's own way through them, and HuBERT against what its files say."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from plugins.rvc.checkpoint import load_voice
from plugins.rvc.conversion import PlacedNoise
from plugins.rvc.generator import excitation, sound_of
from plugins.rvc.hubert import load_hubert
from plugins.rvc.networks import build_generator
from plugins.rvc.pitch import coarse, praat_pitch
from plugins.rvc.retrieval import NEAREST, Neighbours
from plugins.rvc.rmvpe import Rmvpe, load_rmvpe
from plugins.rvc.voice_rules import VoiceLayout
from speech_engine.model_files import UnusableModel
from tests.plugins.rvc.in_environment.rig import model_folder
from tests.plugins.rvc.tiny import LAYOUTS, layout, voice_file

# isort: split
import numpy as np
import torch
from rvc.lib.infer_pack.models import SineGen
from rvc.lib.rmvpe import E2E
from safetensors.torch import load, load_file, save_file

FRAMES = 120


def upstream(of: VoiceLayout, file: bytes) -> Any:
    network = build_generator(of)
    tensors = {name: value.float() for name, value in load(file).items()}
    found = network.load_state_dict(tensors, strict=False)
    assert not found.unexpected_keys
    assert all(name.startswith("enc_q.") for name in found.missing_keys)
    return network.eval()


def hertz(rows: int) -> Any:
    """A moving pitch with pauses."""
    moments = torch.arange(FRAMES)
    hz = torch.stack([150.0 + 30 * row + 40 * torch.sin(moments / (9 + row)) for row in range(rows)])
    return hz * (moments % 40 > 8)


@pytest.mark.parametrize("which", range(len(LAYOUTS)))
def test_a_voice_sounds_as_the_library_lets_it_sound(which: int, monkeypatch: pytest.MonkeyPatch) -> None:
    of = LAYOUTS[which]
    file = voice_file(of, which)
    features = torch.randn(2, FRAMES, 256 if of.version == "v1" else 768)
    hz = hertz(2)
    pitch = torch.from_numpy(coarse(hz.numpy()))
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    speaker, lengths = torch.zeros(2, dtype=torch.long), torch.full((2,), FRAMES)
    with torch.inference_mode():
        told = (pitch, hz) if of.has_pitch else ()
        wanted = upstream(of, file).infer(features, lengths, *told, speaker)[0][:, 0]
        voice = load_voice(file, "cpu")
        found = sound_of(
            voice.network,
            of,
            features,
            (pitch, hz) if of.has_pitch else None,
            torch.zeros(2, of.channels, FRAMES),
            torch.zeros(2, FRAMES * of.hop),
        )
    print("most apart", float((found - wanted).abs().max()))
    assert wanted.std() > 0.01
    assert (found - wanted).abs().max() < 1e-3


def test_the_source_is_the_librarys_without_its_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    of, hz = layout(), hertz(2)
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    wanted = SineGen(of.rate_hz)(hz, of.hop)[0]
    found = excitation(hz, of, torch.zeros(2, FRAMES * of.hop))
    assert (found - wanted).abs().max() < 1e-3


def test_noise_is_the_same_for_a_place_whatever_is_asked_around_it() -> None:
    noise = PlacedNoise(7, "latent", 3, 100)
    whole = noise.between(-50, 450)
    assert whole.shape == (3, 500)
    assert torch.equal(noise.between(120, 333), whole[:, 170:383])
    assert torch.equal(noise.between(-50, -20), whole[:, :30])
    for other in (PlacedNoise(8, "latent", 3, 100), PlacedNoise(7, "source", 3, 100)):
        assert not torch.equal(other.between(0, 10), whole[:, 50:60])
    assert abs(float(whole.std()) - 1.0) < 0.1


def test_what_is_near_is_found_exactly_and_weighed_by_its_distance() -> None:
    torch.manual_seed(0)
    vectors, asked = torch.randn(300, 16), torch.randn(150, 16)
    asked[0] = vectors[5]  # without any distance
    found = Neighbours(vectors, "cpu").draw(asked, 1.0)
    for row in range(150):
        squared = (vectors.double() - asked[row].double()).square().sum(1)
        near = squared.argsort()[:NEAREST]
        weights = squared[near].clamp(min=1e-9) ** -2
        wanted = (vectors[near] * (weights / weights.sum())[:, None]).sum(0)
        assert torch.allclose(found[row], wanted.float(), atol=1e-4)
    assert torch.allclose(found[0], vectors[5], atol=1e-4)
    half = Neighbours(vectors, "cpu").draw(asked, 0.5)
    assert torch.allclose(half, (found + asked) / 2, atol=1e-5)
    few = Neighbours(vectors[:3], "cpu").draw(asked, 1.0)
    assert torch.isfinite(few).all()


def test_the_pitch_of_a_tone_is_found_and_of_noise_or_a_moment_there_is_none() -> None:
    moments = np.arange(16_000) / 16_000
    for hz in (80.0, 140.0, 440.0):
        tone = sum(np.sin(2 * np.pi * hz * part * moments) / part for part in range(1, 6))
        found = praat_pitch(tone * 0.3)
        assert len(found) == 100
        assert np.median(found[found > 0]) == pytest.approx(hz, rel=0.01)
    assert not praat_pitch(np.zeros(16_000)).any()
    assert praat_pitch(np.zeros(320)).tolist() == [0.0, 0.0]
    assert coarse(np.array([0.0, 50.0, 1100.0, 5000.0])).tolist() == [1, 1, 255, 255]


def test_rmvpe_hears_sounds_together_as_each_alone_and_is_read_from_its_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = E2E(4, 1, (2, 2)).eval()
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, tmp_path / "rmvpe.safetensors")
    rmvpe = load_rmvpe(tmp_path / "rmvpe.safetensors", "cpu")
    sounds = torch.randn(2, 16_000) * 0.1
    with torch.inference_mode():
        together = rmvpe(sounds)
        alone = torch.cat([rmvpe(each[None]) for each in sounds])
    assert together.shape == (2, 100)
    assert torch.allclose(together, alone, rtol=1e-3)
    assert torch.isfinite(together).all()


def test_rmvpes_mean_is_around_the_likeliest_pitch() -> None:
    class Certain(torch.nn.Module):  # type: ignore[misc]
        def forward(self, bands: Any) -> Any:
            likely = torch.zeros(bands.shape[0], bands.shape[2], 360)
            likely[:, :, 200], likely[:, :, 201], likely[:, :, 300] = 0.6, 0.3, 0.5
            likely[:, 10:] = 0.01
            return likely

    rmvpe = Rmvpe()
    rmvpe.network = Certain()
    found = rmvpe(torch.zeros(1, 16_000))[0]
    cents = (200 * 0.6 + 201 * 0.3) / 0.9 * 20.0 + 1997.3794084376191
    assert found[0] == pytest.approx(10 * 2 ** (cents / 1200), rel=1e-4)
    assert not found[10:].any()


def test_hubert_reads_the_names_of_older_files_too(tmp_path: Path) -> None:
    wanted = load_hubert(model_folder(), "cpu")
    shutil.copy(model_folder() / "config.json", tmp_path)
    base = "encoder.pos_conv_embed.conv."
    older = {
        name.replace(f"{base}parametrizations.weight.original0", f"{base}weight_g").replace(
            f"{base}parametrizations.weight.original1", f"{base}weight_v"
        ): value
        for name, value in load_file(model_folder() / "model.safetensors").items()
    }
    assert f"{base}weight_g" in older
    save_file(older, tmp_path / "model.safetensors")
    found, sound = load_hubert(tmp_path, "cpu"), torch.randn(1, 16_000)
    with torch.inference_mode():
        for one, other in zip(wanted(sound), found(sound), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("num_hidden_layers", 10**9, "num_hidden_layers"),
        ("num_hidden_layers", 1, "has more"),
        ("hidden_size", 1024, "hidden_size"),
        ("intermediate_size", 128, "has the shape"),
        ("conv_dim", [10**9] * 7, "conv_dim"),
        ("conv_dim", [32], "conv_dim"),
        ("num_attention_heads", 5, "divided"),
        ("model_type", "wav2vec2", "must be hubert"),
        ("do_stable_layer_norm", True, "another network"),
    ],
)
def test_an_absurd_hubert_is_refused_before_it_is_built(
    tmp_path: Path, name: str, value: object, says: str
) -> None:
    shutil.copy(model_folder() / "model.safetensors", tmp_path)
    config = json.loads((model_folder() / "config.json").read_text()) | {name: value}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnusableModel, match=says):
        load_hubert(tmp_path, "cpu")
