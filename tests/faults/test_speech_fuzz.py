"""Mixed requests for speech, sent to a real server: each is spoken or refused with a reason."""

import base64
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.faults.clusters import metric
from tests.faults.processes import worker
from tests.faults.speech_orders import SAVED, SpeechOrder, orders, saved_words
from tests.server import Server, loop_holds, running
from tests.waiting import until

pytestmark = pytest.mark.slow

ACCOUNTS = 12
THREADS = 8
GROWTH_BYTES = 150 * 1024 * 1024
_WARM = 0.3
"""The share of the requests after which a worker has loaded what it loads once."""
CONFIG = """
[server]
default_model = "tone"
[cache]
on = false
[engines.tone]
voices = ["tone", "second"]
slots = 8
[engines.espeak]
processes = 2
[engines.faulty]
plugin = "tone"
[models]
tone = ["tone/standard"]
tts-1 = ["tone/standard"]
spoken = ["espeak/standard"]
both = ["espeak/standard", "tone/standard"]
faulty = ["faulty/standard"]
[voices.alloy]
tone = "tone"
espeak = "f3"
[voices.ada]
tone = "second"
espeak = "f2"
[voices.ben]
tone = "tone"
espeak = "m3"
[plans.wide]
allowance = 1000000000
streams = 100
prices.speech = { credits = 1, per = "second" }
prices.cached = { credits = 1, per = "second" }
[plans.lettered]
allowance = 1000000000
streams = 100
prices.speech = { credits = 1, per = "character" }
[plans.narrow]
allowance = 2000
rpm = 100
streams = 1
max_characters = 300
prices.speech = { credits = 1, per = "minute" }
"""
_PLANS = ("wide", "lettered", "wide", "unlimited", "lettered", "narrow")
STATED_503 = {"engine_unavailable", "engine_timeout", "server_busy", "manifest_unavailable"}
MAY_BREAK = ("UnsupportedText", "CapReached")
"""What an engine may find out about a text while it speaks it."""
FAULTY = ("faulty/standard",)
STATED_LIMITS = {
    *("rate_limit_exceeded", "insufficient_quota", "text_too_long", "request_under_way", "invalid_json"),
    *("idempotency_key_reused", "request_too_large", "content_refused", "too_long_to_sign"),
    *("lexicon_not_found", "unsupported_text", "unsupported_language"),
}
"""The codes that say what is wrong without the name of a field."""


class Totals(NamedTuple):
    """What came of the wishes: how many of each status and code, and by how much the worker grew."""

    told: Counter[tuple[int, str]]
    grown_bytes: int


class Faults:
    """What must not be, with the wish that brought it about; safe to add to."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._broken: dict[str, SpeechOrder] = {}
        self._lock = threading.Lock()

    def add(self, what: str, wish: SpeechOrder) -> None:
        with self._lock:
            self.found.append(f"{what}: {wish!r}")

    def broke_off(self, request: str, wish: SpeechOrder) -> None:
        with self._lock:
            self._broken[request] = wish

    def judge_broken(self, log: Path) -> None:
        """An answer may break off where the engine could not go on, and the log says why."""
        lines = [
            json.loads(line) for line in log.read_bytes().splitlines() if b'"engine.speak.broken"' in line
        ]
        stated = {line["request"] for line in lines if line["error"] in MAY_BREAK or line["model"] in FAULTY}
        for request, wish in self._broken.items():
            if request not in stated:
                self.add(f"{request} broke off", wish)


def expect_speech_to_stay_in_bounds(folder: Path, count: int, seed: int) -> Totals:
    """Ask a server of its own. Every wish is spoken or refused with a reason, and nothing is left behind."""
    with running(folder, CONFIG) as server:
        keys = [server.mint_key(f"a{n}", plan=_PLANS[n % len(_PLANS)]).secret for n in range(ACCOUNTS)]
        numbers = random.Random(seed)
        _save_lexicons(server, keys, numbers)
        asked = [*orders(numbers, count, ACCOUNTS)]
        faults, warm = Faults(), int(count * _WARM)
        told = _ask_all(server, keys, asked[:warm], faults)
        before = worker(server).memory_info().rss
        told += _ask_all(server, keys, asked[warm:], faults)
        grown = worker(server).memory_info().rss - before
        faults.judge_broken(server.log)
        assert not faults.found, (len(faults.found), faults.found[:5])
        # No request, no hold, no contradiction in the books, no error in the log.
        until(lambda: metric(server, "voxgate_requests_in_flight") == 0)
        until(lambda: json.loads(server.cli("ledger", "verify", "--json").stdout)["live_holds"] == 0)
        assert json.loads(server.cli("ledger", "verify", "--json").stdout)["is_clean"]
        log = server.log.read_text()
        assert '"request.failed"' not in log
        errors = re.findall(r'.*"level":"(?:error|critical)".*', log)
        assert not errors, errors
        assert not loop_holds(server.log)
    assert grown <= GROWTH_BYTES, f"the worker grew by {grown >> 20} MiB"
    return Totals(told, grown)


def _save_lexicons(server: Server, keys: Sequence[str], numbers: random.Random) -> None:
    for key in keys:
        with server.client(key) as client:
            for name in SAVED:
                body = {"words": saved_words(numbers, name)}
                client.put(f"/v1/lexicons/{name}", json=body).raise_for_status()


def _ask_all(
    server: Server, keys: Sequence[str], asked: Sequence[SpeechOrder], faults: Faults
) -> Counter[tuple[int, str]]:
    with httpx2.Client(base_url=server.url, timeout=120.0) as client, ThreadPoolExecutor(THREADS) as threads:
        return Counter(threads.map(lambda wish: _ask(client, keys[wish.account], wish, faults), asked))


def _ask(client: httpx2.Client, key: str, wish: SpeechOrder, faults: Faults) -> tuple[int, str]:
    """Return the status of the answer, and its code, or how it ended."""
    headers = [("authorization", f"Bearer {key}"), *wish.headers]
    body, left = b"", False
    with client.stream(wish.method, wish.path, content=wish.body, headers=headers) as answer:
        status = answer.status_code
        try:
            for part in answer.iter_raw():
                body += part
                if left := status == 200 and wish.leaves is not None and len(body) >= wish.leaves:
                    break
        except httpx2.RemoteProtocolError:
            faults.broke_off(answer.headers["x-request-id"], wish)
            return status, "broke off"
    if left:
        return status, "left"
    if status >= 400:
        return status, _refusal(answer, body, wish, faults)
    if fault := _fault_of(answer, body):
        faults.add(fault, wish)
    return status, ""


def _refusal(answer: httpx2.Response, body: bytes, wish: SpeechOrder, faults: Faults) -> str:
    """The code of a refusal, which has to say what is wrong."""
    envelope = json.loads(body)
    error = envelope.get("error", {})
    status, code, param = answer.status_code, str(error.get("code")), error.get("param")
    if list(envelope) != ["error"] or sorted(error) != ["code", "message", "param", "type"]:
        faults.add(f"{status} without OpenAI's envelope: {envelope}", wish)
    elif status >= 500 and not (status == 503 and code in STATED_503 and _waits(answer)):
        faults.add(f"{status} {error}", wish)
    elif status < 500 and param is None and code not in STATED_LIMITS:
        faults.add(f"{status} names no field: {error}", wish)
    return code


def _waits(answer: httpx2.Response) -> bool:
    return 1 <= int(answer.headers.get("retry-after", 0)) <= 60


def _fault_of(answer: httpx2.Response, body: bytes) -> str:
    """What is wrong with a whole answer."""
    kind = answer.headers.get("content-type", "")
    if "event-stream" in kind:
        events: list[dict[str, Any]] = [json.loads(line[6:]) for line in body.decode().split("\n\n") if line]
        last: dict[str, Any] = events[-1] if events else {"type": "nothing"}
        if last["type"] == "error":
            is_stated = last["error"]["code"] in STATED_503 | STATED_LIMITS
            return "" if is_stated else f"an error in the events: {last}"
        words = [word for each in events for word in each.get("words", ())]
        return _fault_of_words(words) if last["type"] == "speech.audio.done" else f"ends with {last['type']}"
    if kind.startswith("application/json"):
        told = json.loads(body)
        if "audio_base64" not in told:
            return ""
        if not base64.b64decode(told["audio_base64"], validate=True) or told["duration_seconds"] <= 0:
            return "JSON without sound"
        return _fault_of_words(told["words"] or (), told["duration_seconds"])
    return "" if body else "an empty answer"


def _fault_of_words(words: Sequence[dict[str, Any]], most_s: float = 1e9) -> str:
    places = [(word["source_start"], word["source_end"]) for word in words]
    times = [word["start_seconds"] for word in words]
    # A word that a lexicon has made of several is in each of them.
    if any(start >= end for start, end in places) or any(map(_is_unsorted, zip(*places, strict=True))):
        return f"words without an order: {places}"
    if _is_unsorted(times) or not all(0 <= time <= most_s + 0.1 for time in times):
        return f"words at no time: {times}, of {most_s} s"
    return ""


def _is_unsorted(numbers: Sequence[float]) -> bool:
    return any(one > other for one, other in pairwise(numbers))


COUNT, SEED = 170, 8
ROUNDS, MANY = 4, 2_000


def test_whatever_is_asked_holds_nobody_up_and_leaves_nothing(folder: Path) -> None:
    totals = expect_speech_to_stay_in_bounds(folder, COUNT, SEED)
    # They are as many things as they are meant to be.
    statuses = {status for status, _ in totals.told}
    assert {200, 400, 403} <= statuses, totals
    assert totals.told[200, ""] > COUNT / 3, totals
    assert totals.told[200, "left"], totals


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 100 + ROUNDS))
def test_very_many_requests_hold_nobody_up_and_leave_nothing(folder: Path, seed: int) -> None:
    totals = expect_speech_to_stay_in_bounds(folder, MANY, seed)
    print(f"{dict(sorted(totals.told.items()))}, {totals.grown_bytes / 2**20:.1f} MiB more")
