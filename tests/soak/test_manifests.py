"""Manifests of the formats that the short twin leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.features.marks.test_served_manifests import a_slow_machine
from tests.features.marks.test_served_manifests import (
    test_a_stream_has_its_manifest_beside_it as assert_beside,
)
from tests.features.marks.test_served_manifests import (
    test_who_asks_for_provenance_gets_a_whole_file_with_it as assert_inside,
)

__all__ = ["a_slow_machine"]


@pytest.mark.parametrize("format_", ["mp3", "aac", "flac"])
async def test_a_stream_has_its_manifest_beside_it(tmp_path: Path, format_: str) -> None:
    await assert_beside(tmp_path, format_)


@pytest.mark.parametrize("format_", ["wav", "flac"])
async def test_who_asks_for_provenance_gets_a_whole_file_with_it(tmp_path: Path, format_: str) -> None:
    await assert_inside(tmp_path, format_)
