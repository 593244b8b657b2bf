"""What a file becomes: every format that people send, what is kept of it, and what is refused."""

import io
import wave

import numpy as np
import pytest

from proxy.audio.recordings import recording
from proxy.audio.recordings.decoding import decode
from proxy.audio.recordings.master import Master, make_master
from proxy.audio.recordings.recording import MOST_S, Decoded, Undecoded, UnusableRecording
from proxy.features.transcriptions import long_reading_child
from proxy.features.transcriptions.long_recordings import LongSurvey
from tests.proxy.audio.recordings.clips import KINDS, Kind, Samples, encoded, sine, wav
from tests.sound import Heard
from tests.tables import each_row


def decoded(data: bytes) -> Decoded:
    made = decode(data)
    assert isinstance(made, Decoded), made
    return made


def heard(made: Decoded) -> Heard:
    master = Master(make_master(made.pcm, made.rate_hz, made.sample_bytes))
    return Heard(master.read(0, master.samples), master.rate_hz)


@each_row("name", KINDS)
def test_a_recording_keeps_its_pitch_its_level_and_its_own_rate(name: str) -> None:
    kind = KINDS[name]
    made = decoded(encoded(kind, sine(440, 2.0, kind.rate_hz)))
    assert (made.rate_hz, made.codec, made.channels) == (kind.rate_hz, kind.codec_seen or kind.codec, 1)
    assert not made.is_cut
    sound = heard(made)
    assert sound.pitch_hz == pytest.approx(440, abs=2)
    assert sound.loudness == pytest.approx(0.3 / np.sqrt(2), rel=0.05)
    assert sound.seconds == pytest.approx(2.0, abs=0.12)


@each_row(
    ("name", "sample_bytes"),
    [("wav", 2), ("wav 24 bit", 3), ("flac", 2), ("flac 24 bit", 3), ("m4a alac", 2)],
)
def test_what_came_without_loss_is_kept_bit_for_bit(name: str, sample_bytes: int) -> None:
    full = float(1 << (8 * sample_bytes - 1))
    noise = np.random.default_rng(1).uniform(-1, 1, 9000)
    whole = np.clip(np.rint(noise * full), -full, full - 1)
    made = decoded(encoded(KINDS[name], whole / full))
    assert made.sample_bytes == sample_bytes
    master = Master(make_master(made.pcm, made.rate_hz, made.sample_bytes))
    assert np.array_equal(np.rint(master.read(0, 9000).astype(np.float64) * full), whole)


def test_what_pads_an_aac_is_no_sound(subtests: pytest.Subtests) -> None:
    fragments = {"movflags": "frag_keyframe+empty_moov"}
    m4a, adts = KINDS["m4a"], KINDS["aac"]
    for name, kind, least, most in (
        ("an edit list tells where it begins and ends", m4a, 0, 0),
        ("without an edit list", m4a._replace(container="mp4", options={"use_editlist": "0"}), 0, 0),
        ("in fragments", m4a._replace(container="mp4", options=fragments), 0, 0),
        # These tell no end, so the rest of their last frame counts.
        ("without a container", adts, 0, 1023),
        ("in Matroska", m4a._replace(container="matroska"), 0, 1023),
    ):
        for seconds in (0.5, 2.0):
            with subtests.test(name, seconds=seconds):
                file = encoded(kind, sine(440, seconds, kind.rate_hz))
                made = decoded(file)
                more = len(made.pcm) // made.sample_bytes - round(seconds * kind.rate_hz)
                assert least <= more <= most
                # It begins with the tone, and not with the encoder's silence.
                assert heard(made).samples[100:500].std() > 0.1
                survey = long_reading_child.survey(file)
                assert isinstance(survey, LongSurvey)
                assert survey.whole_ms == -(-len(made.pcm) // made.sample_bytes * 1000 // kind.rate_hz)


@each_row("kind", [KINDS["wav"], KINDS["flac"], KINDS["ogg opus"], KINDS["m4a"]])
def test_channels_are_mixed_down(kind: Kind) -> None:
    left, right = sine(440, 2.0, kind.rate_hz), sine(660, 2.0, kind.rate_hz)
    made = decoded(encoded(kind, np.stack([left, right])))
    assert made.channels == 2
    samples = heard(made).samples[4800:-4800].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) * 4 / len(samples)
    for pitch in (440, 660):
        near = round(pitch * len(samples) / kind.rate_hz)
        assert spectrum[near - 2 : near + 3].max() == pytest.approx(0.15, rel=0.1)


@pytest.mark.parametrize("kind", [KINDS["wav"], KINDS["flac"]])
def test_a_channel_that_is_upside_down_does_not_put_the_other_out(kind: Kind) -> None:
    tone = sine(440, 1.0, kind.rate_hz)
    sound = heard(decoded(encoded(kind, np.stack([tone, -tone]))))
    assert sound.loudness == pytest.approx(0.3 / np.sqrt(2), rel=0.05)
    one_sided = heard(decoded(encoded(kind, np.stack([np.zeros_like(tone), tone]))))
    assert one_sided.loudness == pytest.approx(0.15 / np.sqrt(2), rel=0.05)


def test_eight_channels_are_mixed_too() -> None:
    channels = np.stack([sine(440, 1.0)] * 8)
    assert heard(decoded(encoded(KINDS["wav"], channels))).pitch_hz == pytest.approx(440, abs=2)


def test_numbers_that_are_none_and_sounds_beyond_full_scale_are_tamed() -> None:
    samples: Samples = np.concatenate([[np.nan, np.inf, -np.inf, 7.0, -7.0], sine(440, 1.0)])
    made = decoded(encoded(KINDS["wav float"], samples))
    read = Master(make_master(made.pcm, made.rate_hz, made.sample_bytes)).read(0, 5)
    assert read.tolist() == pytest.approx([0, 1, -1, 1, -1], abs=1e-6)


def test_no_more_is_kept_than_five_minutes() -> None:
    kind = Kind("flac", "flac", "s16", 8_000)
    made = decoded(encoded(kind, np.zeros(round((MOST_S + 20) * 8_000))))
    assert made.is_cut
    assert len(made.pcm) == 2 * MOST_S * 8_000


@each_row("rate_hz", [88_200, 96_000, 192_000])
def test_a_higher_rate_takes_nothing_of_the_five_minutes(
    monkeypatch: pytest.MonkeyPatch, rate_hz: int
) -> None:
    monkeypatch.setattr(recording, "MOST_S", 2.0)
    monkeypatch.setattr(recording, "MOST_SAMPLES", 96_000)
    kind = Kind("flac", "flac", "s16", rate_hz)
    whole, cut = (decoded(encoded(kind, sine(440, seconds, rate_hz))) for seconds in (2.0, 2.5))
    assert (whole.rate_hz, whole.is_cut) == (48_000, False)
    assert heard(whole).seconds == pytest.approx(2.0, abs=0.001)
    assert (cut.is_cut, len(cut.pcm)) == (True, 2 * 96_000)


def test_what_is_kept_of_a_higher_rate_is_the_same_sound() -> None:
    sound = heard(decoded(encoded(Kind("wav", "pcm_s16le", "s16", 96_000), sine(440, 1.0, 96_000))))
    assert sound.pitch_hz == pytest.approx(440, abs=2)
    assert sound.loudness == pytest.approx(0.3 / np.sqrt(2), rel=0.01)


def test_of_a_file_that_was_cut_the_rest_is_kept() -> None:
    whole = encoded(KINDS["mp3"], sine(440, 4.0))
    assert heard(decoded(whole[: len(whole) // 2])).seconds == pytest.approx(2.0, abs=0.2)


PCM = b"\1\0" * 8000


@each_row(
    ("data", "fault"),
    [
        (b"", "empty"),
        (b"This is no recording.", "unreadable"),
        (wav(b""), "unreadable"),
        (wav(PCM, rate_hz=1), "rate"),
        (wav(PCM, rate_hz=7_999), "rate"),
        (wav(PCM, rate_hz=192_001), "rate"),
        (wav(PCM * 2, channels=9), "channels"),
        (wav(PCM, tag=2, bits=4), "codec"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n", "unreadable"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "unreadable"),
    ],
)
def test_what_is_no_recording_is_refused_with_its_reason(data: bytes, fault: str) -> None:
    assert decode(data) == Undecoded(fault)  # type: ignore[arg-type]  # a table of plain texts


def test_a_master_is_a_wav_that_anybody_reads() -> None:
    with wave.open(io.BytesIO(make_master(b"\1\2\3" * 10, 44_100, 3))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 3, 44_100)
        assert file.readframes(20) == b"\1\2\3" * 10


@each_row("cut", [0, 20, 43, 47])
def test_a_master_that_is_not_whole_is_refused(cut: int) -> None:
    with pytest.raises(UnusableRecording):
        Master(make_master(b"\1\2" * 2, 44_100, 2)[:cut])
