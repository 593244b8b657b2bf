"""Encoders: any pieces make one file, early, counted honestly, and cleanly closed."""

import gc
import io
import sys
import warnings
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.audio.encode import open_encoder
from proxy.audio.formats import AUDIO_FORMATS, FORMATS, USUAL_FORMS, SoundFailed
from speech_engine.loudness import loudness_of
from tests.proxy.audio.pieces import body, cut, encoded
from tests.sound import PADDING_S, decoded, tone
from tests.tables import each_row

pytestmark = pytest.mark.slow

COMPRESSED = ("mp3", "opus", "aac", "flac", "g711_ulaw", "g711_alaw")
SECOND = 24_000
_SECONDS = {name: form.sample_rate_hz for name, form in USUAL_FORMS.items()}


@pytest.mark.parametrize("audio_format", FORMATS)
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(1, 3_000), min_size=1, max_size=5))
def test_any_pieces_make_one_file_of_the_right_length_and_pitch(audio_format: str, sizes: list[int]) -> None:
    pcm = tone(523, 0.6, _SECONDS[audio_format])
    chunks = encoded(open_encoder(USUAL_FORMS[audio_format]), cut(pcm, [2 * size for size in sizes]))
    assert sum(chunk.samples for chunk in chunks) == len(pcm) // 2
    heard = decoded(body(chunks), audio_format)
    assert -0.001 <= heard.seconds - 0.6 <= PADDING_S[audio_format]
    assert heard.pitch_hz == pytest.approx(523, abs=3)
    assert heard.loudness == pytest.approx(0.237, rel=0.1)


@each_row("audio_format", FORMATS)
def test_no_chunk_is_billed_before_it_was_fed_or_could_be_heard(audio_format: str) -> None:
    encoder, second = open_encoder(USUAL_FORMS[audio_format]), _SECONDS[audio_format]
    fed = covered = 0
    data = b""
    for piece in cut(tone(440, 1.0, second), [482, 2, 4_800]):
        chunk = encoder.feed(piece)
        fed += len(piece) // 2
        covered += chunk.samples
        data += chunk.data
        assert chunk.samples >= 0
        assert covered <= fed
        if chunk.samples and covered > second // 5:
            assert covered <= decoded(data, audio_format).seconds * second + 1
    encoder.close()
    assert covered > 0.8 * second


@each_row("audio_format", FORMATS)
def test_the_first_audio_comes_within_100_ms_of_speech(audio_format: str) -> None:
    encoder, second = open_encoder(USUAL_FORMS[audio_format]), _SECONDS[audio_format]
    fed = covered = 0
    for piece in cut(tone(440, 0.5, second), [480]):
        fed += len(piece) // 2
        chunk = encoder.feed(piece)
        if chunk.samples:
            covered = chunk.samples
            break
    encoder.close()
    assert covered > 0
    # aac and mp3 begin with a frame of their own delay; its bytes are out one frame earlier.
    assert fed <= second * (0.14 if audio_format == "aac" else 0.1)


@each_row("audio_format", FORMATS)
def test_the_first_bytes_come_within_100_ms_of_speech(audio_format: str) -> None:
    encoder, second = open_encoder(USUAL_FORMS[audio_format]), _SECONDS[audio_format]
    data = b"".join(encoder.feed(piece).data for piece in cut(tone(440, 0.1, second), [480]))
    encoder.close()
    assert len(data) > 44


@each_row("audio_format", FORMATS)
def test_an_answer_without_a_sample_is_a_valid_file_that_costs_nothing(audio_format: str) -> None:
    chunks = encoded(open_encoder(USUAL_FORMS[audio_format]), iter(()))
    assert sum(chunk.samples for chunk in chunks) == 0
    heard = decoded(body(chunks), audio_format)
    assert heard.seconds <= 0.25
    # The code of A-law that is nearest to silence is 8 of 32768.
    assert heard.loudness < (0.0003 if audio_format == "g711_alaw" else 0.0001)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[av.container.OutputContainer]:
    """Each container that an encoder opens from now on."""
    found: list[av.container.OutputContainer] = []
    really_open = av.open

    def remembered(*args: Any, **options: Any) -> av.container.OutputContainer:
        found.append(really_open(*args, **options))
        return found[-1]

    monkeypatch.setattr("proxy.audio.compressed.av.open", remembered)
    return found


@pytest.mark.parametrize("audio_format", FORMATS)
def test_a_client_that_leaves_midway_leaves_nothing_behind(
    audio_format: str, opened: list[av.container.OutputContainer]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder = open_encoder(USUAL_FORMS[audio_format])
        encoder.feed(tone(440, 0.3))
        assert len(opened) == (audio_format in COMPRESSED)
        encoder.close()
        encoder.close()
        with pytest.raises(SoundFailed, match="closed"):
            encoder.feed(tone(440, 0.3))
        open_encoder(USUAL_FORMS[audio_format]).close()
        del encoder
        gc.collect()
    # Nobody but this list and the call itself knows them: what libav holds goes with them.
    assert [sys.getrefcount(opened[at]) for at in range(len(opened))] == [2] * len(opened)


def _change_codec(monkeypatch: pytest.MonkeyPatch, audio_format: str, **change: object) -> None:
    shipped = AUDIO_FORMATS[audio_format]
    assert shipped.codec is not None
    changed = shipped._replace(codec=shipped.codec._replace(**change))  # type: ignore[arg-type]
    monkeypatch.setitem(AUDIO_FORMATS, audio_format, changed)


def test_a_codec_that_is_missing_or_refuses_is_a_failure_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    _change_codec(monkeypatch, "mp3", name="no-such-codec")
    with pytest.raises(SoundFailed, match="no-such-codec"):
        open_encoder(USUAL_FORMS["mp3"])
    _change_codec(monkeypatch, "opus", encoding={"frame_duration": "7"})
    encoder = open_encoder(USUAL_FORMS["opus"])
    with pytest.raises(SoundFailed, match="libopus failed"):
        encoder.feed(tone(440, 0.1))
    encoder.close()


def test_mp3_is_bare_frames_and_three_bodies_joined_play_three_times() -> None:
    data = body(encoded(open_encoder(USUAL_FORMS["mp3"]), cut(tone(440, 1.0), [4_800])))
    assert data[0] == 0xFF
    assert data[1] & 0xE0 == 0xE0
    assert b"ID3" not in data
    assert not any(tag in data for tag in (b"Xing", b"Info", b"TAG"))
    once, thrice = decoded(data, "mp3"), decoded(data * 3, "mp3")
    assert len(thrice.samples) == 3 * len(once.samples)
    assert thrice.pitch_hz == pytest.approx(440, abs=2)


def test_opus_is_mono_ogg_in_small_pages() -> None:
    data = body(encoded(open_encoder(USUAL_FORMS["opus"]), cut(tone(440, 1.0), [960])))
    assert data.startswith(b"OggS")
    assert data[28:36] == b"OpusHead"
    channels, input_rate_hz = data[37], int.from_bytes(data[40:44], "little")
    assert (channels, input_rate_hz) == (1, SECOND)
    granules = [
        int.from_bytes(page[2:10], "little") for page in data.split(b"OggS")[3:]
    ]  # behind the two header pages
    assert len(granules) >= 20
    assert max(b - a for a, b in zip([0, *granules], granules, strict=False)) <= 0.06 * 48_000
    assert decoded(data, "opus").seconds == pytest.approx(1.0, abs=0.001)


def test_aac_is_adts_and_flac_is_native() -> None:
    pcm = tone(440, 0.5)
    assert body(encoded(open_encoder(USUAL_FORMS["aac"]), cut(pcm, [960])))[:2] in (b"\xff\xf1", b"\xff\xf9")
    flac = body(encoded(open_encoder(USUAL_FORMS["flac"]), cut(pcm, [960])))
    assert flac.startswith(b"fLaC")
    assert (decoded(flac, "flac").samples * 32_768).astype("<i2").tobytes() == pcm


@pytest.mark.parametrize("audio_format", ["mp3", "opus"])
def test_libsndfile_hears_the_same_as_libav(audio_format: str) -> None:
    data = body(encoded(open_encoder(USUAL_FORMS[audio_format]), cut(tone(440, 0.5), [960])))
    samples, sample_rate_hz = soundfile.read(io.BytesIO(data))
    assert len(samples) / sample_rate_hz == pytest.approx(0.5, abs=PADDING_S[audio_format])


def test_opus_keeps_the_loudness_of_a_low_voice_unless_it_has_few_bits() -> None:
    periods = np.arange(SECOND * 2) * 90 / SECOND
    buzz = np.sum([np.sin(2 * np.pi * n * periods) / n**2 for n in range(1, 60)], axis=0) * 0.2
    pcm = (buzz * 32_767).astype("<i2").tobytes()

    def softer_by(kbit_s: int | None) -> float:
        form = replace(USUAL_FORMS["opus"], kbit_s=kbit_s)
        heard = decoded(body(encoded(open_encoder(form), iter([pcm]))), "opus")
        before, after = loudness_of(buzz, SECOND), loudness_of(heard.samples, heard.sample_rate_hz)
        assert before is not None
        assert after is not None
        return before - after

    assert abs(softer_by(None)) < 0.1
    assert softer_by(16) > 0.3
