"""Marks are left out of what is spoken; what is charged, limited and pointed at is the text that was sent."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.plain.plugin import PlainFrontEnd
from plugins.tone.decode import decode
from policies import segments
from proxy.speech_steps.word_times import InterpolatedWords, WordPositions
from proxy.text_rules.markdown import read_markdown
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.sound import decoded
from tests.tables import each_row

MARKED = "# Title\n\n- **Milk** and `eggs`\n- see [the docs](https://a.org/b?c=1)"
READ = "Title Milk and eggs see the docs"


def said(engine: Scripted, number: int = -1) -> str:
    return " ".join(each.spoken for each in engine.jobs[number].segments)


def words_of(answer: dict[str, Any], text: str) -> list[str]:
    for word in answer["words"]:
        assert word["word"] == text[word["source_start"] : word["source_end"]]
    return [word["word"] for word in answer["words"]]


@pytest.fixture
def engine() -> Scripted:
    return Scripted(*spoken(0.2))


async def ask(server: Inside, text: str, **more: object) -> Any:
    return await server.ask(
        "POST", "/v1/audio/speech", body={"model": "one", "voice": "one/v", "input": text, **more}
    )


@pytest.mark.parametrize(
    ("more", "heard"),
    [
        ({}, READ),
        ({"markdown": "auto"}, READ),
        ({"markdown": None}, READ),
        ({"markdown": "on"}, READ),
        ({"markdown": "off"}, " ".join(MARKED.split())),
    ],
)
async def test_the_field_says_what_is_read(
    tmp_path: Path, engine: Scripted, more: dict[str, object], heard: str
) -> None:
    async with inside(tmp_path, "[engines.one]\n", {"one": engine}) as server:
        answer = await ask(server, MARKED, **more)
        (row,) = await server.usage()
    assert answer.status_code == 200, answer.text
    assert said(engine) == heard
    assert answer.headers.get("x-voxgate-ignored") == ("markdown" if more.get("markdown") == "on" else None)
    # What is left out is not given back.
    assert row.characters == len(MARKED)


@each_row(
    ("more", "heard"),
    [({}, "So: Done."), ({"code": "read"}, "So: x = 1 Done."), ({"code": "read", "markdown": "off"}, None)],
)
async def test_fenced_code_is_read_only_if_the_field_says_so(
    tmp_path: Path, engine: Scripted, more: dict[str, object], heard: str | None
) -> None:
    text = "So:\n```\nx = 1\n```\nDone."
    async with inside(tmp_path, "[engines.one]\n", {"one": engine}) as server:
        assert (await ask(server, text, **more)).status_code == 200
        refused = await ask(server, text, code="no")
        (row,) = await server.usage()
    assert said(engine) == (heard or " ".join(text.split()))
    assert (refused.status_code, envelope(refused)["param"]) == (400, "code")
    assert row.characters == len(text)


async def test_another_value_is_refused_by_name(tmp_path: Path, engine: Scripted) -> None:
    async with inside(tmp_path, "[engines.one]\n", {"one": engine}) as server:
        answers = [await ask(server, "Hi.", markdown=wrong) for wrong in ("all", True)]
        long = await ask(server, "**a**" * 820)
    assert [(each.status_code, envelope(each)["param"]) for each in answers] == [(400, "markdown")] * 2
    assert (long.status_code, envelope(long)["code"]) == (400, "string_above_max_length")


@each_row("wire", ["json", "words", "sse", "wav"])
async def test_every_wire_speaks_and_points_at_the_words_as_they_were_sent(tmp_path: Path, wire: str) -> None:
    fields: dict[str, dict[str, object]] = {
        "json": {"response_format": "json", "audio_format": "wav"},
        "words": {"stream_format": "words", "response_format": "wav"},
        "sse": {"stream_format": "sse", "response_format": "wav"},
        "wav": {"response_format": "wav"},
    }
    async with inside(tmp_path, TONE) as server:
        answer = await server.speech("**Hi** `you`", model="tone", **fields[wire])
    assert answer.status_code == 200, answer.text
    words: list[dict[str, Any]] = []
    if wire == "json":
        words, sound = answer.json()["words"], base64.b64decode(answer.json()["audio_base64"])
    elif wire == "wav":
        sound = answer.content
    else:
        events = [json.loads(each.removeprefix("data: ")) for each in answer.text.split("\n\n") if each]
        words = [word for each in events for word in each.get("words", ())]
        sound = b"".join(base64.b64decode(each.get("audio", "")) for each in events)
    heard = decoded(sound, "wav")
    assert [word.lower() for word in decode(heard.samples, heard.sample_rate_hz)] == ["hi you"]
    if wire in ("json", "words"):
        shown = [(each["word"], each["source_start"], each["source_end"]) for each in words]
        assert shown == [("Hi", 2, 4), ("you", 8, 11)]


async def test_a_cast_a_lexicon_and_a_language_for_each_sentence_go_with_it(
    tmp_path: Path, engine: Scripted
) -> None:
    async with inside(tmp_path, "[engines.one]\n", {"one": engine}) as server:
        cast = {"cast": {"Ana": "one/v", "Ben": "one/v"}}
        text = "[Ana] **Hi\nthere.** [Ben] - **so** __[Ana]__ `x` [Ben](https://a.org/b) Yes."
        answer = await ask(server, text, voice=cast, response_format="json", audio_format="wav")
        assert [each for number in range(len(engine.jobs)) for each in said(engine, number).split()] == [
            *("Hi", "there.", "-", "so", "x", "Yes.")
        ]
        assert words_of(answer.json(), text) == ["Hi", "there", "so", "x", "Yes"]
        auto = "**The end of it.\nสวัสดีครับ ยินดีต้อนรับ** - `x`"
        assert (await ask(server, auto, language="auto")).status_code == 200
        assert "*" not in said(engine)


async def test_a_part_of_marks_alone_is_read_as_it_is_written(tmp_path: Path, engine: Scripted) -> None:
    async with inside(tmp_path, "[engines.one]\n", {"one": engine}) as server:
        assert (await ask(server, "***\n```")).status_code == 200


@pytest.mark.parametrize(("text", "lexicon"), [("**fo**o", {"foo": "x" * 200}), ("**a**", {"a": "x" * 200})])
async def test_what_a_lexicon_adds_to_what_is_read_is_charged(
    tmp_path: Path, engine: Scripted, text: str, lexicon: dict[str, str]
) -> None:
    """Neither marks within a word nor marks around it make an entry cheaper."""
    async with inside(tmp_path, "[engines.one]\n", {"one": engine}) as server:
        await ask(server, text, lexicon=lexicon)
        (row,) = await server.usage()
    plain = read_markdown(text)
    assert plain is not None
    assert said(engine) == "x" * 200
    assert row.characters == len(text) + 200 - len(plain.text)


async def test_each_value_has_its_own_clip(tmp_path: Path, engine: Scripted) -> None:
    async with inside(tmp_path, "[engines.one]\n", {"one": engine}) as server:
        states = [
            (await ask(server, MARKED, cache=True, markdown=markdown)).headers["x-voxgate-cache"]
            for markdown in ("auto", "off", "auto", "on", "off")
        ]
    assert states == ["miss", "miss", "hit", "hit", "hit"], "`on` means `auto`"


async def test_a_replayed_answer_points_at_the_same_words(tmp_path: Path) -> None:
    async with inside(tmp_path, TONE) as server:
        fields = {"model": "tone", "cache": True, "response_format": "json", "audio_format": "wav"}
        first, second = [(await server.speech("**Hi** `you`", **fields)).json() for _ in range(2)]
    assert first["words"] == second["words"]
    assert words_of(second, "**Hi** `you`") == ["Hi", "you"]


SIGNS = st.sampled_from(
    [
        "word ",
        "a",
        "1",
        "**",
        "__",
        "`",
        "- ",
        "# ",
        "\n",
        "[x](",
        "https://a.org/b",
        ")",
        " ",
        "é",
        "漢",
        ". ",
    ]
)


@given(st.lists(SIGNS, max_size=30).map("".join), st.integers(5, 40), st.data())
def test_any_word_lies_in_the_text_that_was_sent(text: str, longest: int, data: st.DataObject) -> None:
    reading = read_markdown(text)
    if reading is None:
        return
    start = data.draw(st.integers(0, len(text)))
    part = reading.part(start, len(text))
    cut = segments.fit_segments(PlainFrontEnd().prepare(part.text, "en", {}), longest)
    places = WordPositions(part.text, cut, start, part.places)
    moments = [*((number, float(number)) for number in range(len(cut))), (len(cut), float(len(cut)))]
    found = InterpolatedWords(places, moments).so_far() or ()
    letters = {place for place, sign in zip(part.places, part.text, strict=True) if sign.isalnum()}
    for word in found:
        assert start <= word.source_start < word.source_end <= len(text)
        letters -= {*range(word.source_start, word.source_end)}
    assert not letters
