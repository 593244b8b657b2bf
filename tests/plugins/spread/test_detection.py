"""The mark `spread` after what happens to sound on its way; `python -m bench.marks` has more clips."""

import numpy as np
import pytest
import soxr  # type: ignore[import-untyped]

from plugins.spread.coding import pattern_of
from plugins.spread.detection import Match, find
from plugins.spread.grid import PERIOD_TILES, Grid
from plugins.spread.residual import alignments
from plugins.spread.stream import SpreadStream
from speech_engine.mark import FALSE_RATE
from tests.plugins.spread.clips import (
    CHANGES,
    KEY,
    LANGUAGES,
    PAYLOAD,
    RATE_HZ,
    Clip,
    in_parts,
    joined,
    marked,
    spoken,
)
from tests.tables import each_row, soak

pytestmark = pytest.mark.slow

OTHERS = [f"a key that marked nothing, {number}".encode() for number in range(20)]


def clips() -> tuple[Clip, ...]:
    return spoken(2)


def found(clip: Clip, *secrets: bytes) -> Match:
    return find(clip.tobytes(), RATE_HZ, secrets or (OTHERS[0], KEY.secret), is_patient=False)


@pytest.mark.parametrize("every", [2, *soak(1)])
@each_row("change", CHANGES)
def test_a_clip_of_each_language_is_found_after(change: str, every: int) -> None:
    matches = [found(CHANGES[change](marked(clip))) for clip in clips()[::every]]
    print(
        f"{change}: lowest {min(match.score for match in matches):.1f}, threshold {matches[0].threshold:.1f}"
    )
    assert all(match.is_found and match.key == 1 for match in matches)
    assert {match.payload for match in matches} <= {PAYLOAD, None}
    assert sum(match.payload == PAYLOAD for match in matches) >= len(matches) * 0.8


def test_joined_clips_and_answers_of_parts_are_found() -> None:
    one, other, third = clips()[:: len(LANGUAGES) - 1]
    for clip in (joined(one, other), in_parts([one, other, third])):
        assert found(clip).payload == PAYLOAD


def test_another_speed_is_found() -> None:
    sped = soxr.resample(marked(clips()[0]), RATE_HZ * 1.065, RATE_HZ)
    match = find(sped.tobytes(), RATE_HZ, [OTHERS[0], KEY.secret])
    assert match.is_found
    assert (match.key, match.payload) == (1, PAYLOAD)


def test_no_other_key_finds_a_mark() -> None:
    matches = [found(marked(clip), secret) for clip in clips()[::3] for secret in OTHERS[:5]]
    assert not any(match.is_found for match in matches)
    likeliest = np.sqrt(2 * np.log(matches[0].trials))
    assert np.median([match.score for match in matches]) < likeliest


def test_more_keys_raise_the_threshold() -> None:
    """The bound on the false rate holds for all keys together."""
    clip = clips()[0]
    one, many = found(clip, OTHERS[0]), found(clip, *OTHERS)
    assert many.trials == len(OTHERS) * one.trials
    for match in (one, many):
        assert match.trials * np.exp(-(match.threshold**2) / 2) <= FALSE_RATE * 0.501


def test_sound_of_any_kind_has_no_mark() -> None:
    times = np.arange(3 * RATE_HZ) / RATE_HZ
    noise = np.random.default_rng(1).standard_normal(len(times))
    for sound in (noise, np.sin(2 * np.pi * 440 * times), np.sign(np.sin(2 * np.pi * 25 * times))):
        assert not found((sound * 8000).astype(np.int16)).is_found


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, *soak(11_025, 16_000, 22_050, 48_000)])
def test_a_mark_is_found_at_another_rate_than_it_was_made_at(rate_hz: int) -> None:
    clip = marked(soxr.resample(clips()[0], RATE_HZ, rate_hz), rate_hz=rate_hz)
    assert find(clip.tobytes(), rate_hz, [KEY.secret]).payload == PAYLOAD
    assert found(soxr.resample(clip, rate_hz, RATE_HZ), KEY.secret).payload == PAYLOAD


def test_its_limit_the_mark_of_a_clip_can_be_copied_without_the_key_if_it_is_made_louder() -> None:
    """The tiles of a marked clip show its signs, if not well. So a mark alone proves nothing."""
    grid = Grid(RATE_HZ)
    clip, *foreign = clips()[:6]
    stream = SpreadStream(RATE_HZ, pattern_of(KEY.secret, PAYLOAD))
    heard = np.frombuffer(stream.feed(clip.tobytes()) + stream.flush(), "<i2").astype(np.float32)
    _, blocks = next(iter(alignments(heard, grid)))
    tiles = blocks.reshape(-1, grid.bands)
    signs = np.zeros((PERIOD_TILES, grid.bands), np.float32)
    signs[: len(tiles)] = np.sign(tiles)
    pattern = np.repeat(signs, 2, axis=0)
    pattern[1::2] *= -1
    scores = []
    for strength in (1.0, 4.0):
        matches = []
        for sound in foreign:
            copied = SpreadStream(RATE_HZ, pattern, 0, strength)
            matches.append(found(np.frombuffer(copied.feed(sound.tobytes()) + copied.flush(), np.int16)))
        scores.append(max(match.score / match.threshold for match in matches))
    usual, loud = scores
    assert usual < 0.8
    assert loud > 1
