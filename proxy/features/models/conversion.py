"""Converts or cuts one file of a model in a confined child process: see conversion_child.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import BinaryIO

import msgspec

from proxy.features.models.conversion_child import ChildProgress
from proxy.helpers.helper import Helper, HelperFailed, HelperSpec
from speech_engine.model_files import ModelFile, UnusableModel

_MOST_ANSWER_BYTES = 4096
_MOST_REASON_CHARACTERS = 300

Progress = Callable[[int, int], None]
_decode = msgspec.json.Decoder(ChildProgress).decode


def convert_in_child(
    source: BinaryIO, target: BinaryIO, file: ModelFile, progress: Progress
) -> tuple[str, ...]:
    """Write the tensors of `source` to `target` as safetensors, in a confined process. Return the
    restrictions that this machine does not have. Raise UnusableModel with the fault."""
    return asyncio.run(convert_file(source, target, file, progress))


def cut_in_child(source: BinaryIO, halves: Sequence[BinaryIO], file: ModelFile) -> tuple[str, ...]:
    """Write both halves of a graph, in a confined process. It writes nothing if the graph has no place for a
    cut. Return and raise the same as `convert_in_child`."""
    return asyncio.run(_in_child(source, halves, file, lambda _done, _of: None))


async def convert_file(
    source: BinaryIO, target: BinaryIO, file: ModelFile, progress: Progress
) -> tuple[str, ...]:
    """Like `convert_in_child`, inside an event loop."""
    return await _in_child(source, (target,), file, progress)


async def _in_child(
    source: BinaryIO, targets: Sequence[BinaryIO], file: ModelFile, progress: Progress
) -> tuple[str, ...]:
    try:
        child_progress = await _wait_for_end(source, targets, file, progress)
    except (HelperFailed, msgspec.MsgspecError):
        raise UnusableModel(
            "the process that read it ended before its time: it is damaged, or made to harm"
        ) from None
    if child_progress.refused:
        raise UnusableModel(printable(child_progress.refused))
    return child_progress.lacks


async def _wait_for_end(
    source: BinaryIO, targets: Sequence[BinaryIO], file: ModelFile, progress: Progress
) -> ChildProgress:
    helper = Helper(
        HelperSpec(
            module="proxy.features.models.conversion_child",
            inherit=(source.fileno(), *(target.fileno() for target in targets)),
            niceness=0,
            is_for_one=True,
            most_answer_bytes=_MOST_ANSWER_BYTES,
        )
    )
    try:
        async with helper.use_process() as life:
            # A plugin's reader of the result stays here.
            rules = msgspec.json.encode(msgspec.structs.replace(file, reader=None))
            child_progress = _decode(await life.ask(rules))
            while not child_progress.is_over:
                progress(child_progress.done, child_progress.total)
                child_progress = _decode(await life.receive())
            return child_progress
    finally:
        await helper.close()


def printable(reason: str) -> str:
    """Return a reason without unprintable letters, and not too long. A harmful file may have taken over the
    process that sent it."""
    return "".join(letter if letter.isprintable() else "?" for letter in reason[:_MOST_REASON_CHARACTERS])
