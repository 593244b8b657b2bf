"""Runs the cases that need torch, in the environment that has it."""

from pathlib import Path

import pytest

from plugins.f5tts.model_format import MODEL_FORMAT
from tests.features.models.test_conversion import apart
from tests.plugins.neural import kept_model, run_cases

pytestmark = pytest.mark.slow

CASES = Path(__file__).parent / "in_environment"


def test_the_cases_hold_where_torch_is(tmp_path: Path) -> None:
    run_cases("f5tts", CASES, tmp_path)


def test_a_checkpoint_that_the_project_pickled_is_read_as_its_safetensors_are() -> None:
    model = kept_model("f5tts", "pickled")
    weights, _, vocoder = MODEL_FORMAT.files
    wanted, found = apart(model / "model_1.safetensors", weights), apart(model / "model_1.pt", weights)
    assert found == wanted
    assert len(found) > 50
    assert apart(model / "vocos.bin", vocoder) == apart(model / "vocos.safetensors", vocoder)
