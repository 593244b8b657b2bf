"""A zip file of sounds: readers open it, and its size is known before it is made."""

import io
import zipfile
from typing import cast

import pytest

from proxy.features.jobs.core.content import SoundZip
from proxy.features.jobs.core.files import JobFiles
from proxy.file_store.sealed_blobs import StoredFile


def sound(data: bytes) -> StoredFile:
    """Return a sound that comes in parts of seven bytes, none of them from the vault."""
    return StoredFile(cast(JobFiles, None), "", [data[start : start + 7] for start in range(0, len(data), 7)])


FILES = {"a.mp3": b"sound " * 50, "empty.wav": b"", "größer/ß.pcm": bytes(range(256))}


async def made(files: dict[str, bytes]) -> bytes:
    zip_ = SoundZip([(name, sound(data)) for name, data in files.items()])
    whole = b"".join([part async for part in zip_.parts()])
    assert len(whole) == zip_.size
    return whole


async def test_a_reader_finds_the_names_and_the_bytes() -> None:
    whole = await made(FILES)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
    assert await made(FILES) == whole, "the same sounds are the same bytes"


async def test_a_zip_of_nothing_is_one() -> None:
    with zipfile.ZipFile(io.BytesIO(await made({}))) as archive:
        assert archive.namelist() == []


@pytest.mark.parametrize("limit", ["ZIP64_LIMIT", "ZIP_FILECOUNT_LIMIT"])
@pytest.mark.parametrize("most", range(1, 800, 97))
async def test_what_is_too_large_for_the_usual_fields_has_others(
    monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(zipfile, limit, most if limit == "ZIP64_LIMIT" else most % 5)
    whole = await made(FILES)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == FILES


async def test_one_that_is_broken_off_writes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = SoundZip([("a.mp3", sound(FILES["a.mp3"]))]).parts()
    await anext(parts)
    monkeypatch.setattr(zipfile.ZipFile, "_write_end_record", None)
    await parts.aclose()
