"""Forms that are hostile, broken or odd, made from a good one by a seeded generator."""

import random
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_BOUNDARY = "b0undary"
_USUAL = f"multipart/form-data; boundary={_BOUNDARY}"

FILE_NAMES = (
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\boot.ini",
    "%2e%2e%2fetc%2fpasswd",
    "a.wav\r\nX-Injected: 1",
    "a.wav\r\n\r\nX-Injected: 1\r\n",
    'a.wav"; name="consent',
    "a\0.wav",
    "\u202egpj.wav",
    "x" * 3000,
    "x" * 5000,
    "CON",
    "|id",
    "$(id)",
    "data:audio/wav,",
    "http://127.0.0.1:1/a.m3u8",
    "concat:/etc/passwd",
    "\ud83d\ude00.wav".encode("utf-16", "surrogatepass").decode("utf-16"),
    "",
)
FIELD_NAMES = (
    "audio_sample[]",
    "../audio_sample",
    "name\r\nX-Injected: 1",
    "name\0",
    "__class__",
    "constructor[prototype]",
    "labels[",
    "labels[x]y",
    "labels[x][y]",
    "name" * 50,
    "\u202e",
    "",
)
_TYPES = (
    "multipart/form-data",
    "multipart/form-data; boundary=",
    f"multipart/form-data; boundary={'b' * 71}",
    'multipart/form-data; boundary="b0undary',
    "multipart/form-data; boundary=b0undary; boundary=other",
    "multipart/form-data; boundary=other",
    "multipart/mixed; boundary=b0undary",
    "multipart/form-data; boundary=b0undary, multipart/form-data; boundary=c",
    "application/x-www-form-urlencoded",
    "text/html",
    "audio/wav",
    "",
)


class Form(NamedTuple):
    """A request's body, and what its head says of it."""

    name: str
    body: bytes
    content_type: str = _USUAL


def form(texts: Mapping[str, str], field: str, data: bytes, file_name: str = "a.wav") -> Form:
    """A good form, as SDKs send it."""
    return Form("good", _body([*_texts(texts), _file(field, data, file_name)]))


def hostile_forms(texts: Mapping[str, str], field: str, seed: int, count: int) -> Iterator[Form]:
    """`count` changes of a form at random, and one for each kind of attack. The same in every run."""
    data = b"RIFF\0\0\0\0WAVE"
    good = form(texts, field, data).body
    yield from _odd_names(texts, field, data)
    yield from _odd_parts(texts, field, data)
    for number, content_type in enumerate(_TYPES):
        yield Form(f"type {number}", good, content_type)
    rng = random.Random(seed)
    for number in range(count):
        yield _mutated(good, number, rng)


def _odd_names(texts: Mapping[str, str], field: str, data: bytes) -> Iterator[Form]:
    for number, name in enumerate(FILE_NAMES):
        yield Form(f"file name {number}", form(texts, field, data, name).body)
        raw = f"filename*=UTF-8''{name}"
        yield Form(f"file name* {number}", _body([*_texts(texts), _part(field, data, f"; {raw}")]))
    for number, name in enumerate(FIELD_NAMES):
        yield Form(f"field {number}", _body([*_texts(texts), _file(field, data), _part(name, b"x")]))
        yield Form(f"file field {number}", _body([*_texts(texts), _file(name, data)]))


def _odd_parts(texts: Mapping[str, str], field: str, data: bytes) -> Iterator[Form]:
    good, name = _texts(texts), next(iter(texts))
    parts = {
        "file twice": [*good, _file(field, data), _file(field, data)],
        "another file": [*good, _file(field, data), _file("evidence", data)],
        "text twice": [*good, _part(name, b"other"), _file(field, data)],
        "text as a file": [*good[1:], _file(name, b"Ana"), _file(field, data)],
        "file as a text": [*good, _part(field, data)],
        "no file": good,
        "no texts": [_file(field, data)],
        "nothing": [],
        "five hundred parts": [*good, *[_part(f"n{n}", b"") for n in range(500)]],
        "a long text": [*good, _part(name, b"x" * 70_000)],
        "bytes as a text": [_part(name, b"\xff\xfe\0"), _file(field, data)],
        "packed": [*good, _part(field, data, '; filename="a"', "Content-Transfer-Encoding: base64\r\n")],
        "two heads": [*good, _part(field, data, '; filename="a"', "Content-Disposition: form-data\r\n")],
        "endless head": [*good, _part(field, data, '; filename="a"', f"A: {'b' * 8000}\r\n")],
        "a form in a form": [*good, _file(field, _body([*good, _file(field, data)]))],
    }
    for what, each in parts.items():
        yield Form(what, _body(each))
    whole = _body([*good, _file(field, data)])
    yield Form("line feeds alone", whole.replace(b"\r\n", b"\n"))
    yield Form("something before", b"before\r\n" + whole)
    yield Form("something behind", whole + b"behind")
    yield Form("no end", whole.removesuffix(b"--\r\n"))
    yield Form("the end first", f"--{_BOUNDARY}--\r\n".encode() + whole)


def _mutated(good: bytes, number: int, rng: random.Random) -> Form:
    changed = bytearray(good)
    match number % 4:
        case 0:
            del changed[rng.randrange(len(good)) :]
        case 1:
            for _ in range(rng.randint(1, 8)):
                changed[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
        case 2:
            start = rng.randrange(len(good))
            del changed[start : start + rng.randint(1, 40)]
        case _:
            start = rng.randrange(len(good))
            changed[start:start] = rng.choice(
                (b"\r\n\r\n", b"\0", b"--b0undary\r\n", b'"', b";", rng.randbytes(9))
            )
    return Form(f"change {number}", bytes(changed))


def _texts(texts: Mapping[str, str]) -> list[bytes]:
    return [_part(name, text.encode()) for name, text in texts.items()]


def _file(field: str, data: bytes, file_name: str = "a.wav") -> bytes:
    return _part(field, data, f'; filename="{file_name}"', "Content-Type: audio/wav\r\n")


def _part(name: str, data: bytes, more: str = "", head: str = "") -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"{more}\r\n{head}\r\n'
    return f"--{_BOUNDARY}\r\n{disposition}".encode() + data + b"\r\n"


def _body(parts: list[bytes]) -> bytes:
    return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()
