"""A model's files: each way in which they may be wrong is refused with a sentence."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.f5tts.checkpoint import load_checkpoint
from plugins.f5tts.flow import BatchedFlow
from speech_engine.model_files import UnusableModel
from tests.plugins.f5tts.in_environment.rig import TEXTS, load_rig, rig

# isort: split
import torch
from safetensors.torch import load_file, save_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(rig().folder, tmp_path / "model"))


def _refusal(folder: Path, version: str = "v1") -> str:
    with pytest.raises(UnusableModel) as refused:
        load_checkpoint(folder, version, "float32", "cpu", lambda _part, _what: None)
    return str(refused.value)


def _edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


def test_a_whole_model_is_read_in_evaluation_mode(folder: Path) -> None:
    heard: list[tuple[float, str]] = []
    found = load_checkpoint(folder, "v1", "float32", "cpu", lambda part, what: heard.append((part, what)))
    assert not any(module.training for module in found.network.modules())
    assert not any(module.training for module in found.vocoder.modules())
    assert [part for part, _ in heard] == sorted(part for part, _ in heard)


@pytest.mark.parametrize("name", ["model.safetensors", "vocos.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.99999])
def test_a_file_that_was_cut_off_is_refused(folder: Path, name: str, share: float) -> None:
    file = folder / name
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    assert name in _refusal(folder)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("model.safetensors", "transformer.transformer_blocks.1.ff.ff.2.weight"),
        ("model.safetensors", "transformer.input_embed.conv_pos_embed.conv1d.2.bias"),
        ("vocos.safetensors", "backbone.final_layer_norm.weight"),
    ],
)
def test_a_missing_tensor_and_one_too_many_are_named(folder: Path, name: str, tensor: str) -> None:
    _edit(folder / name, lambda tensors: tensors.pop(tensor))
    assert tensor.removeprefix("transformer.") in _refusal(folder)
    _edit(folder / name, lambda tensors: tensors.update({tensor: torch.ones(3)}))
    assert tensor.removeprefix("transformer.") in _refusal(folder)


def test_a_network_with_norms_is_none_of_the_older_version(folder: Path) -> None:
    def give_norms(tensors: dict[str, Any]) -> None:
        for layer in range(2):
            for part in "qk":
                name = f"transformer.transformer_blocks.{layer}.attn.{part}_norm.weight"
                tensors[name] = torch.ones(32)

    _edit(folder / "model.safetensors", give_norms)
    assert 'set version = "v1"' in _refusal(folder, "v0")
    assert load_checkpoint(folder, "v1", "float32", "cpu", lambda _part, _what: None).sizes.has_norms


def test_in_few_bits_a_row_is_near_to_itself_in_full() -> None:
    full = rig()
    checkpoint = load_checkpoint(full.folder, "v1", "bfloat16", "cpu", lambda _part, _what: None)
    rows = [
        full.join(BatchedFlow(each, 2.0), 0, TEXTS[0], 500, 7, 1) for each in (full.checkpoint, checkpoint)
    ]
    for row, each in zip(rows, (full.checkpoint, checkpoint), strict=True):
        flow = BatchedFlow(each, 2.0)
        while not row.is_over:
            flow.step([row])
    found, wanted = (row.spectrogram(300) for row in rows[::-1])
    assert float((found - wanted).norm() / wanted.norm()) < 0.1


def test_a_model_that_was_loaded_twice_is_the_same(folder: Path) -> None:
    one, other = load_rig(folder).checkpoint, rig().checkpoint
    assert one.sizes == other.sizes
    assert one.vocabulary == other.vocabulary
