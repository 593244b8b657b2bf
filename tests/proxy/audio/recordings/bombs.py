"""Files made to harm who decodes them: hours in a few kilobytes, lies about sizes, boxes in boxes, names."""

import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import av
import numpy as np

from tests.proxy.audio.recordings.clips import KINDS, encoded, sine, wav
from tests.sound import tone

PCM = tone(440, 1.0)
_OGG_POLYNOMIAL = 0x04C11DB7


def bombs() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Their names, and what makes them."""
    yield from _lengths()
    yield from _wavs()
    yield from _boxes()
    yield from playlists(
        ("/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/x", "concat:/etc/passwd|/etc/hosts")
    )
    yield "mp4 that points elsewhere", _dref
    yield from _no_audio()


def _lengths() -> Iterator[tuple[str, Callable[[], bytes]]]:
    yield "hours of mp3", partial(_repeated, "mp3", 4_000_000)
    yield "hours of aac", partial(_repeated, "aac", 4_000_000)
    yield "an hour of opus in a hundred kilobytes", _silent_opus
    yield "minutes of 192 kHz", lambda: wav(bytes(9_000_000), rate_hz=192_000, bits=8)
    yield "minutes at 8 bits", lambda: wav(bytes(9_000_000), rate_hz=8_000, bits=8)
    yield (
        "an hour of flac",
        lambda: encoded(KINDS["flac"]._replace(rate_hz=8_000), np.zeros(8_000 * 3_600, np.float32)),
    )
    yield "packed samples", lambda: _matroska(zlib.compress(bytes(40_000_000)))
    yield "packed samples beyond memory", lambda: _matroska(zlib.compress(bytes(600_000_000)))
    yield "packed samples, many", lambda: _matroska(zlib.compress(bytes(4_000_000)), 500)
    yield "packed nonsense", partial(_matroska, b"\xff" * 1000)


def _repeated(name: str, size: int) -> bytes:
    """A quiet file whose middle comes again and again: each frame stands for itself."""
    data = encoded(
        KINDS[name]._replace(rate_hz=8_000 if name == "mp3" else 44_100), sine(440, 2.0, 8_000, 0.0)
    )
    middle = data[len(data) // 2 :]
    return data + middle * (size // max(1, len(middle)))


def _silent_opus() -> bytes:
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 3) + b"vox" + struct.pack("<I", 0)
    pages = [_ogg_page(0, 0, 2, [head]), _ogg_page(1, 0, 0, [tags])]
    # One byte is 60 ms of silence.
    pages += [_ogg_page(n + 2, (n + 1) * 255 * 2880, 0, [b"\x18"] * 255) for n in range(240)]
    return b"".join(pages)


def _ogg_page(number: int, granule: int, flags: int, packets: list[bytes], serial: int = 1) -> bytes:
    sizes = bytes(len(packet) for packet in packets)
    page = b"OggS" + struct.pack("<BBqIIIB", 0, flags, granule, serial, number, 0, len(sizes)) + sizes
    page += b"".join(packets)
    return page[:22] + struct.pack("<I", _ogg_sum(page)) + page[26:]


def _ogg_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (_OGG_POLYNOMIAL if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_TABLE = _ogg_table()


def _ogg_sum(page: bytes) -> int:
    total = 0
    for byte in page:
        total = (total << 8) & 0xFFFFFFFF ^ _TABLE[(total >> 24) ^ byte]
    return total


def _element(id_: str, data: bytes, size: int | None = None) -> bytes:
    return bytes.fromhex(id_) + struct.pack(">Q", (len(data) if size is None else size) | 1 << 56) + data


def _matroska(packed: bytes, blocks: int = 1) -> bytes:
    """A track whose blocks are packed with zlib."""
    packing = _element("4254", b"\0")
    encoding = _element("6240", _element("5031", b"\0") + _element("5033", b"\0") + _element("5034", packing))
    audio = _element("B5", struct.pack(">d", 48_000.0)) + _element("9F", b"\1") + _element("6264", b"\x10")
    track = _element("D7", b"\1") + _element("73C5", b"\1") + _element("83", b"\2")
    track += _element("86", b"A_PCM/INT/LIT") + _element("E1", audio) + _element("6D80", encoding)
    block = _element("A3", b"\x81\0\0\x80" + packed)
    segment = _element("1654AE6B", _element("AE", track))
    segment += _element("1F43B675", _element("E7", b"\0") + block * blocks)
    return _element("1A45DFA3", _element("4282", b"matroska")) + _element("18538067", segment)


def _wavs() -> Iterator[tuple[str, Callable[[], bytes]]]:
    for rate_hz in (0, 1, 100, 7_999, 192_001, 384_000, 768_000, 2**31 - 1, 2**32 - 1):
        yield f"wav of {rate_hz} Hz", partial(wav, PCM, rate_hz)
    for channels in (0, 9, 64, 255, 65_535):
        yield f"wav of {channels} channels", partial(wav, PCM, channels=channels)
    for bits in (0, 1, 7, 12, 64, 65_535):
        yield f"wav of {bits} bits", partial(wav, PCM, bits=bits)
    for tag in (0, 2, 3, 6, 7, 0x11, 0x31, 0x55, 0xFF, 0x1FC, 0xFFFE, 0xFFFF):
        yield f"wav of codec {tag:#x}", partial(wav, PCM, tag=tag)
    for size in (0, 1, 2**31 - 1, 2**31, 2**32 - 1):
        yield f"wav that says {size} bytes", partial(wav, PCM, size=size)
    yield "wav in a wav", lambda: wav(wav(wav(PCM)))
    yield "mp3 in a wav", lambda: wav(encoded(KINDS["mp3"], sine(440, 1.0)), tag=0x55, bits=0)
    yield (
        "wav of ten thousand chunks",
        lambda: b"RIFF\xff\xff\xff\xffWAVE" + b"junk\0\0\0\0" * 10_000 + wav(PCM)[12:],
    )
    yield (
        "wav with a list without end",
        lambda: b"RIFF\xff\xff\xff\xffWAVELIST\xff\xff\xff\x7f" + wav(PCM)[12:],
    )
    yield (
        "wav with an endless head",
        lambda: b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\x7f" + bytes(5_000_000),
    )
    yield "wav with two heads", lambda: wav(PCM)[:36] + wav(PCM, 192_000, 8)[12:]
    yield "wav of 64 bits in size", lambda: b"RF64\xff\xff\xff\xffWAVE" + wav(PCM)[12:]
    for number in (float("nan"), float("inf"), -float("inf"), 1e308, 5e-324):
        samples = np.full(24_000, number)
        yield f"wav of {number}", partial(wav, samples.astype("<f8").tobytes(), bits=64, tag=3)


def _boxes() -> Iterator[tuple[str, Callable[[], bytes]]]:
    yield "boxes in boxes, mp4", lambda: _nested_mp4(20_000)
    yield "boxes in boxes, webm", lambda: _element("1A45DFA3", b"") + bytes.fromhex("18538067FF") * 50_000
    yield (
        "a box of all the memory",
        lambda: b"\0\0\0\x18ftypM4A \0\0\0\0" + struct.pack(">I4sQ", 1, b"moov", 2**62),
    )
    yield "a void of all the memory", lambda: _element("1A45DFA3", b"") + _element("EC", bytes(100), 2**55)
    yield "a picture of ten megabytes in flac", lambda: _flac_block(6, bytes(9_000_000))
    yield "padding of ten megabytes in flac", lambda: _flac_block(1, bytes(9_000_000))
    yield "a picture with a lie about its size", lambda: _flac_block(6, struct.pack(">II", 3, 2**31) * 10)
    yield "flac that says a trillion samples", lambda: _patched("flac", 21, b"\xff\xff\xff\xff\xff")
    yield (
        "a tag of 256 megabytes",
        lambda: b"ID3\4\0\0\x7f\x7f\x7f\x7f" + encoded(KINDS["mp3"], sine(440, 1.0)),
    )
    yield "a picture in mp3", lambda: _id3_picture() + encoded(KINDS["mp3"], sine(440, 1.0))
    yield "tags alone", lambda: _id3_picture() * 100
    yield "five megabytes of comments", lambda: _ogg_comments(5_000_000)
    yield (
        "two hundred streams at once",
        lambda: b"".join(
            _ogg_page(0, 0, 2, [b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 0, 48_000, 0, 0)], serial)
            for serial in range(200)
        ),
    )
    for channels in (0, 3, 255):
        yield f"opus of {channels} channels", partial(_opus_head, channels)
    yield "fifty tracks", lambda: _tracks(50)
    yield (
        "two chained files of two rates",
        lambda: encoded(KINDS["flac"], sine(440, 1.0)) + encoded(KINDS["flac 24 bit"], sine(440, 1.0)),
    )


def _nested_mp4(depth: int) -> bytes:
    boxes = b"".join(struct.pack(">I4s", 8 * (depth - n), b"moov") for n in range(depth))
    return b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42" + boxes


def _flac_block(kind: int, data: bytes) -> bytes:
    whole = encoded(KINDS["flac"], sine(440, 1.0))
    return whole[:42] + bytes([kind]) + struct.pack(">I", len(data))[1:] + data + whole[42:]


def _patched(name: str, at: int, value: bytes) -> bytes:
    whole = encoded(KINDS[name], sine(440, 1.0, KINDS[name].rate_hz))
    return whole[:at] + value + whole[at + len(value) :]


def _id3_picture() -> bytes:
    frame = b"\0image/png\0\3\0" + b"\x89PNG\r\n\x1a\n" + bytes(2000)
    body = b"APIC" + struct.pack(">I", len(frame)) + b"\0\0" + frame
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + body


def _ogg_comments(size: int) -> bytes:
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", size) + b"x" * size
    pages = [_ogg_page(0, 0, 2, [head])]
    for number, at in enumerate(range(0, len(tags), 255 * 255)):
        part = tags[at : at + 255 * 255]
        page = b"OggS" + struct.pack("<BBqIIIB", 0, int(number > 0), -1, 1, number + 1, 0, 255)
        pages.append(page + b"\xff" * 255 + part)
    return b"".join(pages)


def _opus_head(channels: int) -> bytes:
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, channels, 0, 48_000, 0, 255)
    head += bytes([max(channels, 1) % 256, 0]) + bytes(range(channels))
    return (
        _ogg_page(0, 0, 2, [head[:255]])
        + _ogg_page(1, 0, 0, [b"OpusTags" + bytes(8)])
        + _ogg_page(2, 2880, 4, [b"\x18"] * 10)
    )


def _tracks(count: int) -> bytes:
    sink = io.BytesIO()
    with av.open(sink, "w", format="matroska") as container:
        streams: list[Any] = [
            container.add_stream("pcm_s16le", rate=24_000, layout="mono") for _ in range(count)
        ]
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 240), np.int16), format="s16", layout="mono")
            frame.sample_rate = 24_000
            for packet in stream.encode(frame):
                container.mux(packet)
    return sink.getvalue()


def playlists(addresses: Iterable[str]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Playlists in every format that names others' files."""
    for address in addresses:
        for name, text in {
            "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{address}\n#EXT-X-ENDLIST\n",
            "concat": f"ffconcat version 1.0\nfile '{address}'\n",
            "pls": f"[playlist]\nFile1={address}\nNumberOfEntries=1\n",
            "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\na=control:{address}\nm=audio 9 RTP/AVP 0\n",
            "dash": f'<?xml version="1.0"?><MPD><Period><BaseURL>{address}</BaseURL></Period></MPD>',
            "smil": f'<smil><body><audio src="{address}"/></body></smil>',
        }.items():
            yield f"{name} of {address}", partial(str.encode, text)


def _dref() -> bytes:
    whole = encoded(KINDS["m4a"], sine(440, 1.0, 44_100))
    at = whole.index(b"url \0\0\0\1")
    return whole[:at] + b"url \0\0\0\0" + whole[at + 8 :]


def _no_audio() -> Iterator[tuple[str, Callable[[], bytes]]]:
    yield "video alone", partial(_video, "matroska", "mjpeg")
    yield "video alone, mp4", partial(_video, "mp4", "mpeg4")
    for name, data in {
        "png": b"\x89PNG\r\n\x1a\n" + bytes(1000),
        "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(1000),
        "gif": b"GIF89a" + bytes(1000),
        "pdf": b"%PDF-1.7\n" + bytes(1000),
        "zip": b"PK\3\4" + bytes(1000),
        "gzip": zlib.compress(bytes(1_000_000), 9, 31),
        "elf": b"\x7fELF" + bytes(1000),
        "html": b"<!doctype html><script>alert(1)</script>" * 50,
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "srt": b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n",
        "midi": b"MThd\0\0\0\6\0\1\0\1\0\x60MTrk" + bytes(100),
        "json": b'{"audio": "no"}',
        "zeros": bytes(5_000_000),
        "ones": b"\xff" * 5_000_000,
        "one byte": b"R",
        "nothing": b"",
        "riff alone": b"RIFF",
        "amr": b"#!AMR\n" + bytes(1000),
        "wma": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(1000),
    }.items():
        yield name, partial(bytes, data)
    for seed in range(20):
        yield f"noise {seed}", partial(np.random.default_rng(seed).bytes, 20_000 * (seed + 1))


def _video(container_name: str, codec: str) -> bytes:
    sink = io.BytesIO()
    with av.open(sink, "w", format=container_name) as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame(64, 64, stream.pix_fmt)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return sink.getvalue()
