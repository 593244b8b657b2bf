"""Tags of emotions that a voice cannot express: they are left out and reported, refused, or read."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from plugins.tone.decode import decode
from speech_engine import EngineFailed, Language
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.speech.felt import Felt, felt
from tests.proxy.speech.test_emotions import acting, add_felt
from tests.sound import decoded

CONFIG = """
[engines.moody]
[engines.reads]
[engines.broken]
[models]
moody = ["broken/m", "plain/m"]
reads = ["reads/m", "plain/m"]
unread = ["down/m", "plain/m"]
[engines.plain]
[engines.down]
[voices.any]
broken = "v"
reads = "v"
down = "v"
plain = "v"
"""
TEXT = "So. [sad] Oh, [laughs] [HAPPY] well."
SAID = "So. Oh, [laughs] well."


class World(NamedTuple):
    server: Inside
    reads: Scripted
    plain: Scripted

    async def texts(self, text: str, **more: object) -> tuple[list[str], str | None]:
        """Speak a text. Return what the engines got that spoke, and what was reported."""
        for engine in (self.reads, self.plain):
            engine.jobs.clear()
        answer = await self.server.speech(text, **{"voice": "any", "response_format": "wav", **more})
        assert answer.status_code == 200, answer.text
        jobs = [*self.reads.jobs, *self.plain.jobs]
        assert {job.emotion for job in jobs} == {None}
        said = [" ".join(segment.spoken for segment in job.segments) for job in jobs]
        return said, answer.headers.get("x-voxgate-ignored")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    fault = EngineFailed("It broke.")
    engines = {
        "moody": Scripted(*spoken(1.0)),
        "broken": Scripted(fault, emotions=("happy", "sad")),
        "reads": Scripted(*spoken(1.0), reads_emotion_tags=True),
        "down": Scripted(fault, reads_emotion_tags=True),
        "plain": Scripted(*spoken(1.0), languages=(Language("en"), Language("th"))),
    }
    async with inside(tmp_path, CONFIG, engines) as server:
        yield World(server, engines["reads"], engines["plain"])


async def test_a_tag_that_is_not_expressed_is_not_spoken_but_reported_and_charged(tmp_path: Path) -> None:
    sold = "[plans.sold]\nvoices = 9\nallowance = 1000\nprices.speech = { credits = 2, per = 'character' }"
    async with inside(tmp_path, TONE + sold, plan="sold") as server:
        answer = await server.speech(TEXT, response_format="wav")
        told = (await server.speech(TEXT, response_format="json")).json()
        events = await server.speech(TEXT, stream_format="sse", model="tone", response_format="pcm")
        rows = await server.usage()
    assert " ".join(decode(*decoded(answer.content, "wav"))) == SAID
    assert answer.headers["x-voxgate-ignored"] == "emotion"
    assert told["ignored"] == ["emotion"]
    assert [TEXT[each["source_start"] : each["source_end"]] for each in told["words"]] == [
        *("So.", "Oh,", "[laughs]", "well."),
    ]
    assert (events.status_code, events.headers["x-voxgate-ignored"]) == (200, "emotion")
    assert {(row.characters, row.credits) for row in rows} == {(len(TEXT), 2_000_000 * len(TEXT))}


async def test_each_candidate_gets_the_tags_that_it_expresses(
    world: World, subtests: pytest.Subtests
) -> None:
    mixed: list[tuple[str, str, dict[str, Any], list[str], str | None]] = [
        ("a model that reads tags gets them", TEXT, {"model": "reads"}, [TEXT], None),
        ("its fallback does not", TEXT, {"model": "unread"}, [SAID], "emotion"),
        ("in text, all are read", TEXT, {"model": "unread", "emotion_tags": "text"}, [TEXT], None),
        ("the fallback lacks the emotion", "[sad] Oh.", {"model": "moody"}, ["Oh."], "emotion"),
        ("and only then it is reported", "Oh.", {"model": "moody"}, ["Oh."], None),
        ("a neutral tag is for all", "[neutral] Oh.", {"model": "unread"}, ["Oh."], None),
        ("a link has its text", "[happy](a) Oh.", {"model": "unread"}, ["[happy](a) Oh."], None),
        ("words do not join", "Oh[sad]no.", {"model": "unread"}, ["Oh no."], "emotion"),
        ("marks go as well", "**[sad] Oh** no.", {"model": "unread"}, ["Oh no."], "emotion"),
        (
            "a turn of tags alone is passed over",
            "[A] [sad] [B] Oh. [A] [happy] Yes.",
            {"model": "unread", "voice": {"cast": {"A": "any", "B": "plain/v"}}},
            ["Oh.", "Yes."],
            "emotion",
        ),
        (
            "no language is in a tag",
            "สวัสดี. [sad]. ดี.",
            {"model": "unread", "language": "auto"},
            ["สวัสดี. . ดี."],
            "emotion",
        ),
    ]
    for case, text, more, said, ignored in mixed:
        with subtests.test(case):
            assert await world.texts(text, **more) == (said, ignored)


async def test_a_request_may_refuse_what_is_not_expressed(world: World, subtests: pytest.Subtests) -> None:
    refused: list[tuple[str, dict[str, Any], str]] = [
        (TEXT, {"model": "plain"}, "'[sad]' at character 4 is an emotion that plain/m cannot"),
        (
            "Oh. [happy] Hm. [tired] Ah.",
            {"model": "broken"},
            "'[tired]' at character 16 is an emotion that broken/m",
        ),
        (
            "[A] Oh. [A] [calm] Ah.",
            {"model": "plain", "voice": {"cast": {"A": "any"}}},
            "'[calm]' at character 12",
        ),
    ]
    for text, more, message in refused:
        with subtests.test(text):
            answer = await world.server.speech(text, **{"voice": "any", "emotion_tags": "refuse", **more})
            error = envelope(answer)
            assert (answer.status_code, error["param"], error["code"]) == (400, "input", "unsupported_value")
            assert message in error["message"]
    with subtests.test("what is expressed"):
        assert await world.texts(TEXT, model="reads", emotion_tags="refuse") == ([TEXT], None)
        assert await world.texts("Oh. [neutral] Hm.", model="plain", emotion_tags="refuse") == (
            ["Oh.", "Hm."],
            None,
        )
    with subtests.test("who cannot express it is no fallback"):
        answer = await world.server.speech(TEXT, voice="any", model="unread", emotion_tags="refuse")
        assert answer.status_code == 503
        assert [row.engine for row in await world.server.usage() if row.credits] == []
    for tags, status in (("drop", 400), ("refuse", 400), ("text", 200)):
        with subtests.test(f"nothing but tags, {tags}"):
            answer = await world.server.speech(
                "[sad] ... [calm]", voice="any", model="plain", emotion_tags=tags
            )
            assert answer.status_code == status
            assert status == 200 or "nothing to say, only tags" in envelope(answer)["message"]
    answer = await world.server.speech("Oh.", voice="any", model="plain", emotion_tags="sing")
    assert (answer.status_code, envelope(answer)["param"]) == (400, "emotion_tags")


async def test_with_recordings_tags_are_text_if_the_request_says_so(tmp_path: Path) -> None:
    async with acting(tmp_path) as server:
        await add_felt(server, "Bea")
        text = "[Ana] [happy] Hi. [Bea] Ho. [sad] Hm."
        asked = {"voice": {"cast": {"Ana": "Ana", "Bea": "Bea"}}, "response_format": "wav", "cache": True}
        found = []
        for tags in ("text", "drop", "text"):
            answer = await server.speech(text, **asked, emotion_tags=tags)
            found.append((felt(answer.content), answer.headers["x-voxgate-cache"]))
    assert found == [
        (Felt("[happy] Hi. Ho. [sad] Hm.", ("", "")), "miss"),
        (Felt("Hi. Ho. Hm.", ("happy", "", "sad")), "miss"),
        (Felt("[happy] Hi. Ho. [sad] Hm.", ("", "")), "hit"),
    ]
