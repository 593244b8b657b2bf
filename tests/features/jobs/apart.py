"""A real `voxgate worker` beside a real server on one PostgreSQL, with one folder of recordings."""

import os
import selectors
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import forked
from tests.server import ALONE, START_S, VOXGATE, Process, Server, free_port, running, stop

READY = b"voxgate works on jobs"
SHARED = """
[storage]
url = "{url}"
[vault]
folder = "{folder}/recordings"
master_key = "file:{folder}/key"
[jobs]
here = {here}
[plans.metered]
allowance = 1000000
streams = 1
prices.speech = {{ credits = 1, per = "character" }}
"""


def shared(folder: Path, url: str, *, here: bool = False) -> str:
    """What server and worker have in common, in sections of a configuration."""
    (folder / "recordings").mkdir(exist_ok=True)
    key = folder / "key"
    if not key.exists():
        key.write_bytes(b64encode(os.urandom(32)))
        key.chmod(0o600)
    return SHARED.format(url=url, folder=folder, here=str(here).lower())


@contextmanager
def serving(
    folder: Path,
    url: str,
    *,
    here: bool = False,
    config: str = ALONE,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A server, which leaves the steps of jobs to others unless they are spoken `here`."""
    (folder / "server").mkdir(exist_ok=True)
    text = config + shared(folder, url, here=here)
    with running(folder / "server", text, environ=environ) as server:
        yield server


def worker_config(folder: Path, text: str) -> Path:
    (folder / "worker").mkdir(exist_ok=True)
    file = folder / "worker" / "config.toml"
    file.write_text(text)
    return file


@contextmanager
def working(
    folder: Path, url: str, *, config: str = ALONE, environ: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A worker, which has no address and no key. SIGTERM ends it."""
    file = worker_config(folder, config + shared(folder, url))
    process, log, metrics = start_worker(file, environ)
    try:
        wait_for_line(process, log)
        yield Server(process, "", "", file, file.parent / "data", metrics, log)
    finally:
        stop(process)


def start_worker(file: Path, environ: Mapping[str, str] | None = None) -> tuple[Process, Path, str]:
    log, metrics = file.with_name("worker.log"), f"127.0.0.1:{free_port()}"
    env = {
        **os.environ,
        "VOXGATE_CONFIG": str(file),
        "VOXGATE_SERVER__METRICS": metrics,
        **(environ or {}),
    }
    with log.open("ab") as stderr:
        process = forked.start((str(VOXGATE), "worker"), env, None, stderr.fileno())
    return process, log, f"http://{metrics}/metrics"


def wait_for_line(process: Process, log: Path) -> None:
    assert process.stdout is not None
    said, until = b"", time.monotonic() + START_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while READY not in said:
            part = b""
            if selector.select(max(0.0, until - time.monotonic())):
                part = os.read(process.stdout.fileno(), 65536)
            said += part
            assert part, f"the worker did not start: {said!r}\n{log.read_text()[-4000:]}"


def new_job(server: Server, text: str, **more: Any) -> str:
    body = {"model": "tone", "voice": "alloy", "input": text, "response_format": "pcm", **more}
    with server.client() as client:
        answer = client.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def job(server: Server, id_: str) -> dict[str, Any]:
    with server.client() as client:
        answer = client.get(f"/v1/jobs/{id_}").json()
        assert "status" in answer, answer
        return dict(answer)


def sound(server: Server, id_: str) -> bytes:
    with server.client() as client:
        answer = client.get(f"/v1/jobs/{id_}/content")
    assert answer.is_success, answer.text
    return answer.content
