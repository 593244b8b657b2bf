"""How words sound is told without a sound, and changes nothing of the next speech."""

import pytest

from speech_engine import Engine, EngineReadsSounds, UnsupportedLanguage
from speech_engine.text.comparing import plain_sounds
from tests.plugins.espeak.heard import hear, said


async def test_sounds_are_read_in_each_language(engine: Engine) -> None:
    assert isinstance(engine, EngineReadsSounds)
    before = await hear(engine, said("One more word.", seed=1))
    texts = ["a nice day", "an ice day", "One. Two, three", "[x]\0y", "x y", "\ud800", ""]
    english = await engine.sounds(texts, "en-GB")
    assert plain_sounds(english[0]) == plain_sounds(english[1])
    assert [*map(plain_sounds, english[2].split())] == ["wɒn", "tuː", "θɹiː"]
    assert english[3] == english[4] != english[-1] == ""
    # A word of another language has no mark of it.
    assert "(" not in (await engine.sounds(["das Meeting"], "de"))[0]
    assert (await engine.sounds(["One"], "es")) != (await engine.sounds(["One"], "en-GB"))
    assert plain_sounds((await engine.sounds(["One"], "en-GB"))[0]) == "wɒn"
    after = await hear(engine, said("One more word.", seed=1))
    assert (after.duration_s, after.pitch_hz) == pytest.approx((before.duration_s, before.pitch_hz), rel=0.01)
    with pytest.raises(UnsupportedLanguage):
        await engine.sounds(["x"], "ja")
