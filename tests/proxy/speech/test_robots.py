"""A rule-based voice never speaks in place of a natural one without being told."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from speech_engine import EngineFailed, EngineUnavailable, Language, VoiceInfo
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import Halt, Scripted, Step, spoken
from tests.proxy.engines.keys import SILENT
from tests.speech_engine.host.simulated_time import simulated

CONFIG = """
[server]
robot_fallback = true
[engines.one]
[engines.two]
[engines.robot]
[models]
all = ["one/m", "two/m", "robot/m"]
robot-first = ["robot/m", "one/m"]
[voices.ana]
one = "v"
two = "v"
robot = "r"
[voices.ben]
one = "v"
[voices.bea]
two = "v"
robot = "r"
[voices.rob]
robot = "r"
"""
DOWN = (EngineUnavailable("down"),)
ENGLISH = (Language("en"),)


class Robot(Scripted):
    def __init__(self, *script: Step, **model: object) -> None:
        super().__init__(*(script or spoken(0.5)), is_trained=False, **model)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return (VoiceInfo(id="r", name="R"),)


def engines(*one: Step, two: tuple[Step, ...] = DOWN, robot: Scripted | None = None) -> dict[str, Scripted]:
    natural = {"one": Scripted(*one, languages=ENGLISH), "two": Scripted(*two, languages=ENGLISH)}
    return {**natural, "robot": robot or Robot()}


def body(text: str = "Hello there.", **more: object) -> dict[str, object]:
    return {"model": "all", "voice": "ana", "input": text, "response_format": "pcm", **more}


async def ask(server: Inside, text: str = "Hello there.", **more: object) -> Any:
    headers = more.pop("headers", {})
    assert isinstance(headers, Mapping)
    return await server.ask("POST", "/v1/audio/speech", body=body(text, **more), **headers)


def told(answer: Any) -> tuple[str, str | None]:
    assert answer.status_code == 200, answer.text
    return answer.headers["x-voxgate-engine"], answer.headers.get("x-voxgate-substitute")


async def test_a_robot_in_place_of_a_natural_voice_is_told_in_every_form(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    async with inside(tmp_path, CONFIG, engines(*DOWN)) as server:
        robot = ("robot/m", "r")
        for form in ("pcm", "wav", "mp3"):
            with subtests.test(form):
                assert told(await ask(server, response_format=form)) == robot
        with subtests.test("json"):
            answer = await ask(server, response_format="json")
            assert (told(answer), answer.json()["substitute"]) == (robot, "r")
        with subtests.test("sse"):
            answer = await ask(server, stream_format="sse")
            done = json.loads(answer.text.split("data: ")[-1])
            assert (told(answer), done["type"], done["substitute"]) == (
                robot,
                "speech.audio.done",
                "r",
            )
        with subtests.test("usage"):
            assert {row.substitute for row in await server.usage()} == {"r"}
            listed = (await server.ask("GET", "/v1/usage")).json()["data"]
            assert {row["substitute"] for row in listed} == {"r"}
        with subtests.test("replay of an Idempotency-Key"):
            answers = [await ask(server, headers={"idempotency-key": "k"}) for _ in range(2)]
            assert [told(each) for each in answers] == [robot, robot]
            assert answers[1].headers["x-voxgate-replayed"] == "true"
        with subtests.test("where the operator wrote it first"):
            assert told(await ask(server, model="robot-first")) == robot


async def test_a_robot_is_no_substitute_where_it_was_asked_for(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    async with inside(tmp_path, CONFIG, engines(*spoken(0.5))) as server:
        for case, asked, engine, substitute in (
            ("a natural one spoke", {}, "one/m", None),
            ("the natural one lacks the language", {"language": "de"}, "robot/m", "r"),
            ("its own voice", {"voice": "rob"}, "robot/m", None),
            ("named by the request", {"model": "robot/m"}, "robot/m", None),
        ):
            with subtests.test(case):
                answer = await ask(server, **asked, response_format="json")
                assert told(answer) == (engine, substitute)
                assert answer.json().get("substitute") == substitute
        assert {row.substitute for row in await server.usage()} == {"", "r"}


async def test_a_pitch_that_the_robot_alone_has_is_ignored_unless_the_robot_is_named(tmp_path: Path) -> None:
    robot = Robot(pitch=(-12.0, 12.0))
    asked = engines(*spoken(0.5), robot=robot)
    async with inside(tmp_path, CONFIG, asked) as server:
        natural = await ask(server, pitch=3, response_format="json")
        assert told(natural) == ("one/m", None)
        assert (natural.headers["x-voxgate-ignored"], natural.json()["ignored"]) == ("pitch", ["pitch"])
        obeyed = await ask(server, pitch=3, model="robot/m")
        assert told(obeyed) == ("robot/m", None)
        assert "x-voxgate-ignored" not in obeyed.headers
        assert envelope(await ask(server, pitch=3, model="one/m"))["param"] == "pitch"
    assert [job.pitch for each in (asked["one"], robot) for job in each.jobs] == [0.0, 3.0]


async def test_a_robots_clip_is_told_and_never_given_as_the_natural_voice(tmp_path: Path) -> None:
    asked = engines(*DOWN)
    async with inside(tmp_path, f"{CONFIG}\n[cache]\non = true\n", asked) as server:
        first, again = await ask(server), await ask(server)
        # Of equal requests at once, one is spoken.
        text = "The others wait for one of them."
        together = await asyncio.gather(*[ask(server, text) for _ in range(3)])
        pinned = await ask(server, model="robot/m")
        assert [told(each) for each in (first, again, *together)] == [("robot/m", "r")] * 5
        assert (pinned.headers["x-voxgate-cache"], *told(pinned)) == ("hit", "robot/m", None)
        hits = [row for row in await server.usage() if row.cache == "hit"]
        assert sorted(row.substitute for row in hits) == ["", "r", "r", "r"]


async def test_as_shipped_the_answer_is_a_503_before_any_byte(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    asked = engines(*DOWN)
    config = CONFIG.replace("robot_fallback = true", "")
    async with inside(tmp_path, config, asked) as server:
        for model in ("all", "robot-first"):
            with subtests.test(model):
                answer = await ask(server, model=model)
                assert (answer.status_code, envelope(answer)["code"]) == (503, "engine_unavailable")
        assert not asked["robot"].jobs
        for case, said in (({"language": "de"}, "r"), ({"voice": "rob"}, None), ({"model": "robot/m"}, None)):
            with subtests.test(str(case)):
                assert told(await ask(server, **case)) == ("robot/m", said)


VOICE = {"cast": {"Ana": "ana", "Ben": "ben"}}
CAST = "[Ana] Hello there. [Ben] And hello to you. [Ana] Good-bye then."


async def test_after_the_headers_no_robot_begins(tmp_path: Path) -> None:
    """Ana's first part is natural, and by the turn of her second one both natural models are down."""
    goes_on = asyncio.Event()
    one = FailsLater(goes_on)
    robot = Robot()
    asked = {**engines(robot=robot), "one": one}

    async def look(message: Message) -> None:
        if message.get("body"):
            goes_on.set()

    async with inside(tmp_path, CONFIG, asked) as server:
        sent = await server.raw_speech(body(CAST, voice=VOICE), on_sent=look)
        (row,) = await server.usage()
    names = dict(sent[0]["headers"])
    assert (sent[0]["status"], b"x-voxgate-substitute" in names) == (200, False)
    assert sent[-1].get("more_body"), "it was broken off"
    assert (row.outcome, row.error, row.substitute) == ("failed", "engine_unavailable", "")


async def test_a_robot_that_was_asked_before_the_headers_does_not_begin_after_them(tmp_path: Path) -> None:
    halt = Halt()
    one = Scripted(*spoken(0.5), languages=ENGLISH)
    robot = Robot(halt, *spoken(0.5))
    asked = {**engines(robot=robot), "one": one}

    async def look(message: Message) -> None:
        if message.get("body"):
            await halt.is_there.wait()
            halt.goes_on.set()

    async with inside(tmp_path, CONFIG, asked) as server:
        both = {"cast": {"Ana": "ben", "Bea": "bea"}}
        sent = await server.raw_speech(body("[Ana] Hello there. [Bea] And to you.", voice=both), on_sent=look)
        (row,) = await server.usage()
    assert b"x-voxgate-substitute" not in dict(sent[0]["headers"])
    assert (robot.open, row.outcome, row.substitute) == (0, "failed", "")
    assert sent[-1].get("more_body"), "it was broken off"


async def test_an_answer_that_goes_out_whole_tells_of_a_robot_in_a_later_part(tmp_path: Path) -> None:
    asked = {**engines(), "one": FailsLater(None)}
    async with inside(tmp_path, CONFIG, asked) as server:
        answer = await ask(server, CAST, voice=VOICE, response_format="json")
        (row,) = await server.usage()
    assert told(answer) == ("one/m, robot/m", "r")
    assert (answer.json()["substitute"], row.substitute) == ("r", "r")


class FailsLater(Scripted):
    """Speaks two jobs, the second one when it may, and is down from then on."""

    def __init__(self, goes_on: asyncio.Event | None) -> None:
        self._goes_on = goes_on
        super().__init__(*spoken(0.5), languages=ENGLISH)

    async def speak(self, job: Any) -> Any:
        if len(self.jobs) == 2:
            raise EngineFailed("down")
        if self.jobs and self._goes_on is not None:
            await self._goes_on.wait()
        async for event in super().speak(job):
            yield event


@simulated
async def test_an_engine_that_is_late_twice_lets_another_natural_one_speak(tmp_path: Path) -> None:
    asked = engines(*SILENT, two=tuple(spoken(0.5)))
    config = CONFIG.replace("[server]", "[server]\nfirst_audio_s = 0.5")
    async with inside(tmp_path, config, asked) as server:
        heard = [told(await ask(server)) for _ in range(4)]
        late = server.worker.engines.late
        assert (heard, len(asked["one"].jobs)) == ([("two/m", None)] * 4, 2)
        assert list(late.names) == ["one"]
        # Alone in its list, it is asked all the same.
        assert (await ask(server, model="one/m")).status_code == 503
        assert len(asked["one"].jobs) == 3
