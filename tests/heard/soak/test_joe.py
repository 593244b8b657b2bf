"""Joe in every format at every speed in each of his voices, ten clips each."""

import pytest

from tests.heard.judge import OTHERS, which_sentence
from tests.heard.matrix import Clip, hear, joined, speech, whole
from tests.heard.natural import EARS, JOE, speaking


def test_every_format_speed_and_voice_of_joe_is_understood(tmp_path_factory: pytest.TempPathFactory) -> None:
    with speaking(tmp_path_factory.mktemp("joe"), JOE, EARS) as live:
        assert hear(live, JOE.engine, whole(JOE.voices)).faults == []
        assert joined(live, JOE.engine, JOE.voices, "opus").faults == []
        others = [speech(live, JOE.engine, Clip(other, JOE.voices[0], "wav", 1.0)) for other in OTHERS]
        assert [which_sentence(live, other) for other in others] == [None] * len(OTHERS)
