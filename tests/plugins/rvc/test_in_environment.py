"""Runs the cases that need torch, in the environment that has it."""

from pathlib import Path

import numpy as np
import pytest

from plugins.rvc.model_format import MODEL_FORMAT, read_hubert_sizes
from speech_engine.model_files import FolderContents
from tests.features.models.test_conversion import apart
from tests.plugins.neural import kept_model, run_cases

pytestmark = pytest.mark.slow

CASES = Path(__file__).parent / "in_environment"


def test_the_cases_hold_where_torch_is(tmp_path: Path) -> None:
    run_cases("rvc", CASES, tmp_path, "not soak and not signal")


def test_the_cases_of_the_way_of_a_sound_hold_there(tmp_path: Path) -> None:
    """They are quick, and apart: each fault of the mathematics that is made on purpose runs them."""
    run_cases("rvc", CASES, tmp_path, "signal")


def test_the_file_of_fairseq_has_the_tensors_of_transformers(tmp_path: Path) -> None:
    model, weights = kept_model("rvc", "sources"), MODEL_FORMAT.files[0]
    normed = "encoder.pos_conv_embed.conv."
    older = {
        f"{normed}parametrizations.weight.original{n}": f"{normed}weight_{p}" for n, p in enumerate("gv")
    }
    wanted = apart(model / "model.safetensors", weights)
    found = apart(model / "hubert_base.pt", weights)
    assert found.keys() == {older.get(name, name) for name in wanted}
    assert {(each.dtype) for each in found.values()} == {"F16"}
    assert read_hubert_sizes(FolderContents(MODEL_FORMAT.files, model)).projected == 256
    for name, tensor in wanted.items():
        halves = np.frombuffer(tensor.data, "<f4").astype("<f2").tobytes()
        assert found[older.get(name, name)].data == halves, name
