"""The log: its lines whole, in order, and written before the process ends."""

import errno
import json
import signal
import subprocess
import sys
import threading
from io import BufferedWriter, BytesIO, RawIOBase
from typing import Any

import pytest

from proxy.telemetry.logs import LogFile, RequestLine
from tests.tables import each_row
from tests.waiting import soon

pytestmark = pytest.mark.slow_but("test_a_full_disk_stops_nobody_who_logs")

_PROGRAM = """
import asyncio, os, signal, sys
import structlog
from proxy.telemetry import logs
from proxy.processes import worker

log = structlog.get_logger()

def line(number):
    return logs.RequestLine(f"req_{{number}}", "POST", "/v1/audio/speech", 200, True, 1.5, "acc_1", None)

async def main():
    for number in range(3):
        logs.log_request(line(number))
    {ending}

logs.configure_logs("worker", worker=7)
signal.signal(signal.SIGTERM, worker._end_by_signal)
asyncio.run(main())
"""


def _line(number: int) -> RequestLine:
    return RequestLine(f"req_{number}", "POST", "/v1/audio/speech", 200, True, 1.5, "acc_1", None)


def _lines(file: BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.getvalue().splitlines()]


async def test_a_line_of_a_request_is_written_within_a_moment() -> None:
    file = BytesIO()
    log_file = LogFile(file, "worker", 7)
    for number in range(3):
        log_file.add(_line(number))
    assert file.getvalue() == b""
    await soon(lambda: file.getvalue().count(b"\n") == 3)
    lines = _lines(file)
    assert [line["request"] for line in lines] == ["req_0", "req_1", "req_2"]
    assert lines[0].pop("timestamp").endswith("Z")
    assert lines[0] == {
        "event": "request.finished",
        "level": "info",
        "process": "worker",
        "worker": 7,
        "request": "req_0",
        "method": "POST",
        "route": "/v1/audio/speech",
        "status": 200,
        "complete": True,
        "ms": 1.5,
        "account": "acc_1",
        "key": None,
    }


async def test_any_other_line_is_written_at_once_after_those_that_wait() -> None:
    file = BytesIO()
    log_file = LogFile(file, "worker")
    log_file.add(_line(0))
    log_file.error(b'{"event": "request.failed"}')
    log_file.add(_line(1))
    log_file.flush()
    assert [line["event"] for line in _lines(file)] == [
        "request.finished",
        "request.failed",
        "request.finished",
    ]


def test_a_line_waits_for_nobody_where_no_loop_runs() -> None:
    file = BytesIO()
    LogFile(file, "worker").add(_line(0))
    assert len(_lines(file)) == 1


async def test_no_line_is_lost_between_threads() -> None:
    file, each = BytesIO(), 2000
    log_file = LogFile(file, "worker")

    def write() -> None:
        for _ in range(each):
            log_file.warning(b"{}")

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(each):
        log_file.add(_line(number))
    for thread in threads:
        thread.join()
    log_file.flush()
    lines = _lines(file)
    assert [line["request"] for line in lines if line] == [f"req_{number}" for number in range(each)]
    assert len(lines) == 3 * each


class _Disk(RawIOBase):
    """A file on a disk that may be full."""

    def __init__(self) -> None:
        self.is_full, self.written = False, BytesIO()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "no space")
        return self.written.write(data)


def test_a_full_disk_stops_nobody_who_logs() -> None:
    """A background task that failed by its log line ended, and its jobs stayed queued."""
    disk = _Disk()
    log_file = LogFile(BufferedWriter(disk), "worker")
    disk.is_full = True
    for number in range(1000):
        log_file.add(_line(number))
        log_file.warning(b'{"event": "is_full"}')
    disk.is_full = False
    log_file.warning(b'{"event": "has_room"}')
    assert _lines(disk.written)[-1]["event"] == "has_room"


@each_row(
    ("ending", "status", "last"),
    [
        ("return", 0, "request.finished"),
        ("raise ValueError", 1, "request.finished"),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, "request.finished"),
        ('log.warning("w"); os.kill(os.getpid(), signal.SIGKILL)', -signal.SIGKILL, "w"),
        ('log.info("i"); os._exit(3)', 3, "i"),
    ],
)
def test_a_process_that_ends_has_written_its_lines(ending: str, status: int, last: str) -> None:
    program = _PROGRAM.format(ending=ending)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert ended.returncode == status, ended.stderr
    lines = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith(b"{")]
    assert [line.get("request") for line in lines[:3]] == ["req_0", "req_1", "req_2"]
    assert lines[-1]["event"] == last
    assert {(line["process"], line["worker"]) for line in lines} == {("worker", 7)}


_PEER = """
import structlog
from proxy.telemetry import logs

logs.configure_logs("worker")
log = structlog.get_logger()
long = "A" * 3_000_000
log.warning("a", reason=long, error=ValueError(long), codes=[long] * 100, facts={"a": long}, number=5)
try:
    raise RuntimeError("B" * 10_000)
except RuntimeError:
    log.exception("task.failed", reason="short")
"""


def test_a_peer_may_say_what_it_likes_and_a_line_stays_short() -> None:
    ended = subprocess.run([sys.executable, "-c", _PEER], capture_output=True, timeout=30, check=True)
    failed, task = (json.loads(line) for line in ended.stderr.splitlines())
    assert {name: len(str(failed[name])) for name in ("reason", "error", "facts")} == dict.fromkeys(
        ("reason", "error", "facts"), 1025
    )
    assert failed["number"] == 5
    assert {len(each) for each in failed["codes"]} == {1025}
    assert len(ended.stderr) < 64 * 1024
    assert task["exception"].endswith("B" * 10_000), "a traceback stays whole"
    assert task["reason"] == "short"
