"""What a new process of the library says first: the library never forgets quite what it has said."""

import asyncio
import hashlib
import subprocess
import sys

from tests.plugins.espeak.heard import espeak, hear, said


def first_take(voice: str, seed: int, text: str, language: str = "en") -> str:
    """The name of the sound, of which equal ones have the same."""
    program = [sys.executable, "-m", "tests.plugins.espeak.first_take", voice, str(seed), text, language]
    return subprocess.check_output(program, text=True).splitlines()[-1]


async def _main(voice: str, seed: str, text: str, language: str) -> None:
    async with espeak() as engine:
        heard = await hear(engine, said(text, voice=voice, seed=int(seed), language=language))
    print(hashlib.sha256(heard.pcm).hexdigest(), len(heard.pcm))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
