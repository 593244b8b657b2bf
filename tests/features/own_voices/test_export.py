"""Exports of voices: they are made while they are sent, and half of one never looks whole."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from starlette.types import Message

from proxy.features.own_voices import export
from proxy.features.own_voices.export import MOST_OF_ACCOUNT
from proxy.helpers.limiter import FairLimiter
from tests import speech_clips
from tests.proxy.api.inside import TONE, Inside, inside
from tests.proxy.api.owning import agree, send


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> FairLimiter:
    made = export.export_limiter()
    monkeypatch.setattr(export, "export_limiter", lambda: made)
    return made


@pytest.fixture
async def server(tmp_path: Path, places: FairLimiter) -> AsyncIterator[Inside]:
    del places
    async with inside(tmp_path, TONE) as opened:
        yield opened


async def long_voice(server: Inside) -> str:
    """The id of a voice whose recording has megabytes."""
    fields = {"name": "Ana", "consent": (await agree(server))["id"]}
    answer = await send(server, fields, speech_clips.long_wav())
    return str(answer.json()["id"])


async def test_an_export_of_a_long_recording_goes_out_in_small_parts(server: Inside) -> None:
    voice = await long_voice(server)
    parts, is_whole = await exported(server, voice)
    assert (len(parts) > 4, is_whole) == (True, True)
    assert max(map(len, parts)) < 2**19
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
        assert archive.testzip() is None
        assert len(archive.read("sample-1.wav")) == len(speech_clips.long_wav())


@pytest.mark.parametrize("change", ["damaged", "erased"])
async def test_an_export_whose_recording_goes_meanwhile_is_broken_off(
    server: Inside, tmp_path: Path, change: str
) -> None:
    voice = await long_voice(server)
    (sealed,) = (path for path in (tmp_path / "data" / "voices").rglob("*") if path.is_file())

    async def interfere() -> None:
        if change == "erased":
            await server.ask("DELETE", f"/v1/audio/voices/{voice}")
        else:
            data = sealed.read_bytes()
            sealed.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    parts, is_whole = await exported(server, voice, interfere)
    assert (len(parts) >= 1, is_whole) == (True, False)


async def test_an_export_has_a_place_until_its_end_however_it_ends(
    server: Inside, places: FairLimiter, tmp_path: Path
) -> None:
    """An account that downloads many at once is told to come back, and an early end gives the place back."""
    voice = await long_voice(server)
    first_parts, goes_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        if places.taken_weight == MOST_OF_ACCOUNT:
            first_parts.set()
        await goes_on.wait()

    async def leave() -> None:
        raise ConnectionResetError

    downloads = [asyncio.create_task(exported(server, voice, wait)) for _ in range(MOST_OF_ACCOUNT)]
    await first_parts.wait()
    refused = await server.ask("GET", f"/v1/audio/voices/{voice}/export")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "server_busy")
    assert refused.headers["retry-after"]
    goes_on.set()
    assert all(is_whole for _, is_whole in await asyncio.gather(*downloads))
    with suppress(ConnectionResetError):
        await exported(server, voice, leave)
    assert places.taken_weight == 0
    (sealed,) = (path for path in (tmp_path / "data" / "voices").rglob("*") if path.is_file())
    sealed.unlink()
    assert not (await server.ask("GET", f"/v1/audio/voices/{voice}/export")).is_success
    assert places.taken_weight == 0


async def exported(
    server: Inside, voice: str, after_first: Callable[[], Awaitable[None]] | None = None
) -> tuple[list[bytes], bool]:
    """The parts of an export as they are sent, and whether it came to its end. Something may happen after
    the first part."""
    parts: list[bytes] = []
    last: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def sent(message: Message) -> None:
        last[:] = [message]
        if part := message.get("body"):
            parts.append(part)
            if len(parts) == 1 and after_first is not None:
                await after_first()

    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/v1/audio/voices/{voice}/export",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {server.key}".encode())],
    }
    await server.worker.public(scope, receive, sent)
    return parts, not last[0].get("more_body", False)
