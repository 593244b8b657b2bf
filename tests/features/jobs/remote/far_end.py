"""A far end in a process of its own: `python -m tests.features.jobs.remote.far_end WORKER SETTINGS TOKEN`.

It prints its port, and ends with its standard input.
"""

import asyncio
import sys

from speech_engine.device import CPU
from speech_engine.host.log import HostLogger
from speech_engine.host.remote_server import RemoteServer
from speech_engine.host.remote_worker import open_remote_worker


async def main(worker: str, settings: str, token: str) -> None:
    async with open_remote_worker(worker, settings.encode(), CPU, HostLogger("far end")) as remote_worker:
        server = RemoteServer(remote_worker, token, ("127.0.0.1", 0))
        try:
            print(server.port, flush=True)
            await asyncio.to_thread(sys.stdin.read)
        finally:
            await asyncio.to_thread(server.close)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
