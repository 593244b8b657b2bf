"""What books and dubs cost beside speaking: `python -m bench.books`.

Processor seconds of all processes: a book of 96,000 words is read, and the largest one that a job takes; two
hours of an audiobook are encoded, with the memory beside the head of the file; an hour of an original is
counted, decoded, and mixed with 1,000 lines.
"""

from __future__ import annotations

import asyncio
import os
import resource
import secrets
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from proxy.audio.encode import open_encoder
from proxy.audio.formats import SAMPLE_BYTES, OutputForm
from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.features.books.book_reader import BookReader
from proxy.features.books.reading.book import ReadRules
from proxy.features.dubs.child_orders import SoundOrder
from proxy.features.dubs.mixing import Ducking
from proxy.features.dubs.original_sound import OriginalSounds
from proxy.features.dubs.track import OriginalBed, PlacedClip, track_speech, write_track
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.m4b import M4bEncoder
from proxy.features.jobs.core.m4b_facts import M4bChapter, M4bFacts
from proxy.file_store.sealed_blobs import BlobRange, StoredFile
from proxy.file_store.vault import Vault
from tests import speech_clips
from tests.features.books.epubs import epub, nav, xhtml
from tests.proxy.file_store.vaults import key_text
from tests.sound import decoded

HOUR_S, LINES, LINE_S = 3600, 1_000, 2.4
_WORDS = "A book of usual words is read aloud by a voice that never tires of it. "
_MB = 1024 * 1024


def novel(words: int, chapters: int, pictures: int = 0) -> bytes:
    """Return an EPUB of so many words, with notes and page numbers, and megabytes of pictures."""
    mark = '<a epub:type="noteref" href="#n">1</a> <span class="pagenum">9</span>'
    paragraph = f"<p>{_WORDS * 6}{mark}</p>"
    count = words // chapters // (6 * len(_WORDS.split()))
    files: dict[str, str | bytes] = {
        f"{number}.xhtml": xhtml(f"<h1>Chapter {number}</h1>{paragraph * count}")
        for number in range(chapters)
    }
    files["nav.xhtml"] = xhtml(nav(*(f"{number}.xhtml|Chapter {number}" for number in range(chapters))))
    files |= {f"{number}.png": secrets.token_bytes(_MB) for number in range(pictures)}
    return epub(files)


async def _row(what: str, work: Callable[[], Awaitable[object]]) -> None:
    """Print the processor seconds of a piece of work, with its processes, and the time it took."""

    def used() -> float:
        both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(each.ru_utime + each.ru_stime for each in both)

    before, began = used(), time.perf_counter()
    await work()
    took_s = time.perf_counter() - began
    print(f"|{what}|{used() - before:.2f}|{took_s:.1f}|", flush=True)


async def _stored(files: JobFiles, data: bytes) -> StoredFile:
    parts = [data[at : at + _MB] for at in range(0, len(data), _MB)]
    return StoredFile(
        files, "acc_1", [BlobRange(await files.put("acc_1", each), 0, len(each)) for each in parts]
    )


async def books(files: JobFiles) -> None:
    for name, data in (("96,000 words", novel(96_000, 32)), ("the largest", novel(207_400, 256, 60))):
        file = await _stored(files, data)
        found = list[int]()

        async def read(file: StoredFile = file, found: list[int] = found) -> None:
            async with aclosing(BookReader()) as reader:
                book = await reader.read_book("acc_1", file, "novel.epub", ReadRules(), "")
            found.append(sum(len(part.text) for each in book.chapters for part in each.sections))

        await read()
        size = f"{found[0]:,} characters, {len(data) / _MB:.1f} MiB"
        for _ in range(3):
            await _row(f"a book is read: {name}, {size}", read)

        async def cover(file: StoredFile = file) -> None:
            async with aclosing(BookReader()) as reader:
                await reader.read_cover("acc_1", file, "novel.epub", waits=False)

        await _row(f"its cover: {name}", cover)


def _voice(rate_hz: int) -> bytes:
    """Return a minute of speech."""
    sound = decoded(speech_clips.wav(), "wav")
    times = np.arange(0, len(sound.samples), sound.sample_rate_hz / rate_hz)
    once = np.interp(times, np.arange(len(sound.samples)), sound.samples)
    return bytes((np.resize(once, 60 * rate_hz) * 32767).astype("<i2").data)


async def encoding(hours: int) -> None:
    rate_hz, minute, sizes = 24_000, _voice(24_000), list[int]()
    every = 300 * rate_hz
    chapters = [M4bChapter(f"Chapter {at}", at * every, (at + 1) * every) for at in range(12 * hours)]
    facts = M4bFacts(title="Tales", narrators=("joe",), cover=b"\x89PNG\r\n\x1a\n" + bytes(140_000))

    async def encode() -> None:
        encoder = M4bEncoder(facts, chapters, rate_hz, 64, hours * HOUR_S * rate_hz)
        size = 0
        for _ in range(hours * 60):
            for at in range(0, len(minute), 65_536):
                size += len(encoder.feed(minute[at : at + 65_536]).data)
            sizes.append(_memory())
        size += len(encoder.flush().data)
        sizes.extend((_memory(), size, encoder.head_bytes))

    before = _memory()
    await _row(f"{hours} h of m4b are encoded", encode)
    *memory, size, head = sizes
    beside = (max(memory) - before - head) / _MB
    print(
        f"|… {size / _MB:.1f} MiB behind a head of {head / _MB:.2f}, {beside:.1f} MiB of memory beside it|||"
    )


def _memory() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def dubs(files: JobFiles) -> None:
    rate_hz, minute = 48_000, _voice(48_000)
    samples = HOUR_S * rate_hz
    original = await _stored(files, _opus(minute, rate_hz))

    async def count() -> None:
        async with aclosing(OriginalSounds()) as sounds:
            await sounds.measure("acc_1", original)

    async def decode() -> None:
        async with aclosing(OriginalSounds()) as sounds:
            async for _part in sounds.sound_parts(original, SoundOrder(rate_hz)):
                pass

    await _row("an hour of Opus is counted", count)
    await _row("an hour of Opus is decoded", decode)
    length = round(LINE_S * rate_hz)
    digest = await files.put("acc_1", minute[: length * SAMPLE_BYTES])
    clip: Any = type("Clip", (), {"account": "acc_1", "digest": digest})()
    for pace in (1.0, 1.15):
        lines = [PlacedClip(clip, 0, length, number * samples // LINES, pace) for number in range(LINES)]
        places = [(each.start, each.start + round(length / pace)) for each in lines]

        async def mix(lines: list[PlacedClip] = lines, places: list[tuple[int, int]] = places) -> None:
            outs: Any = {"track": _Nowhere()}
            bed = OriginalBed(_repeated(minute), Ducking(places, rate_hz))
            await write_track(track_speech(files, lines, samples, rate_hz), None, bed, outs, rate_hz)

        await _row(f"an hour is mixed with {LINES:,} lines at pace {pace}", mix)


def _opus(minute: bytes, rate_hz: int) -> bytes:
    """Return an hour of Opus."""
    encoder = open_encoder(OutputForm("opus", rate_hz, 48))
    return b"".join(encoder.feed(minute).data for _ in range(60)) + encoder.flush().data


async def _repeated(minute: bytes) -> AsyncGenerator[bytes, None]:
    for _ in range(60 * 15):
        yield minute[: len(minute) // 15]


class _Nowhere:
    async def add_sound(self, pcm: bytes) -> None:
        """Drop it."""

    async def end(self) -> None:
        """It has none."""


async def main() -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("|what|processor, s|time, s|\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        async with open_store("sqlite", Path(folder)) as store:
            files = JobFiles(store, Vault(store, VaultSection(key_text(), folder=folder), Path(folder)))
            await books(files)
            await encoding(2)
            await dubs(files)


if __name__ == "__main__":
    asyncio.run(main())
