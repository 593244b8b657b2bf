"""A model's files: each way in which they may be wrong is refused with a sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.xtts.checkpoint import load_checkpoint
from speech_engine.model_files import UnusableModel
from tests.plugins.xtts.in_environment.rig import rig

# isort: split
import torch
from safetensors.torch import load_file, save_file

_NORMED = "parametrizations.weight.original1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(rig().folder, tmp_path / "model"))


def _refusal(folder: Path) -> str:
    with pytest.raises(UnusableModel) as refused:
        load_checkpoint(folder, "cpu", lambda _part, _what: None)
    return str(refused.value)


def _edit(file: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def _edit_tensors(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_a_whole_model_is_read_in_evaluation_mode(folder: Path) -> None:
    heard: list[tuple[float, str]] = []
    found = load_checkpoint(folder, "cpu", lambda part, what: heard.append((part, what)))
    assert not any(module.training for module in found.gpt.modules())
    assert not any(module.training for module in found.decoder.modules())
    assert [part for part, _ in heard] == sorted(part for part, _ in heard)
    assert "en" in found.languages


def test_the_vocabulary_of_another_model_is_refused(folder: Path) -> None:
    shutil.copy(rig(is_thai=True).folder / "vocab.json", folder / "vocab.json")
    assert "gpt.text_embedding.weight has the shape" in _refusal(folder)


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.1, 0.9, 0.99999])
def test_a_file_that_was_cut_off_is_refused(folder: Path, share: float) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    assert "model.safetensors" in _refusal(folder)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("gpt_layers", 10**9, "gpt_layers"),
        ("gpt_layers", 1, "has more"),
        ("gpt_layers", 3, "no tensor gpt.gpt.h.2"),
        ("gpt_n_model_channels", -64, "gpt_n_model_channels"),
        ("gpt_n_model_channels", 128, "has the shape"),
        ("gpt_n_heads", 3, "divided"),
        ("gpt_n_heads", "2", "gpt_n_heads"),
        ("gpt_max_audio_tokens", 10**7, "gpt_max_audio_tokens"),
        ("gpt_max_audio_tokens", 1e400, "gpt_max_audio_tokens"),
        ("gpt_stop_audio_token", 66, "gpt_stop_audio_token"),
        ("output_sample_rate", 48000, "output_sample_rate"),
        ("gpt_use_perceiver_resampler", False, "version 1"),
    ],
)
def test_an_absurd_configuration_is_refused(folder: Path, name: str, value: object, says: str) -> None:
    _edit(folder / "config.json", lambda config: config["model_args"].update({name: value}))
    assert says in _refusal(folder)


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", 0), ("top_k", "many"), ("top_p", 2), ("gpt_cond_len", -1)]
)
def test_an_absurd_way_of_drawing_is_refused(folder: Path, name: str, value: object) -> None:
    _edit(folder / "config.json", lambda config: config.update({name: value}))
    assert name in _refusal(folder)


def test_a_missing_tensor_is_named(folder: Path) -> None:
    _edit_tensors(folder, lambda tensors: tensors.pop("hifigan_decoder.waveform_decoder.conv_post.weight"))
    assert "waveform_decoder.conv_post.weight" in _refusal(folder)


def test_a_tensor_too_many_is_named(folder: Path) -> None:
    _edit_tensors(folder, lambda tensors: tensors.update({"gpt.unheard_of": tensors["mel_stats"].clone()}))
    assert "unheard_of" in _refusal(folder)


def _processor(number: int) -> dict[str, Any]:
    """A part of a vocabulary that puts a token of this number before every text."""
    own = [{"SpecialToken": {"id": "[X]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    tokens = {"[X]": {"id": "[X]", "ids": [number], "tokens": ["[X]"]}}
    pair = [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]
    return {"type": "TemplateProcessing", "single": own, "pair": pair, "special_tokens": tokens}


_SPLIT = {"type": "Split", "pattern": {"Regex": "(a+)+$x"}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    ("part", "value", "says"),
    [
        (
            "post_processor",
            _processor(999_999),
            "its post_processor must not be there; it is 'TemplateProcessing'",
        ),
        ("pre_tokenizer", _SPLIT, "its pre_tokenizer must be Whitespace or"),
        ("pre_tokenizer", {"type": "Sequence", "pretokenizers": [_SPLIT]}, "it is 'Split'"),
        (
            "normalizer",
            {"type": "Replace", "pattern": {"Regex": "(a|a)+b"}, "content": ""},
            "it is 'Replace'",
        ),
        ("normalizer", {"type": "Sequence", "normalizers": [7]}, "it is '7'"),
        ("padding", {"strategy": {"Fixed": 10**9}, "pad_id": 0}, "its padding must not be there"),
        ("truncation", {"max_length": 3}, "its truncation must not"),
    ],
)
def test_a_vocabulary_that_does_other_things_with_a_text_is_refused(
    folder: Path, part: str, value: object, says: str
) -> None:
    _edit(folder / "vocab.json", lambda vocabulary: vocabulary.update({part: value}))
    assert says in _refusal(folder)


@pytest.mark.parametrize("change", [{"type": "WordPiece"}, {"dropout": 0.5}])
def test_a_vocabulary_of_another_kind_is_refused(folder: Path, change: dict[str, object]) -> None:
    _edit(folder / "vocab.json", lambda vocabulary: vocabulary["model"].update(change))
    assert "its model must be BPE, without dropout" in _refusal(folder)


_VOCODER = "hifigan_decoder.waveform_decoder."
_ENCODER = "hifigan_decoder.speaker_encoder."


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        # Without numbers, so a file of three megabytes could ask for any amount of memory.
        (f"{_ENCODER}layer1.0.conv1.weight", (60_000, 0, 3, 3), "layer1.0.conv1.weight is empty"),
        (f"{_VOCODER}resblocks.0.convs1.0.{_NORMED}", (0, 1, 2**40), f"convs1.0.{_NORMED} is empty"),
        # Widths that a network has squared.
        (f"{_VOCODER}conv_pre.weight", (4096, 64, 7), "conv_pre.weight has channels: 4096; 16 to 2048"),
        (f"{_VOCODER}conv_pre.weight", (64, 64, 7), "cond_layer.weight has the shape"),
        (f"{_VOCODER}ups.1.{_NORMED}", (16, 9, 16), f"ups.1.{_NORMED} has the shape"),
        (f"{_VOCODER}resblocks.0.convs1.0.{_NORMED}", (16, 16, 33), "resblocks.0. has numbers: 33; 1 to 31"),
        (f"{_VOCODER}resblocks.3.convs2.2.{_NORMED}", (2, 2, 5), f"convs2.2.{_NORMED} has the shape"),
        (f"{_VOCODER}resblocks.999.x", (1,), "its vocoder has kernels: 250; 1 to 8"),
        (f"{_ENCODER}layer2.0.conv1.weight", (1025, 8, 3, 3), "has filters: 1025; 1 to 1024"),
        (f"{_ENCODER}layer4.999.x", (1,), "layer4. has blocks: 1000; 1 to 32"),
        (f"{_ENCODER}layer4.1.x", (1,), "no tensor hifigan_decoder.speaker_encoder.layer4.1.conv1"),
        (f"{_ENCODER}fc.weight", (512, 128), "fc.weight has the shape"),
        ("gpt.gpt.h.1.mlp.c_fc.weight", (64, 1), "c_fc.weight has the shape"),
    ],
)
def test_shapes_that_would_take_absurd_memory_are_refused(
    folder: Path, name: str, shape: tuple[int, ...], says: str
) -> None:
    _edit_tensors(folder, lambda tensors: tensors.update({name: torch.zeros(shape)}))
    assert says in _refusal(folder)


def test_languages_that_the_vocabulary_does_not_know_are_not_offered(folder: Path) -> None:
    _edit(folder / "config.json", lambda config: config["languages"].append("th"))
    assert "th" not in load_checkpoint(folder, "cpu", lambda _part, _what: None).languages


def test_a_configuration_without_a_known_language_is_refused(folder: Path) -> None:
    _edit(folder / "config.json", lambda config: config.update(languages=["th", "yo"]))
    assert "knows none of the languages" in _refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "vocab.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert name in _refusal(folder)


@pytest.mark.parametrize("content", ["[]", '{"model": {"vocab": {"a": -1}}}', '{"model": 3}', "{"])
def test_a_vocabulary_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / "vocab.json").write_text(content)
    assert "vocab.json" in _refusal(folder)
