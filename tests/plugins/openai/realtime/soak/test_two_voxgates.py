"""A session behind two voxgates, in every format."""

from __future__ import annotations

import pytest

from tests.plugins.openai.realtime.test_two_voxgates import FORMATS, Chain, Format, chain, expect_every_word

__all__ = ["chain"]


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_comes_through(chain: Chain, format_: Format) -> None:
    expect_every_word(chain, format_)
