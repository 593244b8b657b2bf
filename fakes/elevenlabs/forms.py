"""Checks the fields that a form must have."""

from __future__ import annotations

from starlette.requests import Request

from fakes.elevenlabs.refusing import refuse_fields
from fakes.forms import Form, form_of


async def demanded(request: Request, *names: str, files: str) -> Form:
    """Return the form. If fields are missing, refuse with 422 and name all of them, as ElevenLabs does."""
    form = form_of(request.headers.get("content-type", ""), await request.body())
    missing = [name for name in names if not form.fields.get(name)]
    if not any(file.field == files and file.data for file in form.files):
        missing.append(files)
    if missing:
        raise refuse_fields(*(((name,), "Field required") for name in missing))
    return form
