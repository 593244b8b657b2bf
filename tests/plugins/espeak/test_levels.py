"""The loudness of the voices, as a listener who changes from one to another hears it."""

from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.espeak.levels import bend_peaks
from plugins.espeak.voices import voices
from speech_engine.levels import TARGET_LUFS
from tests.plugins.espeak.heard import espeak, hear, loudness_lufs, said, true_peak_db
from tests.plugins.espeak.test_voices import SENTENCE, shipped
from tests.plugins.pycld2.sentences import samples
from tests.tables import soak

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("language", ["en", "fr", *soak("es", "it")])
async def test_openai_s_names_are_equally_loud_and_none_is_cut_off(language: str) -> None:
    """Ten sentences, by ITU-R BS.1770. Without their gains, the loudest is 6 LU above the softest."""
    texts = [each.text for each in samples() if each.language == language and not each.is_short]
    async with espeak() as engine:
        heard = [
            await hear(engine, said(*texts, language=language, voice=voice)) for voice in shipped().values()
        ]
    loudness = [loudness_lufs(each) for each in heard]
    assert max(loudness) - min(loudness) < 1.0
    assert np.mean(loudness) == pytest.approx(TARGET_LUFS, abs=0.5)
    assert max(map(true_peak_db, heard)) < -1.0


async def test_no_voice_reaches_full_scale() -> None:
    async with espeak() as engine:
        heard = {voice.id: await hear(engine, said(SENTENCE, voice=voice.id)) for voice in voices()}
    assert max(true_peak_db(each) for each in heard.values()) < -1.0


@given(st.lists(st.integers(-32768, 32767), max_size=80))
def test_bent_peaks_keep_their_order_and_soft_sound_its_bytes(samples: list[int]) -> None:
    before = array("h", sorted(samples)).tobytes()
    after = array("h", bend_peaks(before))
    assert list(after) == sorted(after)
    assert all(abs(sample) < 0.86 * 32767 for sample in after)
    softer = array("h", [sample // 2 for sample in samples]).tobytes()
    assert bend_peaks(softer) == softer
