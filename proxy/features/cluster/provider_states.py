"""The states of providers' keys in Redis, for all gateways: requests a minute, breakers, pauses and probes.

Times are by the clock of Redis: a worker sends and receives only ages, as the clocks of machines may differ.
While Redis is away, each worker uses the states that it knows.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from policies.breaker import LONGEST_OPEN_S
from proxy.access.limits import Limits
from proxy.access.windows import FullWindow, KeyState, Limit
from proxy.errors import LimitsUnavailable
from proxy.features.cluster.limits_redis import RedisWindows, ask_redis, open_redis

KIND = "provider"
CLAIM_MS = 5000
"""A claim of a killed worker ends after this time. A living worker renews its claims each second."""
_RECORD_S = int(LONGEST_OPEN_S) + 60
_ANSWER_S = 0.5
"""The longest wait of a request for Redis. After it, Redis counts as away, and no further request waits."""

# KEYS: the record, the pause and the quiet time of each provider key, then the claims.
# ARGV: the worker, how long a record stays, the number of provider keys; for each its news, their age, and
# the rest of its pause and quiet time in ms; for each claim its rest in ms, 0 to end it.
# A record is "MOMENT WORKER NEWS". The latest news stay.
_EXCHANGE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local count = tonumber(ARGV[3])

local function lengthen(key, ms)
    local left = math.max(tonumber(ms), redis.call('PTTL', key))
    if left > 0 then
        redis.call('SET', key, '', 'PX', left)
    end
    return left
end

local function age(record)
    return now - tonumber(string.match(record, '^%S+'))
end

local answer = {}
for number = 0, count - 1 do
    local key, first = KEYS[number * 3 + 1], 4 + number * 4
    local record, news, age_s = redis.call('GET', key), ARGV[first], tonumber(ARGV[first + 1])
    if record and age(record) < 0 then
        record = false -- the clock has gone back
    end
    if news ~= '' and not (record and age(record) <= age_s) then
        record = string.format('%.6f %s %s', now - age_s, ARGV[1], news)
        redis.call('SET', key, record, 'EX', ARGV[2])
    end
    answer[number + 1] = {
        record or '',
        record and math.floor(age(record) * 1000000) or 0,
        lengthen(KEYS[number * 3 + 2], ARGV[first + 2]),
        lengthen(KEYS[number * 3 + 3], ARGV[first + 3]),
    }
end
for number = count * 3 + 1, #KEYS do
    if redis.call('GET', KEYS[number]) == ARGV[1] then
        redis.call('PEXPIRE', KEYS[number], ARGV[3 + count * 4 + number - count * 3])
    end
end
return answer
"""

_CLAIM = """
local is_new = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
return (is_new or redis.call('GET', KEYS[1]) == ARGV[1]) and 1 or 0
"""


class ProviderStates:
    """The states in a Redis, for one worker. While Redis `is_away`, only `exchange` calls it. `has_news` is
    set when the worker should call `exchange` at once."""

    def __init__(self, windows: RedisWindows) -> None:
        self.is_away = False
        self.has_news = asyncio.Event()
        self._windows = windows
        self._worker = secrets.token_hex(8).encode()
        self._exchange, self._claim = windows.script(_EXCHANGE), windows.script(_CLAIM)
        # The claims of this worker, and how long each is to last.
        self._claims_ms: dict[str, int] = {}
        self._last_records: dict[str, bytes] = {}

    async def exchange(self, reports: Mapping[str, KeyState]) -> dict[str, KeyState]:
        """Send the states of keys, by name, and return the states that all gateways know. News are returned
        once, and only to other workers than their sender. Return nothing if Redis is away."""
        keys = [self._key(f"{name}/{part}") for name in reports for part in ("breaker", "pause", "quiet")]
        arguments: list[bytes | float] = [self._worker, _RECORD_S, len(reports)]
        for news, age_s, pause_s, quiet_s in reports.values():
            arguments += [news, age_s, int(pause_s * 1000), int(quiet_s * 1000)]
        claims = dict(self._claims_ms)
        question = self._exchange([*keys, *claims], [*arguments, *claims.values()])
        states: dict[str, KeyState] | None = await self._try_ask(self._states(reports, question))
        self.is_away = states is None
        if states is None:
            return {}
        for claim in [claim for claim, left_ms in claims.items() if left_ms == 0 == self._claims_ms[claim]]:
            del self._claims_ms[claim]
        return states

    async def _states(self, names: Iterable[str], question: Awaitable[Any]) -> dict[str, KeyState]:
        answers = msgspec.convert(await question, list[tuple[bytes, int, int, int]])
        return {name: self._state(name, *answer) for name, answer in zip(names, answers, strict=True)}

    def _state(self, name: str, record: bytes, age_us: int, pause_ms: int, quiet_ms: int) -> KeyState:
        _, worker, news = record.split(b" ", 2) if record else (b"", b"", b"")
        is_new = worker != self._worker and record != self._last_records.get(name)
        self._last_records[name] = record
        return KeyState(news if is_new else b"", age_us / 1_000_000, pause_ms / 1000, quiet_ms / 1000)

    async def count_key_request(self, name: str, most: int) -> float | None:
        """Count a request and return 0. If the limit is reached, return the seconds until one may pass. None:
        Redis is away."""
        answer = await self._try_ask(self._windows.count((Limit(KIND, name, most),)))
        return answer.wait_s if isinstance(answer, FullWindow) else None if answer is None else 0.0

    async def claim_probe(self, name: str, account: str) -> bool:
        """Claim the probe of this account. Return False if another worker has it. Otherwise call `end_claim`
        after the probe."""
        key = self._key(f"{name}/probe/{account}")
        is_ours = None if self.is_away else await self._try_ask(self._claim([key], [self._worker, CLAIM_MS]))
        if is_ours:
            self._claims_ms[key] = CLAIM_MS
        return bool(is_ours is None or is_ours)

    def end_claim(self, name: str, account: str) -> None:
        key = self._key(f"{name}/probe/{account}")
        if key in self._claims_ms:
            self._claims_ms[key] = 0
            self.has_news.set()

    def _key(self, name: str) -> str:
        return self._windows.key(KIND, name)

    async def _try_ask(self, question: Awaitable[Any]) -> Any:
        try:
            return await ask_redis(question, _ANSWER_S, is_logged=not self.is_away)
        except LimitsUnavailable:
            self.is_away = True
            return None


@asynccontextmanager
async def open_limits(url: str) -> AsyncIterator[Limits]:
    async with open_redis(url) as windows:
        yield Limits(windows, ProviderStates(windows))
