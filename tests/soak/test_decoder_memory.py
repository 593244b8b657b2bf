"""Hostile files through a decoder, beside the one of its short twin: the server stays as large as it was."""

from __future__ import annotations

import pytest

from tests.proxy.audio.recordings.test_corpus import test_the_server_stays_as_large_as_it_was as assert_small


@pytest.mark.parametrize("name", ["packed samples, many", "wav of 1 Hz", "noise 3"])
async def test_the_server_stays_as_large_as_it_was(name: str) -> None:
    await assert_small(name)
