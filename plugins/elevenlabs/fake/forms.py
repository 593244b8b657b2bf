"""Forms taken apart as strictly as their sender must put them together."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import HTTP
from typing import NamedTuple

from starlette.requests import Request

from plugins.elevenlabs.fake.refusing import refuse_fields


class File(NamedTuple):
    field: str
    name: str
    media_type: str
    data: bytes


class Form(NamedTuple):
    fields: dict[str, str]
    files: tuple[File, ...]

    def demand(self, *names: str, files: str) -> None:
        """422 for whatever is missing, as the provider has it: all of it at once."""
        missing = [name for name in names if not self.fields.get(name)]
        if not any(file.field == files and file.data for file in self.files):
            missing.append(files)
        if missing:
            raise refuse_fields(*(((name,), "Field required") for name in missing))


async def form_of(request: Request) -> Form:
    head = f"Content-Type: {request.headers.get('content-type', '')}\r\n\r\n".encode("latin-1")
    message = message_from_bytes(head + await request.body(), policy=HTTP)
    fields: dict[str, str] = {}
    files: list[File] = []
    for part in message.iter_parts() if message.is_multipart() else ():
        field = str(part.get_param("name", "", "content-disposition"))
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        if (name := part.get_filename()) is None:
            fields[field] = data.decode()
        else:
            files.append(File(field, name, part.get_content_type(), data))
    return Form(fields, tuple(files))
