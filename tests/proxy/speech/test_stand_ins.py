"""A quick natural voice speaks where the voice that was asked for is late, and the answer says so."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from speech_engine import (
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    KnownName,
    Language,
    VoiceInfo,
)
from speech_engine.names import Names, as_they_are, share_voices
from tests.proxy.api.inside import Inside, NoSettings, envelope, inside
from tests.proxy.api.scripted import Scripted, Step, spoken
from tests.proxy.api.test_known_names import Speakers, plugin, voice
from tests.proxy.engines.keys import SILENT
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row

CONFIG = """
[engines.slow]
[engines.quick]
[engines.robot]
[models]
tts-1 = ["slow/m", "quick/m", "robot/m"]
"""


def names(_settings: NoSettings) -> Names:
    return {
        "alloy": KnownName("heart", stands_in="same_gender"),
        "onyx": KnownName("heart", stands_in="other_gender"),
        "coral": KnownName("heart", stands_in="same_speaker"),
    }


class Slow(Speakers):
    """Its own voices, with another script for each job; the last one stays."""

    def __init__(self, *scripts: tuple[Step, ...]) -> None:
        super().__init__(*(voice(name, "") for name in ("alloy", "onyx", "coral")), tags=("en", "es"))
        self._scripts = scripts

    async def speak(self, job: Any) -> Any:
        self._script = self._scripts[min(len(self.jobs), len(self._scripts) - 1)]
        async for event in super().speak(job):
            yield event


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


@asynccontextmanager
async def both(folder: Path, *scripts: tuple[Step, ...], text: str = CONFIG) -> AsyncIterator[Inside]:
    slow = Slow(*(scripts or (SILENT,)))
    quick = Scripted(*spoken(0.5), languages=(Language("en"),))
    quick.voices = lambda: (VoiceInfo(id="heart", name="heart"),)  # type: ignore[method-assign]
    more: Any = {
        ("engine", "slow"): plugin("slow", slow, lambda _settings: as_they_are(("alloy", "onyx", "coral"))),
        ("engine", "quick"): plugin("quick", quick, names),
        ("engine", "robot"): plugin("robot", Scripted(is_trained=False), names),
    }
    async with inside(_made(folder), text, more=more) as server:
        yield server


async def heard(server: Inside, name: str = "alloy", **more: Any) -> tuple[str, str | None, float]:
    began = time.monotonic()
    answer = await server.speech(voice=name, **{"language": "en", "response_format": "pcm", **more})
    assert answer.status_code == 200, answer.text
    waited_s = round(time.monotonic() - began, 1)
    return answer.headers["x-voxgate-engine"], answer.headers.get("x-voxgate-substitute"), waited_s


@each_row(
    ("name", "substitute", "after_s"),
    [("alloy", "quick/heart", 3.0), ("onyx", "quick/heart", 6.0), ("coral", None, 3.0)],
)
@simulated
async def test_it_begins_after_seconds_and_is_told_unless_it_is_the_same_speaker(
    tmp_path: Path, name: str, substitute: str | None, after_s: float
) -> None:
    async with both(tmp_path) as server:
        assert await heard(server, name) == ("quick/m", substitute, after_s)


@simulated
async def test_it_begins_at_once_where_the_other_is_away_or_was_late_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with both(tmp_path) as server:
        waits = [(await heard(server, name))[2] for name in ("alloy", "onyx", "onyx", "alloy")]
        assert waits == [3.0, 6.0, 0.0, 0.0]
        assert list(server.worker.engines.late.names) == ["slow"]
        asked = {"model": "tts-1", "voice": "alloy", "input": "Hi."}
        told = (await server.ask("POST", "/v1/audio/speech/estimate", body=asked)).json()
        assert (told["substitute"], told["substitute_reason"]) == ("quick/heart", "late")
        # In another language it waits for its own voice.
        answer = await server.speech(voice="alloy", language="es", response_format="pcm")
        assert answer.status_code == 503
    async with both(tmp_path / "down", (EngineUnavailable("down"),)) as server:
        assert await heard(server, "onyx") == ("quick/m", "quick/heart", 0.0)
    async with both(tmp_path / "loading") as server:
        monkeypatch.setattr(server.worker.engines, "is_usable", lambda name: name != "slow")
        assert await heard(server, "onyx") == ("quick/m", "quick/heart", 0.0)
        monkeypatch.undo()
        monkeypatch.setattr(server.worker.engines, "is_busy", lambda name: name == "slow")
        assert [(await heard(server, name))[2] for name in ("coral", "alloy")] == [0.0, 3.0]


SHARED = CONFIG.replace("[engines.quick]", "[engines.quick]\nstands_in = true")


@each_row(
    ("name", "after_s"),
    # Its only Spanish speaker is a man. Those that stand in come last, whoever has the right gender.
    [("onyx", 3.0), ("coral", 6.0)],
)
@simulated
async def test_an_engine_that_shares_its_voices_stands_in_by_its_section(
    tmp_path: Path, name: str, after_s: float
) -> None:
    slow = Speakers(voice("eva", "female", "es"), tags=("es",))
    slow._script = SILENT
    quick = Speakers(voice("carl", "male", "es"), tags=("es",))
    more: Any = {
        ("engine", "slow"): plugin("slow", slow, share_voices),
        ("engine", "quick"): plugin("quick", quick, share_voices),
        ("engine", "robot"): plugin("robot", Scripted(is_trained=False), names),
    }
    async with inside(tmp_path, SHARED, more=more) as server:
        assert await heard(server, name, language="es") == ("quick/m", "quick/carl", after_s)
    async with inside(_made(tmp_path / "alone"), CONFIG, more=more) as server:
        answer = await server.speech(voice=name, language="es", response_format="pcm")
        assert answer.headers.get("x-voxgate-substitute") != "quick/carl"


@each_row(
    ("error", "model", "says"),
    [
        (
            EngineBusy("Full.", retry_after_s=11.2),
            "tts-1",
            " Texts in 'es' wait, for about 12 seconds: no other voice here stands in for theirs."
            " The operator of this server can add one: voxgate voices natural es --quick",
        ),
        (EngineTimeout("Late."), "tts-1", " Texts in 'es' wait: no other voice here"),
        (EngineFailed("Broken."), "tts-1", ""),
        (EngineBusy("Full."), "slow/m", ""),
    ],
)
async def test_a_language_that_waits_says_so_and_what_helps(
    tmp_path: Path, error: EngineError, model: str, says: str
) -> None:
    slow = Speakers(voice("eva", "female", "es"), tags=("es",))
    slow._script = (error,)
    more: Any = {("engine", "slow"): plugin("slow", slow, share_voices)}
    text = '[engines.slow]\n[models]\ntts-1 = ["slow/m"]\n'
    async with inside(tmp_path, text, more=more) as server:
        answer = await server.speech(model=model, language="es", response_format="pcm")
    message = envelope(answer)["message"]
    assert (says in message) if says else ("no other voice" not in message), message


TURNS = "[Ana] Hello there. [Ben] And hello to you. [Ana] Good-bye then."


@simulated
async def test_an_answer_keeps_the_voice_that_began_it(tmp_path: Path) -> None:
    cast = {"cast": {"Ana": "alloy", "Ben": "onyx"}}
    own = tuple(spoken(0.5))
    async with both(tmp_path, SILENT, own, own) as server:
        answer = await server.speech(TURNS, voice=cast, language="en", response_format="json")
        assert answer.headers["x-voxgate-engine"] == "quick/m, slow/m"
        assert answer.headers["x-voxgate-substitute"] == "quick/heart"
    # Its own speaker has begun, so another one never follows.
    async with both(tmp_path / "own", own, own, SILENT) as server:
        answer = await server.speech(TURNS, voice=cast, language="en", response_format="json")
        assert answer.status_code == 503
