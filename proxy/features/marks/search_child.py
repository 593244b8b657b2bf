"""The process that looks for marks in bare samples: `python -m proxy.features.marks.search_child`.

It reads a `SearchJob` from its pipe and answers with a list of `MarkFinding`. A search keeps a processor busy
for seconds, so it never runs in the server. It looks for every installed mark.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import msgspec
import numpy as np
import soxr  # type: ignore[import-untyped]

from proxy.telemetry import plain_structlog as plain_structlog  # before anything else imports structlog

# isort: split
from proxy.config.sections import PluginSection
from proxy.engines import registry
from proxy.engines.plugin_instances import PluginRequest, open_plugin
from proxy.features.marks.findings import MarkFinding, SearchJob
from proxy.helpers.job_confinement import used_mb
from speech_engine.host.child_pipe import pipe_of_one_thread
from speech_engine.host.confinement import confine
from speech_engine.mark import Mark, MarkKey

MOST_CPU_S = 60
_MEMORY_MB = 768
_MOST_RATE_HZ = 48_000


def main() -> None:
    pipe = pipe_of_one_thread()
    job = msgspec.msgpack.decode(pipe.read() or b"", type=SearchJob)
    pipe.write(msgspec.msgpack.encode(asyncio.run(search(job, _confine))))


async def search(job: SearchJob, confine_us: Callable[[], None]) -> list[MarkFinding]:
    """Look for the marks. Marks are opened before the process is confined."""
    async with AsyncExitStack() as stack:
        marks = await _open_marks(stack, job)
        pcm, rate_hz = samples_of(job)
        confine_us()
        keys = [MarkKey(id_, secret) for id_, secret in job.keys]
        return [_detect(name, mark, pcm, rate_hz, keys) for name, mark in marks.items()]


def samples_of(job: SearchJob) -> tuple[bytes, int]:
    """Return the samples with 16 bits, at a rate that every mark supports. Samples of three bytes lose their
    lowest byte."""
    pcm = job.pcm
    if job.sample_bytes == 3:
        pcm = np.frombuffer(pcm, np.uint8).reshape(-1, 3)[:, 1:].tobytes()
    if job.rate_hz <= _MOST_RATE_HZ:
        return pcm, job.rate_hz
    samples = soxr.resample(np.frombuffer(pcm, "<i2"), job.rate_hz, _MOST_RATE_HZ)
    return np.asarray(samples, "<i2").tobytes(), _MOST_RATE_HZ


async def _open_marks(stack: AsyncExitStack, job: SearchJob) -> dict[str, Mark | None]:
    """Open the installed marks. A requested one that cannot be opened is None."""
    plugins = registry.load()
    marks: dict[str, Mark | None] = {}
    for name in plugins.plugins("mark"):
        is_named = name in job.settings
        section = PluginSection(settings=job.settings.get(name, {}))
        mark: Mark | None = await open_plugin(stack, plugins, PluginRequest("mark", name, section, is_named))
        if is_named or mark is not None:
            marks[name] = mark
    return marks


def _confine() -> None:
    """Bound the search. It may open files: it reads none that a stranger sent."""
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S + 1))
    confine((), used_mb() + _MEMORY_MB)


def _detect(name: str, mark: Mark | None, pcm: bytes, rate_hz: int, keys: Sequence[MarkKey]) -> MarkFinding:
    if mark is None:
        return MarkFinding(name, fault="it cannot be opened")
    try:
        found = mark.detect(pcm, rate_hz, keys)
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: its class only
        return MarkFinding(name, fault=type(error).__name__)
    return MarkFinding.of(name, found)


if __name__ == "__main__":
    main()
