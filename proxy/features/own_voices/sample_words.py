"""The words of recordings: changed by their owner, or heard by the server where a voice came without them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from proxy.catalogue.ears import OwnRecording, OwnTranscript
from proxy.catalogue.voice_records import Recognised, VoiceRecord
from proxy.features.consents.hearings import COUNTED, TASKS, HearingRow, Hearings, HearingUse, WordChange
from proxy.features.own_voices import records
from proxy.features.own_voices.library_writer import LibraryWriter
from proxy.features.own_voices.seals import open_clip, open_voice, seal_clip, seal_voice
from proxy.file_store.vault import Vault
from proxy.storage import audit, library_revisions, samples
from proxy.storage.audit import Act
from proxy.storage.samples import SampleRecord
from proxy.storage.store import Condition, Params, Statement, Store
from speech_engine.hearing import HEARING_HZ

MOST_S = 60.0
"""Longer recordings are not heard."""
MOST_WORDS = 1000
"""The characters of `ref_text`."""

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


async def can_wait(
    hearings: Hearings, writer: LibraryWriter, account: str, words: str, language: str | None
) -> bool:
    """Tell whether a new recording without its words will be heard, as a model needs them."""
    if words or not writer.wants_words or not hearings.ears.may_hear(language or ""):
        return False
    return await hearings.is_free(account, MOST_S)


class FoundSample(NamedTuple):
    """A recording, and the opened record of its voice."""

    row: SampleRecord
    voice: VoiceRecord


class SampleWords:
    """The words of clips, and of first recordings by the ids of their voices. Each revision of the
    configuration sets `forget`, which forgets the library of an account."""

    forget: Callable[[str | None], None]

    def __init__(self, store: Store, vault: Vault, hearings: Hearings) -> None:
        self._hearings = hearings
        use = HearingUse(self._recording, self._change, lambda held: self.forget(held.account))
        hearings.uses |= {"voice": use, "clip": use}
        self._store = store
        self._vault = vault

    async def _recording(self, held: HearingRow) -> OwnRecording | None:
        from proxy.audio.recordings.derivation import whole_sound

        found = await self._find_sample(held)
        if found is None or found.row.seconds > MOST_S:
            return None
        master = await self._vault.open(held.account, found.row.digest)
        pcm = await asyncio.to_thread(whole_sound, master, HEARING_HZ)
        return OwnRecording(held.id, held.account, pcm, found.voice.language or "")

    async def _change(self, held: HearingRow, text: OwnTranscript | None) -> WordChange:
        found = await self._find_sample(held)
        if found is None:
            return WordChange()
        words = "" if text is None else text.text[:MOST_WORDS]
        statements = await self._changed(
            found, words, TASKS.finished if text is None else COUNTED.sql, recognised=True if words else UNSET
        )
        held_voice = Statement(_HOLD, {"voice": found.voice.id})
        params = {name: statements[1].params[name] for name in ("sample", "was")}
        table = "samples" if found.row.id else "voices"
        return WordChange(statements, Condition(_IS_SAME[table], params, (held_voice,)))

    async def write_words(self, found: FoundSample, words: str, act: Act | None = None) -> bool:
        """Write the words that the owner states. Return False if the recording has changed meanwhile."""
        statements = await self._changed(found, words, "1 = 1", recognised=UNSET)
        stop = self._hearings.stop_statement(found.row.id or found.voice.id)
        params = {"sample": statements[1].params["sample"], "was": statements[1].params["sealed"]}
        done = audit.insert_statements(act, _IS_SAME["samples" if found.row.id else "voices"], params)
        answers = await self._store.write(stop, *statements, *done)
        return bool(answers[2])

    async def _find_sample(self, held: HearingRow) -> FoundSample | None:
        if held.id.startswith("clip_"):
            row = await samples.find_clip(self._store, held.account, held.id)
        else:
            row = next(iter(await samples.list_original(self._store, held.id)), None)
        record = None if row is None else await records.get(self._store, held.account, row.voice)
        if row is None or record is None:
            return None
        return FoundSample(row, open_voice(self._vault, record))

    async def _changed(
        self, found: FoundSample, words: str, only_if: str, *, recognised: Recognised
    ) -> tuple[Statement, ...]:
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
        return (
            # With other words, it may sound otherwise.
            Statement(_RAISE.format(only_if=only_if), {"voice": voice.id}),
            Statement(sql.format(only_if=only_if), values),
            library_revisions.raise_statement(row.account),
        )
