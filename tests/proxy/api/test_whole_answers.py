"""Answers that go out whole, JSON and files: in pieces, of bounded size, and streams until their end."""

import asyncio
import base64
import errno
import os
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.types import Message

from proxy.api.answering import MOST_LAST_BYTES
from proxy.speech import spill
from speech_engine import Finished, Started, errors
from tests.features.marks.inside import manifests_of
from tests.proxy.api.inside import Inside, LeavingPeer, envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, Step, sound, spoken
from tests.tables import each_row

pytestmark = pytest.mark.slow

CONFIG = """
[engines.one]
[voices.ana]
one = "v"
[cache]
megabytes = 64
[marking]
mark = ""
[plans.paid]
allowance = 1000
streams = 1
prices.speech = { credits = 6, per = "minute" }
prices.cached = { credits = 6, per = "minute" }
"""
TEXT = "Some words of a text. " * 20
BODY = {"model": "one/m", "voice": "ana", "input": TEXT, "cache": False}
SECONDS = 40
JSON = {"response_format": "json", "audio_format": "pcm"}
SIGNED = {"response_format": "mp3", "provenance": "c2pa"}
WHOLE = [
    JSON,
    {"response_format": "wav", "provenance": "c2pa"},
    {"response_format": "wav", "input": TEXT[:400]},
]


class Client:
    """One that takes the first piece, and the others when it is told to. It remembers how large each was."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.status = 0
        self.begun = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def take(self, message: Message) -> None:
        self.status = message.get("status", self.status)
        if message.get("body"):
            self.sizes.append(len(message["body"]))
            message["body"] = b""
            self.begun.set()
            await self.goes_on.wait()

    @property
    def has_had_pieces(self) -> bool:
        """Whether no piece was large. Around the first one is what comes before the audio."""
        return max(self.sizes) < MOST_LAST_BYTES + 1000 and self.sizes[-1] <= MOST_LAST_BYTES

    @asynccontextmanager
    async def asking(
        self,
        server: Inside,
        body: object,
        headers: dict[str, str] | None = None,
        peer: LeavingPeer | None = None,
    ) -> AsyncIterator[None]:
        """Ask, and have the first piece in the block; go on after it."""
        asked = server.raw_speech(body, on_sent=self.take, headers=headers, peer=peer)
        asking = asyncio.create_task(asked)
        begun = asyncio.create_task(self.begun.wait())
        await asyncio.wait((asking, begun), return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        try:
            yield
        finally:
            self.goes_on.set()
            await asyncio.wait((asking,))


@asynccontextmanager
async def speaking(folder: Path, *script: Step) -> AsyncIterator[tuple[Inside, Scripted]]:
    engine = Scripted(*(script or spoken(SECONDS)))
    async with inside(folder, CONFIG, {"one": engine}, plan="paid") as server:
        yield server, engine
        assert "0 live" in repr(server.worker.ledger)
        assert repr(server.worker.parts.spill_quota).startswith("<SpillQuota 0 of"), "the room is given back"
        assert repr(server.worker.parts.spill_quota).endswith(" 0 files>")
        assert " 0 of 64 taken>" in repr(manifests_of(server.worker)), "the signer's too"
        assert engine.open == 0


async def charged(server: Inside) -> list[tuple[str, str | None, float]]:
    return [(row.outcome, row.error, row.credits / 1e6) for row in await server.usage()]


@each_row("more", WHOLE, ids=["json", "signed", "wav"])
async def test_a_whole_answer_goes_out_in_pieces_and_holds_its_stream_until_the_last(
    tmp_path: Path, more: dict[str, str]
) -> None:
    client = Client()
    async with speaking(tmp_path) as (server, _):
        async with client.asking(server, {**BODY, **more}):
            refused = await server.ask("POST", "/v1/audio/speech", body={**BODY, **more})
            assert (refused.status_code, envelope(refused)["code"]) == (429, "rate_limit_exceeded")
        assert client.has_had_pieces
        assert sum(client.sizes) > SECONDS * RATE_HZ * 2
        assert await charged(server) == [("finished", None, 4.0)]
        assert (await server.ask("POST", "/v1/audio/speech", body={**BODY, **more})).status_code == 200


@each_row("more", [JSON, {"response_format": "wav"}, {"response_format": "pcm"}])
async def test_replays_of_a_clip_are_one_after_the_other(tmp_path: Path, more: dict[str, str]) -> None:
    body = {**BODY, **more, "cache": True}
    async with speaking(tmp_path) as (server, engine):
        first = await server.ask("POST", "/v1/audio/speech", body=body)
        client = Client()
        async with client.asking(server, body):
            for _ in range(3):
                again = await server.ask("POST", "/v1/audio/speech", body=body)
                assert again.status_code == 429
        assert (client.status, client.has_had_pieces) == (200, True)
        replay = await server.ask("POST", "/v1/audio/speech", body=body)
        assert replay.headers["x-voxgate-cache"] == "hit"
        assert replay.content == first.content
        assert len(engine.jobs) == 1
        assert [outcome for outcome, _, _ in await charged(server)] == ["finished"] * 3


@pytest.mark.parametrize("more", [JSON, {"response_format": "pcm"}])
async def test_a_kept_answer_that_is_sent_again_is_a_stream_and_costs_nothing(
    tmp_path: Path, more: dict[str, str]
) -> None:
    body, key = {**BODY, **more}, {"idempotency-key": "one"}
    async with speaking(tmp_path) as (server, engine):
        first = await server.ask("POST", "/v1/audio/speech", body=body, **key)
        client = Client()
        async with client.asking(server, body, key):
            refused = await server.ask("POST", "/v1/audio/speech", body=body, **key)
            assert (refused.status_code, envelope(refused)["code"]) == (429, "rate_limit_exceeded")
        assert (client.status, client.has_had_pieces) == (200, True)
        again = await server.ask("POST", "/v1/audio/speech", body=body, **key)
        assert (again.headers["x-voxgate-replayed"], again.content) == ("true", first.content)
        leaver, peer = Client(), LeavingPeer()
        async with leaver.asking(server, body, key, peer):
            peer.leave()
        assert len(engine.jobs) == 1
        assert await charged(server) == [("finished", None, 4.0)]


async def test_a_whole_answer_is_the_same_however_long_it_is(tmp_path: Path) -> None:
    """Base64 and sizes of pieces that are joined, around the places where pieces end."""
    for seconds in (0.1, 1.024, 5.12, 5.2):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        async with speaking(folder, *spoken(seconds)) as (server, _):
            for format_ in ("pcm", "wav"):
                stream = {"x-stainless-raw-response": "stream"}
                body = {**BODY, "response_format": format_}
                streamed = await server.ask("POST", "/v1/audio/speech", body=body, **stream)
                whole = await server.ask("POST", "/v1/audio/speech", body=body)
                in_json = await server.ask(
                    "POST", "/v1/audio/speech", body={**body, **JSON, "audio_format": format_}
                )
                assert base64.b64decode(in_json.json()["audio_base64"], validate=True) == whole.content
                assert int(in_json.headers["content-length"]) == len(in_json.content)
                assert whole.content[44:] == streamed.content[44:]
            assert int.from_bytes(whole.content[4:8], "little") == len(whole.content) - 8


async def test_ten_minutes_in_json_take_no_more_memory_than_seconds_do(tmp_path: Path) -> None:
    steps = [Started(RATE_HZ), *[sound(1.0)[0]] * 6000, Finished()]
    body = {**BODY, **JSON, "input": TEXT * 9}
    client = Client()
    client.goes_on.set()
    async with speaking(tmp_path, *steps) as (server, _):
        await server.ask("POST", "/v1/audio/speech", body={**body, "input": "Hi."})
        tracemalloc.start()
        try:
            async with client.asking(server, body):
                pass
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert sum(client.sizes) > 600 * RATE_HZ * 2
    assert most < 6 * 2**20


async def test_json_that_may_become_too_large_is_refused_before_it_is_spoken(tmp_path: Path) -> None:
    body = {**BODY, **JSON, "input": "word " * 800, "speed": 0.25, "sample_rate": 48_000}
    async with speaking(tmp_path, *spoken(1.0)) as (server, engine):
        refused = await server.ask("POST", "/v1/audio/speech", body=body)
        error = envelope(refused)
        assert (refused.status_code, error["param"], error["type"]) == (
            *(400, "response_format"),
            "invalid_request_error",
        )
        digits = await server.ask("POST", "/v1/audio/speech", body={**BODY, **JSON, "input": "1 " * 2000})
        assert envelope(digits)["param"] == "response_format", "numbers are long when they are said"
        assert engine.jobs == []
        assert await charged(server) == []
        small = await server.ask("POST", "/v1/audio/speech", body={**body, "audio_format": "mp3"})
        assert small.status_code == 200, "a smaller format may be as long"


@pytest.mark.parametrize(
    "more", [JSON, {"response_format": "wav", "provenance": "c2pa"}], ids=["json", "signed"]
)
async def test_who_leaves_in_the_middle_pays_for_what_went_out(tmp_path: Path, more: dict[str, str]) -> None:
    client, peer = Client(), LeavingPeer()
    async with speaking(tmp_path) as (server, _):
        async with client.asking(server, {**BODY, **more}, peer=peer):
            peer.leave()
        ((outcome, _, credits),) = await charged(server)
        assert outcome == "left"
        assert credits == pytest.approx(0.1, abs=0.01), "a second of forty went out"
        assert (await server.ask("POST", "/v1/audio/speech", body={**BODY, **more})).status_code == 200


async def test_a_full_disk_is_no_fault_of_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    async with speaking(tmp_path) as (server, _):
        monkeypatch.setattr(spill, "_write_all", fail)
        failed = await server.ask("POST", "/v1/audio/speech", body={**BODY, **JSON})
        assert (failed.status_code, envelope(failed)["code"]) == (503, "server_busy")
        assert await charged(server) == [("failed", "server_busy", 0)]


async def test_a_disk_that_fails_in_the_middle_is_charged_as_far_as_the_client_got(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "broken")

    client = Client()
    async with speaking(tmp_path) as (server, _):
        async with client.asking(server, {**BODY, **JSON}):
            monkeypatch.setattr(os, "pread", fail)
        ((outcome, error, credits),) = await charged(server)
        assert (outcome, error) == ("failed", "client_too_slow")
        assert credits == pytest.approx(0.1, abs=0.01)


async def test_who_takes_all_places_of_the_signer_is_refused_before_anybody_speaks(tmp_path: Path) -> None:
    async with speaking(tmp_path) as (server, engine):
        signer = manifests_of(server.worker).signer
        places = [await signer.take_place(f"acc_{number % 2}") for number in range(32)]
        heard = await server.ask("POST", "/v1/audio/speech", body={**BODY, **SIGNED})
        assert heard.status_code == 200, "half are for others"
        places += [await signer.take_place(f"acc_{number}") for number in range(2, 34)]
        jobs = len(engine.jobs)
        refused = await server.ask("POST", "/v1/audio/speech", body={**BODY, **SIGNED})
        assert (refused.status_code, envelope(refused)["code"]) == (503, "manifest_unavailable")
        assert len(engine.jobs) == jobs
        for place in places:
            place.give_back()
        assert (await server.ask("POST", "/v1/audio/speech", body={**BODY, **SIGNED})).status_code == 200


async def test_what_may_become_too_long_to_sign_is_refused_before_it_is_spoken(tmp_path: Path) -> None:
    body = {**BODY, **SIGNED, "response_format": "wav", "input": "word " * 500}
    async with speaking(tmp_path) as (server, engine):
        refused = await server.ask("POST", "/v1/audio/speech", body=body)
        assert (refused.status_code, envelope(refused)["param"]) == (400, "provenance")
        assert engine.jobs == []
        assert await charged(server) == []


@pytest.mark.parametrize("key", [{}, {"idempotency-key": "one"}], ids=["plain", "kept"])
async def test_what_is_too_long_to_sign_after_all_is_charged_as_it_was_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: dict[str, str]
) -> None:
    monkeypatch.setattr("proxy.features.marks.signer.MOST_BODY_BYTES", 1000)
    async with speaking(tmp_path) as (server, _):
        refused = await server.ask("POST", "/v1/audio/speech", body={**BODY, **SIGNED}, **key)
        error = envelope(refused)
        assert (refused.status_code, error["param"], error["code"]) == (400, "provenance", "too_long_to_sign")
        assert "retry-after" not in refused.headers
        assert await charged(server) == [("failed", "too_long_to_sign", 4.0)]


@pytest.mark.parametrize("fault", ["engine", "left"])
async def test_a_place_at_the_signer_is_given_back_when_nothing_is_signed(tmp_path: Path, fault: str) -> None:
    speaks = asyncio.Event()

    async def hang() -> None:
        speaks.set()
        await asyncio.Event().wait()

    last = errors.EngineFailed("broken") if fault == "engine" else hang
    async with speaking(tmp_path, Started(RATE_HZ), *sound(2.0), last) as (server, _):
        body, leaves = {**BODY, **SIGNED}, asyncio.Event()
        if fault == "engine":
            assert (await server.ask("POST", "/v1/audio/speech", body=body)).status_code == 503
        else:
            asked = asyncio.create_task(server.raw_speech(body, leaves))
            async with asyncio.timeout(10):
                await speaks.wait()
            assert " 1 of 64 taken>" in repr(manifests_of(server.worker))
            leaves.set()
            await asyncio.wait((asked,))
