"""Reads the files of a new dub: subtitles, shorter subtitles, and the original."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from msgspec.structs import replace

from proxy.errors import InvalidRequest
from proxy.features.dubs.child_orders import LONGEST_S, Counted
from proxy.features.dubs.line_values import FitRules
from proxy.features.dubs.lines import choose_shorts, make_lines, unnamed_warnings
from proxy.features.dubs.original_sound import OriginalSounds
from proxy.features.dubs.request import INPUT, ORIGINAL, SHORTS, DubFields, DubText
from proxy.features.dubs.subtitle_reader import SubtitleReader
from proxy.features.jobs.core import uploads
from proxy.features.jobs.core.files import JobFiles
from proxy.file_store.sealed_blobs import StoredFile

_MOST_AFTER_CUES_S = 60.0


class DubInputs:
    """Reads the files of dubs. Close it. Of the texts, `mute` cues have only sounds, such as `[door slams]`.
    An original `takes_first` if its channels cancel each other: only the first one is used."""

    def __init__(self, files: JobFiles) -> None:
        self.originals = OriginalSounds()
        self._reader = SubtitleReader()
        self._files = files

    async def close_readers(self) -> None:
        await self._reader.aclose()
        await self.originals.aclose()

    async def read_inputs(self, account: str, fields: DubFields, length_s: float | None) -> DubText:
        """Read the files of a request. Raises RequestFailed, VaultFailed."""
        content = {
            field: await self._find_content(account, field, id_) for field, id_ in fields.inputs.items()
        }
        text = await self._read_lines(account, content, fields)
        begin_s, end_s = text.last_begin_s, max(line.end_ms for line in text.lines) / 1000
        if ORIGINAL in content:
            counted = await self.originals.measure(account, content[ORIGINAL])
            end_s = _original_length_s(counted, begin_s, end_s, is_cut=length_s is not None)
            text = replace(text, takes_first=counted.takes_first)
        if length_s is None:
            return replace(text, samples=max(1, round(end_s * fields.rate_hz)))
        return text.with_length(length_s, fields.rate_hz)

    async def read_changed(self, account: str, fields: DubFields, before: DubText) -> DubText:
        """Read other subtitles for a dub. All else is as it was. Raises RequestFailed, VaultFailed."""
        content = {INPUT: await self._find_content(account, INPUT, fields.inputs[INPUT])}
        if SHORTS in fields.inputs:
            content[SHORTS] = await uploads.held_content(self._files, account, fields.inputs[SHORTS])
        text = await self._read_lines(account, content, fields)
        return replace(text, samples=before.samples, takes_first=before.takes_first)

    async def _find_content(self, account: str, field: str, id_: str) -> StoredFile:
        found = await uploads.find_file(self._files.store, account, id_, field, "user_data")
        return await uploads.file_content(self._files, found)

    async def _read_lines(
        self, account: str, content: Mapping[str, StoredFile], fields: DubFields
    ) -> DubText:
        subtitles = {
            field: await self._reader.read_turns(account, content[field], field, fields.cast)
            for field in (INPUT, SHORTS)
            if field in content
        }
        shorts = subtitles[SHORTS].turns if SHORTS in subtitles else ()
        lines = await asyncio.to_thread(make_lines, subtitles[INPUT].turns, shorts, fields.cast)
        rules = FitRules(fields.pace, fields.fills)
        choose = partial(choose_shorts, lines, rules, may_overlap=fields.overlaps)
        return DubText(
            lines=await asyncio.to_thread(choose),
            samples=0,
            mute=subtitles[INPUT].mute,
            warnings=(
                *(warning for each in subtitles.values() for warning in each.warnings),
                *await asyncio.to_thread(unnamed_warnings, subtitles[INPUT].turns, fields.cast),
            ),
        )


def _original_length_s(counted: Counted, begin_s: float, end_s: float, *, is_cut: bool) -> float:
    """Return how long an original plays. `begin_s` and `end_s` are of the last cue. Raises InvalidRequest."""
    own_s, code = counted.samples / counted.rate_hz, "original_too_long"
    if own_s > LONGEST_S:
        why = "it plays for more than four hours"
    elif not is_cut and own_s > end_s + _MOST_AFTER_CUES_S:
        why = f"it plays for {own_s:.0f} s, {_MOST_AFTER_CUES_S:.0f} s longer than the last cue or more; "
        why += "with 'length_s' the track ends earlier"
    elif not is_cut and own_s <= begin_s:
        why, code = "it ends before the last cue begins", "unusable_original"
    else:
        return own_s
    raise InvalidRequest(f"Invalid '{ORIGINAL}': {why}.", param=ORIGINAL, code=code)
