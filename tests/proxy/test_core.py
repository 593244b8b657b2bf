"""The core stands alone: a server of which no feature can be imported speaks, limits and keeps its books."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proxy.core_program import FORMATS


@pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)
def test_a_server_without_features_speaks_and_administers(new_store_url: str, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "tests.proxy.core_program", str(tmp_path), new_store_url)
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert set(found["formats"]) == {*FORMATS}
    assert min(found["formats"].values()) > 1000
    assert (found["fallback"], found["refused"]) == ("tone/standard", [200, 200, 200, 429, 429])
    assert (found["form"], found["background"]["error"]["code"]) == (415, "feature_off")
    assert (found["natural"], found["features"]) == (["engines.kokoro", "models.tts-1-hd"], [])
    assert found["voices"] > 10
    assert found["accounts"] == 3
    assert found["ledger"]["is_clean"]
    assert found["ledger"]["requests"] == len(FORMATS) + 4
    assert (found["closed"], found["after"]) == (200, 401)
