"""The loudness of the voices in other languages than English."""

from __future__ import annotations

import pytest

from tests.plugins.espeak.test_levels import expect_equal_loudness


@pytest.mark.parametrize("language", ["es", "fr"])
async def test_openai_s_names_are_equally_loud_and_none_is_cut_off(language: str) -> None:
    await expect_equal_loudness(language)
