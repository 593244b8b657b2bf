"""The words of consents: a recording is heard, and compared with the phrase that its speaker read out."""

from __future__ import annotations

import asyncio
from functools import partial

from proxy.catalogue.ears import NoEars, OwnRecording, OwnTranscript
from proxy.catalogue.notices import Notices
from proxy.features.consents import records, rules
from proxy.features.consents.hearings import COUNTED, HearingRow, WordChange
from proxy.features.consents.words import judge_consent
from proxy.file_store.vault import Vault
from proxy.storage.store import Statement, Store
from speech_engine.hearing import HEARING_HZ
from speech_engine.text.comparing import texts_to_sound

_SET = f"UPDATE consents SET words = :words WHERE id = :wish AND {COUNTED.sql}"


class WordChecks:
    """Each revision of the configuration sets the `operator`."""

    def __init__(self, store: Store, vault: Vault, ears: NoEars, notices: Notices) -> None:
        self.operator = ""
        self._store = store
        self._vault = vault
        self._ears = ears
        self._notices = notices

    async def consent_recording(self, held: HearingRow) -> OwnRecording | None:
        from proxy.audio.recordings.derivation import whole_sound

        record = await records.get(self._store, held.account, held.id)
        if record is None or record.digest is None:
            return None
        master = await self._vault.open(record.account, record.digest)
        pcm = await asyncio.to_thread(whole_sound, master, HEARING_HZ)
        return OwnRecording(record.id, record.account, pcm, record.language)

    async def judged_words(self, held: HearingRow, text: OwnTranscript | None) -> WordChange:
        record = await records.get(self._store, held.account, held.id)
        phrase = None if record is None else rules.phrase(record.language, self.operator)
        if record is None or phrase is None or text is None:
            return WordChange()
        judge = partial(
            judge_consent, phrase, text.text, record.language, self.operator, is_reliable=text.is_reliable
        )
        asked = await asyncio.to_thread(texts_to_sound, judge)
        known = await self._ears.sounds(asked, record.language) if asked else None
        sounds = None if known is None else lambda words: known.get(words, "")
        found = await asyncio.to_thread(judge, sounds)
        now = await self._store.now()
        data = {"id": held.id}
        notice = self._notices.statements(held.account, "consent.heard", data, now, COUNTED)
        return WordChange((Statement(_SET, {"words": found.words}), *notice))
