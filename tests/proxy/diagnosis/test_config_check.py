"""`voxgate check` and `doctor`: they call `ok` only what they know, and say what they did not look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.config_toml import Config
from proxy.diagnosis.config_check import check_config
from proxy.diagnosis.doctor import installation
from proxy.diagnosis.finding import Finding
from proxy.diagnosis.probes import NO_RESULTS, ProbeResults
from proxy.engines import registry
from tests.proxy.config.files import load

PIPER = "[engines.espeak]\n[engines.piper]\ndefault = true\n"
XTTS = "[engines.espeak]\n[engines.xtts]\naccept_licence = 'CPML'\n"


def findings(config: Config, kind: str, asked: ProbeResults = NO_RESULTS) -> dict[str, Finding]:
    """Return the findings of a kind by name; of several with one name, the last."""
    return {each.name: each for each in check_config(config, registry.load(), asked) if each.what == kind}


@pytest.mark.parametrize(
    ("text", "name", "lack", "step"),
    [
        (PIPER, "piper", "no voice has been imported", "voxgate models import FILE.onnx --engine piper"),
        (XTTS, "xtts", "the section names no model", "voxgate models import FOLDER --engine xtts"),
    ],
)
def test_an_engine_without_any_model_is_wrong_for_check_and_doctor(
    tmp_path: Path, text: str, name: str, lack: str, step: str
) -> None:
    config = load(tmp_path, f'[server]\ndata = "{tmp_path}/data"\n{text}')
    found = findings(config, "engine")
    assert (found[name].verdict, found[name].found) == ("wrong", lack)
    assert found[name].do.startswith(step)
    assert found["espeak"].verdict == "ok"
    told = {each.found: each for each in installation.engines(config) if each.what == "engine"}
    assert told[f"{name}: {lack}"].do == found[name].do
    assert f"{name}: nothing is missing" not in told
    assert told["espeak: nothing is missing"].verdict == "ok"
