"""Recordings of speech for tests that upload some: spoken by espeak-ng, once a run."""

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from proxy.audio.formats import wav_header
from tests.proxy.audio.recordings.speech import SENTENCES, master_of, speech

TEXT = " ".join(SENTENCES)


def wav(voice: str = "m3") -> bytes:
    """A WAV file of about twelve seconds, by a voice of espeak: the same bytes each time."""
    return _wav(voice)


@cache
def _wav(voice: str) -> bytes:
    # The library does not say the same twice. In a thread: it may be asked for where a loop runs already.
    with ThreadPoolExecutor(1) as thread:
        return master_of(thread.submit(lambda: asyncio.run(speech(voice))).result())


@cache
def long_wav() -> bytes:
    """A WAV file of the same speech six times: more than a minute, and megabytes."""
    header = len(wav_header(0))
    pcm = wav()[header:] * 6
    return wav_header(len(pcm) // 2) + pcm


@cache
def wav_file() -> Path:
    """The same as a file, for programs that upload one."""
    with tempfile.NamedTemporaryFile(suffix=".wav", prefix="voxgate-speech-", delete=False) as file:
        file.write(wav())
    return Path(file.name)
