"""A process that says one sentence by a voice and a seed, and prints what its sound is called."""

from __future__ import annotations

import asyncio
import hashlib
import sys

from tests.plugins.espeak.heard import espeak, hear, said

SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank."


async def main(voice: str, seed: int) -> None:
    async with espeak() as engine:
        heard = await hear(engine, said(SENTENCE, voice=voice, seed=seed))
    print(hashlib.sha256(heard.pcm).hexdigest(), len(heard.pcm))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
