"""The files of a dub, as they are read for a new job: subtitles, shorter subtitles, and the original."""

from __future__ import annotations

import asyncio

from proxy.errors import InvalidRequest
from proxy.features.dubs.child_orders import LONGEST_S, Counted
from proxy.features.dubs.lines import make_lines
from proxy.features.dubs.original_sound import FIELD, OriginalSounds
from proxy.features.dubs.request import DubBody, DubFields, DubText
from proxy.features.dubs.subtitle_reader import SubtitleReader
from proxy.features.jobs.core import uploads
from proxy.features.jobs.core.files import JobFiles
from proxy.file_store.sealed_blobs import StoredFile

_SUBTITLES, _SHORTS = "input_file_id", "short_file_id"
_MOST_BEHIND_S = 60.0


def file_ids(body: DubBody) -> dict[str, str]:
    """Return the files that a request names, by the field of each."""
    ids = {_SUBTITLES: body.input_file_id, _SHORTS: body.short_file_id, FIELD: body.original_file_id}
    return {field: id_ for field, id_ in ids.items() if id_ is not None}


class DubInputs:
    """Reads the files of dubs. Close it."""

    def __init__(self, files: JobFiles) -> None:
        self.originals = OriginalSounds()
        self._reader = SubtitleReader()
        self._files = files

    async def close_readers(self) -> None:
        await self._reader.close_process()
        await self.originals.close_process()

    async def read_inputs(self, account: str, body: DubBody, fields: DubFields) -> DubText:
        """Read the files of a request. Raises RequestFailed, VaultFailed."""
        content = dict[str, StoredFile]()
        for field, id_ in file_ids(body).items():
            found = await uploads.find(self._files.store, account, id_, field, "user_data")
            content[field] = await uploads.content(self._files, found)
        read = {
            field: await self._reader.read_turns(account, content[field], field, fields.cast)
            for field in (_SUBTITLES, _SHORTS)
            if field in content
        }
        shorts = read[_SHORTS].turns if _SHORTS in read else ()
        lines = await asyncio.to_thread(make_lines, read[_SUBTITLES].turns, shorts, fields.cast)
        begin_s, end_s = (
            max(line.start_ms for line in lines) / 1000,
            max(line.end_ms for line in lines) / 1000,
        )
        takes_first = False
        if FIELD in content:
            counted = await self.originals.measure(account, content[FIELD])
            own_s = _length(counted, begin_s, end_s, is_cut=body.length_s is not None)
            end_s, takes_first = own_s, counted.takes_first
        if body.length_s is not None and body.length_s <= begin_s:
            message = f"Invalid value for 'length_s': the last cue begins at {begin_s:g} s."
            raise InvalidRequest(message, param="length_s")
        return DubText(
            lines=lines,
            samples=max(1, round((body.length_s or end_s) * fields.rate_hz)),
            takes_first=takes_first,
            mute=read[_SUBTITLES].mute,
            warnings=tuple(warning for each in read.values() for warning in each.warnings),
        )


def _length(counted: Counted, begin_s: float, end_s: float, *, is_cut: bool) -> float:
    """Return how long an original plays. `begin_s` and `end_s` are of the last cue. Raises InvalidRequest."""
    own_s, code = counted.samples / counted.rate_hz, "original_too_long"
    if own_s > LONGEST_S:
        why = "it plays for more than four hours"
    elif not is_cut and own_s > end_s + _MOST_BEHIND_S:
        why = f"it plays for {own_s:.0f} s, {_MOST_BEHIND_S:.0f} s longer than the last cue or more; "
        why += "with 'length_s' the track ends earlier"
    elif not is_cut and own_s <= begin_s:
        why, code = "it ends before the last cue begins", "unusable_original"
    else:
        return own_s
    raise InvalidRequest(f"Invalid '{FIELD}': {why}.", param=FIELD, code=code)
