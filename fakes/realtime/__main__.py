"""`python -m fakes.realtime --port N`: the provider as a program. Any key but "wrong" is good."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from fakes.realtime.app import Manner, RealtimeFake, served


async def _serve(host: str, port: int, fake: RealtimeFake) -> None:
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    async with served(fake, host, port) as url:
        sys.stdout.write(f"fakes.realtime serves on {url}\n")
        sys.stdout.flush()
        await ending.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="fakes.realtime", description="A fake of the provider, for tests.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--first-s", type=float, default=0.0, help="seconds before a response begins")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds of sound a second; 0: at once")
    parser.add_argument("--model", action="append", default=[], help="another model that it has")
    arguments = parser.parse_args()
    manner = Manner(first_s=arguments.first_s, pace=arguments.pace)
    asyncio.run(_serve(arguments.host, arguments.port, RealtimeFake(manner, arguments.model)))


if __name__ == "__main__":
    main()
