"""The fake is what it stands for: OpenAI's SDK gets on with it, and is refused what OpenAI would refuse."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from websockets.exceptions import InvalidStatus

from fakes.realtime.app import RealtimeFake, served
from plugins.openai.realtime.messages import SessionKey, response_create, session_update
from tests.plugins.openai.realtime.rig import MODEL
from tests.sound import decoded
from tests.tones import words

KEY = SessionKey(MODEL, "marin", 1.0)


@pytest.fixture
async def connection() -> AsyncIterator[Any]:
    async with served(RealtimeFake()) as url:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-good") as sdk:
            async with sdk.realtime.connect(model=MODEL) as connection:
                assert (await connection.recv()).type == "session.created"
                yield connection


async def _until_done(connection: Any, count: int) -> list[Any]:
    events: list[Any] = []
    while sum(event.type == "response.done" for event in events) < count:
        events.append(await connection.recv())
    return events


def _heard(events: list[Any], id_: str) -> list[str] | None:
    deltas = [e.delta for e in events if e.type == "response.output_audio.delta" and e.response_id == id_]
    pcm = b"".join(map(base64.b64decode, deltas))
    return words(decoded(pcm, "pcm").samples, 24_000)


async def test_the_sdk_hears_two_responses_at_once(connection: Any) -> None:
    await connection.send_raw(session_update(KEY, "Read.", "minimal"))
    updated = await connection.recv()
    assert (updated.type, updated.session.audio.output.voice) == ("session.updated", "marin")
    for number, text in enumerate(("Hello there.", "And you, my friend?"), 1):
        await connection.send_raw(response_create(number, KEY, text, "Read."))
    events = await _until_done(connection, 2)
    done = [event.response for event in events if event.type == "response.done"]
    heard = {each.metadata["sentence"]: _heard(events, each.id) for each in done}
    assert heard == {"1": ["Hello there."], "2": ["And you, my friend?"]}
    assert {each.status for each in done} == {"completed"}
    assert all(each.usage.output_token_details.audio_tokens > 0 for each in done)
    # They come side by side.
    ids = [e.response_id for e in events if e.type == "response.output_audio.delta"]
    assert ids != sorted(ids)


@pytest.mark.parametrize(
    ("frame", "param"),
    [
        ({"type": "no.such.type"}, "type"),
        (
            {
                "type": "session.update",
                "session": {"type": "realtime", "output_modalities": ["audio", "text"]},
            },
            None,
        ),
        ({"audio": {"output": {"voice": "onyx"}}}, "session.audio.output.voice"),
        ({"audio": {"output": {"speed": 1.6}}}, "session.audio.output.speed"),
        (
            {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 16_000}}}},
            "session.audio.output.format.rate",
        ),
        ({"reasoning": {"effort": "none"}}, "session.reasoning.effort"),
    ],
)
async def test_a_wrong_message_is_an_error_that_names_it(
    connection: Any, frame: dict[str, Any], param: str | None
) -> None:
    sent = frame if "type" in frame else {"type": "session.update", "session": {"type": "realtime", **frame}}
    await connection.send({**sent, "event_id": "mine"})
    event = await connection.recv()
    assert (event.type, event.error.event_id) == ("error", "mine")
    assert event.error.param == param or param is None
    # The session goes on.
    await connection.send_raw(response_create(1, KEY, "Hello.", "Read."))
    await _until_done(connection, 1)


async def test_a_voice_that_has_spoken_stays(connection: Any) -> None:
    await connection.send_raw(session_update(KEY, "Read.", ""))
    await connection.send_raw(response_create(1, KEY, "Hello.", "Read."))
    await _until_done(connection, 1)
    await connection.send_raw(session_update(KEY._replace(voice="cedar"), "Read.", ""))
    assert (await connection.recv()).error.code == "cannot_update_voice"


async def test_the_conversation_has_one_response_at_a_time_and_a_cancelled_one_ends(connection: Any) -> None:
    turn: Any = {
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hm" * 50}]}]
    }
    await connection.send({"type": "response.create", "response": turn})
    created = await connection.recv()
    await connection.send({"type": "response.create", "response": turn})
    await connection.send({"type": "response.cancel", "response_id": created.response.id})
    await connection.send({"type": "response.cancel", "response_id": "resp_0"})
    codes: list[str] = []
    status = ""
    while len(codes) < 2 or not status:
        event = await connection.recv()
        if event.type == "error":
            codes.append(event.error.code)
        elif event.type == "response.done":
            status = event.response.status
    assert codes == ["conversation_already_has_active_response", "response_cancel_not_active"]
    assert status == "cancelled"


@pytest.mark.parametrize(("key", "model", "status"), [("wrong", MODEL, 401), ("sk", "gpt-9", 404)])
async def test_a_handshake_is_refused(key: str, model: str, status: int) -> None:
    async with served(RealtimeFake()) as url:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key) as sdk:
            with pytest.raises(InvalidStatus) as caught:
                await sdk.realtime.connect(model=model).enter()
    assert caught.value.response.status_code == status
