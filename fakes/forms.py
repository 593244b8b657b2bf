"""A reader of multipart forms."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import HTTP
from typing import NamedTuple


class FormFile(NamedTuple):
    field: str
    name: str
    media_type: str
    data: bytes

    def __repr__(self) -> str:
        return f"<FormFile {self.field}, {len(self.data)} bytes>"


class Form(NamedTuple):
    """`fields` has the last value of each name, `lists` has all its values."""

    fields: dict[str, str]
    files: tuple[FormFile, ...]
    lists: dict[str, list[str]]


def form_of(content_type: str, body: bytes) -> Form:
    """Return the fields and files of a request's body. If it is no form, the result is empty."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    message = message_from_bytes(head + body, policy=HTTP)
    fields: dict[str, str] = {}
    files: list[FormFile] = []
    lists: dict[str, list[str]] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        field = str(part.get_param("name", "", "content-disposition"))
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        if (name := part.get_filename()) is None:
            fields[field] = data.decode()
            lists.setdefault(field, []).append(data.decode())
        else:
            files.append(FormFile(field, name, part.get_content_type(), data))
    return Form(fields, tuple(files), lists)
