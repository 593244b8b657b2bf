"""A model's files: each way in which they may be wrong is refused with a sentence."""

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
from safetensors.torch import load_file, save_file


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
