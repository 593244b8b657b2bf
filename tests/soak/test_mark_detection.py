"""The mark of an answer is found in the formats that the short twin leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.features.marks.test_detection import server, us
from tests.features.marks.test_detection import test_what_the_server_spoke_is_found as assert_found
from tests.proxy.api.inside import Inside

__all__ = ["server", "us"]


@pytest.mark.parametrize("name", ["wav", "mp3", "aac", "flac"])
async def test_what_the_server_spoke_is_found(name: str, server: Inside, tmp_path: Path) -> None:
    await assert_found(name, server, tmp_path)
