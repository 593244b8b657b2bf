"""The process of a mark, see `plugin_process`. It marks many streams, and looks for marks in other sound.

A stream requests its next step when it has the answer to the last one. So the queue is no longer than the
number of streams, and each gets its turn.
"""

from __future__ import annotations

import asyncio
from functools import partial

from speech_engine.host import plugin_messages, plugin_process
from speech_engine.host.log import HostLogger
from speech_engine.host.pipe import call_on_loop
from speech_engine.host.plugin_messages import PluginPipe
from speech_engine.mark import Mark, MarkStream

_Step = plugin_messages.OpenMarkStream | plugin_messages.MarkSound | plugin_messages.CloseMarkStream


class _Marking:
    def __init__(self, mark: Mark, log: HostLogger) -> None:
        self._mark = mark
        self._log = log
        self._streams: dict[int, MarkStream] = {}

    def do_step(self, step: _Step) -> plugin_messages.MarkedSound | None:
        number = step.number
        if isinstance(step, plugin_messages.CloseMarkStream):
            self._streams.pop(number, None)
            return None
        try:
            return plugin_messages.MarkedSound(number, self._mark_sound(step))
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: only the error's class is logged, since its text may quote the sound
            self._log.warning("mark.sound.failed", error=type(error).__name__)
            self._streams.pop(number, None)
            return plugin_messages.MarkedSound(number, failure=type(error).__name__)

    def _mark_sound(self, step: plugin_messages.OpenMarkStream | plugin_messages.MarkSound) -> bytes:
        if isinstance(step, plugin_messages.OpenMarkStream):
            self._streams[step.number] = self._mark.open(step.sample_rate_hz, step.key, step.payload)
            return b""
        stream = self._streams[step.number]
        marked = stream.feed(step.pcm) if step.pcm else b""
        return marked + stream.flush() if step.is_last else marked


def _detect(
    mark: Mark, log: HostLogger, question: plugin_messages.MarkQuestion
) -> plugin_messages.MarkAnswer:
    try:
        found = mark.detect(question.pcm, question.sample_rate_hz, question.keys)
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: only the error's class is logged, since its text may quote the sound
        log.warning("mark.detect.failed", error=type(error).__name__)
        return plugin_messages.MarkAnswer(question.number, failure=type(error).__name__)
    return plugin_messages.MarkAnswer(question.number, found)


async def _serve(pipe: PluginPipe, begin: plugin_messages.BeginPlugin, log: HostLogger) -> None:
    loop = asyncio.get_running_loop()
    steps, questions = asyncio.Queue[_Step](), asyncio.Queue[plugin_messages.MarkQuestion]()

    def on_message(message: plugin_messages.PluginMessage) -> None:
        if isinstance(message, plugin_messages.MarkQuestion):
            call_on_loop(loop, questions.put_nowait, message)
        elif isinstance(message, _Step):
            call_on_loop(loop, steps.put_nowait, message)

    pipe.watch(on_message, lambda: None)
    async with plugin_process.open_confined("mark", begin, log) as mark:
        marking = _Marking(mark, log)
        pipe.send(plugin_messages.MarkReady())
        async with asyncio.TaskGroup() as group:
            group.create_task(plugin_process.answer_in_thread(steps, marking.do_step, pipe))
            # A detection takes seconds, and no answer should wait for it.
            group.create_task(plugin_process.answer_in_thread(questions, partial(_detect, mark, log), pipe))


if __name__ == "__main__":
    plugin_process.run(_serve)
