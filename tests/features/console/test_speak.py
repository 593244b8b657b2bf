"""Speak: a text is typed, its cost is told, it is heard, and it can be kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from plugins.tone.decode import decode
from tests.features.console.console_page import Reader
from tests.sound import decoded

_TEXT = """It's "quoted", costs $5, and has a \\ in it."""


def _speak(reader: Reader) -> None:
    """Press the button as a hand does: what no key or click has asked for, a browser does not let sound."""
    reader.wait("at('#speak-voice') && !at('#speak-voice').disabled")
    reader.tab.run("at('#speak-go').focus()")
    reader.tab.press("Enter")


IS_HEARD = "shown('#speak-result') && !at('#speak-stop') && !at('#player-play').disabled"


def test_a_text_is_heard_and_can_be_kept(reader: Reader, tmp_path: Path) -> None:
    reader.open()
    reader.fill("#speak-input", _TEXT)
    _speak(reader)
    reader.wait(IS_HEARD)
    pieces = reader.tab.run("played")
    samples = np.concatenate([np.array(piece["samples"]) for piece in pieces])
    assert decode(samples, pieces[0]["rate"]) == (_TEXT,)
    saved = decoded(reader.tab.downloaded(tmp_path, "button('Download as WAV').click()"), "wav")
    assert decode(saved.samples, saved.sample_rate_hz) == (_TEXT,)
    assert "Spoken by tone/standard in English." in reader.text("#speak-by")
