"""Hostile recordings and forms, sent to each door of a real server that takes recordings."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import psutil

from tests import speech_clips
from tests.faults.processes import children, is_over, worker
from tests.proxy.audio.recordings.bombs import bombs, playlists
from tests.proxy.audio.recordings.corpus import broken
from tests.proxy.http.hostile_forms import Form, form, hostile_forms
from tests.server import ALONE, Server
from tests.waiting import until

CONFIG = ALONE + '[plans.creator]\nconsent = "waived"\none_shot = true\nvoices = 1000\n'
THREADS = 3
"""Two are decoded at once. More clients would only wait."""
MOST_CHILD_MB = 420
"""A decoder: what it is when it is ready, its upload, and the 256 MiB that it may take."""
MOST_GROWTH_MB = 512
"""A worker: two of the longest recordings, decoded and being measured, and the uploads behind them."""
LATEST_S = 60.0
_LOOK_S = 0.03
_numbers = count(1)

_MOST_WRITES = 50
"""The requests of one account: so many a minute may write."""

Named = tuple[str, Callable[[], bytes]]


class Door(NamedTuple):
    """A path that takes a recording in `field`. With `refused` in place of `texts`, it looks at no sound."""

    path: str
    field: str
    texts: dict[str, str]
    refused: dict[str, str]


DOORS = (
    Door(
        "/v1/audio/voices",
        "audio_sample",
        {"name": "Ana"},
        {"name": "Ana", "consent": "cons_0", "labels[a]": "b"},
    ),
    Door(
        "/v1/audio/voice_consents",
        "recording",
        {"name": "Ana", "language": "en"},
        {"name": "Ana", "language": "no language at all"},
    ),
    Door(
        "/v1/audio/speech",
        "reference_audio",
        {"model": "tts-1", "input": "Hello."},
        {"model": "tts-1", "input": "Hello.", "consent": "cons_0"},
    ),
)


class Totals(NamedTuple):
    """What came of all uploads: how many answers of each status, and the most memory that was seen."""

    statuses: Counter[int]
    child_mb: int
    growth_mb: int


def recordings(every: int = 1) -> Iterator[Named]:
    """The hostile and broken files of the decoder's own tests, or some of them."""
    for number, named in enumerate((*bombs(), *broken())):
        if number % every == 0:
            yield named


def send_recordings(server: Server, files: Iterable[Named], first_door: int = 0) -> Totals:
    """Send each file to one door, the doors in turn. Each has to be refused, by the field of the file."""

    def send(client: httpx2.Client, named: Named, door: Door) -> int:
        name, make = named
        sent = form(door.texts, door.field, make())
        answer = _post(client, door, sent)
        error = _error_of(answer, f"{name} to {door.path}")
        assert answer.status_code in (400, 413, 415), (name, door.path, answer.text)
        assert error["param"] == door.field, (name, door.path, error)
        assert error["code"] in ("invalid_audio", "file_too_large"), (name, door.path, error)
        return answer.status_code

    return _send_all(server, list(zip(files, islice(cycle(DOORS), first_door, None), strict=False)), send)


def send_forms(server: Server, changes: int, seed: int) -> Totals:
    """Send odd forms to every door. None is a fault of the server, and none gets a header into an answer."""
    sent = [(odd, door) for door in DOORS for odd in hostile_forms(door.refused, door.field, seed, changes)]

    def send(client: httpx2.Client, odd: Form, door: Door) -> int:
        answer = _post(client, door, odd)
        _error_of(answer, f"{odd.name} to {door.path}")
        assert answer.status_code in (400, 404, 413, 415), (odd.name, door.path, answer.text)
        return answer.status_code

    return _send_all(server, sent, send)


def send_largest(server: Server) -> None:
    """The most bytes that a file may have reach the decoder at each door, and one byte more does not."""
    most = 10 * 1024 * 1024
    with _client(server) as client:
        for door in DOORS:
            for size, code in ((most, "invalid_audio"), (most + 1, "file_too_large")):
                error = _error_of(_post(client, door, form(door.texts, door.field, bytes(size))), door.path)
                assert (error["code"], error["param"]) == (code, door.field)
            whole = _post(client, door, form(door.texts, door.field, bytes(most + 1024 * 1024)))
            assert whole.status_code == 413, whole.text


def expect_nothing_left(server: Server) -> None:
    """Nothing was kept, no decoder is at work, and the next good recording is taken by every door."""
    with server.control() as control:
        for kind in ("voices", "consents"):
            assert control.get(f"/admin/{kind}").json()["data"] == []
    assert _files(server.data / "voices") == []
    until(lambda: len(decoders(server)) <= 1)
    with _client(server) as client:
        for door in DOORS:
            answer = _post(client, door, form(door.texts, door.field, speech_clips.wav()))
            assert answer.status_code == 200, answer.text
    events = server.log.read_text()
    assert "request.failed" not in events
    assert "Traceback" not in events


def _client(server: Server) -> httpx2.Client:
    """A client of a new account."""
    secret = server.mint_key(f"hostile {next(_numbers)}", plan="creator").secret
    return server.client(secret, timeout=LATEST_S)


@contextmanager
def listener() -> Iterator[tuple[str, Callable[[], bool]]]:
    """A port of this machine, as an address, and whether anybody came to it."""
    with socket.create_server(("127.0.0.1", 0)) as port:
        port.setblocking(False)

        def was_called() -> bool:
            with suppress(BlockingIOError):
                port.accept()[0].close()
                return True
            return False

        yield f"http://127.0.0.1:{port.getsockname()[1]}/x", was_called


def lures(address: str, file: Path) -> list[Named]:
    """Playlists that name an address and a file, in every format that can."""
    return list(playlists((address, f"file://{file}", str(file), f"concat:{file}|{file}")))


def decoders(server: Server) -> list[psutil.Process]:
    return [each for each in children(server) if _is_decoder(each)]


def _is_decoder(process: psutil.Process) -> bool:
    try:
        return not is_over(process) and "proxy.audio.recordings.decoding_child" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def _post(client: httpx2.Client, door: Door, sent: Form) -> httpx2.Response:
    while True:
        answer = client.post(door.path, content=sent.body, headers={"content-type": sent.content_type})
        # Two of the largest at once are more bytes than one key may be sending.
        if answer.status_code != 429:
            return answer


def _error_of(answer: httpx2.Response, what: str) -> dict[str, Any]:
    assert 400 <= answer.status_code < 500, (what, answer.status_code, answer.text)
    assert "x-injected" not in answer.headers, what
    error: dict[str, Any] = answer.json()["error"]
    assert error["message"], what
    assert sorted(error) == ["code", "message", "param", "type"], what
    return error


def _send_all(
    server: Server, sent: list[tuple[Any, Door]], send: Callable[[httpx2.Client, Any, Door], int]
) -> Totals:
    serving, statuses = worker(server), Counter[int]()
    before = serving.memory_info().rss
    with _watching(serving) as seen, ThreadPoolExecutor(THREADS) as threads:
        for start in range(0, len(sent), _MOST_WRITES):
            with _client(server) as client:
                some = sent[start : start + _MOST_WRITES]
                statuses.update(threads.map(partial(_sent, send, client), some))
    assert worker(server).pid == serving.pid, "the worker has not died of one"
    return Totals(statuses, seen["child"] >> 20, max(0, seen["worker"] - before) >> 20)


def _sent(
    send: Callable[[httpx2.Client, Any, Door], int], client: httpx2.Client, each: tuple[Any, Door]
) -> int:
    return send(client, *each)


@contextmanager
def _watching(serving: psutil.Process) -> Iterator[dict[str, int]]:
    """Watch the memory of the worker and of its decoders, at their highest."""
    seen, is_over_now = {"child": 0, "worker": 0}, threading.Event()

    def watch() -> None:
        while not is_over_now.wait(_LOOK_S):
            seen["worker"] = max(seen["worker"], serving.memory_info().rss)
            # A process that has ended says nothing of its memory.
            for child in serving.children():
                with suppress(OSError, StopIteration):
                    status = Path(f"/proc/{child.pid}/status").read_text()
                    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
                    seen["child"] = max(seen["child"], int(peak.split()[1]) << 10)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        is_over_now.set()
        watcher.join()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
