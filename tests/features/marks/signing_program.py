"""A worker that has signed once, prints the number of its signing process, and waits to be killed."""

import asyncio
import sys

import psutil
from prometheus_client import CollectorRegistry

from proxy.config.sections import Config
from proxy.features.marks.clip_facts import ClipSpeaker
from proxy.features.marks.manifest import ManifestFacts
from proxy.features.marks.signer import open_signer


async def main(data: str) -> None:
    async with open_signer(Config(data=data), CollectorRegistry()) as signer:
        await signer.sign_digest(ManifestFacts(0, (ClipSpeaker("xtts/en", ""),)), bytes(32))
        (child,) = psutil.Process().children()
        print("loaded" if "c2pa" in sys.modules else "light", flush=True)
        print("child", child.pid, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
