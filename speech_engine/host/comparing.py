"""The process that compares speakers with one plugin. It answers one question after the other."""

from __future__ import annotations

import asyncio
import math
from functools import partial

from speech_engine.comparer import Comparer
from speech_engine.host import plugin_process
from speech_engine.host.log import HostLogger
from speech_engine.host.pipe import call_on_loop
from speech_engine.host.plugin_messages import (
    BeginPlugin,
    ComparerReady,
    ComparisonQuestion,
    ComparisonScore,
    PluginMessage,
    PluginPipe,
)


async def _serve(pipe: PluginPipe, begin: BeginPlugin, log: HostLogger) -> None:
    loop, questions = asyncio.get_running_loop(), asyncio.Queue[ComparisonQuestion]()

    def on_message(message: PluginMessage) -> None:
        if isinstance(message, ComparisonQuestion):
            call_on_loop(loop, questions.put_nowait, message)

    pipe.watch(on_message, lambda: None)
    async with plugin_process.open_confined("comparer", begin, log) as comparer:
        pipe.send(ComparerReady(comparer.scale.same, comparer.scale.other))
        answer = partial(_compare, comparer, log)
        await plugin_process.answer_in_thread(questions, answer, pipe)


def _compare(comparer: Comparer, log: HostLogger, question: ComparisonQuestion) -> ComparisonScore:
    try:
        score = float(comparer.compare(question.one, question.other))
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: its class only, it may quote the sound
        log.warning("comparer.compare.failed", error=type(error).__name__)
        return ComparisonScore(failure=type(error).__name__)
    return ComparisonScore(score) if math.isfinite(score) else ComparisonScore(failure="it is no number")


if __name__ == "__main__":
    plugin_process.run(_serve)
