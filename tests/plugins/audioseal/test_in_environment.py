"""Runs the cases that need torch, in the environment that has it; and what needs none."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plugins.audioseal.plugin import AudioSealSettings, missing, voxgate_register
from plugins.audioseal.resampling import Resampler
from tests.plugins.neural import run_cases
from tests.tables import each_row

pytestmark = pytest.mark.slow

CASES = Path(__file__).parent / "in_environment"
TORCHLESS = (
    "import sys; import plugins.audioseal.plugin; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
)


def test_the_cases_hold_where_torch_is(tmp_path: Path) -> None:
    run_cases("audioseal", CASES, tmp_path)


def test_the_plugin_is_a_light_front_that_asks_for_its_model() -> None:
    (plugin,) = voxgate_register()
    assert (plugin.kind, plugin.name) == ("mark", "audioseal")
    (lacking,) = missing(AudioSealSettings())
    assert "voxgate models import" in lacking.do
    assert not missing(AudioSealSettings(model_path="somewhere"))
    assert subprocess.run([sys.executable, "-c", TORCHLESS], check=False).returncode == 0


@each_row(("from_hz", "to_hz"), [(24_000, 16_000), (22_050, 16_000), (16_000, 44_100), (8_000, 16_000)])
def test_a_resampler_moves_nothing(from_hz: int, to_hz: int) -> None:
    """A tone has the same phase after it, in chunks of any length."""
    at, later = np.arange(from_hz) / from_hz, np.arange(to_hz) / to_hz
    sound = np.sin(2 * np.pi * 440 * at).astype(np.float32)
    resampler = Resampler(from_hz, to_hz)
    parts = [resampler.feed(part) for part in np.split(sound, [1, 7, 500, 501, 5000])]
    made = np.concatenate(parts)
    assert len(made) > to_hz * 0.99
    inner = slice(to_hz // 100, len(made) - to_hz // 100)
    assert np.abs(made - np.sin(2 * np.pi * 440 * later[: len(made)]))[inner].max() < 2e-3
