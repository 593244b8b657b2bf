"""Models of voices in memory: a slow client loses its place to others, and all together have one bound."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from io import FileIO
from pathlib import Path

import pytest

from proxy.errors import NoPlace, RequestTimeout
from proxy.features.own_voices.trained import bodies, model_limiter
from proxy.features.own_voices.trained.model_export import ModelStream
from proxy.features.own_voices.trained.model_limiter import ModelLimiter, ModelPlaces
from proxy.helpers.limiter import FairLimiter
from tests.features.own_voices.test_trained_models import PATH, TOML, listener, made
from tests.features.own_voices.trained_files import tone_voice
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.owning import new_key
from tests.proxy.http.sockets import Patient, RawAnswer, RawClient, calling, serving
from tests.speech_engine.host.simulated_time import run, simulated
from tests.waiting import soon

MIB = 1024 * 1024
Lost = list[str]

_HEAD = (
    f"POST {PATH} HTTP/1.1\r\nHost: voxgate.test\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\n"
    "Content-Type: multipart/form-data; boundary=B\r\n\r\n"
)
_FILE = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.pth"\r\n\r\n'
_REST = b'\r\n--B\r\nContent-Disposition: form-data; name="name"\r\n\r\nZoe\r\n--B--\r\n'


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> list[ModelLimiter]:
    """The room of the server, once it is open."""
    made: list[ModelLimiter] = []

    def noted() -> ModelLimiter:
        made.append(ModelLimiter())
        return made[-1]

    monkeypatch.setattr(model_limiter, "ModelLimiter", noted)
    return made


@pytest.fixture
async def server(tmp_path: Path, rooms: list[ModelLimiter]) -> AsyncIterator[Inside]:
    async with inside(tmp_path, TOML, {"listener": listener()}, "free") as opened:
        yield opened
        await soon(lambda: rooms[0].small.taken_weight == 0)


async def begin(client: RawClient, key: str, size: int, sent: int) -> None:
    """Send the first bytes of a form with a file of this size."""
    length = len(_FILE) + size + len(_REST)
    await client.send((_HEAD % (length, key)).encode() + _FILE + bytes(sent))


def forms_begun() -> int:
    """The forms that have a file in the memory of this process."""
    with os.scandir("/proc/self/fd") as opened:
        return sum(os.path.lexists(each) and "memfd:file" in os.readlink(each) for each in opened)


@asynccontextmanager
async def uploads(
    server: Inside, keys: Sequence[str], size: int, sent: int
) -> AsyncIterator[list[RawClient]]:
    """Each key begins to send a model, and stops after so many bytes."""
    async with serving(server.worker.public, Patient) as address, AsyncExitStack() as held:
        tasks = len(asyncio.all_tasks())
        clients = [await held.enter_async_context(calling(address)) for _ in keys]
        for client, key in zip(clients, keys, strict=True):
            await begin(client, key, size, sent)
        await soon(lambda: forms_begun() >= 4)
        yield clients
        for client in clients:
            client.hang_up()
        await soon(lambda: len(asyncio.all_tasks()) <= tasks)


async def first_answer(clients: list[RawClient]) -> RawAnswer:
    answers = [asyncio.create_task(client.answer()) for client in clients]
    done, waiting = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    return done.pop().result()


async def test_accounts_that_send_next_to_nothing_hold_no_place(server: Inside) -> None:
    keys = [await new_key(server, f"slow-{number}") for number in range(4)]
    async with uploads(server, keys, MIB // 2, 1):
        assert (await made(server))["trained"]


async def test_accounts_that_stop_after_the_first_mebibyte_lose_their_place_to_others(
    server: Inside, rooms: list[ModelLimiter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_limiter, "PACE_S", 0.3)
    keys = [await new_key(server, f"slow-{number}") for number in range(4)]
    async with uploads(server, keys, 3 * MIB, 2 * MIB) as clients:
        await soon(lambda: rooms[0].small.taken_weight == 4)
        assert (await made(server))["trained"]
        answer = await first_answer(clients)
        assert (answer.status, answer.error["code"]) == (408, "request_timeout")
        assert "while others waited for its place" in answer.error["message"]


async def test_what_waits_for_a_place_counts_with_the_other_bodies_of_its_key(server: Inside) -> None:
    async with uploads(server, [server.key] * 17, MIB, 1) as clients:
        assert (await first_answer(clients)).error["code"] == "rate_limit_exceeded"


def place(room_: ModelLimiter, account: str, lost: Lost) -> ModelPlaces:
    made = ModelPlaces(room_, account)

    def lose() -> None:
        lost.append(account)
        made.close()

    made.begin_transfer(lose)
    return made


def test_a_place_is_lost_to_others_below_the_least_rate_over_ten_seconds() -> None:
    async def play() -> None:
        room_, lost = ModelLimiter(), Lost()
        slow = place(room_, "slow", lost)
        held = [slow, *(place(room_, f"acc_{number}", lost) for number in range(3))]
        for each in held:
            await each.grow(2 * MIB)
        # Nobody waits: it may be as slow as it likes. Its own next one is no other.
        own = asyncio.create_task(ModelPlaces(room_, "slow").grow(2 * MIB))
        await asyncio.wait([own])
        assert isinstance(own.exception(), NoPlace)
        assert lost == []
        other = place(room_, "other", lost)
        began = asyncio.get_running_loop().time()
        waiting = asyncio.create_task(other.grow(2 * MIB))
        while not waiting.done():
            for each in held[1:]:
                each.moved_bytes += 64 * 1024
            await asyncio.sleep(1.0)
        await waiting
        assert lost == ["slow"]
        assert asyncio.get_running_loop().time() - began <= 2 * model_limiter.PACE_S
        assert room_.small.taken_weight == 4

    run(play())


def test_one_large_model_at_a_time_bounds_the_memory_of_all() -> None:
    async def play() -> None:
        room_, lost = ModelLimiter(), Lost()
        first, second = place(room_, "first", lost), place(room_, "second", lost)
        for each in (first, second):
            await each.grow(model_limiter.SMALL_BYTES)
        await first.grow(model_limiter.SMALL_BYTES + 1)
        first_moves = asyncio.create_task(_move(first))
        with pytest.raises(NoPlace):
            await second.grow(model_limiter.SMALL_BYTES + 1)
        second.close()
        assert lost == []
        first_moves.cancel()
        third = place(room_, "third", lost)
        await third.grow(model_limiter.SMALL_BYTES + 1)
        assert lost == ["first"], "it moves no more"

    async def _move(client: ModelPlaces) -> None:
        while True:
            client.moved_bytes += 64 * 1024
            await asyncio.sleep(1.0)

    run(play())
    largest = sum(bodies.MOST_BYTES.values())
    assert 5 * model_limiter.SMALL_BYTES + largest - model_limiter.SMALL_BYTES < 1.4 * 1024 * MIB


@simulated
async def test_a_reader_that_stops_loses_the_place_of_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_limiter, "PACE_S", 0.05)
    room_ = ModelLimiter()
    room_.small = FairLimiter("models", places=1, of_account=1, at_once=1)
    stream = ModelStream("voice.pth", ModelPlaces(room_, "slow"))
    stream.file.write(bytes(MIB))
    stream.file.seek(0)
    await stream.places.grow(MIB)
    stream.places.begin_transfer(stream.close)
    assert await stream.next_chunk()
    other = ModelPlaces(room_, "other")
    await other.grow(MIB)
    with pytest.raises(RequestTimeout, match="while others waited"):
        await stream.next_chunk()
    stream.close()
    other.close()
    await soon(lambda: room_.small.taken_weight == 0)


async def test_no_large_file_is_closed_on_the_loop(server: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an upload of 840 MiB had in memory takes a tenth of a second and more to free."""
    closed: list[bool] = []

    class Noted(FileIO):
        def close(self) -> None:
            if not self.closed:
                closed.append(threading.current_thread() is threading.main_thread())
            super().close()

    def noted(name: str) -> Noted:
        return Noted(os.memfd_create(name), "r+b")

    monkeypatch.setattr("proxy.file_store.memory_file.memory_file", noted)
    monkeypatch.setattr("proxy.features.own_voices.trained.model_export.memory_file", noted)
    entry = await made(server, tone_voice(220))
    assert (await server.ask("GET", f"/v1/audio/voices/{entry['id']}/model")).status_code == 200
    await soon(lambda: len(closed) == 5)
    assert not any(closed)
