"""Checks the words of consents: those of a recording are recognised, and compared with the phrase that its
speaker should have read."""

from __future__ import annotations

import asyncio
from functools import partial

from proxy.catalogue.notices import Notices
from proxy.catalogue.recognition import LocalRecognition, OwnRecording, OwnTranscript
from proxy.features.consents import records, rules
from proxy.features.consents.hearings import COUNTED, HearingRow, WordChange
from proxy.features.consents.words import judge_consent
from proxy.file_store.vault import Vault
from proxy.storage.store import Statement, Store
from speech_engine.hearing import HEARING_HZ
from speech_engine.language_names import base_tag
from speech_engine.text.comparing import texts_to_sound

_SET_WORDS = f"UPDATE consents SET words = :words WHERE id = :wish AND {COUNTED.sql}"


class WordChecks:
    """Judges the words of consents. `operator` is the name in the phrase, which each revision of the
    configuration sets."""

    def __init__(self, store: Store, vault: Vault, recognition: LocalRecognition, notices: Notices) -> None:
        self.operator = ""
        self._store = store
        self._vault = vault
        self._recognition = recognition
        self._notices = notices

    async def load_recording(self, task: HearingRow) -> OwnRecording | None:
        from proxy.audio.recordings.derivation import whole_sound

        record = await records.get(self._store, task.account, task.id)
        if record is None or record.digest is None:
            return None
        master = await self._vault.open(record.account, record.digest)
        pcm = await asyncio.to_thread(whole_sound, master, HEARING_HZ)
        # A model that is told a wrong language may translate into it. So it finds the language by itself.
        languages = tuple(dict.fromkeys((base_tag(record.language), *rules.LANGUAGES)))
        return OwnRecording(record.id, record.account, pcm, record.language, languages)

    async def judge_words(self, task: HearingRow, text: OwnTranscript | None) -> WordChange:
        """Return the statements that store the judgement. Without a text, the consent stays unchecked."""
        record = await records.get(self._store, task.account, task.id)
        phrase = None if record is None else rules.phrase(record.language, self.operator)
        if record is None or phrase is None or text is None:
            return WordChange()
        judge = partial(
            judge_consent, phrase, text.text, record.language, self.operator, is_reliable=text.is_reliable
        )
        # A first run without sounds tells which texts need them.
        texts = await asyncio.to_thread(texts_to_sound, judge)
        sounds_by_text = await self._recognition.phonemes_of(texts, record.language) if texts else None
        sounds = None if sounds_by_text is None else lambda words: sounds_by_text.get(words, "")
        judgement = await asyncio.to_thread(judge, sounds)
        is_in_language = text.languages <= {base_tag(record.language)}
        words = judgement.words if is_in_language else "unsure"
        now = await self._store.now()
        data = {"id": task.id}
        notice = self._notices.statements(task.account, "consent.heard", data, now, COUNTED)
        return WordChange((Statement(_SET_WORDS, {"words": words}), *notice))
