"""Imports and exports the files of trained voices in a confined child process: see voice_child.py."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from importlib import import_module
from typing import BinaryIO

import msgspec

from proxy.features.models.voice_child import VoiceOrder, VoiceResult
from proxy.file_store.memory_file import open_memory_file
from proxy.helpers.helper import Helper, HelperFailed, HelperSpec
from speech_engine.model_files import UnusableModel
from speech_engine.trained_files import TrainedFacts, TrainedFiles, TrainedFormat, UnusableSource

WITHIN_S = 180.0
_MOST_ANSWER_BYTES = 4096
_decode = msgspec.json.Decoder(VoiceResult).decode


async def import_voice(
    format_: TrainedFormat, sources: Mapping[str, BinaryIO], target: BinaryIO
) -> TrainedFacts:
    """Read files, by their roles, and write the stored form to `target`. All files have descriptors. Raises
    UnusableSource, UnusableModel and TimeoutError."""
    # Imported here, so that the first voice loads the large libraries, and not the server's start.
    from proxy.features.models.conversion import convert_file

    async with AsyncExitStack() as opened:
        ready: dict[str, BinaryIO] = {}
        for file in format_.sources:
            if (source := sources.get(file.role)) is None:
                continue
            ready[file.role] = source
            if file.kind == "tensors":
                ready[file.role] = await opened.enter_async_context(open_memory_file(file.role))
                try:
                    async with asyncio.timeout(WITHIN_S):
                        await convert_file(source, ready[file.role], file, _report_nothing)
                except UnusableModel as fault:
                    raise UnusableSource(file.role, str(fault)) from None
        most = sum(file.most_bytes for file in format_.sources)
        await _run_child(VoiceOrder(format_.module, tuple(ready), most), [*ready.values(), target])
    # A harmful file may have taken over the process, so its output is checked like an input.
    return await asyncio.to_thread(_check, format_, target)


async def export_voice(format_: TrainedFormat, stored: BinaryIO, form: str, target: BinaryIO) -> None:
    """Write a stored file in one of the format's forms. Raises UnusableModel if the voice does not have this
    form, and TimeoutError."""
    most = 2 * sum(file.most_bytes for file in format_.sources)
    await _run_child(VoiceOrder(format_.module, ("model",), most, form), [stored, target])


def _check(format_: TrainedFormat, target: BinaryIO) -> TrainedFacts:
    format_code: TrainedFiles = import_module(format_.module).FILES
    return format_code.check(target, target.seek(0, os.SEEK_END))


async def _run_child(order: VoiceOrder, files: list[BinaryIO]) -> None:
    """Carry out an order. Raises UnusableSource and TimeoutError."""
    for file in files:
        file.seek(0)  # the process shares the position in the file
    helper = Helper(
        HelperSpec(
            module="proxy.features.models.voice_child",
            inherit=tuple(file.fileno() for file in files),
            is_for_one=True,
            most_answer_bytes=_MOST_ANSWER_BYTES,
        )
    )
    try:
        result = _decode(await helper.ask(msgspec.json.encode(order), within_s=WITHIN_S))
    except (HelperFailed, msgspec.MsgspecError):
        result = VoiceResult("the process that read it ended before its time: it is damaged, or made to harm")
    finally:
        await helper.close()
    if result.refused:
        from proxy.features.models.conversion import printable

        raise UnusableSource(result.role or order.roles[0], printable(result.refused))


def _report_nothing(_done: int, _of: int) -> None:
    """Report no progress."""
