"""Audiobooks and tracks as ffprobe, mediainfo and ffmpeg read them."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from proxy.features.jobs.core.m4b import M4bEncoder
from proxy.features.jobs.core.m4b_facts import M4bChapter, M4bFacts
from tests.features.jobs.results.pictures import PNG
from tests.programs import program
from tests.tables import each_row, soak

pytestmark = pytest.mark.slow

RATE_HZ = 24_000
FACTS = M4bFacts(
    title="Contos",
    authors=("Ana Lima", "Ben Sá"),
    narrators=("fable",),
    year="2024",
    language="pt-BR",
    series="Tales 2",
    cover=PNG,
)


def _run(name: str, *arguments: str) -> bytes:
    found = program(name)
    environ = {**os.environ, **found.environ}
    return subprocess.run([found.file, *arguments], env=environ, capture_output=True, check=True).stdout


def _made(file: Path, seconds: float, chapters: Sequence[M4bChapter] = (), **more: Any) -> int:
    """Write a file of so many seconds of noise, and return its samples."""
    samples, made = round(seconds * RATE_HZ), 0
    minute = np.random.default_rng(1).normal(0, 2000, 60 * RATE_HZ).astype("<i2").tobytes()
    encoder = M4bEncoder(FACTS, chapters, RATE_HZ, 64, samples, **more)
    with file.open("wb") as out:
        out.seek(encoder.head_bytes)
        while made < samples:
            part = minute[: 2 * (samples - made)]
            out.write(encoder.feed(part).data)
            made += len(part) // 2
        out.write(encoder.flush().data)
        out.seek(0)
        out.write(encoder.head)
    return samples


@pytest.mark.parametrize("seconds", [63.21, *soak(7200.0)])
def test_programs_show_chapters_cover_and_names(tmp_path: Path, seconds: float) -> None:
    count, file = 24, tmp_path / "a.m4b"
    places = [round(number * seconds * RATE_HZ / count) for number in range(count + 1)]
    titles = [f"บทที่ {number}" for number in range(1, count + 1)]
    marks = map(M4bChapter, titles, places, places[1:])
    samples = _made(file, seconds, [*marks])
    with file.open("rb") as made:
        assert b"moov" in made.read(200), "its index is first"
    parts = ("-show_format", "-show_streams", "-show_chapters")
    shown = json.loads(_run("ffprobe", "-v", "error", "-of", "json", *parts, str(file)))
    tags = {name: value for name, value in shown["format"]["tags"].items() if name != "encoder"}
    assert tags == {
        "major_brand": "M4B ",
        "minor_version": "512",
        "compatible_brands": "M4B iso2mp41",
        "title": "Contos",
        "artist": "Ana Lima, Ben Sá",
        "composer": "fable",
        "album": "Tales 2",
        "date": "2024",
        "genre": "Audiobook",
        "comment": "Spoken by a machine (synthetic speech).",
    }
    assert [each["tags"]["title"] for each in shown["chapters"]] == titles
    for chapter, start, end in zip(shown["chapters"], places[:-1], places[1:], strict=True):
        assert abs(float(chapter["start_time"]) - start / RATE_HZ) < 0.025
        assert abs(float(chapter["end_time"]) - end / RATE_HZ) < 0.025
    sound, *_, cover = shown["streams"]
    assert (sound["codec_name"], sound["tags"]["language"]) == ("aac", "por")
    assert (sound["duration_ts"], sound["time_base"]) == (samples, f"1/{RATE_HZ}")
    assert (cover["codec_name"], cover["width"], cover["disposition"]["attached_pic"]) == ("png", 16, 1)
    assert len(_run("ffmpeg", "-v", "error", "-i", str(file), "-f", "s16le", "-")) == 2 * samples
    report = json.loads(_run("mediainfo", "--Output=JSON", str(file)))["media"]["track"]
    general, audio, menu = (
        next(each for each in report if each["@type"] == type_) for type_ in ("General", "Audio", "Menu")
    )
    assert (general["Cover"], general["Title"], general["Performer"]) == (
        "Yes",
        "Contos",
        "Ana Lima, Ben Sá",
    )
    assert audio["Language"] == "pt"
    assert [text for time, text in menu["extra"].items() if time.startswith("_")] == titles


@each_row("samples", [1023, 1024, 1025, 2047, 2400, 72_517, 480_000])
def test_a_track_has_its_length_to_the_sample(tmp_path: Path, samples: int) -> None:
    file = tmp_path / "a.m4a"
    _made(file, samples / RATE_HZ, is_book=False)
    assert len(_run("ffmpeg", "-v", "error", "-i", str(file), "-map", "a", "-f", "s16le", "-")) == 2 * samples
    shown = json.loads(_run("ffprobe", "-v", "error", "-of", "json", "-show_format", str(file)))["format"]
    assert float(shown["duration"]) == pytest.approx(samples / RATE_HZ, abs=1e-6)
    assert (shown["tags"]["major_brand"], "genre" in shown["tags"]) == ("M4A ", False)


def test_a_long_track_of_the_highest_rate_has_room_for_its_index() -> None:
    rate_hz, minutes = 48_000, 20
    encoder = M4bEncoder(M4bFacts(), (), rate_hz, 96, minutes * 60 * rate_hz, is_book=False)
    for _ in range(minutes):
        encoder.feed(bytes(2 * 60 * rate_hz))
    encoder.flush()
    assert b"moov" in encoder.head[:200]
