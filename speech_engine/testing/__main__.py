"""`python -m speech_engine.testing MODULE NAME [VOICE]` tries the engine of a worker.

It runs in the environment that has the worker's packages, and `voxgate check --plugin` starts it.
The settings come as JSON on stdin. Each line on stdout is a `RuleVerdict` as JSON.
"""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec

from speech_engine.host.log import HostLogger
from speech_engine.plugin import Context, worker_plugin
from speech_engine.testing.contract import EngineContract
from speech_engine.testing.verdicts import RuleVerdict, verdicts


async def _try_rules(module: str, name: str, voice: str | None, answers: int) -> None:
    def answer(verdict: RuleVerdict) -> None:
        os.write(answers, msgspec.json.encode(verdict) + b"\n")

    rule = "its worker can be imported, and takes the settings"
    try:
        settings_type, create = worker_plugin(module)
        settings = msgspec.json.decode(sys.stdin.buffer.read(), type=settings_type)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the seam around a plugin: it becomes the verdict
        answer(RuleVerdict(rule, f"{type(error).__name__}: {error}".split("\n", 1)[0]))
        return
    answer(RuleVerdict(rule))
    context = Context(HostLogger(name), samples=EngineContract.recordings)
    async for verdict in verdicts(lambda: create(name, settings, context), voice):
        answer(verdict)


def main() -> None:
    # Text that a plugin prints must not look like an answer.
    answers = os.dup(1)
    os.dup2(2, 1)
    module, name, *voice = sys.argv[1:]
    asyncio.run(_try_rules(module, name, voice[0] if voice else None, answers))
    # The non-daemon threads of a library must not keep this process alive.
    os._exit(0)


if __name__ == "__main__":
    main()
