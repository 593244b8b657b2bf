"""Runs the cases that need torch, in the environment that has it."""

from pathlib import Path

import pytest

from plugins.xtts.model_format import MODEL_FORMAT
from tests.features.models.test_conversion import apart
from tests.plugins.neural import kept_model, run_cases

pytestmark = pytest.mark.slow

CASES = Path(__file__).parent / "in_environment"


def test_the_cases_hold_where_torch_is(tmp_path: Path) -> None:
    run_cases("xtts", CASES, tmp_path)


def test_a_checkpoint_that_coqui_pickled_with_its_configuration_is_read() -> None:
    model = kept_model("xtts", "pickled")
    (weights,) = (file for file in MODEL_FORMAT.files if file.role == "weights")
    wanted, found = apart(model / "model.safetensors", weights), apart(model / "model.pth", weights)
    assert found == wanted
    assert len(found) > 100
