"""A host's dialling process: `python -m proxy.processes.dialling PIPE_FD`. It has the links of all gateways.

It is a process of its own, so that no sound holds up the agent's signs of life.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys

import uvloop

from proxy.helpers.file_limit import raise_file_limit
from proxy.hosts.links.dialler import Dialler
from proxy.hosts.links.link_messages import BeginDialling, unpack_to_dialling
from proxy.telemetry import logs
from speech_engine.host.pipe import Pipe, call_on_loop
from speech_engine.host.pipe_messages import Drain, Ready
from speech_engine.host.process_rights import forbid_dumps


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the agent ends it, behind the processes of engines
    logs.configure_logs("dialling")
    forbid_dumps()  # the agent logs a failure
    pipe = Pipe(int(sys.argv[1]), unpack_to_dialling)
    begin = pipe.receive()
    if not isinstance(begin, BeginDialling):
        sys.exit(1)
    raise_file_limit()
    gc.enable()  # the import of `proxy` has turned it off
    uvloop.run(_dial(pipe, begin))
    logs.flush_logs()
    os._exit(0)


async def _dial(pipe: Pipe[BeginDialling | Drain], begin: BeginDialling) -> None:
    loop, stop_requested = asyncio.get_running_loop(), asyncio.Event()
    pipe.watch(lambda _message: call_on_loop(loop, stop_requested.set), logs.flush_logs)
    pipe.send(Ready())
    diallers = [Dialler(url, begin) for url in begin.gateways]
    running = [asyncio.create_task(each.run_dialler()) for each in diallers]
    stopping = asyncio.create_task(stop_requested.wait())
    await asyncio.wait([stopping, *running], return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        if task.done():
            task.result()  # it runs until it is cancelled, or has failed
        task.cancel()
    for each in diallers:
        each.close_links()
    await asyncio.sleep(0)


if __name__ == "__main__":
    main()
