"""What `voxgate check` says of trainings."""

from pathlib import Path

import pytest

from proxy.engines import registry
from proxy.feature_list import load_config
from proxy.features.jobs.check import check_trainings

LOCAL = '[engines.rvc]\nmodel = "standard"\n'
BOOKED = '[engines.xtts]\nmodel = "standard"\nmemory_gb = 4.0\n'
FAR = """
[engines.far]
plugin = "rvc"
runner = "cards"
budget_usd_day = 1.0
[runners.cards]
plugin = "runpod"
api_key = "env:K"
endpoint_id = "abc"
usd_per_second = 0.001
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (LOCAL, []),
        (LOCAL + BOOKED, [("rvc", "training_gb")]),
        ("[jobs]\ntraining_gb = 8.0\n" + LOCAL + BOOKED, []),
        (BOOKED, []),
        (FAR, [("far", "public_url")]),
        ('[server]\npublic_url = "https://voices.example"\n' + FAR, []),
    ],
)
def test_what_a_training_lacks_is_said(tmp_path: Path, text: str, found: list[tuple[str, str]]) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    findings = check_trainings(load_config(path, {"K": "key"}), registry.load())
    said = [(each.name, each.verdict, each.do) for each in findings]
    assert [(name, "note") for name, _ in found] == [(name, verdict) for name, verdict, _ in said]
    assert all(word in do for (_, word), (_, _, do) in zip(found, said, strict=True))
