"""Changes the words of recordings: their owner writes them, or the server recognises them in recordings
without words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from proxy.catalogue.recognition import OwnRecording, OwnTranscript
from proxy.catalogue.voice_records import Recognised, VoiceRecord
from proxy.features.consents.hearings import COUNTED, TASKS, HearingRow, Hearings, HearingUse, WordChange
from proxy.features.own_voices import records
from proxy.features.own_voices.library_writer import LibraryWriter
from proxy.features.own_voices.seals import open_clip, open_voice, seal_clip, seal_voice
from proxy.file_store.vault import Vault
from proxy.storage import audit, library_revisions, samples
from proxy.storage.audit import Act
from proxy.storage.sample_record import SampleRecord
from proxy.storage.store import ALWAYS, Condition, Params, Statement, Store
from speech_engine.hearing import HEARING_HZ

MOST_TRANSCRIBED_S = 60.0
"""The length of the longest recording whose words are recognised."""
MOST_REF_TEXT_CHARACTERS = 1000
"""The most characters of `ref_text`."""

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


async def will_hear_words(
    hearings: Hearings, writer: LibraryWriter, account: str, words: str, language: str | None
) -> bool:
    """Tell whether the words of a new recording will be recognised: it came without them, a model needs them,
    and the account may use the recognition."""
    if words or not writer.wants_words or not hearings.recognition.may_hear(language or ""):
        return False
    return await hearings.has_time_left(account, MOST_TRANSCRIBED_S)


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
        """Return the statements that write the recognised words. Without a `text`, they write that there are
        none."""
        found = await self._find_sample(task)
        if found is None:
            return WordChange()
        words = "" if text is None else text.text[:MOST_REF_TEXT_CHARACTERS]
        statements = await self._word_statements(
            found, words, TASKS.finished if text is None else COUNTED.sql, recognised=True if words else UNSET
        )
        lock_voice = Statement(_HOLD, {"voice": found.voice.id})
        params = {name: statements.words.params[name] for name in ("sample", "was")}
        table = "samples" if found.row.id else "voices"
        return WordChange(statements, Condition(_IS_SAME[table], params, (lock_voice,)))

    async def write_words(self, found: FoundSample, words: str, act: Act | None = None) -> bool:
        """Write the words that the owner states. Return False if the recording has changed meanwhile."""
        statements = await self._word_statements(found, words, ALWAYS.sql, recognised=UNSET)
        stop = self._hearings.stop_statement(found.row.id or found.voice.id)
        written = statements.words.params
        params = {"sample": written["sample"], "was": written["sealed"]}
        done = audit.insert_statements(act, _IS_SAME["samples" if found.row.id else "voices"], params)
        answers = await self._store.write(stop, *statements, *done)
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
        self, found: FoundSample, words: str, only_if: str, *, recognised: Recognised
    ) -> _WordStatements:
        row, voice = found
        sealed: SampleRecord | VoiceRecord
        if row.id:
            texts = replace(open_clip(self._vault, row), words=words, recognised=recognised)
            sealed, sql, was = await seal_clip(self._vault, row, texts), _SET_OF_CLIP, row.sealed
        else:
            changed = replace(voice, texts=(words, *voice.texts[1:]), recognised=recognised)
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
