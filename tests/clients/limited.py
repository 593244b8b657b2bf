"""A server with plans, its counts of the last minute in a real Redis, and what is on its books."""

import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import httpx2

from tests.redis_server import RedisServer, redis_server
from tests.server import Server, running

RPM = 3
MICRO_USD_A_SECOND = 100

_CONFIG = """
[server]
{switches}
[limits]
url = "{redis}"
[engines.tone]
costs = {{ standard = {{ usd = 0.36, per = "hour" }} }}
[models]
"tts-1" = ["tone/standard"]
[voices]
{voices}
[plans.paced]
rpm = {rpm}
[plans.narrow]
streams = 1
[plans.once]
allowance = 1
prices.speech = {{ credits = 1, per = "job" }}
[plans.seconds]
allowance = 100
prices.speech = {{ credits = 1, per = "second" }}
"""

_USAGE = "SELECT id, outcome, error, credits, micro_usd FROM usage WHERE account = ? ORDER BY started, id"
_ENTRIES = "SELECT request, kind, amount FROM entries WHERE account = ? ORDER BY at, id"
_BALANCES = "SELECT pool, amount FROM balances WHERE account = ? ORDER BY pool"
_COSTS = "SELECT request, attempt, audio_ms, micro_usd FROM costs WHERE account = ?"


class Account(NamedTuple):
    """One that a single row speaks for, and where it does."""

    id: str
    key: str
    url: str


class Usage(NamedTuple):
    id: str
    outcome: str
    error: str | None
    credits: int
    micro_usd: int


class Entry(NamedTuple):
    request: str
    kind: str
    amount: int


class Cost(NamedTuple):
    request: str
    attempt: int
    audio_ms: int
    micro_usd: int


class Books(NamedTuple):
    """What is on record about an account: its requests, what moved its balance, and what providers took."""

    usage: list[Usage]
    entries: list[Entry]
    balances: list[tuple[int, int]]
    costs: list[Cost]


class Limited:
    """Each row asks with an account of its own, so that none is in another's way."""

    def __init__(self, server: Server, redis: RedisServer, admin: httpx2.Client) -> None:
        self.server = server
        self._redis = redis
        self._admin = admin
        self._numbers = count(1)

    def account(self, plan: str) -> Account:
        name = f"{plan}-{next(self._numbers)}"
        made = self._admin.post("/admin/accounts", json={"name": name, "plan": plan}).raise_for_status()
        minted = self._admin.post("/admin/keys", json={"account": name}).raise_for_status()
        return Account(made.json()["id"], minted.json()["key"], self.server.url)

    def speak(self, account: Account) -> httpx2.Response:
        """One short request by hand, refused or not."""
        body = {"model": "tts-1", "voice": "alloy", "input": "Hi.", "response_format": "pcm"}
        with self.server.client(account.key) as client:
            return client.post("/v1/audio/speech", json=body)

    def age(self, account: Account, ages_s: list[float]) -> None:
        """As if its requests of the last minute, of which there must be one, had come so long ago."""
        with self._redis.client() as redis:
            (counted,) = redis.keys(f"*{account.id}")
            now = time.time()
            with redis.pipeline() as changes:
                changes.delete(counted)
                # Like the library's own list: the newest is the first.
                changes.rpush(counted, *(now - age_s for age_s in sorted(ages_s)))
                changes.execute()

    def books(self, account: Account) -> Books:
        """A look from outside, at what is committed."""
        database = f"file:{self.server.data / 'voxgate.db'}?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as opened:
            asked = (account.id,)
            return Books(
                [Usage(*row) for row in opened.execute(_USAGE, asked)],
                [Entry(*row) for row in opened.execute(_ENTRIES, asked)],
                opened.execute(_BALANCES, asked).fetchall(),
                [Cost(*row) for row in opened.execute(_COSTS, asked)],
            )


@contextmanager
def limited_in(folder: Path, switches: str, voices: str) -> Iterator[Limited]:
    """Skips the test that asks for it where Redis is absent."""
    folder.mkdir()
    with redis_server() as redis:
        config = _CONFIG.format(redis=redis.url, rpm=RPM, switches=switches, voices=voices)
        with running(folder, config) as server, server.client(server.mint_key(role="admin").secret) as admin:
            yield Limited(server, redis, admin)


def reset_s(headers: Mapping[str, str]) -> float:
    """When all of a limit is there again, written as Go does: its clients read no other way of writing."""
    text = headers["x-ratelimit-reset-requests"]
    found = re.fullmatch(r"(?=.)(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?", text)
    assert found, text
    minutes, whole, millis = (float(part or 0) for part in found.groups())
    return minutes * 60 + whole + millis / 1000
