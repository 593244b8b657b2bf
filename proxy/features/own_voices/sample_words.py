"""Changes the words of recordings: their owner writes them, or the server recognises them in recordings
without words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from policies.sample_quality import PART_S, SampleQuality, speech_range_s
from proxy.catalogue.recognition import OwnRecording, OwnTranscript
from proxy.catalogue.voice_records import Recognised, VoiceRecord
from proxy.features.consents.hearings import COUNTED, TASKS, HearingRow, Hearings, HearingUse, WordChange
from proxy.features.own_voices import records
from proxy.features.own_voices.library_writer import LibraryWriter
from proxy.features.own_voices.seals import (
    open_clip,
    open_voice,
    seal_clip,
    seal_voice,
    texts_of_recordings,
)
from proxy.file_store.vault import Vault
from proxy.storage import audit, library_revisions, samples
from proxy.storage.audit import Act
from proxy.storage.sample_record import SampleRecord
from proxy.storage.store import ALWAYS, Condition, Params, Statement, Store
from speech_engine.hearing import HEARING_HZ, TranscriptWord

MOST_TRANSCRIBED_S = 60.0
"""The length of the longest recording whose words are recognised."""
MOST_REF_TEXT_CHARACTERS = 1000
"""The most characters of `ref_text`."""
_LATE_S = 0.1
"""How much later than a word its end may be heard, and how much earlier its start."""
_SURE = 6
"""The letters on each side of a pause that must be heard as they are written."""

_RAISE = "UPDATE voices SET revision = revision + 1 WHERE id = :voice AND {only_if}"
_SET_OF_VOICE = """
UPDATE voices SET wrapped = :wrapped, sealed = :sealed WHERE id = :sample AND sealed = :was AND {only_if}
RETURNING id
"""
_SET_OF_CLIP = _SET_OF_VOICE.replace("voices", "samples")
_IS_SAME = {
    table: f"EXISTS (SELECT 1 FROM {table} WHERE id = :sample AND sealed = :was)"
    for table in ("voices", "samples")
}
_HOLD = "UPDATE voices SET id = id WHERE id = :voice"


async def may_hear_words(
    hearings: Hearings, writer: LibraryWriter, account: str, language: str | None
) -> bool:
    """Tell whether the words of a new recording may be recognised: a model needs them, and the account may
    use the recognition."""
    if not writer.wants_words or not hearings.recognition.may_hear(language or ""):
        return False
    return await hearings.has_time_left(account, MOST_TRANSCRIBED_S)


def words_before(pause_s: float, words: Sequence[TranscriptWord], text: str) -> str:
    """Return the beginning of a recording's words, `text`, up to a pause. It is empty if a word was heard in
    the pause, or if the words that were heard around it are not in the text."""
    early = [word for word in words if word.start_s + word.end_s < 2 * pause_s]
    late = words[len(early) :]
    before, after = (re.findall(r"\w", "".join([word.text for word in each])) for each in (early, late))
    if not before or not after or early[-1].end_s > pause_s + _LATE_S or late[0].start_s < pause_s - _LATE_S:
        return ""
    seam = r"\W*".join(before[-_SURE:]) + r"[^\w\s]*()\W*" + r"\W*".join(after[:_SURE])
    ends = [found.end(1) for found in re.finditer(f"(?={seam})", text, re.IGNORECASE)]
    return text[: min(ends, key=lambda end: abs(end - len(before)), default=0)]


class FoundSample(NamedTuple):
    """A recording, and the opened record of its voice."""

    row: SampleRecord
    voice: VoiceRecord


class _WordStatements(NamedTuple):
    """The statements that write the words of a recording. `words` returns a row if it has written them."""

    voice_revision: Statement
    words: Statement
    library_revision: Statement


class SampleWords:
    """Writes the words of recordings. A task names a clip by its id, and a first recording by the id of its
    voice.

    Each revision of the configuration sets `forget_library`, which drops the cached library of an account.
    """

    forget_library: Callable[[str | None], None]

    def __init__(self, store: Store, vault: Vault, hearings: Hearings) -> None:
        self._hearings = hearings
        use = HearingUse(
            self._load_recording, self._change_words, lambda task: self.forget_library(task.account)
        )
        hearings.uses |= {"voice": use, "clip": use}
        self._store = store
        self._vault = vault

    async def _load_recording(self, task: HearingRow) -> OwnRecording | None:
        from proxy.audio.recordings.derivation import whole_sound

        found = await self._find_sample(task)
        if found is None or found.row.seconds > MOST_TRANSCRIBED_S:
            return None
        master = await self._vault.open(task.account, found.row.digest)
        pcm = await asyncio.to_thread(whole_sound, master, HEARING_HZ)
        return OwnRecording(task.id, task.account, pcm, found.voice.language or "")

    async def _change_words(self, task: HearingRow, text: OwnTranscript | None) -> WordChange:
        """Return the statements that write the recognised words, if none were stated, and those of the part.
        Without a `text`, they write that there are none."""
        found = await self._find_sample(task)
        if found is None:
            return WordChange()
        (texts,) = await asyncio.to_thread(texts_of_recordings, self._vault, found.voice, [found.row])
        recognised_text = "" if text is None else text.text[:MOST_REF_TEXT_CHARACTERS]
        statements = await self._word_statements(
            found,
            texts.words or recognised_text,
            TASKS.finished if text is None else COUNTED.sql,
            recognised=True if recognised_text and not texts.words else UNSET,
            part=await self._find_part(
                found.row, () if text is None else text.words, texts.words or recognised_text
            ),
        )
        lock_voice = Statement(_HOLD, {"voice": found.voice.id})
        params = {name: statements.words.params[name] for name in ("sample", "was")}
        table = "samples" if found.row.id else "voices"
        return WordChange(statements, Condition(_IS_SAME[table], params, (lock_voice,)))

    async def _find_part(self, row: SampleRecord, timed: Sequence[TranscriptWord], words: str) -> str:
        """Return the words of the part that `derive_sample` makes of a long recording."""
        from proxy.audio.recordings.derivation import SampleSpec, derive_sample

        if row.seconds <= PART_S or not timed:
            return ""
        master = await self._vault.open(row.account, row.digest)
        quality = msgspec.json.decode(row.quality, type=SampleQuality)
        spec = SampleSpec(0.0, PART_S, HEARING_HZ, needs_text=True)
        pcm = await asyncio.to_thread(derive_sample, master, quality, spec)
        start_s, _ = speech_range_s(quality, row.seconds)
        return words_before(start_s + len(pcm) / (2 * HEARING_HZ), timed, words)

    async def write_words(self, found: FoundSample, words: str, act: Act | None = None) -> bool:
        """Write the words that the owner states. Return False if the recording has changed meanwhile.

        A long recording is heard again, for the words of its part."""
        statements = await self._word_statements(found, words, ALWAYS.sql, recognised=UNSET)
        stop = self._hearings.stop_statement(subject := found.row.id or found.voice.id)
        hear = self._hearings.queue_statements(subject, found.row.account, found.voice.language or "")
        written = statements.words.params
        params = {"sample": written["sample"], "was": written["sealed"]}
        done = audit.insert_statements(act, _IS_SAME["samples" if found.row.id else "voices"], params)
        is_long = PART_S < found.row.seconds <= MOST_TRANSCRIBED_S
        answers = await self._store.write(stop, *statements, *done, *(hear if is_long else ()))
        _stopped, _raised, rows, *_ = answers
        return bool(rows)

    async def _find_sample(self, task: HearingRow) -> FoundSample | None:
        if task.id.startswith("clip_"):
            row = await samples.find_clip(self._store, task.account, task.id)
        else:
            row = next(iter(await samples.list_original(self._store, task.id)), None)
        record = None if row is None else await records.get(self._store, task.account, row.voice)
        if row is None or record is None:
            return None
        return FoundSample(row, open_voice(self._vault, record))

    async def _word_statements(
        self, found: FoundSample, words: str, only_if: str, *, recognised: Recognised, part: str = ""
    ) -> _WordStatements:
        row, voice = found
        sealed: SampleRecord | VoiceRecord
        if row.id:
            texts = replace(
                open_clip(self._vault, row), words=words, part=part or UNSET, recognised=recognised
            )
            sealed, sql, was = await seal_clip(self._vault, row, texts), _SET_OF_CLIP, row.sealed
        else:
            changed = replace(
                voice, texts=(words, *voice.texts[1:]), part=part or UNSET, recognised=recognised
            )
            sealed, sql, was = await seal_voice(self._vault, changed), _SET_OF_VOICE, voice.sealed
        values: Params = {
            "sample": row.id or voice.id,
            "was": was,
            "wrapped": sealed.wrapped,
            "sealed": sealed.sealed,
        }
        return _WordStatements(
            # Other words may change the sound of the voice.
            Statement(_RAISE.format(only_if=only_if), {"voice": voice.id}),
            Statement(sql.format(only_if=only_if), values),
            library_revisions.raise_statement(row.account),
        )
