"""Every word in every format by every way of sending: the short twin has a way for each format."""

from __future__ import annotations

import pytest

from tests.clients.servers import FORMATS, AudioFormat, Servers
from tests.clients.test_words_arrive import WAYS, expect_a_long_text, expect_mixed_scripts


@pytest.mark.parametrize("audio_format", FORMATS)
@pytest.mark.parametrize("way", WAYS)
def test_all_words_arrive(servers: Servers, way: str, audio_format: AudioFormat) -> None:
    expect_mixed_scripts(servers, way, audio_format)
    expect_a_long_text(servers, way, audio_format)
