"""What an answer is, going by its first bytes: labels are often wrong."""

from __future__ import annotations

HEAD_BYTES = 16
"""Enough to tell all kinds apart."""
_PRINTABLE = frozenset(range(0x20, 0x7F)) | {0x09, 0x0A, 0x0D}
_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b":")


def is_text(head: bytes) -> bool:
    """No codec begins so, and no PCM: it would be noise near full scale from its first sample on."""
    return bool(head) and not is_wav(head) and _PRINTABLE.issuperset(head[:HEAD_BYTES])


def is_events(head: bytes) -> bool:
    return is_text(head) and head.lstrip().startswith(_BEGINNINGS)


def is_wav(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


def is_mp3(head: bytes) -> bool:
    """A tag, or the header of a frame of layer III."""
    if head[:3] == b"ID3":
        return True
    return len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[2] < 0xF0


def is_opus(head: bytes) -> bool:
    """The first page of an Ogg stream; what is in it, the server looks at."""
    return head[:4] == b"OggS"


def is_aac(head: bytes) -> bool:
    """The header of an ADTS frame: as MP3's, but of a layer that MP3 has not."""
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0


CODED = {"mp3": is_mp3, "opus": is_opus, "aac": is_aac}


def is_audio(head: bytes) -> bool:
    """What no text and no events can be."""
    return is_wav(head) or any(is_it(head) for is_it in CODED.values())


def may_be_pcm(head: bytes) -> bool:
    """Its first samples may look like the beginning of a frame, but hardly like these words."""
    return not is_text(head) and head[:3] != b"ID3" and head[:4] not in (b"OggS", b"fLaC", b"RIFF")
