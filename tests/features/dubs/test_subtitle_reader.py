"""Subtitles that a confined process reads."""

from contextlib import aclosing
from typing import Any

import pytest

from proxy.errors import InvalidRequest
from proxy.features.dubs.subtitle_reader import MOST_BYTES, SubtitleReader
from proxy.file_store.sealed_blobs import StoredFile

SRT = "1\n00:00:01,000 --> 00:00:02,500\nAna: Olá.\n"


def file_of(data: bytes) -> StoredFile:
    files: Any = None  # all its bytes are in memory
    return StoredFile(files, "acme", [data[:10], data[10:]])


async def test_subtitles_are_read_apart() -> None:
    async with aclosing(SubtitleReader()) as reader:
        read = await reader.read_turns("acme", file_of(SRT.encode("utf-16")), "input_file_id", ("Ana",))
        assert [(turn.speaker, turn.text, turn.end_ms) for turn in read.turns] == [("Ana", "Olá.", 2500)]
        for data in (b"no subtitles", bytes(MOST_BYTES + 1)):
            with pytest.raises(InvalidRequest) as refused:
                await reader.read_turns("acme", file_of(data), "short_file_id", ("Ana",))
            error = refused.value.body().error
            assert (error.param, error.code) == ("short_file_id", "unusable_subtitles")
