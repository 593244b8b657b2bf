"""A model's files: each way in which they may be wrong is refused with a sentence."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from plugins.audioseal.plugin import AudioSealSettings
from tests.plugins.audioseal.in_environment.rig import model, refusal
from tests.plugins.audioseal.tiny import card

# isort: split
from safetensors.torch import load_file, save_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(model(), tmp_path / "model"))


def refusal_of(folder: Path) -> str:
    return refusal(AudioSealSettings(model_path=str(folder)))


def edit_tensors(file: Path, name: str, value: Any = None) -> None:
    tensors = load_file(file)
    tensors[name] = tensors[name][..., :-1].contiguous() if value is None else value
    save_file(tensors, file)


def test_a_whole_model_is_loaded(folder: Path) -> None:
    assert refusal_of(folder) == ""


def test_no_model_is_refused() -> None:
    assert "names no model" in refusal(AudioSealSettings())


def test_a_model_of_other_sizes_needs_its_card(folder: Path) -> None:
    (folder / "card.json").unlink()
    assert "needs its card.json" in refusal_of(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"causal": False}, "seanet.causal must be True"),
        ({"causal": None}, "seanet.causal must be True"),
        ({"ratios": [8, 5, 4]}, "seanet.ratios must be"),
        ({"n_filters": 10_000}, "seanet.n_filters is 10000"),
        ({"dimension": 9}, "has the shape"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(folder: Path, changes: dict[str, Any], said: str) -> None:
    (folder / "card.json").write_text(json.dumps(card(**changes)))
    assert said in refusal_of(folder)


@pytest.mark.parametrize("name", ["generator.safetensors", "detector.safetensors"])
def test_a_file_that_is_missing_or_no_model_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"not a model")
    assert name in refusal_of(folder)
    (folder / name).unlink()
    assert name in refusal_of(folder)


def test_the_two_files_changed_places(folder: Path) -> None:
    shutil.copy(model() / "generator.safetensors", folder / "detector.safetensors")
    assert "detector.safetensors" in refusal_of(folder)


def test_a_tensor_that_the_check_does_not_know_is_still_compared(folder: Path) -> None:
    edit_tensors(folder / "generator.safetensors", "encoder.model.0.conv.conv.inner_conv.weight")
    assert "generator.safetensors" in refusal_of(folder)
