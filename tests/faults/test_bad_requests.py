"""Bad requests of every kind, sent to a real server: each is refused, and the server goes on."""

import json
import random
import re
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.faults.processes import worker
from tests.server import PLAIN, Server, live_server

pytestmark = pytest.mark.slow

# The log and the metrics of one that nothing else has asked.
server = live_server(PLAIN)

THREADS = 8
ANSWER_S = 1.0
"""A whole request is answered sooner. Others may wait for their end: then the client hangs up."""
STATED_503 = {"engine_unavailable", "engine_timeout", "server_busy"}
GROWTH_BYTES = 64 * 1024 * 1024
_LATEST_S = 60.0
_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"

_WORDS = (
    *(
        "",
        "0",
        "-1",
        "1",
        "99999999999999999999",
        "1e999",
        "NaN",
        "null",
        "true",
        "alloy",
        "ada",
        "tts-1",
        "th",
    ),
    *(
        "pt-BR",
        "auto",
        "2026-01-31",
        "2026-13-99",
        "0000-00-00T00:00:00Z",
        "9999-12-31",
        "day",
        "csv",
        "names",
    ),
    *(
        "%00",
        "%",
        "%zz",
        "%F0%9F%98%80",
        "%ED%A0%80",
        "%C3%28",
        "..",
        "../../etc",
        "//",
        "a b",
        "ไทย",
        "é",
        "\x7f",
    ),
    *(
        "'; DROP TABLE keys; --",
        "{{7*7}}",
        "${x}",
        "*",
        "[",
        "http://[",
        "\\",
        "&",
        "=",
        "#",
        "?",
        "x" * 3000,
    ),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 10**30, -(10**400), 1e308, "", " ", "Hello.", "\x00", "\ud800", "ไทย " * 500),
    *("x" * 5000, [], [[]], {}, {"": ""}, {"cast": {"A": "alloy"}}, {"id": "alloy"}, ["a"] * 50, "tone/fail"),
)
_QUERIES = (
    *("limit", "after", "since", "until", "by", "format", "describe", "language", "gender", "account"),
    *("api-version", "x" * 500),
)
_FIELDS = (
    *("model", "input", "voice", "response_format", "speed", "language", "lexicon", "instructions", "cache"),
    *("name", "cast", "words", "account", "plan", "agreed", "credits", "reason", "reference", "role", "caps"),
    *("stream_format", "audio_format", "pitch", "emotion", "seed", "tags", "description", "expires_in_s"),
)
_PLACES = (
    *(
        "GET /",
        "GET /v1",
        "GET /healthz",
        "GET /readyz",
        "GET /openapi.json",
        "GET /v1/models",
        "GET /v1/voices",
    ),
    *("GET /v1/models/{}", "GET /v1/voices/{}", "GET /v1/lexicons", "GET /v1/lexicons/{}", "GET /v1/usage"),
    *("POST /v1/audio/speech", "POST /v1/audio/speech", "POST /v1/audio/speech", "POST /v1/voices"),
    *("PUT /v1/lexicons/{}", "DELETE /v1/lexicons/{}", "DELETE /v1/voices/{}", "GET /v1/me"),
    *("GET /admin/accounts", "POST /admin/accounts", "GET /admin/accounts/{}", "POST /admin/accounts/{}"),
    *(
        "POST /admin/accounts/{}/grants",
        "POST /admin/accounts/{}/corrections",
        "GET /admin/accounts/{}/entries",
    ),
    *("POST /admin/requests/{}/refund", "GET /admin/ledger", "GET /admin/plans", "GET /admin/usage"),
    *(
        "GET /admin/audit",
        "GET /admin/keys",
        "POST /admin/keys",
        "DELETE /admin/keys/{}",
        "GET /admin/voices",
    ),
    *("POST /admin/keys/{}/rotate", "POST /admin/voices", "GET /admin/lexicons", "PUT /admin/lexicons/{}"),
    *("POST /admin/route/explain", "GET /admin/engines", "BREW /{}", "OPTIONS *", "CONNECT x:1", "TRACE /{}"),
)
_HEADERS = (
    *("Content-Type: multipart/form-data; boundary=x", "Content-Type: {}", "Accept: {}", "Host: {}", "Host:"),
    *("Expect: 100-continue", "Expect: {}", "Upgrade: websocket\r\nConnection: Upgrade", "Connection: {}"),
    *("Idempotency-Key: {}", "X-Forwarded-For: {}", "X-Stainless-Raw-Response: stream", "Origin: {}"),
    *("Access-Control-Request-Method: {}", "Authorization: {}", "api-key: {}", "x-voxgate-pace: live"),
    *("{}: x", ": x", "no colon", " folded", "X: \x00", "X: \xff\xfe", "Transfer-Encoding: chunked, gzip"),
    *(
        "Content-Encoding: gzip",
        "Content-Length: {}",
        "Content-Length: 5\r\nContent-Length: 6",
        "Range: bytes={}",
    ),
)
_VERSIONS = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/x", "")


class Keys(NamedTuple):
    """Keys of many accounts: an account may not ask so often."""

    speech: Sequence[str]
    admin: Sequence[str]


class Totals(NamedTuple):
    """What came of the requests: how many of each status, and 0 for those without an answer."""

    statuses: Counter[int]
    grown_bytes: int


def mint_keys(server: Server, accounts: int) -> Keys:
    names = [f"account-{number}" for number in range(accounts)]
    speech = [server.mint_key(name, plan="unlimited").secret for name in names]
    return Keys(speech, [server.mint_key(name, role="admin").secret for name in names])


def expect_every_bad_request_to_be_refused(server: Server, count: int, seed: int, keys: Keys) -> Totals:
    """Whatever comes, nothing is a 5xx but a stated 503, and the worker keeps its size."""
    # A key that was good before is let in also after many wrong ones.
    assert server.speech("Here.").status_code == 200
    numbers = random.Random(seed)
    requests = [_request(numbers, keys) for _ in range(count)]
    # The first of them load what is loaded once.
    warm = min(300, count // 2)
    statuses = _send(server, requests[:warm])
    before = worker(server).memory_info().rss
    statuses += _send(server, requests[warm:])
    grown = worker(server).memory_info().rss - before
    assert grown < GROWTH_BYTES, f"the worker grew by {grown >> 20} MiB"
    assert {status for status in statuses if status >= 500} <= {503}
    told = httpx2.get(server.metrics).text
    assert not re.findall(r'voxgate_requests_total\{[^}]*status="5(?!03)\d\d"\}.*', told)
    assert '"request.failed"' not in server.log.read_text()
    assert server.speech("Still here.").status_code == 200
    return Totals(statuses, grown)


def _send(server: Server, requests: Sequence[bytes]) -> Counter[int]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    with ThreadPoolExecutor(THREADS) as threads:
        answers = threads.map(lambda request: _exchange((host, int(port)), request), requests)
        return Counter(answers)


def _exchange(address: tuple[str, int], request: bytes) -> int:
    """Returns the status of the first answer, which is checked, or 0 if there is none."""
    heard = b""
    with socket.create_connection(address, timeout=_LATEST_S) as client:
        try:
            client.sendall(request)
            client.settimeout(ANSWER_S)
            while part := client.recv(65536):
                heard = (heard + part).removeprefix(_GO_ON)
                if _is_whole(heard):
                    break
        except (TimeoutError, ConnectionError):
            pass  # a part of a request waits for its rest; a refused one is no longer read
    if not heard:
        return 0
    match = re.match(rb"HTTP/1\.1 (\d{3}) ", heard)
    assert match, (request, heard[:200])
    status = int(match[1])
    if status >= 400 and b"HEAD " not in request[:5] and _is_whole(heard):
        error = json.loads(heard.partition(b"\r\n\r\n")[2].partition(b"HTTP/1.1 ")[0])
        assert list(error) == ["error"] or "status" in error, (request, heard)
        assert status < 500 or error.get("error", {}).get("code") in STATED_503, (request, heard)
    return status


def _is_whole(heard: bytes) -> bool:
    head, found, body = heard.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if not found:
        return False
    return len(body) >= int(length[1]) if length else b"0\r\n\r\n" in body


def _request(numbers: random.Random, keys: Keys) -> bytes:
    """A request that is wrong in one place or in several."""
    method, _, path = numbers.choice(_PLACES).partition(" ")
    target = path.replace("{}", numbers.choice(_WORDS))
    if numbers.random() < 0.3:
        pairs = (f"{numbers.choice(_QUERIES)}={numbers.choice(_WORDS)}" for _ in range(numbers.randint(1, 3)))
        target += "?" + "&".join(pairs)
    key = numbers.choice(keys.admin if path.startswith("/admin") else keys.speech)
    lines = ["Host: x", f"Authorization: Bearer {key}", *_wrong_headers(numbers)]
    body = _body(numbers) if method in ("POST", "PUT") or numbers.random() < 0.1 else b""
    if body:
        framing, body = _framed(numbers, body)
        lines.append(framing)
    numbers.shuffle(lines)
    first = f"{method} {target} {numbers.choice(_VERSIONS)}"
    request = "\r\n".join([first, *lines, "", ""]).encode("utf-8", "surrogatepass") + body
    return _mutated(numbers, request) if numbers.random() < 0.25 else request


def _wrong_headers(numbers: random.Random) -> Iterator[str]:
    if numbers.random() < 0.3:
        for _ in range(numbers.randint(1, 3)):
            yield numbers.choice(_HEADERS).replace("{}", numbers.choice(_WORDS))
    if numbers.random() < 0.03:
        yield from ("X: 1",) * numbers.randint(90, 400)
    if numbers.random() < 0.03:
        yield "X: " + "y" * numbers.randint(10_000, 200_000)


def _body(numbers: random.Random) -> bytes:
    kind = numbers.random()
    if kind < 0.05:
        return numbers.randbytes(numbers.randint(1, 300))
    if kind < 0.08:
        return b"[" * numbers.randint(1, 100_000)
    if kind < 0.1:
        return b'{"input": "' + b"x" * numbers.randint(60_000, 600_000) + b'"}'
    body: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "name": "n"}
    for _ in range(numbers.randint(0, 4)):
        body[numbers.choice(_FIELDS)] = numbers.choice((*_VALUES, *_WORDS))
    text = json.dumps(body, ensure_ascii=numbers.random() < 0.8)
    return text.encode("utf-8", "surrogatepass")


def _framed(numbers: random.Random, body: bytes) -> tuple[str, bytes]:
    kind = numbers.random()
    if kind < 0.8:
        return f"Content-Length: {len(body)}", body
    if kind < 0.9:
        size = numbers.choice([b"%x" % len(body), b"%x" % (len(body) // 2), b"zz", b"-1", b"f" * 40])
        return "Transfer-Encoding: chunked", size + b"\r\n" + body + b"\r\n0\r\n\r\n"
    return f"Content-Length: {numbers.choice([0, 1, len(body) // 2, len(body) + 9, 10**15])}", body


def _mutated(numbers: random.Random, request: bytes) -> bytes:
    changed = bytearray(request)
    for _ in range(numbers.randint(1, 4)):
        place = numbers.randrange(len(changed) + 1)
        match numbers.randrange(4):
            case 0:
                changed[place : place + 1] = numbers.randbytes(1)
            case 1:
                del changed[place : place + numbers.randint(1, 20)]
            case 2:
                changed[place:place] = numbers.choice([b"\r\n", b"\n", b"\x00", b" ", b":", b"\xff"])
            case _:
                changed[place:place] = changed[place : place + numbers.randint(1, 200)]
    return bytes(changed)


COUNT, SEED = 200, 7
ROUNDS, MANY = 10, 1_000


def test_no_bad_request_is_a_fault_of_the_server(server: Server) -> None:
    totals = expect_every_bad_request_to_be_refused(server, COUNT, SEED, mint_keys(server, 8))
    # They are as many things as they are meant to be.
    assert {200, 400, 404, 405, 413, 431} <= totals.statuses.keys()


@pytest.mark.soak
def test_no_bad_request_of_very_many_is_a_fault_of_the_server(server: Server) -> None:
    keys = mint_keys(server, 40)
    statuses, grown = Counter[int](), 0
    for seed in range(ROUNDS):
        totals = expect_every_bad_request_to_be_refused(server, MANY, seed, keys)
        statuses += totals.statuses
        grown += totals.grown_bytes
    print(
        f"{sum(statuses.values())} requests, {dict(sorted(statuses.items()))}, {grown / 2**20:.1f} MiB more"
    )
