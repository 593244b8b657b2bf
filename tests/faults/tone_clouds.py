"""`python -m tests.faults.tone_clouds`: the fakes of all providers, each on its own port, speaking in tones.

Prints their addresses as one line of JSON, and serves until it is ended.
"""

import asyncio
import logging
import sys
from contextlib import AsyncExitStack

import msgspec

from fakes.elevenlabs import Account
from fakes.elevenlabs import fake as elevenlabs
from fakes.minimax.app import FakeMinimax
from fakes.openai.app import provider as openai
from fakes.provider import Provider
from fakes.serving import served
from tests.tones import tones

BABBLE = "Babble."


def _speak(text: str) -> bytes:
    """Tones, and for one text a minute of silence: far more than anybody expects of it."""
    return bytes(2 * 24_000 * 60) if text == BABBLE else tones(text)


def _providers() -> dict[str, Provider]:
    account = Account()
    account.most_at_once = account.credits = 1_000_000_000
    return {
        "openai": openai(_speak),
        "elevenlabs": elevenlabs(tones, account),
        "minimax": FakeMinimax(tones).provider,
    }


async def _serve() -> None:
    # That clients leave is no news here.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    async with AsyncExitStack() as stack:
        urls = {
            name: (await stack.enter_async_context(served(provider))).url
            for name, provider in _providers().items()
        }
        sys.stdout.write(msgspec.json.encode(urls).decode() + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
