"""The six formats, their labels, and chunks of them."""

from __future__ import annotations

from proxy.audio.formats import FORMATS, MEDIA_TYPES, Chunk, silence


def test_the_six_formats_have_the_labels_clients_choose_a_decoder_by() -> None:
    assert FORMATS == ("mp3", "opus", "aac", "flac", "wav", "pcm")
    assert [MEDIA_TYPES[audio_format] for audio_format in FORMATS] == [
        "audio/mpeg",
        "audio/ogg",
        "audio/aac",
        "audio/flac",
        "audio/wav",
        "audio/pcm",
    ]


def test_chunks_add_up() -> None:
    assert Chunk(b"ab", 1) + Chunk(b"cd", 2) == Chunk(b"abcd", 3)


def test_a_chunk_never_shows_its_audio() -> None:
    assert repr(Chunk(b"secret sound", 6)) == "<Chunk 12 bytes, 6 samples>"


def test_silence_is_two_zero_bytes_a_sample() -> None:
    assert silence(3) == b"\0" * 6
