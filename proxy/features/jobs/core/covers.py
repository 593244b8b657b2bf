"""Checks the cover of an audiobook: an uploaded PNG or JPEG. It is never decoded."""

from __future__ import annotations

from proxy.errors import InvalidRequest
from proxy.features.jobs.core import uploads
from proxy.file_store.sealed_blobs import SealedBlobs

FIELD = "cover_file_id"
MOST_BYTES = 4 * 1024 * 1024
_PICTURES = {b"\x89PNG\r\n\x1a\n": b"IEND\xaeB`\x82", b"\xff\xd8\xff": b"\xff\xd9"}
"""The first bytes of a PNG and of a JPEG, and their last ones."""


def is_picture(data: bytes) -> bool:
    """Tell whether data begins and ends like a PNG or a JPEG. A few more bytes after the end are allowed."""
    return any(data.startswith(begin) and end in data[-1024:] for begin, end in _PICTURES.items())


async def check_cover(files: SealedBlobs, account: str, id_: str) -> None:
    """Check that an uploaded file can be a cover. Raises NotFound, InvalidRequest and VaultFailed."""
    file = await uploads.find_file(files.store, account, id_, FIELD, "user_data")
    if file.bytes > MOST_BYTES:
        raise _unusable(f"it has more than {MOST_BYTES >> 20} MiB")
    if not is_picture(await (await uploads.file_content(files, file)).read_whole()):
        raise _unusable("it is no whole PNG or JPEG")


def _unusable(why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{FIELD}': {why}.", param=FIELD, code="unusable_cover")
