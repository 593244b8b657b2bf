"""A multipart body as bytes: its fields, then its files."""

from __future__ import annotations

import secrets

from speech_engine import EngineUnavailable
from speech_engine.http import HttpForm

_QUOTED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""As HTML has it for names: a quote or an end of line would end the header."""


def form_body(form: HttpForm) -> tuple[str, bytes]:
    """Return the content type and the bytes of a form. Raises EngineUnavailable for a media type that would
    end its line."""
    boundary = secrets.token_hex(16)
    parts = [_part(f'name="{_quoted(name)}"', "", value.encode()) for name, value in form.fields]
    for file in form.files:
        if not file.media_type.isascii() or not file.media_type.isprintable():
            raise EngineUnavailable("A file cannot be sent: its media type has a character that ends a line.")
        names = f'name="{_quoted(file.field)}"; filename="{_quoted(file.name)}"'
        parts.append(_part(names, f"content-type: {file.media_type}\r\n", file.data))
    line = f"--{boundary}\r\n".encode()
    body = b"".join([piece for part in parts for piece in (line, *part)])
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def _part(names: str, media_type: str, data: bytes) -> tuple[bytes, bytes, bytes]:
    return f"content-disposition: form-data; {names}\r\n{media_type}\r\n".encode(), data, b"\r\n"


def _quoted(name: str) -> str:
    return name.translate(_QUOTED)
