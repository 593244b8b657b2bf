"""Mixes: voices of one engine are weighted, heard and saved as a voice."""

from pathlib import Path

import pytest

from plugins.tone.decode import decode
from tests.features.console.console_page import ALL_LOOKS, LOOKS, Reader
from tests.features.console.test_new_voice import own
from tests.sound import decoded

pytestmark = pytest.mark.slow_but("test_a_mix_is_heard_and_saved_as_a_voice")


def _share(reader: Reader, row: int, weight: int) -> None:
    slider = f"at('#mix-members li:nth-child({row}) input')"
    reader.tab.run(f"({slider}.value = {weight}, {slider}.dispatchEvent(new Event('input')))")


@pytest.mark.kit("axe")
def test_a_mix_is_heard_and_saved_as_a_voice(reader: Reader, tmp_path: Path) -> None:
    reader.open("mixes")
    reader.wait("at('#mix-members')")
    reader.choose("#mix-voice-0", "tone/tone")
    reader.choose("#mix-voice-1", "tone/slow")
    _share(reader, 1, 75)
    _share(reader, 2, 25)
    reader.reads("75 %", "#mix-members li:first-child")
    reader.reads("25 %", "#mix-members li:last-child")
    reader.assert_readable(ALL_LOOKS)
    reader.fill("#mix-text", "A blend of two.")
    reader.press("Hear the mix")
    reader.reads("Mix", "#dock .title")
    saved = reader.tab.downloaded(tmp_path, "at('#dock [aria-label^=\"Download as\"]').click()")
    sound = decoded(saved, "wav")
    assert decode(sound.samples, sound.sample_rate_hz) == ("A blend of two.",)
    reader.press("Save as a voice")
    reader.reads("Give the new voice a name.")
    assert reader.tab.run("document.activeElement.id") == "mix-name"
    reader.fill("#mix-name", "a/b")
    reader.press("Save as a voice")
    reader.reads("it must have no '/'")
    name = "<b>Blend \u202e" + "endless" * 8
    reader.fill("#mix-name", name)
    reader.press("Save as a voice")
    reader.reads("Tone: 75 %", "#voice-about")
    [voice] = own(reader)
    assert (voice["type"], voice["name"]) == ("mix", name)
    reader.assert_readable(LOOKS[:1])


def test_a_mix_has_two_to_eight_voices_each_once(reader: Reader) -> None:
    reader.open("mixes")
    reader.wait("at('#mix-members')")
    assert reader.tab.run("document.querySelectorAll('[aria-label^=\"Take\"]').length") == 0
    add = "at('#mix-add')"
    while not reader.tab.run(f"{add}.disabled"):
        reader.tab.run(f"({add}.focus(), {add}.click())")
    chosen = reader.tab.run("[...document.querySelectorAll('#mix-members select')].map((each) => each.value)")
    assert 2 < len(chosen) == len(set(chosen)) <= 8
    options = "[...at('#mix-voice-0').options].filter(({ disabled }) => disabled).map(({ value }) => value)"
    assert set(reader.tab.run(options)) == set(chosen[1:])
    reader.assert_readable(LOOKS[:1])
    reader.tab.run("at('[aria-label^=\"Take\"]').click()")
    reader.wait("document.activeElement.id === 'mix-title'")
    assert reader.tab.run("document.querySelectorAll('#mix-members select').length") == len(chosen) - 1


def test_where_nothing_mixes_the_page_says_so(reader: Reader) -> None:
    reader = reader.of_plan("rules")
    reader.open("mixes")
    reader.reads("No engine here mixes voices.", "#mixes-off")
    reader.assert_readable(LOOKS[:1])
