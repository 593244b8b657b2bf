"""One account's texts that a provider fails at, and the neighbours who use the same key meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

import msgspec
import pytest

from plugins.openai.engine import OpenAIEngine
from plugins.openai.settings import OpenAISettings
from policies.breaker import CLOSED, MOST_FAULTS
from proxy.engines.providers import refreshing
from proxy.engines.providers.cloud_engine import CloudEngine
from speech_engine import (
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    HttpAnswer,
    HttpRequest,
    Segment,
)
from tests.proxy.engines import keys
from tests.sound import tone
from tests.tables import each_row
from tests.waiting import soon

POISON = "poison"
NEIGHBOURS_REQUESTS = 45
AT_ONCE = 6
"""More than the faults in a row that put a key to rest."""


class Said(NamedTuple):
    """What the provider says to one request."""

    status: int
    body: bytes = b""
    media_type: str = ""


class Answer:
    """What it says, in one piece."""

    def __init__(self, said: Said) -> None:
        self.status, self._body = said.status, said.body
        self.headers: Mapping[str, str] = {"content-type": said.media_type}

    async def next_piece(self) -> bytes:
        body, self._body = self._body, b""
        return body

    async def read(self, most_bytes: int = 0) -> bytes:
        return await self.next_piece()


class Provider:
    """A provider that speaks all texts but one. `lists` tells whether its lists can be had, `no_list` what it
    says if not, and `looks` how often they were asked for."""

    def __init__(self, poison: Said | EngineError, *, lists: bool = True) -> None:
        self.lists = lists
        self.no_list = Said(500)
        self.looks = 0
        self._poison = poison

    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpAnswer]:
        return self._exchange(request)

    @asynccontextmanager
    async def _exchange(self, request: HttpRequest) -> AsyncIterator[HttpAnswer]:
        await asyncio.sleep(0)
        yield Answer(self._said(request))

    def _said(self, request: HttpRequest) -> Said:
        if request.method == "GET":
            self.looks += 1
            return Said(200, b'{"data": []}') if self.lists else self.no_list
        assert isinstance(request.body, bytes)
        if POISON not in msgspec.json.decode(request.body)["input"]:
            return Said(200, tone(440, 0.1, 24_000))
        if isinstance(self._poison, EngineError):
            raise self._poison
        return self._poison


def key_at(provider: Provider, metrics: keys.RecordedMetrics | None = None) -> CloudEngine:
    settings = OpenAISettings(base_url="http://127.0.0.1/v1", formats=("pcm",))
    return keys.cloud_engine(OpenAIEngine(settings, provider), metrics=metrics, queue=1000)


async def speak(cloud: CloudEngine, account: str, text: str = "Hello.") -> bool:
    """Whether the account was heard."""
    asked = msgspec.structs.replace(keys.job(tenant=account), segments=(Segment(text, 0, len(text)),))
    try:
        return await keys.count_audio(cloud, asked) > 0
    except EngineError:
        return False


async def fail(cloud: CloudEngine, times: int = 1, account: str = "acc_bad") -> None:
    for _ in range(times):
        assert not await speak(cloud, account, POISON)


async def heard_beside(cloud: CloudEngine, *accounts: str) -> int:
    """How many of a neighbour's requests are heard. Before each of them the others send their poison, also
    as the first who may try again."""
    heard = 0
    for _ in range(NEIGHBOURS_REQUESTS):
        poison = [speak(cloud, account, POISON) for account in accounts for _ in range(AT_ONCE)]
        assert not any(await asyncio.gather(*poison))
        heard += await speak(cloud, "acc_neighbour")
        keys.later(cloud)
    return heard


FILTERED = Said(403, b'{"error": {"code": "flagged", "message": "no"}}', "application/json")
POISONS = {
    "a 400 of vLLM": Said(
        400, b'{"object": "error", "message": "no", "type": "BadRequestError", "code": 400}'
    ),
    "a 400 of FastAPI": Said(400, b'{"detail": "no"}'),
    "a firewall's 403": Said(403, b"<html>Blocked", "text/html"),
    "a filter's 403": FILTERED,
    "a 404": Said(404, b'{"detail": "Not Found"}'),
    "a 413": Said(413, b"<html>"),
    "a 422": Said(422, b'{"detail": [{"loc": ["body", "instructions"], "msg": "no"}]}'),
    "a 500": Said(500, b"Internal Server Error"),
    "a 503": Said(503),
    "an empty answer": Said(200),
    "an error in place of sound": Said(200, b'{"error": {"message": "no", "type": "server_error"}}'),
}


@each_row("poison", POISONS.values(), ids=POISONS)
async def test_one_accounts_texts_cost_no_neighbour_an_answer(
    poison: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.provider_waits._BASE_S", 0.0)
    assert await heard_beside(key_at(Provider(poison)), "acc_bad") == NEIGHBOURS_REQUESTS


async def test_two_accounts_texts_cost_nobody_for_whom_it_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.breaker.QUIET_S", 1000.0)
    cloud = key_at(Provider(Said(500)))
    assert await speak(cloud, "acc_neighbour")
    assert await heard_beside(cloud, "acc_bad", "acc_worse") == NEIGHBOURS_REQUESTS


async def test_one_accounts_faults_are_looked_into_and_end_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "PROBE_S", 0.0)
    provider = Provider(Said(500))
    cloud = key_at(provider)
    async with refreshing.keep_refreshed(cloud):
        at_start = provider.looks
        for number in (2, 3):
            await fail(cloud, MOST_FAULTS, f"acc_bad{number}")
            await soon(lambda: cloud.keys[0].breaker == CLOSED)
            assert provider.looks == number * at_start
            assert await speak(cloud, "acc_neighbour")


async def test_no_account_makes_us_look_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "PROBE_S", 1000.0)
    provider = Provider(Said(500))
    cloud = key_at(provider)
    async with refreshing.keep_refreshed(cloud):
        at_start = provider.looks
        await fail(cloud, 10 * MOST_FAULTS)
        assert cloud.keys[0].wants_look.is_set()
        assert (provider.looks, cloud.state) == (at_start, "ready")


@each_row("poison", [Said(500), Said(200), EngineTimeout("It gave no audio in time.")])
async def test_a_dead_provider_rests_although_one_account_alone_uses_it(
    poison: Said | EngineError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing, "PROBE_S", 0.0)
    provider = Provider(poison)
    cloud = key_at(provider)
    async with refreshing.keep_refreshed(cloud):
        provider.lists = False
        await fail(cloud, MOST_FAULTS)
        await soon(lambda: cloud.state == "resting")
        assert not await speak(cloud, "acc_neighbour")
        provider.lists = True
        await soon(lambda: cloud.state == "ready")
        assert await speak(cloud, "acc_neighbour")


async def test_a_key_that_is_forbidden_everything_rests_with_an_alarm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refreshing, "PROBE_S", 0.0)
    provider, metrics = Provider(FILTERED), keys.RecordedMetrics()
    cloud = key_at(provider, metrics)
    async with refreshing.keep_refreshed(cloud):
        provider.lists, provider.no_list = False, FILTERED
        await fail(cloud, MOST_FAULTS)
        await soon(lambda: cloud.state == "resting")
    assert metrics.alarms == ["cloud EngineForbidden"]
    assert cloud.reason.endswith("(HTTP 403 flagged).")


async def test_a_key_that_never_might_list_is_not_judged_by_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "PROBE_S", 0.0)
    provider = Provider(FILTERED, lists=False)
    provider.no_list = FILTERED
    cloud = key_at(provider)
    async with refreshing.keep_refreshed(cloud):
        await fail(cloud, MOST_FAULTS)
        await soon(lambda: cloud.keys[0].breaker == CLOSED)
        assert await speak(cloud, "acc_neighbour")


async def test_a_key_that_is_forbidden_the_texts_of_two_accounts_rests() -> None:
    metrics = keys.RecordedMetrics()
    cloud = key_at(Provider(FILTERED), metrics)
    await fail(cloud, MOST_FAULTS)
    assert (cloud.state, metrics.alarms) == ("ready", [])
    assert not await speak(cloud, "acc_worse", POISON)
    assert (cloud.state, metrics.alarms) == ("resting", ["cloud EngineForbidden"])


async def test_a_provider_that_cannot_be_reached_rests_for_one_account() -> None:
    cloud = key_at(Provider(EngineUnavailable("The provider cannot be reached: refused.")))
    await fail(cloud, MOST_FAULTS - 1)
    assert cloud.state == "ready"
    await fail(cloud)
    assert cloud.state == "resting"


async def test_a_text_that_takes_long_keeps_no_neighbour_from_trying() -> None:
    engine = keys.Turns(*[[EngineFailed("x")]] * MOST_FAULTS, keys.SILENT, keys.WELL)
    cloud = keys.cloud_engine(engine)
    for number in range(MOST_FAULTS):
        assert not await speak(cloud, f"acc_{number % 2}")
    keys.later(cloud)
    engine.asked.clear()
    slow = asyncio.create_task(speak(cloud, "acc_bad"))
    await engine.asked.wait()
    assert not await speak(cloud, "acc_bad")
    assert await speak(cloud, "acc_neighbour")
    assert cloud.state == "ready"
    slow.cancel()
    await asyncio.wait([slow])
