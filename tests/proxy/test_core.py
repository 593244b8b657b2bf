"""The core stands alone: without all that is outside of it, a server speaks, limits and keeps its books."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.feature_list import open_store
from proxy.features.admin.verify import verify
from tests.proxy.core_program import FORMATS


def _run_server(folder: Path, store_url: str, *features: str) -> dict[str, Any]:
    command = (sys.executable, "-m", "tests.proxy.core_program", str(folder), store_url, *features)
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)
async def test_a_server_without_features_speaks_and_limits(new_store_url: str, tmp_path: Path) -> None:
    found = _run_server(tmp_path, new_store_url)
    assert set(found["formats"]) == {*FORMATS}
    assert min(found["formats"].values()) > 1000
    assert (found["fallback"], found["refused"]) == ("tone/standard", [200, 200, 200, 429, 429])
    assert (found["form"], found["background"], found["marks"]) == (415, "feature_off", 200)
    assert set(found["off"]) == {"feature_off"}
    assert found["accounts"] == 3
    # Nothing stores an answer, so the second request with an Idempotency-Key is spoken and charged, too.
    assert found["repeated"] == [False, False]
    async with open_store(new_store_url, tmp_path / "data") as store:
        books = await verify(store)
    assert books.is_clean
    assert books.requests == len(FORMATS) + 7


def test_with_models_alone_natural_toml_counts(tmp_path: Path) -> None:
    assert _run_server(tmp_path, "sqlite", "models")["natural"] == ["engines.kokoro", "models.tts-1-hd"]


def test_with_admin_alone_it_lists_voices_and_is_administered(tmp_path: Path) -> None:
    features = ["pages", "voice_list", "admin"]
    found = _run_server(tmp_path, "sqlite", *features)
    assert (found["features"], found["listed"], found["verified"]) == (features, 3, True)
    assert found["voices"] > 10
    assert (found["closed"], found["after"]) == (200, 401)
