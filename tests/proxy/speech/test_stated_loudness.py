"""An engine may state how loud a voice is: the server brings that to the loudness of all, unmeasured."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from proxy.speech import loudness_levels
from speech_engine import Audio, Event, Finished, Started, VoiceInfo
from speech_engine.levels import TARGET_LUFS, gain_db
from speech_engine.loudness import loudness_of, true_peaks
from tests.proxy.api.inside import inside
from tests.proxy.api.scripted import RATE_HZ, Scripted
from tests.proxy.audio.test_loudness import pcm, sine
from tests.tables import each_row

CONFIG = """
[server]
turn_pause_ms = 0
[engines.one]
[engines.two]
[models]
both = ["one/m", "two/m"]
"""


def spoken(decibels: float, seconds: float = 1.0) -> list[Event]:
    data, size = pcm(sine(seconds, decibels=decibels)), RATE_HZ // 10 * 2
    return [
        Started(RATE_HZ),
        *(Audio(0, data[at : at + size]) for at in range(0, len(data), size)),
        Finished(),
    ]


class Stating(Scripted):
    def __init__(self, decibels: float, lufs: Any) -> None:
        super().__init__(*spoken(decibels))
        self._lufs = lufs

    def voices(self) -> tuple[VoiceInfo, ...]:
        return (VoiceInfo(id="v", name="V", lufs=self._lufs),)


async def heard(tmp_path: Path, one: Scripted, two: Scripted, **asked: object) -> Any:
    async with inside(tmp_path, CONFIG, {"one": one, "two": two}) as server:
        body = {"model": "one", "voice": "one/v", "input": "Hi.", "response_format": "pcm", **asked}
        answer = await server.ask("POST", "/v1/audio/speech", body=body)
    assert answer.status_code == 200, answer.text
    return np.frombuffer(answer.content, "<i2") / 32768


@pytest.mark.parametrize(
    ("lufs", "language", "expected"),
    [
        (-33.0, "en", TARGET_LUFS),
        ((("en", -33.0), ("pt-BR", -30.0)), "en-US", TARGET_LUFS),
        ((("en", -33.0), ("pt-BR", -30.0)), "pt", TARGET_LUFS - 3),
        (TARGET_LUFS, "en", -33.0),
        (None, "en", -33.0),
    ],
)
async def test_a_voice_that_states_its_loudness_gets_that_of_all(
    tmp_path: Path, lufs: Any, language: str, expected: float
) -> None:
    sound = await heard(tmp_path, Stating(-30.0, lufs), Scripted(), language=language)
    assert len(sound) == RATE_HZ
    assert loudness_of(sound, RATE_HZ) == pytest.approx(expected, abs=0.3)


@each_row("lufs", [-60.0, -40.0, 0.0])
async def test_a_wrong_statement_cannot_crackle(tmp_path: Path, lufs: float) -> None:
    (folder := tmp_path / str(lufs)).mkdir()
    sound = await heard(folder, Stating(-0.5, lufs), Scripted())
    assert 20 * np.log10(true_peaks(np.pad(sound, 6)).max()) <= -1.15


async def test_in_a_cast_only_a_voice_without_a_statement_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = 0

    class Counted(loudness_levels.LevelSound):
        async def _measure(self) -> None:
            nonlocal measured
            measured += 1
            await super()._measure()

    monkeypatch.setattr("proxy.speech_steps.relay.LevelSound", Counted)
    cast = {"cast": {"a": "one/v", "b": "two/v"}}
    sound = await heard(
        *(tmp_path, Stating(-30.0, -33.0), Scripted(*spoken(-3.0))),
        input="[a] Hi. [b] Ho.",
        model="both",
        voice=cast,
    )
    levels = [loudness_of(part, RATE_HZ) for part in np.array_split(sound, 2)]
    assert measured == 1
    assert levels == pytest.approx([TARGET_LUFS, TARGET_LUFS], abs=0.5)


@each_row("lufs", [float("nan"), -61.0, 1.0, "loud"])
def test_an_absurd_statement_is_refused_on_the_wire_and_no_gain_elsewhere(lufs: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"id": "v", "name": "V", "lufs": lufs}, VoiceInfo)
    assert lufs == "loud" or gain_db(lufs) in (0.0, 15.0)
