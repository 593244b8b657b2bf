"""The process of a comparer: `python -m speech_engine.host.comparing PIPE_FD`, started by a worker.

It loads the comparer, gives up programs and the network, and answers one question after the other.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import msgspec

from speech_engine.comparer import Comparer
from speech_engine.host.comparer_messages import (
    BeginComparer,
    ComparerReady,
    ComparisonQuestion,
    ComparisonScore,
)
from speech_engine.host.confinement import confine, limit_memory
from speech_engine.host.log import HostLogger
from speech_engine.host.pipe import ParentPipe, tell
from speech_engine.host.pipe_messages import (
    Broken,
    Message,
)
from speech_engine.plugin import Context
from speech_engine.worker_module import worker_plugin


async def _serve(pipe: ParentPipe, begin: BeginComparer, log: HostLogger) -> None:
    loop, questions = asyncio.get_running_loop(), asyncio.Queue[ComparisonQuestion]()

    def on_message(message: Message) -> None:
        if isinstance(message, ComparisonQuestion):
            tell(loop, questions.put_nowait, message)

    pipe.watch(on_message, lambda: None)
    limit_memory(begin.memory_mb)
    settings_type, create = worker_plugin(begin.module, "comparer")
    settings = msgspec.json.decode(begin.settings, type=settings_type)
    async with create(begin.name, settings, Context(log)) as comparer:
        for lack in confine(begin.needs):
            log.warning("host.confinement.missing", what=lack)
        pipe.send(ComparerReady(comparer.scale.same, comparer.scale.other))
        # Libraries prepare themselves anew in every thread that they are called from.
        with ThreadPoolExecutor(1) as thread:
            while True:
                question = await questions.get()
                pipe.send(await loop.run_in_executor(thread, _compared, comparer, question, log))


def _compared(comparer: Comparer, question: ComparisonQuestion, log: HostLogger) -> ComparisonScore:
    try:
        score = float(comparer.compare(question.one, question.other))
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: its class only, it may quote the sound
        log.warning("comparer.compare.failed", error=type(error).__name__)
        return ComparisonScore(failure=type(error).__name__)
    return ComparisonScore(score) if math.isfinite(score) else ComparisonScore(failure="it is no number")


async def _life(pipe: ParentPipe, begin: BeginComparer, log: HostLogger) -> None:
    try:
        await _serve(pipe, begin, log)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the seam around a plugin: the worker is told why
        pipe.send(Broken(f"{type(error).__name__}: {error}"))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = ParentPipe(int(sys.argv[1]))
    begin = pipe.receive()
    if isinstance(begin, BeginComparer):
        asyncio.run(_life(pipe, begin, HostLogger(begin.name)))
    # A library's threads must not keep the process.
    os._exit(1)


if __name__ == "__main__":
    main()
