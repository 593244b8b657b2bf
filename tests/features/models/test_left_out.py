"""Models that a server leaves out: it speaks with those that it has, and names none that could be added."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proxy.api.inside import TONE, inside

_DEAF = TONE.replace("hosted = false", "hosted = false\nspeaks_samples = false\nclones = false", 1)


@pytest.mark.parametrize(("left_out", "is_named"), [("", True), ("models", False)])
async def test_nothing_is_said_of_models_that_nobody_knows(
    tmp_path: Path, left_out: str, is_named: bool
) -> None:
    async with inside(tmp_path, _DEAF, left_out=left_out) as server:
        assert (await server.speech()).status_code == 200
        hint = (await server.ask("GET", "/v1/audio/voices")).json()["hint"]
        assert ("voxgate models pull" in hint) == is_named
        assert hint.endswith("No model is known that the operator could add for it.") != is_named
