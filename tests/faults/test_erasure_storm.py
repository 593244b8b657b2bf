"""Voices are erased while everything goes on at once: all streams end, and nothing of them is ever kept.

Each voice is being cloned at two providers, speaks in streams of every worker, and is spoken with again and
again into the cache and into kept answers. Then it is erased, and looked for wherever something could be.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple

import httpx2
import pytest

from fakes.elevenlabs import KEY as ELEVENLABS_KEY
from proxy.features.cluster.vault_identity import IDENTITY
from tests import speech_clips
from tests.databases import Postgres, postgres
from tests.features.clones.clone_rig import MINIMAX_KEY, Clouds, clouds
from tests.redis_server import redis_server
from tests.server import ALONE, Server, running
from tests.tables import soak
from tests.waiting import until

pytestmark = pytest.mark.slow

ENGINES = ("minimax", "elevenlabs")
CLONE_MODEL = "minimax/speech-2.8-hd"
LONG_TEXT = "The quick brown fox jumps over the lazy dog. " * 40
VOICES, FEW_VOICES = 4, 2
"""The voices of one wave. The first one has a stream on every worker, each other one has one stream."""
_STREAMS_AT_ONCE, _MOST_STREAMS = 4, 60
_PSEUDONYMS = {"erasures", "usage", "audit"}
"""The tables that may still have the id of an erased voice, which is a pseudonym."""
_BROKEN_OFF = 0
_ON_THE_WAY = (200, 503, _BROKEN_OFF)
"""The outcomes of a request as long as its voice is there, or just going."""
_LIVE = {"x-voxgate-pace": "live"}
_SPOKEN_BEFORE = 3
_WHOLE_S = 30.0


def config(clouds: Clouds) -> str:
    return (
        ALONE
        + '[cache]\non = true\n[plans.creator]\nconsent = "waived"\nvoices = 1000\nstreams = 1000\n'
        + f'[engines.minimax]\napi_key = "{MINIMAX_KEY}"\nbase_url = "{clouds.urls["minimax"]}"\n'
        + f'[engines.elevenlabs]\napi_key = "{ELEVENLABS_KEY}"\nbase_url = "{clouds.urls["elevenlabs"]}"\n'
    )


class Storm(NamedTuple):
    """A server with so many workers, its database, and the fakes of its providers."""

    server: Server
    clouds: Clouds
    workers: int
    voices: int
    postgres: Postgres | None

    def erase_all(self, waves: int) -> list[str]:
        """Make and erase voices, wave after wave. Return the ids of the voices."""
        return [voice for number in range(waves) for voice in _Wave(self, number).erase()]

    def expect_nothing_kept(self, voices: Sequence[str]) -> None:
        """Look wherever something of a voice could be. It is true also once the server has ended."""
        assert self.rows_with(voices) <= _PSEUDONYMS
        assert left(self.server.data) == []
        assert [name for name in self.clouds.elevenlabs.voices.values() if name.startswith("voxgate-")] == []
        assert (self.clouds.minimax.account.voices, self.clouds.minimax.account.files) == ({}, {})

    def rows_with(self, texts: Sequence[str]) -> set[str]:
        """Return the names of the tables with a row that has one of these texts anywhere."""
        return {
            table
            for table, row in (self._sqlite_rows() if self.postgres is None else self._postgres_rows())
            if any(text in row for text in texts)
        }

    def _sqlite_rows(self) -> Iterator[tuple[str, str]]:
        address = f"file:{self.server.data / 'voxgate.db'}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=30.0)) as database:
            for (table,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall():
                for row in database.execute(f"SELECT * FROM {table}"):
                    yield table, repr(row)

    def _postgres_rows(self) -> Iterator[tuple[str, str]]:
        assert self.postgres is not None
        tables = self.postgres.psql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = (f"SELECT '{table} ' || replace(t::text, E'\\n', ' ') FROM {table} AS t" for table in tables)
        for line in self.postgres.psql(" UNION ALL ".join(rows)):
            table, _, row = line.partition(" ")
            yield table, row


class _Wave:
    """Some voices of one account, which are erased together."""

    def __init__(self, storm: Storm, number: int) -> None:
        self._storm, self._server = storm, storm.server
        self._secret = storm.server.mint_key(f"creator {number}", plan="creator").secret
        self._sample = speech_clips.wav()
        self._begun = threading.Semaphore(0)
        self._is_ending = threading.Event()
        self._workers: set[str] = set()
        self._streams: list[Future[str]] = []

    def erase(self) -> list[str]:
        count = self._storm.voices
        with ThreadPoolExecutor(_MOST_STREAMS + 4 * count) as threads:
            voices = [*threads.map(self._make, range(count))]
            speakers = [threads.submit(self._speak_on, voice) for voice in voices]
            speakers += [threads.submit(self._speak_clone, voice) for voice in voices]
            try:
                self._open_streams(threads, voices)
            finally:
                # Also if something has failed: the speakers go on until the voices are gone.
                self._is_ending.set()
                assert all(threads.map(self._delete, voices))
            heard = {each.result(_WHOLE_S) for each in self._streams}
            answered = [each.result(_WHOLE_S) for each in speakers]
        until(lambda: all(self._is_complete(voice) for voice in voices), _WHOLE_S)
        assert all(last == 400 for last in answered)
        until(lambda: self._are_charged(heard), _WHOLE_S)
        self._ask_again(voices)
        return voices

    def _client(self) -> httpx2.Client:
        """A client that opens a connection for each request, so that any worker may answer."""
        headers = {"authorization": f"Bearer {self._secret}", "connection": "close"}
        return httpx2.Client(base_url=self._server.url, headers=headers, timeout=_WHOLE_S)

    def _make(self, number: int) -> str:
        answer = self._upload(number)
        # An account has few uploads at once.
        while answer.status_code == 503:
            sleep(float(answer.headers["retry-after"]))
            answer = self._upload(number)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def _upload(self, number: int) -> httpx2.Response:
        with self._client() as client:
            return client.post(
                "/v1/audio/voices",
                data={"name": f"voice {number}", "engines[]": ENGINES},
                files={"audio_sample": ("a.wav", self._sample, "audio/wav")},
            )

    def _open_streams(self, threads: ThreadPoolExecutor, voices: list[str]) -> None:
        """Begin streams with each voice, and with the first one until each worker has one."""
        wanted = [*voices[1:], *voices[:1] * _STREAMS_AT_ONCE]
        while len(self._workers) < self._storm.workers or wanted:
            assert len(self._streams) < _MOST_STREAMS, "the kernel passes a worker over"
            self._streams += [threads.submit(self._listen, voice, voice == voices[0]) for voice in wanted]
            for _ in wanted:
                assert self._begun.acquire(timeout=_WHOLE_S)
            wanted = [] if len(self._workers) == self._storm.workers else voices[:1] * _STREAMS_AT_ONCE

    def _listen(self, voice: str, is_first: bool) -> str:
        """Hear a long text at the pace of speech, and see it broken off. A busy engine is asked again.

        Return the request's id.
        """
        body = {"model": "tts-1", "voice": voice, "input": LONG_TEXT, "response_format": "pcm"}
        with self._client() as client:
            while True:
                with client.stream("POST", "/v1/audio/speech", json=body, headers=_LIVE) as answer:
                    if answer.status_code == 503 and not self._is_ending.is_set():
                        continue
                    assert answer.status_code == 200, answer.read()
                    chunks = answer.iter_raw()
                    next(chunks)
                    if is_first:
                        self._workers.add(_worker_of(answer))
                    self._begun.release()
                    with pytest.raises(httpx2.TransportError):
                        for _ in chunks:
                            pass
                    return str(answer.headers["x-request-id"])

    def _speak_on(self, voice: str) -> int:
        """Speak into the cache and into kept answers, until the voice is gone. Return the last status."""
        with self._client() as client:
            for number in count():
                self._wait_for_the_end(number)
                status = _speak(client, voice, f"Number {number} of {voice}.", f"{voice} {number}")
                if status == 400:
                    return status
                assert status in _ON_THE_WAY, status
        raise AssertionError

    def _speak_clone(self, voice: str) -> int:
        """Speak with the clone at a provider, as soon as there is one, until the voice is gone."""
        with self._client() as client:
            for number in count():
                self._wait_for_the_end(number)
                status = _speak(client, voice, "Hello.", "", CLONE_MODEL)
                if status == 400:
                    return status
                assert status in _ON_THE_WAY, status
        raise AssertionError

    def _wait_for_the_end(self, number: int) -> None:
        """Let the streams begin, once something was spoken. The rest is spoken while the voices go."""
        if number == _SPOKEN_BEFORE:
            self._is_ending.wait(_WHOLE_S)

    def _delete(self, voice: str) -> bool:
        with self._client() as client:
            return bool(client.delete(f"/v1/audio/voices/{voice}").raise_for_status().json()["deleted"])

    def _is_complete(self, voice: str) -> bool:
        with self._client() as client:
            receipt: dict[str, Any] = client.get(f"/v1/audio/voices/erasures/{voice}").json()
        return receipt["completed"] is not None

    def _are_charged(self, heard: set[str]) -> bool:
        """Tell whether each stream is on record, broken by the erasure, with the sound that was heard."""
        rows: list[dict[str, Any]] = []
        with self._server.control() as control:  # an account may not ask as often as a slow database needs
            page: dict[str, Any] = {"has_more": True}
            while page["has_more"]:
                # The streams began first, and thousands of requests may have come after them.
                after = {"after": rows[-1]["id"]} if rows else {}
                page = control.get("/admin/usage", params={"limit": 1000, **after}).raise_for_status().json()
                rows += page["data"]
        found = [row for row in rows if row["id"] in heard]
        assert {(row["outcome"], row["error"]) for row in found} <= {("failed", "voice_not_found")}
        return len(found) == len(heard) and all(row["audio_ms"] > 0 for row in found)

    def _ask_again(self, voices: list[str]) -> None:
        """Ask every worker for what it had spoken: none remembers anything."""
        asked: set[str] = set()
        with self._client() as client:
            while len(asked) < self._storm.workers:
                for voice in voices:
                    again = _said(client, voice, f"Number 0 of {voice}.", f"{voice} 0")
                    assert (again.status_code, again.json()["error"]["code"]) == (400, "voice_not_found")
                    asked.add(_worker_of(again))


def left(data: Path) -> list[Path]:
    folders = (data / "cache", data / "idempotency", data / "voices")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if path.name != IDENTITY]


def _worker_of(answer: httpx2.Response) -> str:
    """The part of a request's id that all requests of one worker have in common."""
    return str(answer.headers["x-request-id"])[:-8]


def _speak(client: httpx2.Client, voice: str, text: str, key: str, model: str = "tts-1") -> int:
    try:
        return _said(client, voice, text, key, model).status_code
    except httpx2.TransportError:
        return _BROKEN_OFF


def _said(client: httpx2.Client, voice: str, text: str, key: str, model: str = "tts-1") -> httpx2.Response:
    body = {"model": model, "voice": voice, "input": text, "response_format": "pcm", "language": "en"}
    headers = {"idempotency-key": key} if key else {}
    return client.post("/v1/audio/speech", json=body, headers=headers)


async def expect_nothing_kept(folder: Path, workers: int, waves: int, voices_at_once: int = VOICES) -> None:
    """Erase voices on a server of its own. What blocks runs in a thread: the providers answer meanwhile."""
    environ = {"VOXGATE_SERVER__WORKERS": str(workers)}
    with ExitStack() as stack:
        kept = None
        if workers > 1:
            kept = stack.enter_context(postgres())
            environ["VOXGATE_STORAGE__URL"] = kept.url()
            environ["VOXGATE_LIMITS__URL"] = stack.enter_context(redis_server()).url
        async with clouds() as at:
            at.elevenlabs.voice_slots = at.elevenlabs.most_additions = at.elevenlabs.most_at_once = 10_000
            running_ = running(folder, config(at), environ=environ)
            storm = Storm(await asyncio.to_thread(running_.__enter__), at, workers, voices_at_once, kept)
            try:
                voices = await asyncio.to_thread(storm.erase_all, waves)
                await asyncio.to_thread(storm.expect_nothing_kept, voices)
            finally:
                await asyncio.to_thread(running_.__exit__, None, None, None)
            # The server has ended, and with it whatever it does behind an answer.
            await asyncio.to_thread(storm.expect_nothing_kept, voices)
            assert at.minimax.account.fees, "no clone was ever made"
    assert "background.turn.failed" not in storm.server.log.read_text()


MANY = 200 // VOICES
"""A wave takes four workers six times as long as one."""


@pytest.mark.parametrize(
    ("workers", "waves", "voices"), [(2, 1, FEW_VOICES), *soak((1, MANY, VOICES), (4, MANY // 5, VOICES))]
)
async def test_nothing_of_an_erased_voice_is_kept_anywhere(
    tmp_path: Path, workers: int, waves: int, voices: int
) -> None:
    """One worker has SQLite, several have PostgreSQL."""
    await expect_nothing_kept(tmp_path, workers, waves, voices)
