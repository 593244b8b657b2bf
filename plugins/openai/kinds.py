"""Tell the kind of an answer by its first bytes. Content-type labels are often wrong."""

from __future__ import annotations

from speech_engine.pcm import is_encoded

HEAD_BYTES = 16
"""This many bytes are enough to tell all kinds apart."""
_PRINTABLE = frozenset(range(0x20, 0x7F)) | {0x09, 0x0A, 0x0D}
_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b":")


def is_text(head: bytes) -> bool:
    """Return whether an answer begins with printable text. No codec begins so, and PCM would be noise."""
    return bool(head) and _PRINTABLE.issuperset(head[:HEAD_BYTES]) and not is_wav(head)


def is_events(head: bytes) -> bool:
    return head.lstrip().startswith(_BEGINNINGS) and is_text(head)


def is_wav(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


def is_mp3(head: bytes) -> bool:
    """Return whether the bytes begin with an ID3 tag or with the header of a layer III frame."""
    if head[:3] == b"ID3":
        return True
    return len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[2] < 0xF0


def is_opus(head: bytes) -> bool:
    """Return whether the bytes begin an Ogg stream. The voxgate server checks the codec inside."""
    return head[:4] == b"OggS"


def is_aac(head: bytes) -> bool:
    """Return whether the bytes begin with an ADTS frame. Its header has a layer that MP3 does not have."""
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0


CODED = {"mp3": is_mp3, "opus": is_opus, "aac": is_aac}


def is_audio(head: bytes) -> bool:
    """Return whether the bytes are audio for certain. No text and no events begin like this."""
    return is_wav(head) or any(is_it(head) for is_it in CODED.values())


def may_be_pcm(head: bytes) -> bool:
    """Return whether the bytes may be PCM, which hardly begins with the name of a format."""
    return not is_text(head) and not is_encoded(head)
