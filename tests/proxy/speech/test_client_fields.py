"""Instructions, and the fields of some engines alone: who gets them, what is told, and what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from speech_engine import EngineFailed
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.speech_clips import wav
from tests.tables import each_row

CONFIG = """
[cache]
[engines.follows]
costs = { "*" = { usd = 0.001, per = "character" } }
[engines.plain]
[engines.broken]
[models]
both = ["follows/m", "plain/m"]
spare = ["broken/m", "plain/m"]
[voices.ana]
follows = "v"
broken = "v"
[voices.any]
follows = "v"
plain = "v"
broken = "v"
[voices.ben]
plain = "v"
"""
FOLLOWS: dict[str, Any] = {"max_instructions": 20, "client_fields": ("task_type", "options", "ref_audio")}
WHISPER = "Whisper, softly."


class World(NamedTuple):
    server: Inside
    follows: Scripted
    plain: Scripted

    async def ask(self, **more: object) -> httpx2.Response:
        return await self.server.speech("Hello there.", **{"model": "both", "voice": "any", **more})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    follows = Scripted(*spoken(1.0), speaks_samples=True, **FOLLOWS)
    plain, broken = Scripted(*spoken(1.0)), Scripted(EngineFailed("It broke."), **FOLLOWS)
    engines = {"follows": follows, "plain": plain, "broken": broken}
    async with inside(tmp_path, CONFIG, engines) as server:
        yield World(server, follows, plain)


@pytest.mark.parametrize("form", [{}, {"stream_format": "sse"}, {"response_format": "json"}])
async def test_instructions_reach_a_model_that_follows_them(world: World, form: dict[str, str]) -> None:
    answer = await world.ask(instructions=WHISPER, **form)
    assert answer.status_code == 200
    assert world.follows.jobs[0].instructions == WHISPER
    assert "x-voxgate-ignored" not in answer.headers


@pytest.mark.parametrize("form", [{}, {"stream_format": "sse"}, {"response_format": "json"}])
async def test_a_model_that_follows_none_ignores_them_and_the_answer_says_so(
    world: World, form: dict[str, str]
) -> None:
    answer = await world.ask(model="plain/m", instructions=WHISPER, task_type="Base", lang_code="p", **form)
    assert answer.status_code == 200
    assert (world.plain.jobs[0].instructions, world.plain.jobs[0].extra) == ("", {})
    assert answer.headers["x-voxgate-ignored"] == "instructions, lang_code, task_type"


async def test_the_model_that_really_spoke_decides(world: World) -> None:
    answer = await world.ask(model="spare", instructions=WHISPER)
    assert answer.headers["x-voxgate-engine"] == "plain/m"
    assert answer.headers["x-voxgate-ignored"] == "instructions"


async def test_one_of_several_speakers_that_does_not_follow_is_told(world: World) -> None:
    cast = {"cast": {"Ana": "ana", "Ben": "ben"}}
    body = {"model": "both", "voice": cast, "input": "[Ana] Hello. [Ben] Good day.", "instructions": WHISPER}
    answer = await world.server.ask("POST", "/v1/audio/speech", body=body)
    assert answer.status_code == 200, answer.text
    assert world.follows.jobs[0].instructions == WHISPER
    assert answer.headers["x-voxgate-ignored"] == "instructions"


async def test_more_than_a_model_takes_goes_to_the_next_one_or_names_the_field(world: World) -> None:
    answer = await world.ask(instructions="x" * 21)
    assert answer.headers["x-voxgate-engine"] == "plain/m"
    assert world.follows.jobs == []
    refused = await world.ask(model="follows/m", instructions="x" * 21)
    assert refused.status_code == 400
    found = envelope(refused)
    assert (found["param"], found["code"]) == ("instructions", "string_above_max_length")
    assert "up to 20" in found["message"]


async def test_the_account_pays_for_the_text_and_the_provider_for_both(world: World) -> None:
    await world.ask(instructions=WHISPER)
    await world.ask(model="plain/m", instructions=WHISPER)
    ignored, followed = await world.server.usage()
    assert ignored.characters == followed.characters == len("Hello there.")
    assert followed.micro_usd == 1_000 * len("Hello there." + WHISPER)


async def test_an_ignored_field_does_not_split_the_cache_and_a_followed_one_does(world: World) -> None:
    states = {}
    for model in ("plain/m", "follows/m"):
        for fields in ({}, {"instructions": WHISPER}, {"instructions": "Shout."}, {"task_type": "Base"}):
            for stated in (fields, fields | {"provider": "x"}):
                answer = await world.ask(model=model, cache=True, **stated)
                states[model, str(stated)] = answer.headers["x-voxgate-cache"]
                told = "x-voxgate-ignored" in answer.headers
                assert told == ("provider" in stated or (model == "plain/m" and bool(stated)))
    found = list(states.values())
    assert found == ["miss", *["hit"] * 7, *["miss", "hit"] * 4]


async def test_fields_that_the_model_takes_reach_it_as_they_were_sent(world: World) -> None:
    options = {"depth": [1, {"a": 2.5}], "on": True, "name": "Zoë", "none": None}
    answer = await world.ask(options=options, task_type="CustomVoice", zzz="secret", provider=None)
    assert answer.status_code == 200, answer.text
    assert world.follows.jobs[0].extra == {"options": options, "task_type": "CustomVoice"}
    assert "x-voxgate-ignored" not in answer.headers
    assert "zzz" not in str(answer.headers)


@each_row(
    "value",
    [
        "x" * 4096,
        [[[[[1]]]]],
        [[[[{"a": 1}]]]],
        "http://169.254.169.254/latest",
        "see FTP://x",
        " data:audio/wav;base64,AAAA",
        "file:/etc/passwd",
        "/etc/passwd",
        "~/voice.wav",
        "http:169.254.169.254",
        "C:\\\\voice.wav",
        "\\\\host\\share",
        {"a": ["https://example.org/a.wav"]},
        {"https://example.org": 1},
        {"ref_audio": "voice"},
        [{"references": []}],
    ],
)
@each_row("model", ["follows/m", "plain/m"])
async def test_a_value_that_is_too_much_or_that_could_be_fetched_is_refused(
    world: World, model: str, value: object
) -> None:
    answer = await world.ask(model=model, options=value)
    assert answer.status_code == 400
    assert envelope(answer)["param"] == "options"
    assert world.follows.jobs == world.plain.jobs == []


async def test_a_field_that_names_a_recording_is_never_passed(world: World) -> None:
    """Even if an engine says that clients may set it."""
    answer = await world.ask(ref_audio="http://169.254.169.254/latest", references=[{"audio_path": "/x"}])
    assert answer.status_code == 200
    assert world.follows.jobs[0].extra == {}
    assert answer.headers["x-voxgate-ignored"] == "ref_audio, references"


async def test_bytes_that_are_no_text_are_a_400(world: World) -> None:
    body = b'{"model": "both", "voice": "any", "input": "Hi.", "options": "\xff"}'
    messages = await world.server.raw_speech(body)
    assert messages[0]["status"] == 400


async def test_a_form_may_have_them_too(world: World) -> None:
    fields = {"model": "both", "input": "Hello there.", "consent": "true", "instructions": WHISPER}
    fields |= {"task_type": "Base", "options": '{"steps": 8}', "lang_code": "p"}
    async with world.server.client() as client:
        answer = await client.post("/v1/audio/speech", data=fields, files={"reference_audio": wav()})
    assert answer.status_code == 200, answer.text
    (job,) = world.follows.jobs
    assert (job.instructions, job.extra) == (WHISPER, {"options": {"steps": 8}, "task_type": "Base"})
    assert answer.headers["x-voxgate-ignored"] == "lang_code"


async def test_other_instructions_are_another_request_to_an_idempotency_key(world: World) -> None:
    async with world.server.client(**{"idempotency-key": "one"}) as client:
        body = {"model": "both", "voice": "any", "input": "Hello there."}
        first = await client.post("/v1/audio/speech", json={**body, "instructions": WHISPER})
        other = await client.post("/v1/audio/speech", json={**body, "instructions": "Shout."})
    assert (first.status_code, other.status_code) == (200, 422)
