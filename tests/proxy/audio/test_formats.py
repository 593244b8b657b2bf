"""The six formats, their labels, chunks of them, and the header of a WAV."""

import io
import struct
import wave

import av
import msgspec
import pytest
import soundfile

from proxy.audio import formats
from proxy.audio.encode import open_encoder
from tests.sound import tone
from tests.tables import each_row


def test_openais_six_formats_have_the_labels_clients_choose_a_decoder_by() -> None:
    labels = {
        "mp3": "audio/mpeg",
        "opus": "audio/ogg",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "wav": "audio/wav",
        "pcm": "audio/pcm",
    }
    assert labels.items() <= formats.MEDIA_TYPES.items()


def test_chunks_add_up() -> None:
    assert formats.Chunk(b"ab", 1) + formats.Chunk(b"cd", 2) == formats.Chunk(b"abcd", 3)


def test_a_chunk_never_shows_its_audio() -> None:
    assert repr(formats.Chunk(b"secret sound", 6)) == "<Chunk 12 bytes, 6 samples>"


def test_silence_is_two_zero_bytes_a_sample() -> None:
    assert formats.silence(3) == b"\0" * 6


@each_row("frames", [0, 1, 24_000])
def test_a_header_of_known_length_is_true(frames: int) -> None:
    with wave.open(io.BytesIO(formats.wav_header(frames) + bytes(2 * frames))) as file:
        assert file.getparams()[:4] == (1, 2, 24_000, frames)
        assert len(file.readframes(frames + 1)) == 2 * frames


def test_a_streamed_header_says_unknown_and_is_read_to_the_end() -> None:
    pcm = tone(440, 0.5)
    header = formats.wav_header(None)
    assert (header[4:8], header[40:44]) == (b"\xff" * 4, b"\xff" * 4)
    samples, sample_rate_hz = soundfile.read(io.BytesIO(header + pcm), dtype="int16")
    assert (sample_rate_hz, samples.tobytes()) == (24_000, pcm)
    with wave.open(io.BytesIO(header + pcm)) as file:
        assert file.getframerate() == 24_000


@pytest.mark.parametrize("frames", [None, 480])
def test_the_samples_follow_44_bytes_with_no_chunk_between(frames: int | None) -> None:
    header = formats.wav_header(frames)
    assert len(header) == 44
    assert header[:4] + header[8:16] + header[36:40] == b"RIFFWAVEfmt data"
    assert struct.unpack("<I", header[16:20]) == (16,)


def test_a_wav_too_long_for_its_size_fields_says_unknown() -> None:
    assert formats.wav_header(2**31) == formats.wav_header(None)


def test_a_tagged_wav_says_behind_its_samples_that_a_machine_spoke() -> None:
    pcm = tone(440, 0.1)
    assert formats.final_wav_header(44 + len(pcm), 24_000, is_tagged=False) == (
        formats.wav_header(len(pcm) // 2),
        b"",
    )
    head, tag = formats.final_wav_header(44 + len(pcm), 24_000, is_tagged=True)
    tagged = head + pcm + tag
    assert len(head) == 44, "as ever"
    assert int.from_bytes(tagged[4:8], "little") == len(tagged) - 8
    with wave.open(io.BytesIO(tagged)) as file:
        assert file.readframes(file.getnframes()) == pcm
    with av.open(io.BytesIO(tagged)) as container:
        assert container.metadata["comment"] == formats.MACHINE_COMMENT


@pytest.mark.parametrize("audio_format", ["opus", "flac"])
def test_containers_with_room_say_that_a_machine_spoke(audio_format: str) -> None:
    with av.open(io.BytesIO(_encoded(audio_format))) as container:
        said = {**container.metadata, **container.streams.audio[0].metadata}
    assert {**said, **formats.machine_tags(formats.IPTC_RULES)} == said


@each_row("audio_format", ["mp3", "aac", "wav", "pcm", "g711_ulaw"])
def test_nothing_stands_before_the_first_frame_of_a_stream(audio_format: str) -> None:
    assert _encoded(audio_format) == _encoded(audio_format, source="")


def _encoded(audio_format: str, *, source: str = formats.IPTC_RULES) -> bytes:
    encoder = open_encoder(msgspec.structs.replace(formats.USUAL_FORMS[audio_format], source=source))
    rate_hz = formats.USUAL_FORMS[audio_format].sample_rate_hz
    return encoder.feed(tone(440, 0.2, rate_hz)).data + encoder.flush().data
