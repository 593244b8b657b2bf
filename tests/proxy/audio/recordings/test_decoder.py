"""The processes that decode: one for each file, confined, bounded, and nobody else's trouble."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
import psutil
import pytest

from proxy.audio.recordings.decoder import Decoder
from proxy.audio.recordings.recording import Decoded, SpeechRecording, Undecoded, UnusableRecording
from speech_engine.host.confinement import has_call_filter, has_landlock
from tests.proxy.audio.recordings.clips import KINDS, encoded, sine, wav
from tests.proxy.audio.recordings.corpus import outcomes
from tests.proxy.helpers.alone import answer_alone
from tests.sound import tone
from tests.waiting import soon

pytestmark = pytest.mark.slow

WAV = wav(tone(440, 1.0))
CHILD = "proxy.audio.recordings.decoding_child"
WAIT_S = 60.0


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    decoder = Decoder(at_once=1, waiting=1)
    try:
        async with asyncio.timeout(WAIT_S):
            yield decoder
    finally:
        await decoder.close()
        assert not children()


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if CHILD in _command(child)]


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []


async def ready_child(decoder: Decoder) -> psutil.Process:
    """The process that waits for the next file."""
    await decoder.decode(WAV)
    return (await soon(children, lambda found: len(found) == 1))[0]


async def test_a_file_becomes_a_recording(decoder: Decoder) -> None:
    recording = await decoder.decode(WAV)
    assert recording.master == WAV
    assert (recording.rate_hz, recording.seconds, recording.channels) == (24_000, 1.0, 1)
    assert repr(recording) == "<SpeechRecording pcm_s16le, 1.0 s at 24000 Hz>"


async def test_a_refusal_says_what_is_wrong_with_the_file(decoder: Decoder) -> None:
    with pytest.raises(UnusableRecording, match="it cannot be read as wav, mp3"):
        await decoder.decode(b"no recording")
    with pytest.raises(UnusableRecording, match="8000 to 192000 Hz"):
        await decoder.decode(wav(tone(440, 1.0), rate_hz=1))


async def test_the_file_of_a_process_that_is_killed_is_decoded_by_another(decoder: Decoder) -> None:
    child = await ready_child(decoder)
    child.suspend()
    decoding = asyncio.create_task(decoder.decode(WAV))
    await soon(lambda: len(children()) == 2)
    child.kill()
    assert (await decoding).seconds == 1.0


async def decode(decoder: Decoder, data: bytes = WAV, account: str = "") -> SpeechRecording:
    async with decoder.turn(account):
        return await decoder.decode(data)


async def test_many_files_at_once_each_get_their_own_sound() -> None:
    decoder = Decoder(at_once=2, waiting=20)
    try:
        pitches = [200 + 50 * n for n in range(4)]
        made = await asyncio.gather(
            *(decode(decoder, wav(tone(pitch, 1.0)), f"acc_{pitch}") for pitch in pitches)
        )
        assert [recording.master for recording in made] == [wav(tone(pitch, 1.0)) for pitch in pitches]
    finally:
        await decoder.close()
    assert not children()


def _run(data: bytes) -> Decoded | Undecoded:
    return msgspec.msgpack.decode(answer_alone(CHILD, data), type=Decoded | Undecoded)


def test_a_file_of_no_bytes_is_empty() -> None:
    assert _run(b"") == Undecoded("empty")


def test_a_confined_process_decodes_every_format() -> None:
    kinds = ("mp3", "m4a", "aac", "ogg opus", "webm opus", "flac", "wav")
    files = {name: encoded(KINDS[name], sine(440, 1.0, KINDS[name].rate_hz)) for name in kinds}
    made = _run(files["mp3"])
    assert isinstance(made, Decoded)
    assert made.lacks == (() if has_call_filter() and has_landlock() else made.lacks)
    # One of the same kind takes all of them.
    found = outcomes((name, partial(bytes, file)) for name, file in files.items())
    assert {name: outcome.made for name, outcome in found.items()} == dict.fromkeys(kinds, "decoded")


ATTEMPTS = {
    "read": "open('/etc/passwd')",
    "write": "open(folder + '/new', 'w')",
    "make": "os.mkdir(folder + '/new')",
    "remove": "os.unlink(folder + '/old')",
    "move": "os.rename(folder + '/old', folder + '/new')",
    "list": "os.listdir('/')",
    "run": "os.execv('/bin/true', ['true'])",
    "signal": "os.kill(os.getppid(), 0)",
    "connect": "socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    "files again": "(resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)), open('/etc/passwd'))",
    "memory": "bytearray(2**30)",
}


@pytest.mark.skipif(not has_landlock() or not has_call_filter(), reason="no Landlock, or no seccomp")
def test_a_confined_process_is_refused_everything(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("kept")
    code = f"""
import os, resource, socket
from {CHILD} import _confine, warm_up
folder = {str(tmp_path)!r}
warm_up()
_confine()
for name, attempt in {ATTEMPTS!r}.items():
    try:
        eval(attempt)
    except (OSError, ValueError, MemoryError) as error:
        print(name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == list(ATTEMPTS), done.stderr
    assert os.listdir(tmp_path) == ["old"]


@pytest.mark.skipif(not has_call_filter(), reason="the kernel has no seccomp")
def test_a_confined_process_starts_no_other_and_stays_in_its_group() -> None:
    code = f"""
import os, threading
from {CHILD} import _confine, warm_up
warm_up()
_confine()
start = threading.Thread(target=print).start
for attempt in (os.fork, lambda: os.posix_spawn("/bin/true", ["true"], {{}}), start, os.setsid, os.setpgrp):
    try:
        attempt()
    except (OSError, RuntimeError):
        print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "refused\n" * 5, done.stderr


def test_the_processors_time_is_bounded() -> None:
    code = f"from {CHILD} import _confine\n_confine()\nimport resource\n"
    code += "print(resource.getrlimit(resource.RLIMIT_CPU))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(10, 11)\n"


def test_files_and_processes_are_bounded_where_the_kernel_knows_no_landlock() -> None:
    code = f"from {CHILD} import _confine\n_confine()\nimport resource\n"
    code += (
        "print(*(resource.getrlimit(getattr(resource, f'RLIMIT_{name}')) for name in ('NOFILE', 'NPROC')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(3, 3) (0, 0)\n"
