"""Kokoro in every format."""

import pytest

from tests.heard.matrix import EACH, hear, joined, spread
from tests.heard.natural import EARS, KOKORO, speaking


def test_kokoro_is_understood_in_each_format_and_where_parts_meet(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with speaking(tmp_path_factory.mktemp("kokoro"), KOKORO, EARS) as live:
        assert hear(live, KOKORO.engine, spread(KOKORO.voices, EACH)).faults == []
        assert joined(live, KOKORO.engine, KOKORO.voices, "mp3").faults == []
