"""The detector `py3langid`: how often it is right, its list of languages, and how it is loaded."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from plugins.py3langid.plugin import LangidDetector, LangidSettings, load, missing, voxgate_register
from speech_engine import Context
from tests.plugins.pycld2.scoring import score, table
from tests.plugins.pycld2.sentences import samples
from tests.tables import each_row

pytestmark = pytest.mark.slow

LONG_FLOOR = 0.96
SHORT_FLOOR = 0.87
"""A few points under what was measured once, 100 and 90 %."""


@pytest.fixture(scope="module")
def detector() -> LangidDetector:
    return load(LangidSettings().languages)


def test_the_detector_is_right_as_often_as_it_was(detector: LangidDetector) -> None:
    print(table(samples(), detector.rank))
    long = score([sample for sample in samples() if not sample.is_short], detector.rank)
    short = score([sample for sample in samples() if sample.is_short], detector.rank)
    assert long.share >= LONG_FLOOR
    assert short.share >= SHORT_FLOOR


def test_the_detector_answers_only_with_languages_of_its_list() -> None:
    few = load(("en", "pt"))
    found = {few.detect(sample.text) for sample in samples()}
    assert found <= {"en", "pt", None}
    assert few.detect("Der Laden an der Ecke öffnet um neun.") in ("en", "pt", None)


def test_a_short_text_favours_the_usual_language_and_has_further_guesses(detector: LangidDetector) -> None:
    assert detector.rank("Buenos días", "en")[0] == "es"
    usual = {sample.text: detector.rank(sample.text, "pt") for sample in samples() if sample.is_short}
    assert all(len(set(tags)) == len(tags) <= 3 for tags in usual.values())
    assert sum(tags[:1] == ("pt",) for tags in usual.values()) > sum(
        detector.detect(text) == "pt" for text in usual
    )


def test_pidgin_is_english_where_english_is_on_the_list(detector: LangidDetector) -> None:
    pidgin = "Abeg, wetin dey happen for this market today? I no fit find my broda."
    assert detector.detect(pidgin) == "en"
    assert detector.detect("Chinedu and Ngozi dey come") == "en"
    assert load(("fr", "yo")).detect(pidgin) != "en"


@each_row("text", ["", "  ", "OK", "12345", "\0\0", "Hola", "ığ"])
def test_a_text_that_says_too_little_is_unsure(detector: LangidDetector, text: str) -> None:
    assert detector.detect(text) is None


def test_two_thousand_characters_are_looked_at(detector: LangidDetector) -> None:
    english = "The shop on the corner opens at nine. "
    german = "Der Laden an der Ecke öffnet um neun. "
    assert detector.detect(english * 53 + german * 500) == "en"


@given(text=st.text(st.characters(), max_size=200))
def test_no_text_breaks_it(detector: LangidDetector, text: str) -> None:
    assert detector.detect(text) in {*LangidSettings().languages, None}


def test_a_language_that_it_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="tlh"):
        load(("en", "tlh"))


async def test_the_detector_loads_beside_the_event_loop() -> None:
    (plugin,) = voxgate_register()
    assert (plugin.kind, plugin.name) == ("detector", "py3langid")
    assert callable(plugin.create)
    turns = 0

    async def turning() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(turning())
    async with plugin.create("py3langid", plugin.settings(), Context(structlog.get_logger())) as opened:
        seen = turns
        other.cancel()
        assert opened.detect("Onde fica a estação de trem?") == "pt"
        assert type(opened).__name__ == "LangidDetector"
    assert seen > 10


def test_registering_loads_nothing() -> None:
    program = (
        "import sys; from plugins.py3langid.plugin import voxgate_register; voxgate_register(); "
        "sys.exit(bool({'py3langid', 'numpy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_missing_library_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing(LangidSettings()) == ()
    monkeypatch.setitem(sys.modules, "py3langid", None)
    (lack,) = missing(LangidSettings())
    assert "py3langid" in lack.what
    assert "extra" in lack.do


def test_settings_are_a_list_of_languages() -> None:
    assert msgspec.convert({"languages": ["en", "th"]}, LangidSettings).languages == ("en", "th")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"language": ["en"]}, LangidSettings)
