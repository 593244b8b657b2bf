"""A voxgate behind another: every format in both ways, and a recording's voice in every format."""

from __future__ import annotations

import pytest

from tests.plugins.openai.test_two_voxgates import (
    FORMATS,
    Chain,
    Format,
    chain,
    expect_every_word,
    expect_the_voice_of_a_recording,
)

__all__ = ["chain"]


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_comes_through(chain: Chain, format_: Format) -> None:
    for model in ("tts-1", "gpt-4o-mini-tts"):
        expect_every_word(chain, model, format_)
    expect_the_voice_of_a_recording(chain, format_)
